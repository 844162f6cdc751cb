package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// points of a run's history to which it can be reset.
func points(t *testing.T, run client.WorkflowRun) (list []int64) {
	t.Helper()
	for it := temporal.GetWorkflowHistory(t.Context(), run.GetID(), run.GetRunID(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		require.NoError(t, err)
		if e.GetEventType() == enums.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			list = append(list, e.GetEventId())
		}
	}
	return list
}

// reset does what an operator does with `temporal workflow reset`, and returns
// the new run.
func reset(t *testing.T, run client.WorkflowRun, point int64) client.WorkflowRun {
	t.Helper()
	answer, err := temporal.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: stack.Temporal.Namespace, RequestId: uuid.NewString(), Reason: "tested", WorkflowTaskFinishEventId: point,
		WorkflowExecution: &common.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
	})
	require.NoError(t, err)
	return temporal.GetWorkflow(t.Context(), run.GetID(), answer.GetRunId())
}

// atVendor waits until a request with entries of the book has reached a vendor.
func (b book) atVendor(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(b.sends(t)) >= n }, time.Minute, 5*time.Millisecond)
}

// idle waits until no vendor has anything left to do.
func idle(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return stack.Sandbox.NextDue().IsZero() }, time.Minute, 20*time.Millisecond)
}

// A run that is reset while a chunk is at the vendor replays the claim of the run
// before. It has to claim again, and asks for what one has sent: nothing is
// sent twice, and everything arrives.
func TestExportReset(t *testing.T) {
	startWorker(t)
	first := func(list []int64) int64 { return list[0] }
	last := func(list []int64) int64 { return list[len(list)-1] }
	for name, c := range map[string]struct {
		integration string
		rule        sandbox.Rule
		at          []func([]int64) int64
	}{
		"before its claim":                {"xledger-main", sandbox.Rule{Times: 1, DelayMS: 1000}, []func([]int64) int64{first}},
		"after its claim":                 {"xledger-main", sandbox.Rule{Times: 1, DelayMS: 1000}, []func([]int64) int64{last}},
		"twice":                           {"erp", sandbox.Rule{Times: 1, DelayMS: 1500}, []func([]int64) int64{last, first}},
		"and the answer is lost":          {"xledger-main", sandbox.Rule{Times: 1, Hang: true, EffectDelayMS: 2300}, []func([]int64) int64{last}},
		"and the vendor does not act":     {"erp", sandbox.Rule{Times: 1, Hang: true}, []func([]int64) int64{last}},
		"of a vendor that takes it twice": {"crm", sandbox.Rule{Times: 1, DelayMS: 1000}, []func([]int64) int64{last}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.vouchers(t, "A", 20, "2026-10-15", "3000", "0")
			b.fault(c.rule)
			in := b.input(t, "2026-10")
			in.IntegrationID, in.AdapterName = b.integrations[c.integration].ID, b.integrations[c.integration].Adapter
			run := b.start(t, in)
			b.atVendor(t, 1)
			for _, at := range c.at {
				run = reset(t, run, at(points(t, run)))
			}
			r := result(t, run)
			require.False(t, r.AlreadyExported)
			require.Equal(t, []any{exports.Complete, 40}, []any{r.Export.Status, r.Export.Exported}, "%+v", r.Export)
			require.Equal(t, run.GetRunID(), r.Export.RunID.String(), "the run that was made by the reset owns it")
			require.Greater(t, r.Export.Fence, int64(1))
			idle(t)
			b.requireOnce(t, 40)
		})
	}
}

// A run that is reset after its end, to whatever step, finds its period exported
// and calls nobody.
func TestExportResetAfterItsEnd(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	run := b.start(t, b.input(t, "2026-10"))
	e := result(t, run).Export
	require.Equal(t, exports.Complete, e.Status)
	run = temporal.GetWorkflow(t.Context(), run.GetID(), run.GetRunID()) // and not the newest
	list := points(t, run)
	for _, point := range list {
		asked := len(b.sends(t))
		r := result(t, reset(t, run, point))
		require.Equal(t, point != list[len(list)-1], r.AlreadyExported, "from event %d; after its last step only the result is given again", point)
		require.Equal(t, []any{e.ID, exports.Complete, 6}, []any{r.Export.ID, r.Export.Status, r.Export.Exported})
		require.Len(t, b.sends(t), asked)
	}
	b.requireOnce(t, 6)
}

// Of two runs of one period that start at once, under IDs that do not know of
// each other, one exports it and the other says so.
func TestExportStartedTwice(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 20, "2026-10-15", "3000", "0")
	b.fault(sandbox.Rule{Times: 1, DelayMS: 1000})
	in := b.input(t, "2026-10")
	other := engine.SyncOptions(in)
	other.ID += "/other"
	runs := []client.WorkflowRun{b.start(t, in)}
	second, err := temporal.ExecuteWorkflow(t.Context(), other, workflows.SyncName, in)
	require.NoError(t, err)
	var did, found int
	for _, run := range append(runs, second) {
		r := result(t, run)
		if r.AlreadyExported {
			found++
			require.Equal(t, exports.Pending, r.Export.Status, "it does not wait for the other one")
			continue
		}
		did++
		require.Equal(t, []any{exports.Complete, 40}, []any{r.Export.Status, r.Export.Exported}, "%+v", r.Export)
	}
	require.Equal(t, []int{1, 1}, []int{did, found})
	b.requireOnce(t, 40)
	require.Len(t, b.sends(t), 1)
}

// A run takes over from one that was terminated while its chunk was at the
// vendor. It waits for what that one has sent, and its worker's answer counts.
func TestExportTakenOverWhileSending(t *testing.T) {
	startWorker(t)
	for name, rule := range map[string]sandbox.Rule{
		"answered":   {Times: 1, DelayMS: 1200},
		"late":       {Times: 1, Hang: true, EffectDelayMS: 2300},
		"not at all": {Times: 1, Hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			b.vouchers(t, "A", 20, "2026-10-15", "3000", "0")
			b.fault(rule)
			in := b.input(t, "2026-10")
			run := b.start(t, in)
			b.atVendor(t, 1)
			require.NoError(t, temporal.TerminateWorkflow(context.Background(), run.GetID(), run.GetRunID(), "tested"))
			r := result(t, b.start(t, in))
			require.False(t, r.AlreadyExported)
			require.Equal(t, []any{exports.Complete, 40, int64(2)}, []any{r.Export.Status, r.Export.Exported, r.Export.Fence}, "%+v", r.Export)
			idle(t)
			b.requireOnce(t, 40)
		})
	}
}
