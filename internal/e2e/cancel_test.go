package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// patient is a policy whose second wait is longer than a test: 15 s.
const patient = "{baseDelay: 1500ms, coefficient: 10, maxRetries: 2, attemptTimeout: 5s}"

// waiting waits until a workflow's call waits for its n-th attempt.
func waiting(t *testing.T, workflowID string, n int) (call *workflow.PendingActivityInfo) {
	t.Helper()
	require.Eventually(t, func() bool {
		d, err := temporal.DescribeWorkflow(t.Context(), workflowID, "")
		require.NoError(t, err)
		for _, p := range d.RawResponse.GetPendingActivities() {
			if p.GetActivityType().GetName() == activities.CallName && p.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && int(p.GetAttempt()) == n {
				call = p
			}
		}
		return call != nil
	}, 30*time.Second, 10*time.Millisecond)
	return call
}

func cancel(t *testing.T, run client.WorkflowRun) {
	t.Helper()
	require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
}

// An invocation that is cancelled while it waits for its next attempt ends
// without it, with the rows of those before, and notifies whoever waits.
func TestCancelBetweenAttempts(t *testing.T) {
	startWorker(t)
	in := newTenant(t, patient).ping("xledger-main")
	script(in, sandbox.Rule{Times: 1, Status: 503}, sandbox.Rule{Status: 502})
	run := begin(t, in)
	heard := make(chan workflows.Outcome, 1)
	go func() {
		out, err := engine.Execute(t.Context(), temporal, in) // as starter call does
		if err != nil {
			out.Failure = &workflows.Failure{Message: err.Error()}
		}
		heard <- out
	}()
	due := waiting(t, run.GetID(), 3).GetNextAttemptScheduleTime().AsTime()
	cancel(t, run)
	out := finish(t, in)
	require.Equal(t, out, <-heard)
	require.Equal(t, 2, out.TotalAttempts)
	require.Equal(t, workflows.Failure{CorrelationID: in.CorrelationID, ErrorClass: classify.Permanent, HTTPStatus: out.Failure.HTTPStatus,
		AdapterName: "xledger", Attempt: 2, Message: "cancelled by the caller"}, *out.Failure)
	require.Equal(t, 502, *out.Failure.HTTPStatus)
	rows := rowsOf(t, in)
	require.Equal(t, "1:transient/unavailable 2:transient/bad_gateway", trail(rows))
	require.False(t, rows[1].Retryable, "nothing follows it")
	require.Len(t, reached(in), 2)
	list := events(t, in)
	require.True(t, list[len(list)-1].GetEventTime().AsTime().Before(due), "the wait is not waited out")
}

// Whenever an invocation is cancelled, each attempt has its row and the row
// reports what became of it.
func TestCancelAtAnyTime(t *testing.T) {
	startWorker(t)
	var all []activities.Invocation
	for i := range 40 {
		in := newTenant(t, "{baseDelay: 30ms, coefficient: 1, attemptTimeout: 2s}").ping("xledger-main") // with a breaker of its own
		script(in, sandbox.Rule{Status: 503, DelayMS: i % 4 * 15})
		run := begin(t, in)
		time.Sleep(time.Duration(i) * 6 * time.Millisecond)
		cancel(t, run)
		all = append(all, in)
	}
	ends := make(map[string]int)
	for _, in := range all {
		out := finish(t, in)
		rows := rowsOf(t, in)
		require.Len(t, rows, out.TotalAttempts)
		for n, r := range rows {
			require.NotEqual(t, string(classify.WorkerLost), r.Kind, trail(rows))
			if n+1 < len(rows) { // the last one may have been cut short
				require.Equal(t, string(classify.Unavailable), r.Kind, trail(rows))
			}
		}
		require.GreaterOrEqual(t, len(rows), len(reached(in)), "each request has its row")
		ends[fmt.Sprintf("%d rows, %s", len(rows), out.Failure.Message)]++
	}
	t.Log(ends)
}

// An attempt that is under way when its invocation is cancelled, and is lost
// then, is the last one.
func TestCancelThenWorkerKilled(t *testing.T) {
	w := startWorker(t)
	in := newTenant(t, quick).ping("xledger-main")
	script(in, sandbox.Rule{Times: 1, Status: 503}, sandbox.Rule{Hang: true})
	run := begin(t, in)
	waitFor(t, in, 2)
	cancel(t, run)
	require.Eventually(t, func() bool {
		list := events(t, in)
		return list[len(list)-1].GetEventType() == enums.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
	}, 10*time.Second, 10*time.Millisecond)
	w.Kill()
	startWorker(t)
	require.Equal(t, 2, finish(t, in).TotalAttempts)
	require.Equal(t, "1:transient/unavailable 2:timeout/worker_lost", trail(rowsOf(t, in)))
	require.Len(t, reached(in), 2)
}

// An invocation that is cancelled before any worker took it has no attempt.
func TestCancelUntaken(t *testing.T) {
	in := newTenant(t, quick).ping("xledger-main")
	run := begin(t, in)
	cancel(t, run)
	startWorker(t)
	out := finish(t, in)
	require.Equal(t, []any{0, "cancelled by the caller"}, []any{out.TotalAttempts, out.Failure.Message})
	require.Empty(t, reached(in))
}

// A run that is cancelled between two attempts of a chunk has their rows; the
// chunk stays open and is resolved by a retry.
func TestExportCancelledBetweenAttempts(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.verified(t, "xledger-main")
	b.fault(sandbox.Rule{Times: 2, Status: 503})
	in := b.input(t, "2026-10")
	in.Policy.BaseDelay, in.Policy.Coefficient, in.Policy.MaxRetries = 1500*time.Millisecond, 10, 2
	run := b.start(t, in)
	due := waiting(t, run.GetID(), 3).GetNextAttemptScheduleTime().AsTime()
	cancel(t, run)
	e := result(t, run).Export
	require.True(t, e.FinishedAt.Before(due), "the wait is not waited out")
	require.Equal(t, []any{exports.Failed, classify.Cancelled, "cancelled by the caller", 2, 6},
		[]any{e.Status, e.ErrorCode, e.ErrorMessage, e.Attempts, e.Unknown}, "%+v", e)
	require.Equal(t, []string{"1 unavailable", "2 unavailable"}, queryStrings(t,
		"SELECT attempt_number || ' ' || error_kind FROM ledgerline.integration_run_logs WHERE correlation_id = $1 ORDER BY attempt_number", e.LastCorrelationID))
	retry := result(t, b.retryOf(t, e)).Export
	require.Equal(t, []any{exports.Complete, 6}, []any{retry.Status, retry.Exported}, "%+v", retry)
	b.requireOnce(t, 6)
}

// A first attempt that is lost with its worker is on record, also if no worker
// comes back within the budget.
func TestFirstAttemptLost(t *testing.T) {
	w := startWorker(t)
	in := newTenant(t, "{baseDelay: 200ms, maxRetries: 2, attemptTimeout: 1s, budget: 6s}").ping("xledger-main")
	script(in, sandbox.Rule{Hang: true})
	begin(t, in)
	waitFor(t, in, 1)
	w.Kill()
	require.Eventually(t, func() bool {
		for _, e := range events(t, in) {
			if e.GetEventType() == enums.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT {
				return true
			}
		}
		return false
	}, 30*time.Second, 100*time.Millisecond)
	startWorker(t)
	out := finish(t, in)
	require.Equal(t, 1, out.TotalAttempts)
	require.Equal(t, []any{classify.Timeout, 1}, []any{out.Failure.ErrorClass, out.Failure.Attempt})
	require.Equal(t, "the worker was lost during this attempt; nothing was reported; no worker took the next one within the budget", out.Failure.Message)
	rows := rowsOf(t, in)
	require.Equal(t, "1:timeout/worker_lost", trail(rows))
	require.False(t, rows[0].Retryable)
	require.Len(t, reached(in), 1)
}
