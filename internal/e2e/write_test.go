package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// voucher is an ad-hoc write of two items, and the key with which both begin.
func (o tenant) voucher() (in activities.Invocation, key string) {
	in, key = o.ping("xledger-main"), uuid.NewString()
	in.Operation = adapters.Call
	in.Body = json.RawMessage(fmt.Sprintf(`{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}","variables":{"in":[
		{"node":{"extIdentifier":"%s-1","trRegNumber":"9","amount":"5.00","account":{"code":"1920"}}},
		{"node":{"extIdentifier":"%s-2","trRegNumber":"9","amount":"-5.00","account":{"code":"3000"}}}]}}`, key, key))
	return in, key
}

// posting is an ad-hoc write that nobody can be asked about.
func (o tenant) posting() activities.Invocation {
	in := o.ping("erp")
	in.Operation = adapters.Call
	in.Body = json.RawMessage(`{"method":"POST","path":"companies(` + sandbox.DemoCompanyID + `)/journals(` + sandbox.DemoJournalID + `)/Microsoft.NAV.post"}`)
	return in
}

// sent counts the requests of an invocation that asked for a change.
func sent(in activities.Invocation) (n int) {
	for _, e := range reached(in) {
		if e.Wrote {
			n++
		}
	}
	return n
}

// known is what the record holds of a write: "effect ended" of its claim, and of
// each of its rows "number total effect".
func known(t *testing.T, in activities.Invocation) (claim string, rows []string) {
	t.Helper()
	found := queryStrings(t, "SELECT effect || CASE WHEN effect = 'open' AND ended THEN ' ended' ELSE '' END FROM ledgerline.write_claims WHERE correlation_id = $1", in.CorrelationID)
	require.LessOrEqual(t, len(found), 1)
	return strings.Join(found, ""), queryStrings(t, `SELECT attempt_number || ' ' || coalesce(total_attempts, 0) || ' ' || coalesce(effect, '-')
		FROM ledgerline.integration_run_logs WHERE correlation_id = $1 ORDER BY attempt_number`, in.CorrelationID)
}

// A write that succeeds at once has a claim and leaves one row; a read has
// neither.
func TestWriteIsClaimed(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	in, key := o.voucher()
	in.Actor = "kari@example.org"
	out := execute(t, in)
	require.True(t, out.OK)
	require.Equal(t, classify.Done, out.Effect)
	require.Nil(t, out.OpenUntil)
	finish(t, in)
	claim, rows := known(t, in)
	require.Equal(t, "done", claim)
	require.Equal(t, []string{"1 1 done"}, rows)
	require.Equal(t, []string{"kari@example.org kari@example.org"}, queryStrings(t, `SELECT c.actor || ' ' || l.actor FROM ledgerline.write_claims c
		JOIN ledgerline.integration_run_logs l USING (organization_id, correlation_id) WHERE correlation_id = $1`, in.CorrelationID))
	require.Equal(t, 2, effects(key))

	read := o.ping("xledger-main")
	require.True(t, execute(t, read).OK)
	finish(t, read)
	claim, rows = known(t, read)
	require.Empty(t, claim)
	require.Empty(t, rows)
}

// Of eight calls with one correlation ID that come at once, one sends, and all have
// its outcome.
func TestEightCallsAtOnce(t *testing.T) {
	startWorker(t)
	in, key := newTenant(t, quick).voucher()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	outcomes := make([]workflows.Outcome, 8)
	errs := make([]error, len(outcomes))
	var all sync.WaitGroup
	for i := range outcomes {
		all.Go(func() { outcomes[i], errs[i] = engine.Execute(ctx, temporal, in) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, out := range outcomes {
		require.True(t, out.OK)
		require.Equal(t, outcomes[0], out)
	}
	require.Len(t, reached(in), 1)
	require.Equal(t, 2, effects(key))
}

// An invocation that is over and is reset is answered from the record: nothing is
// sent, and its rows are numbered on.
func TestWriteReset(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	// again resets an invocation before its call, and returns its new outcome.
	again := func(in activities.Invocation) workflows.Outcome {
		t.Helper()
		run := temporal.GetWorkflow(t.Context(), workflows.InvokeID(in.OrganizationID, in.CorrelationID), "")
		list := points(t, client.WorkflowRun(run))
		out := workflows.Outcome{}
		require.NoError(t, reset(t, run, list[0]).Get(bounded(t, longest), &out))
		return out
	}
	t.Run("done", func(t *testing.T) {
		in, key := o.voucher()
		require.True(t, execute(t, in).OK)
		finish(t, in)
		for n := 2; n <= 3; n++ {
			out := again(in)
			require.True(t, out.OK, "%+v", out.Failure)
			require.True(t, out.Response.ReadBack)
			require.Equal(t, classify.Done, out.Effect)
			require.Equal(t, n, out.TotalAttempts)
		}
		require.Len(t, reached(in), 1, "the vendor is not even asked")
		require.Equal(t, 2, effects(key))
		_, rows := known(t, in)
		require.Equal(t, []string{"1 1 done", "2 2 done", "3 3 done"}, rows)
	})
	t.Run("none", func(t *testing.T) { // so it may be sent
		in, key := o.voucher()
		script(in, sandbox.Rule{Times: 1, Status: 401})
		require.False(t, execute(t, in).OK)
		finish(t, in)
		claim, _ := known(t, in)
		require.Equal(t, "none", claim)
		out := again(in)
		require.True(t, out.OK, "%+v", out.Failure)
		require.False(t, out.Response.ReadBack)
		require.Equal(t, 2, effects(key))
		_, rows := known(t, in)
		require.Equal(t, []string{"1 0 none", "2 2 done"}, rows)
	})
	t.Run("open", func(t *testing.T) { // so it is asked about
		in, key := o.voucher()
		script(in, sandbox.Rule{Times: 1, Status: 400, Body: `{"errors":[{"message":"no"}]}`, Act: true})
		out := execute(t, in)
		require.False(t, out.OK)
		require.Equal(t, classify.Open, out.Effect)
		require.WithinDuration(t, time.Now(), *out.OpenUntil, 500*time.Millisecond, "the answer ended it")
		finish(t, in)
		claim, _ := known(t, in)
		require.Equal(t, "open ended", claim)
		out = again(in)
		require.True(t, out.OK, "%+v", out.Failure)
		require.True(t, out.Response.ReadBack)
		require.Equal(t, 1, sent(in))
		require.Equal(t, 2, effects(key))
		claim, rows := known(t, in)
		require.Equal(t, "done", claim)
		require.Equal(t, []string{"1 0 open", "2 2 done"}, rows)
	})
	t.Run("nobody can be asked", func(t *testing.T) {
		in := o.posting()
		script(in, sandbox.Rule{Times: 1, Status: 500, Body: `{"error":{"code":"Internal_ServerError","message":"no"}}`})
		out := execute(t, in)
		require.Equal(t, []any{false, classify.Open}, []any{out.OK, out.Effect})
		finish(t, in)
		out = again(in)
		require.Equal(t, []any{false, classify.Permanent, classify.Open}, []any{out.OK, out.Failure.ErrorClass, out.Effect}, "%+v", out.Failure)
		require.Equal(t, 1, sent(in), "a person decides")
	})
}

// A correlation ID stands for one request for good: with another body or
// integration nothing is sent, whatever has become of the first.
func TestWriteConflicts(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	in, key := o.voucher()
	require.True(t, execute(t, in).OK)
	finish(t, in)
	other, otherKey := o.voucher()
	other.CorrelationID = in.CorrelationID
	// Temporal knows the ID too, for as long as it keeps the first one.
	run, err := temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: uuid.NewString(), TaskQueue: activities.TaskQueue}, workflows.InvokeName, other)
	require.NoError(t, err)
	var out workflows.Outcome
	require.NoError(t, run.Get(bounded(t, longest), &out))
	require.False(t, out.OK)
	require.Contains(t, out.Failure.Message, "used for another request body")
	require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
	require.Equal(t, 2, effects(key))
	require.Zero(t, effects(otherKey))
	require.Len(t, reached(in), 1)
}

// The vendor acts after its client has gone, and before what it was sent can take
// effect no more: it is asked until it has the write or no longer can.
func TestWriteLate(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	for name, c := range map[string]struct {
		rule sandbox.Rule
		sent int
	}{
		"it hangs":            {sandbox.Rule{Times: 1, Hang: true, EffectDelayMS: 2300}, 1},
		"it resets":           {sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect, EffectDelayMS: 1500}, 1},
		"its headers are cut": {sandbox.Rule{Times: 1, CutHeaders: 20, EffectDelayMS: 1500}, 1},
		"its body is cut":     {sandbox.Rule{Times: 1, TruncateAt: 5, EffectDelayMS: 1500}, 1},
		"a gateway gives up":  {sandbox.Rule{Times: 1, Status: 504, EffectDelayMS: 1500}, 1},
		"it never acts":       {sandbox.Rule{Times: 1, Hang: true}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, key := o.voucher()
			script(in, c.rule)
			began := time.Now()
			out := execute(t, in)
			require.True(t, out.OK, "%+v", out.Failure)
			require.Equal(t, classify.Done, out.Effect)
			require.Equal(t, c.sent == 1, out.Response.ReadBack)
			idle(t)
			require.Equal(t, c.sent, sent(in))
			require.Equal(t, 2, effects(key))
			if c.sent == 2 {
				require.Greater(t, time.Since(began), 2*time.Second+inFlight-100*time.Millisecond, "the time is PostgreSQL's, and is waited out")
			}
			finish(t, in)
			claim, rows := known(t, in)
			require.Equal(t, "done", claim)
			require.Equal(t, "1 0 open", rows[0])
		})
	}
}

// A worker is killed between the claim of a write and its first byte, and between
// the answer and its record.
func TestWriteWorkerKilled(t *testing.T) {
	for name, c := range map[string]struct {
		wire    func(*testing.T) *wire
		effects int // when it is killed
	}{
		"before it is sent":     {func(t *testing.T) *wire { return afterCommit(t, "INSERT INTO ledgerline.write_claims") }, 0},
		"before it is recorded": {func(t *testing.T) *wire { return beforeIt(t, "SET effect = $1, ended = ended OR") }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			held := c.wire(t)
			w := startWorkerEnv(t, []string{held.env()})
			in, key := newTenant(t, quick).voucher()
			begin(t, in)
			held.caught(t)
			claim, _ := known(t, in)
			require.Equal(t, "open", claim)
			require.Equal(t, c.effects, effects(key))
			w.Kill()
			startWorker(t)
			out := finish(t, in)
			require.True(t, out.OK, "%+v", out.Failure)
			require.Equal(t, c.effects == 2, out.Response.ReadBack)
			require.Equal(t, 1, sent(in))
			require.Equal(t, 2, effects(key))
			require.Contains(t, trail(rowsOf(t, in)), "1:timeout/worker_lost")
		})
	}
}

// An answer that is too large to be passed on is a success without its body, made
// by one call; so is one that only its encoding makes too large.
func TestLargeAnswers(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	for name, body := range map[string]string{
		"450 KB that grow": strings.Repeat("<", 450_000),
		"3 MB":             strings.Repeat("x", 3_000_000),
	} {
		for _, operation := range []string{"mutation", "query"} {
			t.Run(name+" "+operation, func(t *testing.T) {
				in := o.ping("xledger-main")
				in.Operation = adapters.Call
				in.Body = json.RawMessage(`{"query":"` + operation + ` { addProjects(name:\"` + uuid.NewString() + `\") { x } }"}`)
				answer := `{"data":{"addProjects":{"x":"` + body + `"}}}`
				script(in, sandbox.Rule{Status: 200, Body: answer})
				out := execute(t, in)
				require.True(t, out.OK, "%+v", out.Failure)
				require.Equal(t, 1, out.TotalAttempts)
				require.Empty(t, out.Response.Body)
				require.NotNil(t, out.Response.Omitted)
				sum := sha256.Sum256([]byte(answer))
				require.Equal(t, adapters.Omission{Bytes: len(answer), SHA256: hex.EncodeToString(sum[:]), Reason: adapters.TooLarge}, *out.Response.Omitted)
				finish(t, in)
				require.Len(t, reached(in), 1)
				claim, rows := known(t, in)
				if operation == "query" {
					require.Empty(t, rows)
					return
				}
				require.Equal(t, classify.Done, out.Effect)
				require.Equal(t, "done", claim)
				require.Equal(t, []string{"1 1 done"}, rows)
			})
		}
	}
}

// Whatever somebody starts directly, it ends with an outcome, and what was done
// is on record.
func TestInvokeWithoutCare(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	start := func(t *testing.T, in activities.Invocation) (out workflows.Outcome) {
		t.Helper()
		run := begin(t, in)
		require.NoError(t, run.Get(bounded(t, longest), &out))
		require.Equal(t, in.CorrelationID, out.CorrelationID)
		return out
	}
	for name, change := range map[string]func(*activities.Invocation){
		"a version 7 correlation ID": func(in *activities.Invocation) { in.CorrelationID = uuid.Must(uuid.NewV7()) },
		"an adapter there is not":    func(in *activities.Invocation) { in.AdapterName = "sap" },
		"a policy without bounds":    func(in *activities.Invocation) { in.Policy.MaxRetries, in.Policy.Budget = 1000, 1000*time.Hour },
		"a very long name":           func(in *activities.Invocation) { in.Actor = strings.Repeat("å", 10_000) + "\x00" },
		"an operation there is not":  func(in *activities.Invocation) { in.Operation = "delete" },
	} {
		t.Run(name, func(t *testing.T) {
			in, key := o.voucher()
			change(&in)
			out := start(t, in)
			require.False(t, out.OK)
			require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
			require.Contains(t, out.Failure.Message, "the invocation is not valid, and nothing was sent")
			require.Zero(t, out.TotalAttempts)
			require.Empty(t, reached(in))
			require.Zero(t, effects(key))
		})
	}
	t.Run("an integration there is not", func(t *testing.T) {
		in, key := o.voucher()
		in.IntegrationID = uuid.New()
		out := start(t, in)
		require.Contains(t, out.Failure.Message, "has no integration")
		require.Zero(t, effects(key))
		require.Equal(t, []string{"1 configuration - " + in.IntegrationID.String()}, queryStrings(t,
			`SELECT attempt_number || ' ' || error_kind || ' ' || coalesce(integration_id::text, '-') || ' ' || requested_integration_id
			FROM ledgerline.integration_run_logs WHERE correlation_id = $1`, in.CorrelationID))
	})
	t.Run("the record refuses its row", func(t *testing.T) {
		// Nothing that a worker sends is refused, as far as is known. So the table
		// refuses one row here.
		in := o.ping("xledger-main")
		script(in, sandbox.Rule{Status: 400})
		admin, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
		require.NoError(t, err)
		defer admin.Close(t.Context())
		_, err = admin.Exec(t.Context(), fmt.Sprintf(`ALTER TABLE ledgerline.integration_run_logs ADD CONSTRAINT tested CHECK (correlation_id <> '%s' OR rule = 'record:reduced')`, in.CorrelationID))
		require.NoError(t, err)
		defer func() {
			_, err := admin.Exec(t.Context(), "ALTER TABLE ledgerline.integration_run_logs DROP CONSTRAINT tested")
			require.NoError(t, err)
		}()
		out := start(t, in)
		require.False(t, out.OK)
		rows := rowsOf(t, in)
		require.Equal(t, "1:permanent/bad_request", trail(rows))
		require.Contains(t, rows[0].Message, "this row is reduced, because it was refused by tested: ")
	})
}
