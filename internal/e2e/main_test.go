package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/statement"
	"github.com/ledgerline/ledgerline/workflows"
)

// One stack for all tests of the package. Each test has an organization of its
// own, and scripts the sandbox for its own correlation IDs.
var (
	stack      *devstack.Stack
	temporal   client.Client
	workerBin  string
	starterBin string

	mu     sync.Mutex
	output []*devstack.Process // of every worker, to be searched for secrets
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
	atEvents := suggested
	if recording != "" && recording != "services" {
		atEvents = 60 // so that a recorded chain is short enough to read
	}
	stack, err = devstack.StartStack(ctx, devstack.StackOptions{Log: os.Stderr, InFlight: inFlight, Temporal: devstack.TemporalOptions{Address: os.Getenv("TEMPORAL_ADDRESS"), Config: map[string]string{
		// Waits below a second are exact; they are rounded up otherwise.
		"history.timerProcessorMaxTimeShift":      `"50ms"`,
		"limit.historyCount.suggestContinueAsNew": fmt.Sprint(atEvents),
		"frontend.WorkflowPauseEnabled":           "true", // off by default
		// A workflow whose tasks fail is reported after 10 s and not after a minute.
		"system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "2",
	}}})
	if err != nil {
		return 1, err
	}
	defer func() {
		if e := stack.Close(); err == nil {
			err = e
		}
	}()
	if workerBin, err = devstack.Build(ctx, "./cmd/worker", true); err != nil {
		return 1, err
	}
	// Without the race detector, with which each of some hundred short commands takes a second
	// more; the tests of cmd/starter have it.
	if starterBin, err = devstack.Build(ctx, "./cmd/starter", false); err != nil {
		return 1, err
	}
	if temporal, err = client.Dial(stack.Temporal.ClientOptions()); err != nil {
		return 1, err
	}
	defer temporal.Close()
	code = m.Run()
	return code, searchLeavings(context.WithoutCancel(ctx))
}

// inFlight is how long after its deadline a request can still take effect at the
// vendors of these tests. Longer waits would only make the tests longer.
const inFlight = time.Second

// quick is a policy whose waits a test can afford.
const quick = "{baseDelay: 200ms, attemptTimeout: 2s}"

// tenant is an organization with its integrations.
type tenant struct {
	id           uuid.UUID
	integrations map[string]integrations.Integration
}

func newTenant(t *testing.T, retry string) tenant {
	t.Helper()
	limit(t)
	o := tenant{id: uuid.New()}
	var err error
	o.integrations, err = stack.Apply(t.Context(), o.id, retry)
	require.NoError(t, err)
	return o
}

func (o tenant) ping(integration string) activities.Invocation {
	in := o.integrations[integration]
	inv := activities.Invocation{
		OrganizationID: o.id, IntegrationID: in.ID, AdapterName: in.Adapter, CorrelationID: uuid.New(),
		Operation: adapters.Ping, Policy: in.Policy, OwnQueue: in.Limits.OwnQueue(),
	}
	inv.Summary, _ = engine.Describe(inv)
	return inv
}

// script adds rules for one invocation.
func script(in activities.Invocation, rules ...sandbox.Rule) {
	for _, r := range rules {
		r.Match.CorrelationID = in.CorrelationID.String()
		stack.Sandbox.Script(r)
	}
}

// reached returns the requests of one invocation that reached a vendor.
func reached(in activities.Invocation) []sandbox.LogEntry {
	var out []sandbox.LogEntry
	for _, e := range stack.Sandbox.Log() {
		if e.CorrelationID == in.CorrelationID.String() {
			out = append(out, e)
		}
	}
	return out
}

// startWorker starts a worker process and ends it with the test. It does not
// watch integrations unless asked to: tests count the requests at the vendors.
func startWorker(t *testing.T, args ...string) *devstack.Process {
	t.Helper()
	return startWorkerEnv(t, nil, args...)
}

func startWorkerEnv(t *testing.T, env []string, args ...string) *devstack.Process {
	t.Helper()
	limit(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := devstack.StartWorker(ctx, workerBin, append([]string{"--monitors=false"}, args...), append(stack.Env(devstack.Worker), env...))
	require.NoError(t, err)
	mu.Lock()
	output = append(output, p)
	mu.Unlock()
	t.Cleanup(func() {
		keepMetrics(p)
		p.Kill()
		require.NotContains(t, p.Output(), "DATA RACE")
	})
	return p
}

// execute runs an invocation to its outcome.
func execute(t *testing.T, in activities.Invocation) workflows.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	out, err := engine.Execute(ctx, temporal, in)
	require.NoError(t, err)
	return out
}

// begin starts an invocation without waiting for it.
func begin(t *testing.T, in activities.Invocation) client.WorkflowRun {
	t.Helper()
	run, err := temporal.ExecuteWorkflow(t.Context(), engine.InvokeOptions(in), workflows.InvokeName, in)
	require.NoError(t, err)
	return run
}

// finish waits until a workflow has closed, so that its rows are written.
func finish(t *testing.T, in activities.Invocation) workflows.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out workflows.Outcome
	require.NoError(t, temporal.GetWorkflow(ctx, workflows.InvokeID(in.OrganizationID, in.CorrelationID), "").Get(ctx, &out))
	return out
}

func events(t *testing.T, in activities.Invocation) []*history.HistoryEvent {
	t.Helper()
	return eventsOf(t, workflows.InvokeID(in.OrganizationID, in.CorrelationID))
}

func eventsOf(t *testing.T, workflowID string) []*history.HistoryEvent {
	t.Helper()
	var out []*history.HistoryEvent
	it := temporal.GetWorkflowHistory(t.Context(), workflowID, "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		require.NoError(t, err)
		out = append(out, e)
	}
	return out
}

// row is what the tests look at of an audit row.
type row struct {
	Attempt   int
	Class     string
	Kind      string
	Retryable bool
	Total     int
	Delay     time.Duration
	Message   string
	Org       uuid.UUID
}

// rowsOf reads the rows of an invocation as a superuser, who sees everything.
func rowsOf(t *testing.T, in activities.Invocation) []row {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	found, err := conn.Query(t.Context(), `
		SELECT attempt_number, coalesce(error_class, ''), error_kind, is_retryable, coalesce(total_attempts, 0),
		       coalesce(planned_delay, interval '0'), coalesce(error_message, ''), organization_id
		FROM ledgerline.integration_run_logs WHERE correlation_id = $1 ORDER BY attempt_number`, in.CorrelationID)
	require.NoError(t, err)
	rows, err := pgx.CollectRows(found, pgx.RowToStructByPos[row])
	require.NoError(t, err)
	return rows
}

// trail shortens rows to "1:transient/unavailable 2:…".
func trail(rows []row) string {
	var parts []string
	for _, r := range rows {
		parts = append(parts, fmt.Sprintf("%d:%s/%s", r.Attempt, r.Class, r.Kind))
	}
	return strings.Join(parts, " ")
}

// starter runs the command line and returns its output and exit code.
func starter(t *testing.T, stdin string, args ...string) (out, words string, code int) {
	t.Helper()
	return starterEnv(t, stack.Env(devstack.Operator), stdin, args...)
}

func starterEnv(t *testing.T, env []string, stdin string, args ...string) (out, words string, code int) {
	t.Helper()
	c := exec.CommandContext(bounded(t, longest), starterBin, args...)
	c.Env = append(os.Environ(), env...)
	c.Stdin = strings.NewReader(stdin)
	var stdout, stderr strings.Builder
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	require.NotContains(t, stderr.String(), "DATA RACE")
	keep("starter.txt", strings.Join(args, " ")+"\n"+stdout.String()+stderr.String())
	return stdout.String(), stderr.String(), c.ProcessState.ExitCode()
}

func fromJSON[T any](t *testing.T, s string) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(s), &v), s)
	return v
}

// synced is what sync and exports retry print as JSON.
type synced struct {
	AlreadyExported bool             `json:"alreadyExported"`
	Export          statement.Export `json:"export"`
	Period          statement.Period `json:"period"`
}

// queryStrings reads one column as a superuser, who sees everything.
func queryStrings(t *testing.T, sql string, args ...any) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	found, err := conn.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}
