package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// memoSum is the memo's field that holds the [workflows.RequestSum] of an invocation.
const memoSum = "requestSha256"

// NewInvocation is an operation of an integration under a new correlation ID, with what
// the integration's file says of retries and limits. Without these, calls would pass by
// the queue of an integration that has a rate or a concurrency limit.
func NewInvocation(in integrations.Integration, operation adapters.Operation, body json.RawMessage) activities.Invocation {
	inv := activities.Invocation{
		OrganizationID: in.OrganizationID, IntegrationID: in.ID, IntegrationName: in.Name, AdapterName: in.Adapter, CorrelationID: uuid.New(),
		Operation: operation, Body: body, Policy: in.Policy, OwnQueue: in.Limits.OwnQueue(),
	}
	inv.Summary, inv.ReadOnly = Describe(inv)
	return inv
}

// InvokeOptions are the options under which an invocation starts, for callers who do not
// wait for its outcome. The others use [Execute].
func InvokeOptions(in activities.Invocation) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       workflows.InvokeID(in.OrganizationID, in.CorrelationID),
		TaskQueue:                workflows.StartQueue(in),
		Priority:                 workflows.Fairly(in.OrganizationID),
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            workflows.Line(cmp.Or(in.IntegrationName, in.AdapterName) + " " + string(in.Operation) + ": " + in.Summary),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			workflows.OrganizationID.ValueSet(in.OrganizationID.String()),
			workflows.IntegrationID.ValueSet(in.IntegrationID.String()),
			workflows.AdapterName.ValueSet(in.AdapterName),
			workflows.CorrelationID.ValueSet(in.CorrelationID.String()),
		),
		Memo: map[string]any{memoSum: workflows.RequestSum(in)},
		// No execution timeout: it would cut the audit off.
	}
}

// OtherRequestError is returned for a correlation ID that stands for another
// request. Nothing was sent.
type OtherRequestError struct{ CorrelationID uuid.UUID }

// Error says what to do.
func (e *OtherRequestError) Error() string {
	return fmt.Sprintf("correlation ID %s was used before for another integration, operation or body, and stands for that; nothing was sent: use a new one", e.CorrelationID)
}

// Execute makes an invocation and waits for its outcome, which comes before the audit rows
// are written. If there has been an invocation with this correlation ID, it returns that
// one's outcome and the vendor is not called; if that one asked something else, the error
// is an [*OtherRequestError]. If ctx ends first, the invocation continues.
func Execute(ctx context.Context, c client.Client, in activities.Invocation) (workflows.Outcome, error) {
	return execute(ctx, c, in, "")
}

// ExecuteAgain is [Execute] for a correlation ID that may have been used before. If that
// invocation has ended without showing whether its write happened, it runs once more:
// its effect is open, or it failed before it could know (it was paused, say), or it was
// ended from outside and has no outcome. What an earlier run left open is on its claim:
// the vendor is asked first, if it can be asked, and what is proved not to have happened
// is sent. One that was made again as a new call ([CallAgain]) is a [*NotAgainError]; where
// Temporal has forgotten that call, the claim still refuses it, with [classify.NotOwner].
func ExecuteAgain(ctx context.Context, c client.Client, in activities.Invocation) (workflows.Outcome, error) {
	run, before, err := ended(ctx, c, in)
	if err != nil {
		return workflows.Outcome{}, err
	}
	if before != nil {
		unknown := before.Effect == "" && !before.OK && !in.ChangesNothing()
		if before.Effect != classify.Open && !unknown {
			return *before, conflictOf(*before)
		}
	}
	if err := madeAgain(ctx, c, in); err != nil {
		return workflows.Outcome{}, err
	}
	return execute(ctx, c, in, run)
}

// ended returns the run of an invocation that has ended, "" if there is none, and
// its outcome if it has one. The error is an [*OtherRequestError] if the
// invocation, ended or not, asks something else.
func ended(ctx context.Context, c client.Client, in activities.Invocation) (run string, outcome *workflows.Outcome, err error) {
	id := workflows.InvokeID(in.OrganizationID, in.CorrelationID)
	d, err := c.DescribeWorkflow(ctx, id, "")
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("invocation %s: %w", in.CorrelationID, err)
	}
	sum, ok := sumInMemo(d)
	other := ok && sum != workflows.RequestSum(in)
	run = d.WorkflowExecution.RunID
	if d.Status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED {
		outcome = new(workflows.Outcome)
		if err := c.GetWorkflow(ctx, id, run).Get(ctx, outcome); err != nil {
			return "", nil, fmt.Errorf("invocation %s: %w", in.CorrelationID, err)
		}
		if other && outcome.Kind == classify.ClaimConflict { // it was not what the ID stands for
			return run, nil, nil
		}
	}
	if other {
		return "", nil, &OtherRequestError{in.CorrelationID}
	}
	if activities.Closed(d.Status) {
		return run, outcome, nil
	}
	return "", nil, nil
}

// sumInMemo is the sum that an invocation was started with.
func sumInMemo(d *client.WorkflowExecutionDescription) (sum string, ok bool) {
	p, ok := d.Memo.GetFields()[memoSum]
	if !ok || converter.GetDefaultDataConverter().FromPayload(p, &sum) != nil {
		return "", false
	}
	return sum, true
}

// execute is [Execute]. With the ID of a run that has ended, it starts another run after
// that one.
func execute(ctx context.Context, c client.Client, in activities.Invocation, after string) (workflows.Outcome, error) {
	sum := workflows.RequestSum(in)
	options := InvokeOptions(in)
	// An update with an ID that a run has answered is answered from there, also when
	// that run asked something else or is over.
	update := workflows.OutcomeUpdate + "/" + sum
	if after != "" {
		options.WorkflowIDReusePolicy = enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
		update += "/after/" + after
	}
	handle, err := c.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: c.NewWithStartWorkflowOperation(options, workflows.InvokeName, in),
		UpdateOptions: client.UpdateWorkflowOptions{
			UpdateID: update, UpdateName: workflows.OutcomeUpdate, Args: []any{sum}, WaitForStage: client.WorkflowUpdateStageCompleted,
		},
	})
	var outcome workflows.Outcome
	if err == nil {
		err = handle.Get(ctx, &outcome)
	}
	var refused *temporal.ApplicationError
	switch {
	case errors.As(err, &refused) && refused.Type() == workflows.OtherRequest:
		return workflows.Outcome{}, &OtherRequestError{in.CorrelationID}
	case tooLate(err):
		// It ended without this update: started by a schedule or by another
		// client. Its result is the same outcome.
		if _, _, err := ended(ctx, c, in); err != nil {
			return workflows.Outcome{}, err
		}
		err = c.GetWorkflow(ctx, options.ID, "").Get(ctx, &outcome)
	}
	if err != nil {
		return workflows.Outcome{}, fmt.Errorf("invocation %s: %w", in.CorrelationID, err)
	}
	return outcome, conflictOf(outcome)
}

// conflictOf is an [*OtherRequestError] if a worker found by its claim that the correlation
// ID stands for another request, of which Temporal no longer knows.
func conflictOf(o workflows.Outcome) error {
	if o.Kind == classify.ClaimConflict {
		return &OtherRequestError{o.CorrelationID}
	}
	return nil
}

// tooLate reports whether an update came after the end of its workflow.
func tooLate(err error) bool {
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	var gone *serviceerror.NotFound
	return errors.As(err, &started) || errors.As(err, &gone)
}
