package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/internal/sandbox"
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
	d, err := temporal.DescribeWorkflow(t.Context(), run.GetID(), run.GetRunID())
	require.NoError(t, err)
	summary, err := d.GetStaticSummary()
	require.NoError(t, err)
	require.Equal(t, "xledger-main export 2026-10", summary)

	const until = `(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC`
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

	value, err := temporal.QueryWorkflow(t.Context(), run.GetID(), run.GetRunID(), "__temporal_workflow_metadata")
	require.NoError(t, err)
	var shown sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&shown))
	require.Regexp(t, `^xledger-main: Xledger answers 503 \(unavailable\); next try `+until+`; 1 of 1 chunk left to send$`, shown.GetCurrentDetails())
	require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
	require.Equal(t, workflows.EndedOpen, result(t, run).Ending(), "what a 503 answered may have been stored, and nobody has asked")
}
