package upgrade

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
)

// stage is where both versions run.
type stage struct {
	stack    *devstack.Stack
	temporal client.Client
	admin    *pgxpool.Pool // sees everything
	hooks    *receiver
	began    time.Time

	migrations atomic.Int64 // that have begun and that have ended: odd while one is under way

	mu       sync.Mutex
	workers  []*devstack.Process // by slot; all that have been are in said
	all      []*devstack.Process
	asked    []*call
	imported map[uuid.UUID]map[string]string // by organization, what must become of each entry
}

// somebodysServer is a Temporal server that somebody else runs; "" if the test has its own.
var somebodysServer = os.Getenv("TEMPORAL_ADDRESS")

// database is the one that is upgraded. That of the stack has the present schema already.
const database = "upgraded"

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{began: time.Now(), workers: make([]*devstack.Process, 2), imported: make(map[uuid.UUID]map[string]string)}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var err error
	temporal := devstack.TemporalOptions{Address: somebodysServer, Config: map[string]string{
		"limit.historyCount.suggestContinueAsNew": "100", // so that a run of some chunks continues as new
	}}
	s.stack, err = devstack.StartStack(ctx, devstack.StackOptions{Log: os.Stderr, Temporal: temporal})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.stack.Close()) })
	s.temporal, err = client.Dial(s.stack.Temporal.ClientOptions())
	require.NoError(t, err)
	t.Cleanup(s.temporal.Close)
	s.admin, err = runlog.Open(ctx, s.stack.URL(devstack.Admin), 1)
	require.NoError(t, err)
	_, err = s.admin.Exec(ctx, "CREATE DATABASE "+database)
	s.admin.Close()
	require.NoError(t, err)
	s.admin, err = runlog.Open(ctx, s.stack.Postgres.URL(database, devstack.Admin), 8)
	require.NoError(t, err)
	t.Cleanup(s.admin.Close)
	s.hooks = newReceiver(t)
	return s
}

// env is the environment of a program: the stack's, on the database that is upgraded.
func (s *stage) env(user string) []string {
	env, server := s.stack.Env(user), fmt.Sprintf(":%d/", s.stack.Postgres.Port())
	for i, e := range env {
		env[i] = strings.Replace(e, server+devstack.Database, server+database, 1)
	}
	return append(env, "LEDGERLINE_DEV_VENDOR_HOSTS="+strings.Join(append(s.stack.DevHosts(), s.hooks.host()), ","))
}

// say reports what is being done.
func (s *stage) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// run runs a starter to its end. One of the earlier version that looks at the schema in
// the moment in which that is migrated may refuse it, and is run again.
func (s *stage) run(ctx context.Context, p programs, user, stdin string, args ...string) (out, words string, err error) {
	for {
		before := s.migrations.Load()
		out, words, err = s.runOnce(ctx, p, user, stdin, args...)
		refused := err != nil && strings.Contains(words, "the schema is not as starter migrate made it")
		if migrated := before%2 == 1 || s.migrations.Load() != before; !refused || !migrated {
			return out, words, err
		}
		s.say("the %s starter looked at the schema while it was migrated, and is run again", p.name)
	}
}

func (s *stage) runOnce(ctx context.Context, p programs, user, stdin string, args ...string) (out, words string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := exec.CommandContext(ctx, p.starter, args...)
	c.Env = append(os.Environ(), s.env(user)...)
	c.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err = c.Run(); err != nil {
		err = fmt.Errorf("%s starter %s: %w: %s", p.name, strings.Join(args, " "), err, &stderr)
	}
	return stdout.String(), stderr.String(), err
}

// starter runs a starter as an operator and fails the test if that fails.
func (s *stage) starter(t *testing.T, p programs, stdin string, args ...string) (out string) {
	t.Helper()
	out, words, err := s.run(t.Context(), p, operator, stdin, args...)
	require.NoError(t, err)
	return out + words
}

// replace ends the worker of a slot, if there is one, as a deployment does, and starts
// one of a version in its place.
func (s *stage) replace(t *testing.T, slot int, p programs) {
	t.Helper()
	if w := s.workers[slot]; w != nil {
		require.NoError(t, w.Signal(syscall.SIGTERM))
		require.NoError(t, w.Wait(), "%s", w.Output())
		s.say("  the worker before has ended")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := devstack.StartWorker(ctx, p.worker, nil, s.env(devstack.Worker))
	require.NoError(t, err, "the %s worker does not start", p.name)
	s.workers[slot], s.all = w, append(s.all, w)
}

// organization is a tenant with one integration.
type organization struct {
	id, integration uuid.UUID
	retry           string // of its policy
	section         string // of its integration's file
	channel         bool   // notifications go to the receiver
	text            string // stands in every entry, so that rules find its requests
}

// patient is a policy that uses its budget of a minute: an attempt, and three more after
// 16 s each.
const patient = "{baseDelay: 16s, coefficient: 1, maxRetries: 3, jitter: 0, attemptTimeout: 2s}"

// quick is a policy whose waits are short.
const quick = "{baseDelay: 1s, coefficient: 2, maxRetries: 3, attemptTimeout: 5s}"

// apply stores an organization by a starter.
func (s *stage) apply(t *testing.T, p programs, o organization) organization {
	t.Helper()
	if o.id == uuid.Nil {
		o.id, o.integration = uuid.New(), uuid.New()
		o.text = "book " + o.id.String()
	}
	token := s.stack.Secret(o.id, "xledger-token", sandbox.DemoXledgerToken)
	file := fmt.Sprintf(`organization: %s
integrations:
  - id: %s
    name: main
    adapter: xledger
    baseURL: %s
    inFlight: 3s
    credentials: {token: %s}
    retry: %s
%s`, o.id, o.integration, s.stack.Vendors["xledger"], token, o.retry, o.section)
	if o.channel {
		secret := s.stack.Secret(o.id, "hook-secret", hookSecret)
		file += fmt.Sprintf("notifications:\n  - name: ops\n    webhook: {url: %s, secret: %s}\n", s.hooks.URL, secret)
	}
	s.starter(t, p, file, "integrations", "apply", "-f", "-")
	return o
}

// on are the arguments of a command about the organization's integration.
func (o organization) on(command ...string) []string {
	return append(command, "--org", o.id.String(), "--integration", "main")
}

// fates of an entry.
const (
	exported = "exported" // at the vendor, once
	rejected = "rejected" // refused, and not there
)

// batch is a number of vouchers of a day, one for each account.
type batch struct {
	day, name string
	accounts  []string
}

// vouchers imports vouchers of two lines each, by a starter. An account that begins with
// X is unknown to the vendor.
func (s *stage) vouchers(t *testing.T, p programs, o organization, batches ...batch) {
	t.Helper()
	var file strings.Builder
	file.WriteString("entry_id,voucher_id,entry_date,account,amount,currency,text\n")
	s.mu.Lock()
	if s.imported[o.id] == nil {
		s.imported[o.id] = make(map[string]string)
	}
	for _, b := range batches {
		for i, account := range b.accounts {
			voucher := fmt.Sprintf("%s%04d", b.name, i)
			fmt.Fprintf(&file, "%[1]s-1,%[1]s,%[2]s,1920,10.00,NOK,%[3]s\n%[1]s-2,%[1]s,%[2]s,%[4]s,-10.00,NOK,%[3]s\n",
				voucher, b.day, o.text, account)
			fate := exported
			if strings.HasPrefix(account, "X") {
				fate = rejected
			}
			s.imported[o.id][voucher+"-1"], s.imported[o.id][voucher+"-2"] = fate, fate
		}
	}
	s.mu.Unlock()
	s.starter(t, p, file.String(), "entries", "import", "--org", o.id.String(), "-f", "-")
}

// exportsOf reads an expression of each of an organization's audit rows, oldest first.
func (s *stage) exportsOf(t *testing.T, o organization, expression string) []string {
	t.Helper()
	return queryAll[string](t, s, "SELECT "+expression+" FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 ORDER BY started_at", o.id)
}

// good are accounts of so many vouchers that the vendor takes.
func good(n int) []string { return slices.Repeat([]string{"3000"}, n) }

// sends makes a rule for an organization's requests that store entries.
func (s *stage) sends(o organization, r sandbox.Rule) {
	r.Match = sandbox.Match{Operation: "addGLImportItems", BodyContains: o.text}
	s.stack.Sandbox.Script(r)
}

// sent counts an organization's requests that were to store entries.
func (s *stage) sent(t *testing.T, o organization) (n int) {
	t.Helper()
	keys := queryAll[string](t, s, "SELECT vendor_key FROM ledgerline.export_entries WHERE organization_id = $1", o.id)
	for _, e := range s.stack.Sandbox.Log() {
		if slices.ContainsFunc(e.Keys, func(k string) bool { return slices.Contains(keys, strings.ToLower(k)) }) {
			n++
		}
	}
	return n
}

// patience is how long the test waits for what must come. What waits longest is a run that
// was deferred, for a minute.
const patience = 3 * time.Minute

// soon waits for a state that must come.
func (s *stage) soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, patience, 100*time.Millisecond, "%s", what)
}

// queryAll reads a column as the superuser.
func queryAll[T any](t *testing.T, s *stage, sql string, args ...any) []T {
	t.Helper()
	rows, err := s.admin.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return list
}

// execution is a workflow run with its history.
type execution struct {
	workflowID, runID, kind string
	status                  enums.WorkflowExecutionStatus
	events                  []*history.HistoryEvent
}

// executions are the runs that a query finds, without their histories.
func (s *stage) executions(t *testing.T, query string) (all []execution) {
	t.Helper()
	var token []byte
	for {
		page, err := s.temporal.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: query, NextPageToken: token})
		require.NoError(t, err)
		for _, e := range page.GetExecutions() {
			all = append(all, execution{workflowID: e.GetExecution().GetWorkflowId(), runID: e.GetExecution().GetRunId(),
				kind: e.GetType().GetName(), status: e.GetStatus()})
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return all
		}
	}
}

// history reads the events of a run; of the newest one without a run ID.
func (s *stage) history(t *testing.T, workflowID, runID string) (events []*history.HistoryEvent) {
	t.Helper()
	it := s.temporal.GetWorkflowHistory(t.Context(), workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for it.HasNext() {
		e, err := it.Next()
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}
