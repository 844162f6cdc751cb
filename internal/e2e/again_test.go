package e2e

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/statement"
	"github.com/ledgerline/ledgerline/workflows"
)

// item is a mutation that can be looked up, and its key.
func item() (key, body string) {
	key = uuid.NewString()
	return key, `{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}","variables":{"in":[
		{"node":{"extIdentifier":"` + key + `","trRegNumber":"1","amount":"1.00","account":{"code":"1920"}}},
		{"node":{"extIdentifier":"` + key + `2","trRegNumber":"1","amount":"-1.00","account":{"code":"3000"}}}]}}`
}

func forget(t *testing.T, in activities.Invocation) {
	t.Helper()
	_, err := temporal.WorkflowService().DeleteWorkflowExecution(t.Context(), &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: stack.Temporal.Namespace, WorkflowExecution: &common.WorkflowExecution{WorkflowId: workflows.InvokeID(in.OrganizationID, in.CorrelationID)},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := temporal.DescribeWorkflow(t.Context(), workflows.InvokeID(in.OrganizationID, in.CorrelationID), "")
		return err != nil
	}, 2*time.Minute, 100*time.Millisecond) // Temporal deletes when it has nothing else to do
}

// A correlation ID stands for one request for good: while it runs, after it has
// ended, and when Temporal no longer knows it. Another request never sees its
// outcome.
func TestCorrelationIDStandsForOneRequest(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	id := uuid.New()
	in := activitiesWith(o, id)
	key, body := item()
	call := func(args ...string) (string, string, int) {
		return starter(t, "", append([]string{"call", "--org", o.id.String(), "--integration", "xledger-main", "--correlation-id", id.String()}, args...)...)
	}
	script(in, sandbox.Rule{Times: 1, DelayMS: 1000})
	running := make(chan string)
	go func() {
		out, _, _ := call("--body", body)
		running <- out
	}()
	require.Eventually(t, func() bool {
		_, err := temporal.DescribeWorkflow(t.Context(), workflows.InvokeID(o.id, id), "")
		return err == nil
	}, 10*time.Second, 20*time.Millisecond)
	_, err := engine.Execute(t.Context(), temporal, in) // a ping
	var other *engine.OtherRequestError
	require.ErrorAs(t, err, &other, "while it runs")
	first := <-running
	require.True(t, fromJSON[workflows.Outcome](t, first).OK, first)
	finish(t, in)

	refused := func(when string, args ...string) {
		t.Helper()
		out, words, code := call(args...)
		require.Equal(t, 1, code, when)
		require.Empty(t, out, when)
		require.Contains(t, words, "was used before for another", when)
	}
	_, another := item()
	for _, when := range []string{"after its end", "and Temporal has forgotten it"} {
		refused(when, "--body", another)
		if when == "after its end" {
			refused(when, "--operation", "ping")
			forget(t, in)
		}
	}
	out, words, code := call("--body", body)
	require.Zero(t, code, words)
	again := fromJSON[workflows.Outcome](t, out)
	require.True(t, again.OK && again.Response.ReadBack, "it is answered from the claim: %s", out)
	require.Len(t, stack.Sandbox.Records(key), 1)

	// The row of a write that succeeded at once names who asked for it.
	out, _, code = starter(t, "", "show", id.String(), "--org", o.id.String(), "-o", "json")
	require.Zero(t, code)
	require.Equal(t, "done", fromJSON[struct{ Effect string }](t, out).Effect)
	require.Regexp(t, `^[^@]+@`, fromJSON[struct{ Actor string }](t, out).Actor)
}

// An outcome that leaves open whether a write happened can be asked for again.
func TestOpenOutcomeIsAskedAgain(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	id := uuid.New()
	in := activitiesWith(o, id)
	key, body := item()
	script(in, sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect}, sandbox.Rule{Times: 3, Status: 503})
	call := func() workflows.Outcome {
		out, words, code := starter(t, "", "call", "--org", o.id.String(), "--integration", "xledger-main", "--correlation-id", id.String(), "--body", body)
		require.Zero(t, code, words)
		return fromJSON[workflows.Outcome](t, out)
	}
	out := call()
	require.Equal(t, []any{false, classify.Open, 4}, []any{out.OK, out.Effect, out.TotalAttempts})
	require.NotNil(t, out.OpenUntil)
	finish(t, in)
	integrations := func(args ...string) {
		_, words, code := starter(t, "", append(append([]string{"integrations"}, args...), "--org", o.id.String(), "--integration", "xledger-main")...)
		require.Zero(t, code, words)
	}
	integrations("pause", "--reason", "month end")
	out = call()
	require.Equal(t, []any{false, classify.Effect("")}, []any{out.OK, out.Effect}, "nobody was asked: %+v", out.Failure)
	finish(t, in)
	integrations("resume")
	script(in, sandbox.Rule{Times: 4, Status: 503})
	out = call()
	require.Equal(t, []any{false, classify.Open, 8}, []any{out.OK, out.Effect, out.TotalAttempts}, "asking failed: it is open still: %+v", out.Failure)
	finish(t, in)
	out = call()
	require.Equal(t, []any{true, classify.Done, 9}, []any{out.OK, out.Effect, out.TotalAttempts})
	finish(t, in)
	requests := len(reached(in))
	require.Equal(t, out, call(), "what is known is not asked again")
	require.Len(t, reached(in), requests)
	require.Len(t, stack.Sandbox.Records(key), 1)
	require.Equal(t, "1:transient/network 1:permanent/paused 2:transient/unavailable 3:transient/unavailable 4:transient/unavailable 5:transient/unavailable 6:transient/unavailable 7:transient/unavailable 8:transient/unavailable 9:/ok", trail(rowsOf(t, in)))
}

// A database that was restored to a state before an export: the vendor's books
// are compared with the source, taken into the record, and only what is missing
// is sent.
func TestAdoptAfterRestore(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	org := b.id.String()
	b.vouchers(t, "A", 600, "2026-10-15", "3000", "0")
	out, words, code := starter(t, "", "sync", "--org", org, "--integration", "xledger-main", "--period", "2026-10", "-o", "json")
	require.Zero(t, code, "%s%s", out, words)
	e := fromJSON[synced](t, out).Export
	out, words, code = starter(t, "", "exports", "prove", e.ID.String(), "--org", org)
	require.Zero(t, code, "%s%s", out, words)
	require.Contains(t, out, "1200 of 1200 are there, 0 missing, 0 more than once, 0 with another amount")
	require.Regexp(t, `yes +control`, out)

	b.restore(t)
	b.vouchers(t, "B", 2, "2026-10-16", "3000", "0") // came since
	prove := []string{"exports", "prove", "--period", "2026-10", "--integration", "xledger-main", "--org", org}
	out, words, code = starter(t, "", prove...)
	require.Equal(t, 1, code, words)
	require.Regexp(t, `NO +not exported +planned, refused or not on record: 1200 of 1204 are there, 4 not there`, out)
	require.Regexp(t, `A00000 +A00000-1 +nothing +there`, out)
	require.Contains(t, out, "and 1180 more")
	out, words, code = starter(t, "", append(prove, "--adopt", "-o", "json")...)
	require.Zero(t, code, "%s%s", words, out)
	adopted := fromJSON[struct{ Export statement.Export }](t, out).Export
	require.Equal(t, []any{exports.Complete, 1200, exports.ByAdopting, e.SHA256, e.Amounts}, []any{adopted.Status, adopted.Exported, adopted.Trigger, adopted.SHA256, adopted.Amounts},
		"the same entries as before")
	out, words, code = starter(t, "", "exports", "prove", adopted.ID.String(), "--org", org)
	require.Zero(t, code, "%s%s", words, out)
	out, words, code = starter(t, "", prove...)
	require.Zero(t, code, "%s%s", words, out)

	out, words, code = starter(t, "", "sync", "--org", org, "--integration", "xledger-main", "--period", "2026-10", "-o", "json")
	require.Zero(t, code, "%s%s", out, words)
	require.Equal(t, 4, fromJSON[synced](t, out).Export.Total)
	b.requireOnce(t, 1204)
}

// restore takes from the database what it has of exports, as if it had been
// restored to a state before.
func (b book) restore(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for _, table := range []string{"export_entries", "vendor_controls", "export_resolutions", "bufdir_export_audit_log"} {
		_, err = conn.Exec(t.Context(), "DELETE FROM ledgerline."+table+" WHERE organization_id = $1", b.id)
		require.NoError(t, err)
	}
}

// Lines that were posted have left the journal. An export of them agrees; but of
// what the record has lost only a person can tell, so it is not sent, and a word
// for each voucher ends it.
func TestProvePosted(t *testing.T) {
	b := newBook(t)
	erp := sandbox.New(sandbox.Options{})
	server := httptest.NewServer(erp)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	conn, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	at := sandbox.Addresses(server.URL)
	_, err = conn.Exec(t.Context(), `UPDATE ledgerline.integrations SET base_url = $2, settings = jsonb_set(settings, '{authority}', to_jsonb($3::text)) WHERE integration_id = $1`,
		b.integrations["erp"].ID, at["businesscentral"], at["entra"])
	require.NoError(t, err)
	startWorker(t, "--dev-vendor-hosts", server.Listener.Addr().String())
	org := b.id.String()
	sync := func() statement.Export {
		t.Helper()
		out, words, code := starter(t, "", "sync", "--org", org, "--integration", "erp", "--period", "2026-10", "-o", "json")
		require.Zero(t, code, "%s%s", out, words)
		return fromJSON[synced](t, out).Export
	}
	b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
	e := sync()
	require.Equal(t, 4, erp.Post(sandbox.DemoJournalID))
	out, words, code := starter(t, "", "exports", "prove", e.ID.String(), "--org", org)
	require.Zero(t, code, "%s%s", words, out)
	require.Contains(t, out, "4 perhaps elsewhere, such as posted lines")

	b.restore(t)
	b.vouchers(t, "B", 1, "2026-10-16", "3000", "0")
	out, words, code = starter(t, "", "exports", "prove", "--period", "2026-10", "--integration", "erp", "--org", org, "--adopt", "-o", "json")
	require.Equal(t, 1, code, "%s%s", words, out)
	adopted := fromJSON[struct{ Export statement.Export }](t, out).Export
	require.Equal(t, []any{exports.Failed, 0, 4}, []any{adopted.Status, adopted.Exported, adopted.Unknown})
	require.Contains(t, adopted.Message, "only a person can tell")
	require.Equal(t, 2, sync().Total, "what is in doubt is not sent")
	out, _, code = starter(t, "", "exports", "show", adopted.ID.String(), "--org", org, "--details")
	require.Zero(t, code)
	require.Regexp(t, `A00000 +A00000-1 +unknown +open +it is not there under its key, but document A00000 has entries`, out)
	for _, v := range []string{"A00000", "A00001"} {
		out, words, code = starterEnv(t, append(stack.Env(devstack.Operator), "LEDGERLINE_ACTOR=kari@example"), "", "exports", "resolve", adopted.ID.String(), "--org", org,
			"--voucher", v, "--there", "--reason", "posted")
		require.Zero(t, code, words)
		require.Contains(t, out, "voucher "+v+": 2 entries exported")
	}
	out, words, code = starter(t, "", "exports", "resolve", adopted.ID.String(), "--org", org, "--voucher", "A00000", "--there", "--reason", "again")
	require.Equal(t, 1, code)
	require.Empty(t, out)
	require.Contains(t, words, "no voucher A00000 whose outcome is open")
	out, words, code = starter(t, "", "exports", "prove", adopted.ID.String(), "--org", org)
	require.Zero(t, code, "%s%s", words, out)
	require.Contains(t, out, "4 found to be exported after it was closed")
	out, _, _ = starter(t, "", "exports", "show", adopted.ID.String(), "--org", org)
	require.Regexp(t, `A00001 +yes +2 +kari@example +posted`, out)
	require.Len(t, erp.Effects(), 7, "six lines and the posting")
}
