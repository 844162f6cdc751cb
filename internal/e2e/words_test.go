package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/workflows"
)

// What did not succeed is found in the list, by the saved queries of docs/operations.md.
func TestOutcomeIsFound(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	found := func(outcome string, n int) {
		t.Helper()
		query := fmt.Sprintf("%s AND %s = '%s'", outcome, workflows.OrganizationID.GetName(), o.id)
		require.Eventually(t, func() bool {
			r, err := temporal.CountWorkflow(t.Context(), &workflowservice.CountWorkflowExecutionsRequest{Query: query})
			require.NoError(t, err)
			return int(r.GetCount()) == n
		}, 20*time.Second, 100*time.Millisecond, "%s: want %d", query, n)
	}
	fine, refused := o.ping("xledger-main"), o.ping("xledger-main")
	script(refused, sandbox.Rule{Status: http.StatusUnauthorized})
	require.True(t, execute(t, fine).OK)
	require.Len(t, events(t, fine), 13, "a success with a caller who waits costs nothing more")
	require.Equal(t, workflows.EndedFailed, execute(t, refused).Ending())
	finish(t, refused)

	b := book{o, "book " + o.id.String()}
	b.vouchers(t, "A", 1, "2026-10-15", "3000", "0")
	b.vouchers(t, "B", 1, "2026-10-15", "X1", "0")
	require.Equal(t, workflows.EndedPartly, result(t, b.start(t, b.input(t, "2026-10"))).Ending())
	found("Outcome = 'failed' AND WorkflowType = 'Invoke'", 1)
	found("Outcome IN ('failed', 'open') AND WorkflowType = 'Sync'", 0)
	found("Outcome = 'partial' AND WorkflowType = 'Sync'", 1)
	found("Outcome IS NULL AND ExecutionStatus = 'Completed' AND WorkflowType = 'Invoke'", 1)
}

// until is a time in current details and summaries.
const until = `(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC`

// shown is what the Temporal UI shows of a workflow: its summary and its current details.
func shown(t *testing.T, id string) (summary, details string) {
	t.Helper()
	d, err := temporal.DescribeWorkflow(t.Context(), id, "")
	require.NoError(t, err)
	summary, err = d.GetStaticSummary()
	require.NoError(t, err)
	value, err := temporal.QueryWorkflow(t.Context(), id, "", "__temporal_workflow_metadata")
	require.NoError(t, err)
	var metadata sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&metadata))
	return summary, metadata.GetCurrentDetails()
}

// A run that waits says in the Temporal UI for what and until when, in words of our own.
func TestWaitIsShownInTemporal(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, Status: http.StatusServiceUnavailable, Body: `{"errors":[{"message":"[look here](https://example.com)"}]}`})
	in := b.input(t, "2026-10")
	in.IntegrationName, in.DeferBase, in.Policy.MaxRetries = "xledger-main", time.Hour, 0
	run := b.start(t, in)
	b.deferred(t)
	var timer string
	require.Eventually(t, func() bool {
		for _, e := range eventsOf(t, run.GetID()) {
			if e.GetTimerStartedEventAttributes() != nil {
				require.NoError(t, converter.GetDefaultDataConverter().FromPayload(e.GetUserMetadata().GetSummary(), &timer))
			}
		}
		return timer != ""
	}, 20*time.Second, 100*time.Millisecond)
	require.Regexp(t, "^waiting for Xledger until "+until+`: Xledger answers 503 \(unavailable\)$`, timer)

	summary, details := shown(t, run.GetID())
	require.Equal(t, "xledger-main export 2026-10", summary)
	require.Regexp(t, `^xledger-main: Xledger answers 503 \(unavailable\); next try `+until+`; 1 of 1 chunk left to send$`, details)
	require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
	require.Equal(t, workflows.EndedOpen, result(t, run).Ending(), "what a 503 answered may have been stored, and nobody has asked")
}

// What runs for an integration has its name, so that nobody looks up a UUID: a backfill, a
// monitor and a notification too, from their start.
func TestNamesAreShownInTemporal(t *testing.T) {
	b := newBook(t)
	h := newHooks(t, func(w http.ResponseWriter, _ string, _ int) { w.WriteHeader(http.StatusServiceUnavailable) })
	applyHooks(t, b.tenant, h)
	hosts := strings.Join(append(stack.DevHosts(), h.Listener.Addr().String()), ",")
	startWorker(t, "--monitors", "--dev-vendor-hosts", hosts)
	main := b.integrations["xledger-main"]

	backfill := workflows.BackfillInput{Runs: []workflows.SyncInput{b.input(t, "2026-08"), b.input(t, "2026-09"), b.input(t, "2026-10")}}
	for i := range backfill.Runs {
		backfill.Runs[i].IntegrationName = main.Name
	}
	b.vouchers(t, "A", 1, "2026-09-15", "3000", "0")
	run, err := temporal.ExecuteWorkflow(t.Context(), engine.BackfillOptions(main, backfill), workflows.BackfillName, backfill)
	require.NoError(t, err)
	require.NoError(t, run.Get(bounded(t, longest), nil))
	summary, details := shown(t, run.GetID())
	require.Equal(t, "xledger-main backfill: 3 periods, 2026-08 to 2026-10", summary)
	require.Equal(t, "xledger-main: 3 exported, 0 exported before, 0 refused", details)

	// It may have been started by the loop or by what traffic showed.
	require.Eventually(t, func() bool {
		id := workflows.MonitorID(b.id, main.ID)
		if _, err := temporal.DescribeWorkflow(t.Context(), id, ""); err != nil {
			var gone *serviceerror.NotFound
			require.ErrorAs(t, err, &gone)
			return false
		}
		summary, details = shown(t, id)
		return details != ""
	}, 90*time.Second, 200*time.Millisecond)
	require.Equal(t, "xledger-main monitor", summary)
	require.Regexp(t, "^xledger-main: [a-z]+; [a-z-]+ at "+until+"$", details)

	rejected := b.report(t, hasRejected(classify.Business))
	id := workflows.NotifyID(notify.DeliveryKey{NotificationID: rejected.NotificationID, Channel: "ops"})
	require.Eventually(t, func() bool { attempts, _ := h.counts(rejected.NotificationID.String()); return attempts > 0 }, 90*time.Second, 100*time.Millisecond)
	summary, details = shown(t, id)
	require.Equal(t, "xledger-main rejected, to ops", summary)
	require.Regexp(t, "^xledger-main rejected: being delivered to ops, until "+until+" at the latest; Pending Activities shows when", details)
	require.NoError(t, temporal.CancelWorkflow(t.Context(), id, ""))
	require.Equal(t, notify.DeliveryFailed, b.ended(t, rejected.NotificationID).State)
	require.Eventually(t, func() bool { _, details = shown(t, id); return !strings.Contains(details, "being delivered") }, time.Minute, 100*time.Millisecond)
	require.Equal(t, "xledger-main rejected: failed (cancelled), to ops", details)
}
