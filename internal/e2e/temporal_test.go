package e2e

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
)

// resetActivity does what an operator does with `temporal activity reset`.
func resetActivity(t *testing.T, run client.WorkflowRun) {
	t.Helper()
	_, err := temporal.WorkflowService().ResetActivity(t.Context(), &workflowservice.ResetActivityRequest{
		Namespace: stack.Temporal.Namespace,
		Execution: &common.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
		Activity:  &workflowservice.ResetActivityRequest_Type{Type: activities.CallName},
	})
	require.NoError(t, err)
}

// activitiesWith is an invocation of xledger-main under a given correlation ID.
func activitiesWith(o tenant, correlation uuid.UUID) activities.Invocation {
	in := o.ping("xledger-main")
	in.CorrelationID = correlation
	return in
}
