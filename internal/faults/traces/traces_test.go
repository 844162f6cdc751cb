package traces

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// collector is the collector's receiver, with what it received.
type collector struct {
	consumertest.TracesSink
	grpc, http string // addresses
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{grpc: freeAddress(t), http: freeAddress(t)}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	require.NoError(t, confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": c.grpc}, "http": map[string]any{"endpoint": c.http}}}).Unmarshal(config))
	receiver, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(factory.Type()), config, &c.TracesSink)
	require.NoError(t, err)
	require.NoError(t, receiver.Start(t.Context(), componenttest.NewNopHost()))
	t.Cleanup(func() { require.NoError(t, receiver.Shutdown(context.Background())) })
	return c
}

// freeAddress is one at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// toGRPC and toHTTP make a program export here, and nothing before its end: what arrives
// proves that it exports what is left then.
func (c *collector) toGRPC() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.grpc, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_BSP_SCHEDULE_DELAY=3600000"}
}

func (c *collector) toHTTP() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.http, "OTEL_BSP_SCHEDULE_DELAY=3600000"}
}

// span is a span as it arrived.
type span struct {
	ptrace.Span
	service  string
	children []*span
}

// attribute is one of the span's, "" if it has none of that name.
func (s *span) attribute(name string) string {
	v, ok := s.Attributes().Get(name)
	if !ok {
		return ""
	}
	return v.AsString()
}

// tree is the span with all below it, one a line, indented.
func (s *span) tree(indent string) string {
	line := indent + s.Name()
	for _, name := range []string{"ledgerline.attempt", "ledgerline.request", "http.response.status_code",
		"error.type", "ledgerline.error.class"} {
		if v := s.attribute(name); v != "" {
			line += " " + v
		}
	}
	for _, child := range s.children {
		line += "\n" + child.tree(indent+"  ")
	}
	return line
}

// each calls f for the span and all below it.
func (s *span) each(f func(*span)) {
	f(s)
	for _, child := range s.children {
		child.each(f)
	}
}

// roots are the spans without a parent, with those below them by the time they began. A span
// whose parent did not arrive, or that arrived twice, is an error.
func (c *collector) roots(t *testing.T) (roots []*span) {
	t.Helper()
	byID := make(map[string]*span)
	for _, arrived := range c.AllTraces() {
		for _, o := range arrived.ResourceSpans().All() {
			service, _ := o.Resource().Attributes().Get("service.name")
			for _, scope := range o.ScopeSpans().All() {
				for _, s := range scope.Spans().All() {
					id := s.SpanID().String()
					require.NotContains(t, byID, id, "%s arrived twice", s.Name())
					byID[id] = &span{Span: s, service: service.AsString()}
				}
			}
		}
	}
	for _, s := range byID {
		if s.ParentSpanID().IsEmpty() {
			roots = append(roots, s)
			continue
		}
		parent := byID[s.ParentSpanID().String()]
		require.NotNil(t, parent, "the parent of %s did not arrive", s.Name())
		require.Equal(t, parent.TraceID(), s.TraceID())
		parent.children = append(parent.children, s)
	}
	byTime := func(a, b *span) int { return cmp.Compare(a.StartTimestamp(), b.StartTimestamp()) }
	for _, s := range byID {
		slices.SortFunc(s.children, byTime)
	}
	slices.SortFunc(roots, byTime)
	return roots
}

// text is everything that arrived.
func (c *collector) text(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, arrived := range c.AllTraces() {
		one, err := new(ptrace.JSONMarshaler).MarshalTraces(arrived)
		require.NoError(t, err)
		b.Write(one)
	}
	return b.String()
}

// One stack and one build of the programs for both tests.
var (
	stack                 *devstack.Stack
	workerBin, starterBin string
)

func TestMain(m *testing.M) {
	code, err := setUp(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func setUp(m *testing.M) (code int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if stack, err = devstack.StartStack(ctx, devstack.StackOptions{Log: os.Stderr}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stack.Close()) }()
	if workerBin, err = devstack.Build(ctx, "./cmd/worker", true); err != nil {
		return 1, err
	}
	if starterBin, err = devstack.Build(ctx, "./cmd/starter", true); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// tenant is the organization of a test.
type tenant string

func newTenant() tenant { return tenant(uuid.NewString()) }

// file is its integration file.
func (o tenant) file(retry string) string {
	return stack.Integrations(uuid.MustParse(string(o)), retry)
}

func startWorker(t *testing.T, env []string) *devstack.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := devstack.StartWorker(ctx, workerBin, []string{"--monitors=false"}, append(stack.Env(devstack.Worker), env...))
	require.NoError(t, err)
	t.Cleanup(func() { p.Kill(); require.NotContains(t, p.Output(), "DATA RACE") })
	return p
}

// stop ends a worker as an operator does.
func stop(t *testing.T, p *devstack.Process) {
	t.Helper()
	require.NoError(t, p.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(), p.Output())
}

// start runs starter for the organization and returns its output and exit code.
func (o tenant) start(t *testing.T, env []string, stdin string, args ...string) (out, words string, code int) {
	t.Helper()
	c := exec.CommandContext(t.Context(), starterBin, args...)
	c.Env = append(append(os.Environ(), stack.Env(devstack.Operator)...), append(env, "LEDGERLINE_ORG="+string(o))...)
	c.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	require.NotContains(t, stderr.String(), "DATA RACE")
	return stdout.String(), stderr.String(), c.ProcessState.ExitCode()
}

// done runs starter, which must succeed.
func (o tenant) done(t *testing.T, env []string, stdin string, args ...string) (out string) {
	t.Helper()
	out, words, code := o.start(t, env, stdin, args...)
	require.Zero(t, code, "%v: %s%s", args, out, words)
	return out
}

// call begins a call whose first answer is a 503, and returns what waits for its outcome.
func (o tenant) call(t *testing.T, env []string) (id string, outcome func()) {
	t.Helper()
	id = uuid.NewString()
	stack.Sandbox.Script(sandbox.Rule{Match: sandbox.Match{CorrelationID: id}, Times: 1,
		Status: http.StatusServiceUnavailable, Body: `{"message":"` + words(answer) + `"}`})
	var both sync.WaitGroup
	both.Go(func() {
		out, said, code := o.start(t, env, "", "call", "--integration", "xledger-main", "--correlation-id", id,
			"--body", `{"query":"query `+words(request)+` { glImportItems(first: 1) { edges { node { dbId } } } }"}`)
		if code != 0 || !strings.Contains(out, `"ok": true`) {
			t.Errorf("%d: %s%s", code, out, said)
		}
	})
	return id, both.Wait
}

// What stands in requests and answers, which no span may hold.
const (
	request = "request"
	answer  = "answer"
	entry   = "entry"
)

func words(of string) string { return "canary_" + of + "_text" }

// arrived waits until a call's requests have reached the vendor n times.
func arrived(t *testing.T, id string, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		seen := 0
		for _, e := range stack.Sandbox.Log() {
			if e.CorrelationID == id {
				seen++
			}
		}
		return seen >= n
	}, time.Minute, 50*time.Millisecond)
}

// closed waits until a call's workflow has ended.
func (o tenant) closed(t *testing.T, id string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var shown struct{ State string }
		return json.Unmarshal([]byte(o.done(t, nil, "", "show", id, "-o", "json")), &shown) == nil && shown.State == "completed"
	}, time.Minute, 100*time.Millisecond)
}

// One trace from the command through two workers, of which the first one stops between two
// attempts, to the audit rows; one of a scheduled export from its run on; and nothing in them
// that anybody wrote. No span of a run is there twice, although the second worker replays it.
func TestTraces(t *testing.T) {
	o := newTenant()
	const credentials = "    credentials: {token: file:xledger-token}\n"
	file := strings.Replace(o.file("{baseDelay: 3s, attemptTimeout: 5s}"),
		credentials, credentials+"    schedule: {every: monthly, day: 3, at: \"06:30\"}\n", 1)

	c := newCollector(t)
	o.done(t, c.toGRPC(), file, "integrations", "apply", "-f", "-") // its schedule's runs are not in its trace
	first := startWorker(t, c.toGRPC())
	id, outcome := o.call(t, c.toHTTP())
	arrived(t, id, 1)
	stop(t, first)
	second := startWorker(t, c.toGRPC())
	outcome()
	o.closed(t, id)

	date := time.Now().AddDate(0, -2, 0).Format("2006-01-02")
	entries := fmt.Sprintf("entry_id,voucher_id,entry_date,account,amount,text\n1,V,%s,1920,7,%s\n2,V,%[1]s,3000,-7,%[2]s\n", date, words(entry))
	o.done(t, nil, entries, "entries", "import", "--file", "-")
	o.done(t, c.toGRPC(), "", "schedules", "trigger", "--integration", "xledger-main")
	require.Eventually(t, func() bool {
		return strings.Contains(o.done(t, nil, "", "exports", "list", "-o", "json"), `"complete"`)
	}, time.Minute, 200*time.Millisecond)
	stop(t, second)

	byName := make(map[string]*span)
	for _, root := range c.roots(t) {
		require.NotContains(t, byName, root.Name())
		byName[root.Name()] = root
	}
	require.Len(t, byName, 2, "traces of something else: %v", byName)
	called := byName["starter call"]
	require.NotNil(t, called)
	require.Equal(t, `starter call
  UpdateWithStartWorkflow:outcome
    RunWorkflow:Invoke
      RunActivity:Call 1 unavailable transient
        POST read 503 unavailable transient
      RunActivity:Call 2
        POST read 200
      RunActivity:Mirror 1`, called.tree(""))
	called.each(func(s *span) {
		require.Equal(t, string(o), s.attribute("ledgerline.organization_id"), s.Name())
		require.Equal(t, uuid.NewSHA1(uuid.MustParse(string(o)), []byte("xledger-main")).String(), s.attribute("ledgerline.integration_id"), s.Name())
		require.Equal(t, id, s.attribute("ledgerline.correlation_id"), s.Name())
		require.Equal(t, "xledger", s.attribute("ledgerline.adapter"), s.Name())
		require.Equal(t, s.attribute("error.type") != "", s.Status().Code() == ptrace.StatusCodeError, s.Name())
		require.Equal(t, s.attribute("error.type"), s.Status().Message(), s.Name())
		require.Zero(t, s.Events().Len(), s.Name())
		require.Less(t, s.StartTimestamp(), s.EndTimestamp(), s.Name())
		service := "ledgerline-worker"
		if s.Name() == "starter call" || s.Name() == "UpdateWithStartWorkflow:outcome" {
			service = "ledgerline-starter"
		}
		require.Equal(t, service, s.service, s.Name())
		if s.Name() == "POST" {
			require.Equal(t, ptrace.SpanKindClient, s.Kind())
			require.Equal(t, "127.0.0.1", s.attribute("server.address"))
		}
	})

	scheduled := byName["RunWorkflow:Sync"]
	require.NotNil(t, scheduled)
	names, correlated := make(map[string]int), 0
	scheduled.each(func(s *span) {
		names[s.Name()]++
		require.Equal(t, string(o), s.attribute("ledgerline.organization_id"), s.Name())
		require.Empty(t, s.attribute("error.type"), scheduled.tree(""))
		if s.attribute("ledgerline.correlation_id") != "" {
			correlated++
		}
	})
	for _, name := range []string{"RunActivity:ClaimExport", "RunActivity:PlanExport", "RunActivity:Call", "RunActivity:CloseExport", "POST"} {
		require.Positive(t, names[name], "%s\n%s", name, scheduled.tree(""))
	}
	require.GreaterOrEqual(t, correlated, 2, scheduled.tree(""))

	text := c.text(t)
	for _, hidden := range append(secrets(), words(request), words(answer), words(entry), "glImportItems", "graphql") {
		require.NotContains(t, text, hidden)
	}
}

// secrets are those of the stack.
func secrets() (list []string) {
	for _, secret := range stack.Secrets() {
		list = append(list, secret)
	}
	return append(list, devstack.Password)
}

var listening = regexp.MustCompile(`"listen":"([^"]+)"`)

// With a sampler that takes nothing, nothing is exported. With a collector that is away, work is
// done all the same, and that is logged once and counted.
func TestTracesDisturbNothing(t *testing.T) {
	o := newTenant()
	o.done(t, nil, o.file("{baseDelay: 200ms, attemptTimeout: 5s}"), "integrations", "apply", "-f", "-")
	c := newCollector(t)
	for name, env := range map[string][]string{
		"sampled off": append(c.toGRPC(), "OTEL_TRACES_SAMPLER=always_off"),
		"away": {"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + freeAddress(t), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
			"OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_EXPORTER_OTLP_TIMEOUT=300"},
	} {
		t.Run(name, func(t *testing.T) {
			worker := startWorker(t, env)
			id, outcome := o.call(t, env)
			outcome()
			o.closed(t, id)
			if name == "away" {
				address := listening.FindStringSubmatch(worker.Output())[1]
				require.Eventually(t, func() bool {
					answer, err := http.Get("http://" + address + "/metrics")
					if err != nil {
						return false
					}
					defer answer.Body.Close()
					text, err := io.ReadAll(answer.Body)
					return err == nil && regexp.MustCompile(`(?m)^ledgerline_trace_export_failures_total\{[^}]*\} [1-9]`).Match(text)
				}, time.Minute, 100*time.Millisecond)
				require.Equal(t, 1, strings.Count(worker.Output(), "traces are not exported"), worker.Output())
			}
			stop(t, worker)
		})
	}
	require.Zero(t, c.SpanCount())
}
