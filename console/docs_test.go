package console

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// The table of metrics in docs/console.md has those that a console serves, with their labels.
func TestMetricsAreDocumented(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := newMeasures(registry)
	require.NoError(t, err)
	m.served("overview", 200, time.Millisecond)
	m.operations.WithLabelValues("retry", "done").Inc()
	m.streams.Inc()
	families, err := registry.Gather()
	require.NoError(t, err)
	served := make(map[string]string)
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		served[f.GetName()] = strings.ToLower(f.GetType().String()) + " " + strings.Join(labels, ", ")
	}
	page, err := os.ReadFile("../docs/console.md")
	require.NoError(t, err)
	documented := make(map[string]string)
	for _, match := range regexp.MustCompile("(?m)^\\| `(ledgerline_[a-z_]+)` \\| (counter|gauge|histogram)(?:: ([a-z_, ]+))? \\|").FindAllStringSubmatch(string(page), -1) {
		documented[match[1]] = match[2] + " " + match[3]
	}
	require.Equal(t, served, documented)
}

// Every page that people reach has its section, with its picture in both languages.
func TestPagesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/console.md")
	require.NoError(t, err)
	for _, v := range views {
		if v.name == "uploads" {
			continue // the same section as upload
		}
		for _, language := range []string{"en", "nb"} {
			require.Contains(t, string(page), "(console/"+v.name+"-"+language+".png)")
		}
	}
}
