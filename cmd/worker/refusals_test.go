package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// refusing is an organization at the sandbox whose worker's role in PostgreSQL loses
// rights, before an attempt or once the attempt's request has reached the vendor.
type refusing struct {
	*testing.T
	admin   *pgxpool.Pool
	vendor  *sandbox.Sandbox
	options activities.Options
	spec    integrations.Integration
	export  exports.Export
	run     uuid.UUID
	metrics *metrics
	log     bytes.Buffer

	mu      sync.Mutex
	arrived func() // what happens when the next request has reached the vendor; nil is nothing
}

// roleOfWorker is what a worker's login has.
const roleOfWorker = "ledgerline_worker"

func newRefusing(t *testing.T, admin, pool *pgxpool.Pool, account string) *refusing {
	t.Helper()
	r := &refusing{T: t, admin: admin, run: uuid.New()}
	r.vendor = sandbox.New(sandbox.Options{Observe: func(sandbox.LogEntry) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.arrived != nil {
			r.arrived()
			r.arrived = nil
		}
	}})
	server := httptest.NewServer(r.vendor)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	client := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(server.URL, "http://")}})
	t.Cleanup(client.CloseIdle)
	store := &secrets.Store{Dir: t.TempDir()}
	var err error
	r.metrics, err = newMetrics(store)
	require.NoError(t, err)
	t.Cleanup(r.metrics.close)

	organization := uuid.New()
	r.spec = integrations.Integration{
		OrganizationID: organization, ID: uuid.New(), Name: "main", Adapter: "xledger", BaseURL: sandbox.Addresses(server.URL)["xledger"], Policy: classify.DefaultPolicy(),
		Credentials: map[string]integrations.Ref{"token": devstack.WriteSecret(store.Dir, organization, "token", sandbox.DemoXledgerToken)},
	}
	_, err = runlog.ApplyIntegrations(t.Context(), admin, []integrations.Integration{r.spec}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	for i, amount := range []string{"10.10", "-10.10"} {
		_, err := admin.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount)
			VALUES ($1, $2, 'v', '2026-10-05', $3, $4::text::numeric)`, organization, fmt.Sprintf("v-%d", i), account, amount)
		require.NoError(t, err)
	}
	from, to, err := exports.ParsePeriod("2026-10")
	require.NoError(t, err)
	r.export, _, err = runlog.ClaimExport(t.Context(), pool, exports.Export{
		OrganizationID: organization, ID: uuid.New(), IntegrationID: r.spec.ID, AdapterName: r.spec.Adapter, Period: "2026-10", PeriodStart: from, PeriodEnd: to,
		Trigger: exports.ByHand, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: r.run,
	})
	require.NoError(t, err)
	chunks, err := runlog.PlanExport(t.Context(), pool, nil, r.export, r.spec.Export, 10, 10)
	require.NoError(t, err)
	require.Equal(t, 1, chunks)
	r.options = activities.Options{
		DB: pool, Client: client, Secrets: store, RunID: func(context.Context) uuid.UUID { return r.run },
		Log: slog.New(slog.NewJSONHandler(&r.log, nil)), Refused: r.metrics.refused,
	}
	return r
}

// chunk is an invocation of the export's only chunk.
func (r *refusing) chunk(step exports.Step) activities.Invocation {
	in := r.invocation(adapters.Export)
	in.Body = activities.Chunk{ExportID: r.export.ID, Chunk: 1, Fence: r.export.Fence, Step: step}.Body()
	return in
}

// write is a call that stores an item at the vendor.
func (r *refusing) write() activities.Invocation {
	in := r.invocation(adapters.Call)
	in.Body = json.RawMessage(`{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}","variables":{"in":[
		{"node":{"extIdentifier":"one","trRegNumber":"9","amount":"5.00","account":{"code":"1920"}}},
		{"node":{"extIdentifier":"two","trRegNumber":"9","amount":"-5.00","account":{"code":"3000"}}}]}}`)
	return in
}

func (r *refusing) invocation(op adapters.Operation) activities.Invocation {
	return activities.Invocation{
		OrganizationID: r.spec.OrganizationID, IntegrationID: r.spec.ID, AdapterName: r.spec.Adapter, CorrelationID: uuid.New(), Operation: op, Policy: r.spec.Policy,
	}
}

// attempt makes an attempt by a worker that knows nothing of the integration yet. It returns
// what the attempt says of itself.
func (r *refusing) attempt(in activities.Invocation) activities.Attempt {
	r.Helper()
	value, err := r.execute(activities.CallName, in)
	var result activities.CallResult
	if err != nil {
		var failed *temporal.ApplicationError
		require.ErrorAs(r, err, &failed)
		require.NoError(r, failed.Details(&result.Trail))
	} else {
		require.NoError(r, value.Get(&result))
	}
	return result.Trail.Last()
}

// execute runs an activity of a worker that knows nothing of the integration yet.
func (r *refusing) execute(name string, in any) (converter.EncodedValue, error) {
	r.Helper()
	acts, err := activities.New(r.options)
	require.NoError(r, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{newSteps(r.metrics, r.options.Log)}})
	for name, f := range map[string]any{
		activities.CallName: acts.Call, activities.ProbeName: acts.Probe, activities.DeliverName: acts.Deliver, activities.MirrorName: acts.Mirror,
	} {
		env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	return env.ExecuteActivity(name, in)
}

// revoke returns what takes a right from the worker's role, until the test ends. A right
// to one column of a table is taken by leaving the others.
func (r *refusing) revoke(right string) func() {
	change := func(words ...string) {
		for _, sql := range words {
			_, err := r.admin.Exec(context.Background(), sql)
			require.NoError(r, err)
		}
	}
	column := regexp.MustCompile(`^(\w+) \((\w+)\) ON ledgerline\.(\w+)$`).FindStringSubmatch(right)
	if column == nil {
		r.Cleanup(func() { change("GRANT " + right + " TO " + roleOfWorker) })
		return func() { change("REVOKE " + right + " FROM " + roleOfWorker) }
	}
	whole := column[1] + " ON ledgerline." + column[3]
	var others string
	require.NoError(r, r.admin.QueryRow(r.Context(), `SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
		WHERE attrelid = ('ledgerline.' || $1)::regclass AND attnum > 0 AND NOT attisdropped AND attname <> $2`, column[3], column[2]).Scan(&others))
	r.Cleanup(func() { change("GRANT " + whole + " TO " + roleOfWorker) })
	return func() {
		change("REVOKE "+whole+" FROM "+roleOfWorker, fmt.Sprintf("GRANT %s (%s) ON ledgerline.%s TO %s", column[1], others, column[3], roleOfWorker))
	}
}

// counted is how often each step was refused, as the worker's metric has it.
func (r *refusing) counted() map[string]float64 {
	return values(r.T, r.metrics, "ledgerline_store_refusals_total", "step")
}

// logged is the log line about the step that was refused.
func (r *refusing) logged(t *testing.T) (line map[string]any) {
	t.Helper()
	for text := range strings.Lines(r.log.String()) {
		if strings.Contains(text, "the database did not take a step") {
			require.Nil(t, line, text)
			require.NoError(t, json.Unmarshal([]byte(text), &line))
		}
	}
	require.NotNil(t, line, r.log.String())
	return line
}

// newRefusingDatabase makes a database with a login of the worker.
func newRefusingDatabase(t *testing.T) (admin, login *pgxpool.Pool) {
	t.Helper()
	open := func(database, user string) *pgxpool.Pool {
		pool, err := runlog.Open(t.Context(), server.URL(database, user), 2)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	name := "r" + strings.ReplaceAll(uuid.NewString(), "-", "")
	_, err := open("postgres", "postgres").Exec(t.Context(), "CREATE DATABASE "+name)
	require.NoError(t, err)
	admin = open(name, "postgres")
	_, _, err = runlog.Migrate(t.Context(), admin)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), fmt.Sprintf("CREATE ROLE %s LOGIN IN ROLE %s", name, roleOfWorker)) // of all databases
	require.NoError(t, err)
	return admin, open(name, name)
}

// unheard is a lost answer: the vendor acts, and the attempt does not learn of it.
var unheard = &sandbox.Rule{Times: 1, Status: http.StatusServiceUnavailable, Act: true}

// refusedSteps are the steps of an attempt, each with a right without which PostgreSQL
// refuses it.
var refusedSteps = map[string]struct {
	step     string
	in       func(r *refusing) activities.Invocation
	account  string        // of the entries; X is one that the vendor refuses, L one of which it says later that it is wrong
	before   *sandbox.Rule // an attempt is made before, with this answer
	rule     *sandbox.Rule // the answer to the attempt
	lacks    string        // the right
	meantime bool          // it is lost when the request has reached the vendor
	kind     classify.Kind // of the attempt
	effect   classify.Effect
}{
	"its integration":                  {step: "LoadIntegration", in: call, lacks: "SELECT ON ledgerline.integrations", kind: classify.Dependency},
	"its pause":                        {step: "LoadPause", in: call, lacks: "SELECT (paused_by) ON ledgerline.integrations", kind: classify.Dependency},
	"a claim":                          {step: "ClaimWrite", in: call, lacks: "INSERT ON ledgerline.write_claims", kind: classify.Dependency},
	"what was done":                    {step: "SettleWrite", in: call, lacks: "UPDATE ON ledgerline.write_claims", meantime: true, kind: classify.OK, effect: classify.Done},
	"that nothing was done":            {step: "SettleWrite", in: call, rule: &sandbox.Rule{Status: 401}, lacks: "UPDATE ON ledgerline.write_claims", meantime: true, kind: classify.Unauthorized, effect: classify.Open},
	"what is known to be there":        {step: "LoadControl", in: call, before: unheard, lacks: "SELECT ON ledgerline.vendor_controls", kind: classify.Dependency},
	"what was found":                   {step: "SettleWrite", in: call, before: unheard, lacks: "UPDATE ON ledgerline.write_claims", meantime: true, kind: classify.Dependency},
	"a chunk":                          {step: "LoadChunk", in: chunk(exports.SendStep), lacks: "SELECT ON ledgerline.vendor_contracts", kind: classify.Dependency},
	"that entries are open":            {step: "MarkChunk", in: chunk(exports.SendStep), lacks: "UPDATE ON ledgerline.export_entries", kind: classify.Dependency},
	"entries that were taken":          {step: "RecordSend", in: chunk(exports.SendStep), lacks: "UPDATE ON ledgerline.export_entries", meantime: true, kind: classify.Dependency, effect: classify.Open},
	"that entries were not sent":       {step: "RecordSend", in: chunk(exports.SendStep), rule: &sandbox.Rule{Status: 401}, lacks: "UPDATE ON ledgerline.export_entries", meantime: true, kind: classify.Unauthorized, effect: classify.Open},
	"entries that were refused":        {step: "RecordRefusal", in: chunk(exports.SendStep), account: "X", lacks: "UPDATE ON ledgerline.export_entries", meantime: true, kind: classify.Business, effect: classify.Open},
	"entries that were found":          {step: "RecordAnswer", in: chunk(exports.SendStep), before: unheard, lacks: "INSERT ON ledgerline.vendor_controls", kind: classify.Dependency},
	"since when there are late errors": {step: "LateErrorsSince", in: chunk(exports.LateErrorsStep), lacks: "SELECT ON ledgerline.bufdir_export_audit_log", kind: classify.Dependency},
	"late errors":                      {step: "RecordLateErrors", in: chunk(exports.LateErrorsStep), account: "L", before: new(sandbox.Rule), lacks: "UPDATE ON ledgerline.export_entries", kind: classify.Dependency},
	"a contract":                       {step: "RecordContract", in: verify, lacks: "INSERT ON ledgerline.vendor_contracts", kind: classify.Dependency},
}

func call(r *refusing) activities.Invocation   { return r.write() }
func verify(r *refusing) activities.Invocation { return r.invocation(adapters.Verify) }
func chunk(step exports.Step) func(*refusing) activities.Invocation {
	return func(r *refusing) activities.Invocation { return r.chunk(step) }
}

// What PostgreSQL refuses an attempt is logged with its IDs and counted, whatever the
// attempt says of itself, which is the same as if PostgreSQL were away.
func TestRefusedStepsOfAttempts(t *testing.T) {
	admin, pool := newRefusingDatabase(t)
	for name, c := range refusedSteps {
		t.Run(name, func(t *testing.T) {
			r := newRefusing(t, admin, pool, cmp.Or(c.account, "3000"))
			in := c.in(r)
			if c.before != nil {
				first := in
				if c.account == "L" {
					first = r.chunk(exports.SendStep)
				}
				r.vendor.Script(*c.before)
				r.attempt(first)
				r.vendor.Unscript()
				require.Empty(t, r.counted())
			}
			if c.rule != nil {
				r.vendor.Script(*c.rule)
			}
			lose := r.revoke(c.lacks)
			if c.meantime {
				r.mu.Lock()
				r.arrived = lose
				r.mu.Unlock()
			} else {
				lose()
			}
			at := r.attempt(in)
			require.Equal(t, []any{c.kind, c.effect}, []any{at.Kind, at.Effect}, at.Message)
			require.Equal(t, map[string]float64{c.step: 1}, r.counted())
			line := r.logged(t)
			require.Equal(t, []any{"ERROR", c.step, "audit_refused", in.CorrelationID.String(), r.spec.OrganizationID.String(), r.spec.ID.String()},
				[]any{line["level"], line["step"], line["reason"], line["correlation_id"], line["organization_id"], line["integration_id"]})
			require.Contains(t, line["error"], "permission denied")
		})
	}
}

// TestRefusedStepsAreAll compares the table with the source: each step of an attempt is
// there.
func TestRefusedStepsAreAll(t *testing.T) {
	var steps []string
	for _, file := range []string{"call.go", "chunk.go", "write.go", "verify.go"} {
		text, err := os.ReadFile(filepath.Join("../../activities", file))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`options\.Store\.(\w+)\(|runlog\.(\w+)\(\w+, \w+\.options\.DB`).FindAllStringSubmatch(string(text), -1) {
			step := cmp.Or(m[1], m[2])
			if slices.Contains([]string{"Integration", "Pause", "Control"}, step) {
				step = "Load" + step
			}
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	var tried []string
	for _, c := range refusedSteps {
		tried = append(tried, c.step)
	}
	slices.Sort(tried)
	require.Equal(t, slices.Compact(steps), slices.Compact(tried))
}

// So is what PostgreSQL refuses another activity, which does without it.
func TestRefusedStepsOfOthers(t *testing.T) {
	admin, pool := newRefusingDatabase(t)
	for step, c := range map[string]struct {
		name  string
		in    func(r *refusing) any
		lacks string // the right; "" if what is stored is refused
		fails bool   // the activity, with another error than that of PostgreSQL
	}{
		"RecordHostReached": {activities.ProbeName, func(r *refusing) any {
			return activities.ProbeInput{Target: activities.Target{OrganizationID: r.spec.OrganizationID, IntegrationID: r.spec.ID, Now: time.Now()}, Planned: time.Now()}
		}, "INSERT ON ledgerline.vendor_hosts", false},
		"LoadDelivery": {activities.DeliverName, func(r *refusing) any {
			return activities.DeliverInput{Key: notify.DeliveryKey{OrganizationID: r.spec.OrganizationID, NotificationID: uuid.New(), Channel: "x"}}
		}, "SELECT ON ledgerline.notification_deliveries", true},
		"InsertAttempts": {activities.MirrorName, func(r *refusing) any {
			return activities.MirrorInput{
				OrganizationID: r.spec.OrganizationID, IntegrationID: r.spec.ID, CorrelationID: uuid.New(), AdapterName: r.spec.Adapter, Operation: adapters.Ping, RunStartedAt: time.Now(),
				Trail: activities.Trail{{Number: 1, Class: classify.Permanent, Kind: classify.Business, HTTPStatus: 1, StartedAt: time.Now(), EndedAt: time.Now()}},
			}
		}, "", false},
	} {
		t.Run(step, func(t *testing.T) {
			r := newRefusing(t, admin, pool, "3000")
			if c.lacks != "" {
				r.revoke(c.lacks)()
			}
			_, err := r.execute(c.name, c.in(r))
			require.Equal(t, c.fails, err != nil, "%v", err)
			require.Equal(t, map[string]float64{step: 1}, r.counted())
			line := r.logged(t)
			require.Equal(t, []any{step, "audit_refused", r.spec.OrganizationID.String()}, []any{line["step"], line["reason"], line["organization_id"]})
		})
	}
}
