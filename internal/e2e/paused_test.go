package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// A run that is paused in Temporal is alive: it keeps its export, nobody takes that over
// or is notified that its run no longer exists, and it continues when it is unpaused.
func TestRunPausedByTheServer(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.verified(t, "xledger-main")
	b.fault(sandbox.Rule{Times: 1, Status: 503})
	in := b.input(t, "2026-10")
	in.Policy.BaseDelay, in.Policy.Coefficient, in.Policy.MaxRetries = 3*time.Second, 1, 2
	run := b.start(t, in)
	waiting(t, run.GetID(), 2)
	_, err := temporal.WorkflowService().PauseWorkflowExecution(t.Context(), &workflowservice.PauseWorkflowExecutionRequest{
		Namespace: stack.Temporal.Namespace, WorkflowId: run.GetID(), RunId: run.GetRunID(), Reason: "tested", RequestId: uuid.NewString(),
	})
	if os.Getenv("TEMPORAL_ADDRESS") != "" && err != nil {
		t.Skipf("somebody else's server does not pause workflows: %v", err)
	}
	require.NoError(t, err)
	status := func() enums.WorkflowExecutionStatus {
		d, err := temporal.DescribeWorkflow(t.Context(), run.GetID(), run.GetRunID())
		require.NoError(t, err)
		return d.Status
	}
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_PAUSED, status())

	// Another run of the period, and a person who asks for it again, find that it has one.
	other := engine.SyncOptions(in)
	other.ID += "/another"
	another, err := temporal.ExecuteWorkflow(t.Context(), other, workflows.SyncName, in)
	require.NoError(t, err)
	found := result(t, another)
	require.True(t, found.AlreadyExported)
	require.Equal(t, []any{exports.Pending, run.GetRunID(), int64(1)},
		[]any{found.Export.Status, found.Export.RunID.String(), found.Export.Fence})
	require.Equal(t, run.GetRunID(), b.start(t, in).GetRunID())
	closed, err := engine.RunClosed(t.Context(), temporal, found.Export)
	require.NoError(t, err)
	require.False(t, closed)
	state, err := engine.ExportStatus(t.Context(), temporal, run.GetID())
	require.NoError(t, err)
	require.NotEqual(t, engine.Completed, state.State)
	out, words, _ := starter(t, "", "exports", "prove", found.Export.ID.String(), "--org", b.id.String())
	require.Regexp(t, `yes +workflow +Paused`, out, words)

	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_PAUSED, status())
	_, err = temporal.WorkflowService().UnpauseWorkflowExecution(t.Context(), &workflowservice.UnpauseWorkflowExecutionRequest{
		Namespace: stack.Temporal.Namespace, WorkflowId: run.GetID(), RunId: run.GetRunID(), Reason: "tested", RequestId: uuid.NewString(),
	})
	require.NoError(t, err)
	r := result(t, run)
	require.Equal(t, []any{exports.Complete, 6}, []any{r.Export.Status, r.Export.Exported}, "%+v", r.Export)
	b.requireOnce(t, 6)
}
