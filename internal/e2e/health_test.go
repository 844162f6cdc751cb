package e2e

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// watchClosely gives an integration a vendor of its own, which only it calls,
// and lets it be probed every second, and every two after failures. No file may
// ask for that, so the row is changed. It returns the vendor, and
// what a worker must be started with.
func watchClosely(t *testing.T, o tenant, name string) (vendor *sandbox.Sandbox, args []string) {
	t.Helper()
	vendor = sandbox.New(sandbox.Options{})
	server := httptest.NewServer(vendor)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	conn, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(t.Context(), `UPDATE ledgerline.integrations
		SET base_url = $2, health = '{"interval": 1000000000, "maxInterval": 2000000000}' WHERE integration_id = $1`,
		o.integrations[name].ID, sandbox.Addresses(server.URL)["xledger"])
	require.NoError(t, err)
	return vendor, []string{"--monitors", "--dev-vendor-hosts", strings.Join(append(stack.DevHosts(), server.Listener.Addr().String()), ",")}
}

// shownHealth is what the test looks at of starter health -o json.
type shownHealth struct {
	Name        string     `json:"name"`
	State       string     `json:"state"`
	NextProbeAt *time.Time `json:"nextProbeAt"`
	Health      *struct {
		Reason  string `json:"reason"`
		Latency string `json:"latency"`
	} `json:"health"`
	Secret *struct {
		Credential string `json:"credential"`
		Summary    string `json:"summary"`
	} `json:"secret"`
}

func healthOf(t *testing.T, o tenant, name string) shownHealth {
	t.Helper()
	out, words, code := starter(t, "", "health", "--org", o.id.String(), "-o", "json")
	require.Equal(t, 0, code, words)
	for _, h := range fromJSON[[]shownHealth](t, out) {
		if h.Name == name {
			return h
		}
	}
	t.Fatalf("no %s in %s", name, out)
	return shownHealth{}
}

// become waits until an integration has a state.
func become(t *testing.T, o tenant, name, state string) shownHealth {
	t.Helper()
	var h shownHealth
	require.Eventually(t, func() bool { h = healthOf(t, o, name); return h.State == state }, 60*time.Second, 300*time.Millisecond, "%s", state)
	return h
}

func changesOf(t *testing.T, o tenant, name string) string {
	t.Helper()
	return strings.Join(queryStrings(t, `SELECT from_state || '>' || to_state || ' ' || kind FROM ledgerline.integration_health_history
		WHERE integration_id = $1 AND entry = 'change' ORDER BY number`, o.integrations[name].ID), ", ")
}

// The vendor goes down, comes back, throttles and comes back again, and the
// record shows exactly that.
func TestHealthIsRecorded(t *testing.T) {
	o := newTenant(t, quick)
	vendor, args := watchClosely(t, o, "xledger-main")
	w := startWorker(t, args...)
	require.True(t, execute(t, o.ping("xledger-main")).OK)
	h := become(t, o, "xledger-main", "healthy")
	require.NotNil(t, h.NextProbeAt)

	lines, end := watching(t, o)
	at := 0
	shown := func(state string) { // by starter health --watch, which looks every two seconds
		t.Helper()
		require.Eventually(t, func() bool {
			i := strings.Index(lines()[at:], "  xledger-main  "+state+"  ")
			if i >= 0 {
				at += i + 1
			}
			return i >= 0
		}, 30*time.Second, 100*time.Millisecond, "%s", state)
	}
	shown("healthy")
	vendor.Script(sandbox.Rule{Status: 503})
	h = become(t, o, "xledger-main", "unreachable")
	shown("unreachable")
	require.Equal(t, "unavailable", h.Health.Reason)
	w.Kill() // and a worker that dies changes nothing
	startWorker(t, args...)
	vendor.Reset()
	become(t, o, "xledger-main", "healthy")
	shown("healthy")

	vendor.Script(sandbox.Rule{Status: 429})
	require.False(t, execute(t, o.ping("xledger-main")).OK)
	h = become(t, o, "xledger-main", "passive")
	shown("passive")
	require.Nil(t, h.NextProbeAt)
	before := len(vendor.Log())
	time.Sleep(3 * time.Second)
	require.Len(t, vendor.Log(), before, "nobody is asked while the vendor throttles")
	vendor.Reset()
	time.Sleep(3 * time.Second)
	require.Empty(t, vendor.Log(), "nor before a real success")
	require.True(t, execute(t, o.ping("xledger-main")).OK)
	become(t, o, "xledger-main", "healthy")

	story := "unknown>healthy ok, healthy>degraded unavailable, degraded>unreachable unavailable, unreachable>healthy ok, " +
		"healthy>passive rate_limited, passive>healthy ok"
	require.Equal(t, story, changesOf(t, o, "xledger-main"))
	shown("healthy")
	end()
	if recording == "services" {
		record(t, "monitor", eventsOf(t, workflows.MonitorID(o.id, o.integrations["xledger-main"].ID)))
	}
}

// watching runs starter health --watch, and returns how to end it, with Ctrl-C,
// and what it said.
func watching(t *testing.T, o tenant) (lines, end func() string) {
	t.Helper()
	c := exec.Command(starterBin, "health", "--watch", "--org", o.id.String())
	c.Env = append(os.Environ(), stack.Env(devstack.Operator)...)
	var out said
	c.Stdout = &out
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill() })
	return out.String, func() string {
		require.NoError(t, c.Process.Signal(syscall.SIGINT))
		require.NoError(t, c.Wait(), "Ctrl-C is the way out")
		return out.String()
	}
}

// said is what a program has printed so far.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A paused integration's vendor is not called by anybody, its schedule does not
// fire, and resuming undoes all of it.
func TestPauseAndResume(t *testing.T) {
	o := newTenant(t, quick)
	file := strings.Replace(stack.Integrations(o.id, quick), "    name: xledger-main\n", "    name: xledger-main\n    schedule: {every: daily, at: \"06:30\"}\n", 1)
	_, words, code := starter(t, file, "integrations", "apply", "-f", "-")
	require.Equal(t, 0, code, words)
	vendor, with := watchClosely(t, o, "xledger-main")
	startWorker(t, with...)
	require.True(t, execute(t, o.ping("xledger-main")).OK)
	become(t, o, "xledger-main", "healthy")

	args := []string{"--org", o.id.String(), "--integration", "xledger-main"}
	_, words, code = starter(t, "", append([]string{"integrations", "pause"}, args...)...)
	require.Equal(t, 2, code)
	require.Contains(t, words, "--reason")
	_, words, code = starter(t, "", append([]string{"integrations", "pause", "--reason", "month end"}, args...)...)
	require.Equal(t, 0, code, words)
	for _, s := range []string{"calls: paused", "schedule: paused", "probes: notified", "knows of it"} {
		require.Contains(t, words, s)
	}
	before := len(vendor.Log())
	in := o.ping("xledger-main")
	out := execute(t, in)
	require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
	for _, s := range []string{"paused by", "month end", "starter integrations resume"} {
		require.Contains(t, out.Failure.Message, s)
	}
	finish(t, in)
	require.Equal(t, "1:permanent/paused", trail(rowsOf(t, in)))
	require.Equal(t, "paused", healthOf(t, o, "xledger-main").State)
	time.Sleep(3 * time.Second)
	require.Len(t, vendor.Log(), before, "nobody is called")
	listed, _, _ := starter(t, "", "schedules", "list", "--org", o.id.String(), "-o", "json")
	require.Contains(t, listed, `"paused": true`)
	require.Contains(t, listed, "month end")
	_, words, code = starter(t, "", append([]string{"integrations", "pause", "--no-wait", "--reason", "again"}, args...)...)
	require.Equal(t, 0, code)
	require.Contains(t, words, "paused already")

	_, words, code = starter(t, "", append([]string{"integrations", "resume", "--reason", "done"}, args...)...)
	require.Equal(t, 0, code, words)
	require.True(t, execute(t, o.ping("xledger-main")).OK)
	listed, _, _ = starter(t, "", "schedules", "list", "--org", o.id.String(), "-o", "json")
	require.Contains(t, listed, `"paused": false`)
	require.Eventually(t, func() bool { return len(vendor.Log()) > before+2 }, 20*time.Second, 100*time.Millisecond, "probes go on")
	require.Equal(t, []string{"pause: month end", "resume: done"}, queryStrings(t,
		"SELECT action || ': ' || reason FROM ledgerline.integration_pauses WHERE integration_id = $1 ORDER BY at", o.integrations["xledger-main"].ID))
}

// The states in the tables hold no vendor's words.
func TestHealthHoldsKindsOnly(t *testing.T) {
	rows := queryStrings(t, "SELECT row_to_json(h)::text FROM ledgerline.integration_health_history h")
	for _, r := range rows {
		require.True(t, json.Valid([]byte(r)))
		require.NotContains(t, r, "HTTP")
		require.NotContains(t, r, sandbox.DemoXledgerToken)
	}
}
