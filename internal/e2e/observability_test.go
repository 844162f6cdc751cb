package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// rare are metrics of alerts and dashboard that a worker serves only after something that
// does not happen here, with what that is. They are looked for in the source.
var rare = map[string]string{
	"ledgerline_export_drift_seconds_bucket":  "a scheduled export",
	"ledgerline_exports_closed_total":         "an export that has ended",
	"ledgerline_store_refusals_total":         "a step that PostgreSQL refuses",
	"temporal_request_failure":                "a request that Temporal refuses",
	"temporal_workflow_task_execution_failed": "a workflow whose code fails",
}

var (
	metricName = regexp.MustCompile(`\b(?:ledgerline|temporal|process)_[a-z_]+\b`)
	selector   = regexp.MustCompile(`\b((?:ledgerline|temporal|process)_[a-z_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)(?:=~|!=|=)\\?"([^"\\]*)\\?"`)
)

// Every metric that an alert or the dashboard looks at is one that a worker serves, with
// the labels by which it is chosen.
func TestMetricsOfAlertsAndDashboard(t *testing.T) {
	files := ""
	for _, path := range []string{"prometheus/ledgerline.rules.yaml", "grafana/ledgerline.json"} {
		text, err := os.ReadFile(filepath.Join("../../deploy", path))
		require.NoError(t, err)
		files += string(text)
	}
	names := metricName.FindAllString(files, -1)
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), ofConsole)
	require.Greater(t, len(names), 20)

	w := startWorker(t)
	get := asking(t, w)
	o := newTenant(t, quick)
	in := o.ping("xledger-main")
	script(in, sandbox.Rule{Status: http.StatusServiceUnavailable, Times: 1})
	require.True(t, execute(t, in).OK)
	var served string
	missing := func() (list []string) {
		_, served = get("/metrics")
		for _, name := range names {
			if rare[name] == "" && !regexp.MustCompile(`(?m)^`+name+`[{ ]`).MatchString(served) {
				list = append(list, name)
			}
		}
		return list
	}
	if !within(time.Minute, func() bool { return len(missing()) == 0 }) {
		t.Fatalf("a worker does not serve %v; it serves:\n%s", missing(), strings.Join(regexp.MustCompile(`(?m)^# TYPE .*$`).FindAllString(served, -1), "\n"))
	}

	sdk := source(t, filepath.Join(moduleFolder(t, "go.temporal.io/sdk"), "internal/common/metrics/constants.go"))
	sources := source(t, "../../cmd/worker/*.go") + strings.ReplaceAll(sdk, `TemporalRequest + "`, `"request`)
	for name := range rare {
		require.Contains(t, names, name, "nothing looks at it any more")
		bare := name
		for _, suffix := range []string{"_bucket", "_total", "_seconds"} {
			bare = strings.TrimSuffix(bare, suffix)
		}
		require.Contains(t, sources, strings.TrimPrefix(bare, "temporal_")+`"`, "%s is declared nowhere", name)
	}
	for _, s := range selector.FindAllStringSubmatch(files, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if rare[s[1]] == "" && m[1] != "job" && !ofConsole(s[1]) {
				require.Regexp(t, `(?m)^`+s[1]+`\{[^}]*\b`+m[1]+`="`, served, "label %s of %s", m[1], s[1])
			}
			if m[1] == "kind" {
				for _, kind := range strings.Split(m[2], "|") {
					require.Contains(t, classify.Kinds(), classify.Kind(kind))
				}
			}
		}
	}
}

// ofConsole reports whether a metric is cmd/console's, whose tests look at it.
func ofConsole(name string) bool { return strings.HasPrefix(name, "ledgerline_console_") }

// within reports whether something comes to hold in time.
func within(d time.Duration, holds func() bool) bool {
	for end := time.Now().Add(d); ; time.Sleep(200 * time.Millisecond) {
		if holds() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

func source(t *testing.T, pattern string) (text string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, paths, pattern)
	for _, path := range paths {
		one, err := os.ReadFile(path)
		require.NoError(t, err)
		text += string(one)
	}
	return text
}

func moduleFolder(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}
