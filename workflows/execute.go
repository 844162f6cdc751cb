package workflows

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
)

// StartOptions are the options under which an invocation starts.
func StartOptions(in activities.Invocation) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       InvokeID(in.OrganizationID, in.CorrelationID),
		TaskQueue:                startQueue(in),
		Priority:                 fairly(in.OrganizationID),
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            in.AdapterName + " " + string(in.Operation) + ": " + in.Summary,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			OrganizationID.ValueSet(in.OrganizationID.String()),
			IntegrationID.ValueSet(in.IntegrationID.String()),
			AdapterName.ValueSet(in.AdapterName),
			CorrelationID.ValueSet(in.CorrelationID.String()),
		),
		Memo: map[string]any{memoSum: SumOf(in)},
		// No execution timeout: it would cut the audit off.
	}
}

// Execute runs an invocation and waits for its outcome, which comes before the
// audit rows are written. If there has been an invocation with this
// correlation ID, it returns that one's outcome and nobody is called.
func Execute(ctx context.Context, c client.Client, in activities.Invocation) (Outcome, error) {
	start := c.NewWithStartWorkflowOperation(StartOptions(in), InvokeName, in)
	handle, err := c.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateID: OutcomeUpdate, UpdateName: OutcomeUpdate, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	var outcome Outcome
	if err == nil {
		err = handle.Get(ctx, &outcome)
	}
	if over(err) {
		// It ended without this update: started by a schedule or by another
		// client. Its result is the same outcome.
		err = c.GetWorkflow(ctx, InvokeID(in.OrganizationID, in.CorrelationID), "").Get(ctx, &outcome)
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("invocation %s: %w", in.CorrelationID, err)
	}
	return outcome, nil
}

// over reports whether an update came too late for its workflow.
func over(err error) bool {
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	var gone *serviceerror.NotFound
	return errors.As(err, &started) || errors.As(err, &gone)
}
