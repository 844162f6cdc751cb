package ledgerline_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// alert is a rule of Prometheus.
type alert struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) (all []alert) {
	t.Helper()
	var file struct{ Groups []struct{ Rules []alert } }
	readYAML(t, "deploy/prometheus/ledgerline.rules.yaml", &file)
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	require.Greater(t, len(all), 10)
	return all
}

// Whoever switches traces on in an example switches sampling on beside it, as the page says.
func TestTracesAreSampled(t *testing.T) {
	for _, file := range []string{"deploy/systemd/ledgerline.env", "deploy/systemd/console.env", "deploy/kubernetes/kustomization.yaml", "docs/operations.md"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Regexp(t, `OTEL_EXPORTER_OTLP_ENDPOINT=http://.*\n(.*OTEL_EXPORTER_OTLP_PROTOCOL=.*\n)?`+
			`.*OTEL_TRACES_SAMPLER=parentbased_traceidratio\b.*\n.*OTEL_TRACES_SAMPLER_ARG=0\.05\b`, string(text), file)
	}
}

// Whoever an alert wakes finds what it means and what to do, and each has been seen to
// fire and not to fire.
func TestAlerts(t *testing.T) {
	page, err := os.ReadFile("docs/operations.md")
	require.NoError(t, err)
	places := anchors(string(page))
	var tests struct {
		Tests []struct {
			Name  string
			Cases []struct {
				Alert  string `yaml:"alertname"`
				Expect []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, "deploy/prometheus/ledgerline.test.yaml", &tests)
	fired, silent := make(map[string]bool), make(map[string]bool)
	for _, test := range tests.Tests {
		for _, c := range test.Cases {
			if len(c.Expect) > 0 {
				fired[c.Alert] = true
			} else {
				silent[c.Alert] = true
			}
		}
	}
	seen := make(map[string]bool)
	for _, a := range alerts(t) {
		require.False(t, seen[a.Alert], "%s is there twice", a.Alert)
		seen[a.Alert] = true
		_, place, _ := strings.Cut(a.Annotations["runbook_url"], "docs/operations.md")
		require.True(t, places[place] && place == "#"+strings.ToLower(a.Alert), "%s: docs/operations.md has no %s", a.Alert, place)
		require.NotEmpty(t, a.Annotations["summary"], a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
		require.Contains(t, []string{"page", "ticket"}, a.Labels["severity"], a.Alert)
		require.True(t, fired[a.Alert], "%s: no test in which it fires", a.Alert)
		require.True(t, silent[a.Alert], "%s: no test in which it does not", a.Alert)
	}
	for name := range fired {
		require.True(t, seen[name], "a test of %s, which is no rule", name)
	}
	for place := range places {
		if strings.HasPrefix(place, "#ledgerline") {
			require.Contains(t, strings.ToLower(fmt.Sprint(seen)), strings.TrimPrefix(place, "#")+":", "a section of an alert that is no rule")
		}
	}
}

// A rule or a panel groups and selects by labels that the metric has: by another one it
// finds nothing, or names nothing.
func TestLabels(t *testing.T) {
	page, err := os.ReadFile("docs/operations.md")
	require.NoError(t, err)
	console, err := os.ReadFile("docs/console.md")
	require.NoError(t, err)
	page = append(page, console...)
	has := make(map[string][]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `(ledgerline_[a-z_]+)` \\| (?:counter|gauge|histogram)(?:: ([a-z_, ]+))? \\|").FindAllStringSubmatch(string(page), -1) {
		has[m[1]] = strings.Split(m[2], ", ")
	}
	exprs := map[string]string{}
	for _, a := range alerts(t) {
		exprs[a.Alert] = a.Expr + " " + a.Annotations["description"]
	}
	text, err := os.ReadFile("deploy/grafana/ledgerline.json")
	require.NoError(t, err)
	var dashboard struct{ Panels []panel }
	require.NoError(t, json.Unmarshal(text, &dashboard))
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			exprs[target.Expr] = target.Expr
		}
	}
	metric := regexp.MustCompile(`ledgerline_[a-z_]+`)
	label := regexp.MustCompile(`([a-z_]+)(?:=~|!=|!~|=)"|\$labels\.([a-z_]+)`)
	by := regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	for where, expr := range exprs {
		known := []string{"le", "job", "instance"} // of histograms, and of whoever asks workers
		names := metric.FindAllString(expr, -1)
		for _, name := range names {
			labels, ok := has[strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")]
			require.True(t, ok, "%s: docs/operations.md or docs/console.md has no metric %s", where, name)
			known = append(known, labels...)
		}
		if len(names) == 0 { // the SDK's
			continue
		}
		for _, m := range label.FindAllStringSubmatch(expr, -1) {
			require.Contains(t, known, m[1]+m[2], where)
		}
		for _, m := range by.FindAllStringSubmatch(expr, -1) {
			for _, l := range strings.Split(m[1], ", ") {
				require.Contains(t, known, l, where)
			}
		}
	}
}

// panel is a part of the dashboard.
type panel struct {
	ID          int
	Type, Title string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr, LegendFormat string }
}

// The dashboard has a place for each panel, and Prometheus can read what each asks.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("deploy/grafana/ledgerline.json")
	require.NoError(t, err)
	var dashboard struct{ Panels []panel }
	require.NoError(t, json.Unmarshal(text, &dashboard))
	taken, ids, rows := make(map[[2]int]string), make(map[int]bool), 0
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	for _, p := range dashboard.Panels {
		require.False(t, ids[p.ID], "%s: its ID is there twice", p.Title)
		ids[p.ID] = true
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, taken[[2]int{x, y}], "%s stands on it", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows++
			continue
		}
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			require.NotEmpty(t, target.LegendFormat, p.Title)
			expr := strings.NewReplacer("$__rate_interval", "5m", "$adapter", ".*").Replace(target.Expr)
			fmt.Fprintf(&rules, "  - {record: 'panel:%d', labels: {n: '%d'}, expr: '%s'}\n", p.ID, len(rules.String()), expr)
		}
	}
	require.Equal(t, 4, rows)
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "promtool is not there (Debian: prometheus)")
		t.Log("THE DASHBOARD'S QUERIES WERE NOT CHECKED: promtool is not there (Debian: apt-get install prometheus)")
		return
	}
	path := filepath.Join(t.TempDir(), "dashboard.yaml")
	require.NoError(t, os.WriteFile(path, []byte(rules.String()), 0o600))
	out, err := exec.Command(promtool, "check", "rules", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
