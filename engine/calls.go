package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/workflows"
)

// Call is an invocation that Temporal has: one that runs, or that ended within the
// namespace's retention. The attempts of exports are not among them.
type Call struct {
	CorrelationID, IntegrationID uuid.UUID
	StartedAt                    time.Time
	Running                      bool
}

// FindCalls returns an organization's calls whose correlation IDs begin with a text, which is
// written as in a UUID, at most limit. A call is found about a second after its start.
func FindCalls(ctx context.Context, c client.Client, organization uuid.UUID, prefix string, limit int) ([]Call, error) {
	return listCalls(ctx, c, limit, fmt.Sprintf("%s = '%s' AND %s STARTS_WITH '%s'", workflows.OrganizationID.GetName(), organization, workflows.CorrelationID.GetName(), prefix))
}

// lastOf is of how many calls [LastCall] finds the newest. Temporal lists those that run
// first, and then those that ended last.
const lastOf = 200

// LastCall returns the newest call of an organization, of one integration unless that is
// [uuid.Nil]; nil if Temporal has none.
func LastCall(ctx context.Context, c client.Client, organization, integration uuid.UUID) (*Call, error) {
	query := fmt.Sprintf("%s = '%s'", workflows.OrganizationID.GetName(), organization)
	if integration != uuid.Nil {
		query += fmt.Sprintf(" AND %s = '%s'", workflows.IntegrationID.GetName(), integration)
	}
	list, err := listCalls(ctx, c, lastOf, query)
	var last *Call
	for i := range list {
		if last == nil || list[i].StartedAt.After(last.StartedAt) {
			last = &list[i]
		}
	}
	return last, err
}

// listCalls returns the calls that a query selects, a correlation ID once.
func listCalls(ctx context.Context, c client.Client, limit int, query string) (list []Call, err error) {
	found, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		PageSize: int32(limit), Query: fmt.Sprintf("WorkflowType = '%s' AND %s", workflows.InvokeName, query),
	})
	if err != nil {
		return nil, err
	}
	seen := make(map[uuid.UUID]bool)
	for _, e := range found.GetExecutions() {
		call := callOf(e)
		if call.CorrelationID != uuid.Nil && !seen[call.CorrelationID] {
			seen[call.CorrelationID] = true
			list = append(list, call)
		}
	}
	return list, nil
}

// callOf reads a call from its workflow's search attributes.
func callOf(e *workflow.WorkflowExecutionInfo) Call {
	id := func(name string) uuid.UUID {
		var text string
		if p, ok := e.GetSearchAttributes().GetIndexedFields()[name]; !ok || converter.GetDefaultDataConverter().FromPayload(p, &text) != nil {
			return uuid.Nil
		}
		parsed, _ := uuid.Parse(text)
		return parsed
	}
	return Call{
		CorrelationID: id(workflows.CorrelationID.GetName()), IntegrationID: id(workflows.IntegrationID.GetName()),
		StartedAt: e.GetStartTime().AsTime(), Running: e.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING,
	}
}

// EndedError is returned for what cannot be cancelled, because it has ended.
type EndedError struct{ What string }

// Error says what has ended.
func (e *EndedError) Error() string { return e.What + "; there is nothing to cancel" }

// CancelCall asks Temporal to cancel a call. It then completes with an outcome: the report of
// the attempt under way, or "cancelled by the caller"; see [AwaitCall]. A request that has
// been sent is not taken back. The error is an [*EndedError] of a call that has its outcome,
// and a [*serviceerror.NotFound] if there is no such call.
func CancelCall(ctx context.Context, c client.Client, organization, correlation uuid.UUID) error {
	s, err := InvocationStatus(ctx, c, organization, correlation)
	switch {
	case err != nil:
		return err
	case s.State == Completed:
		return &EndedError{fmt.Sprintf("call %s has ended", correlation)}
	case s.State == Recording:
		return &EndedError{fmt.Sprintf("call %s has its outcome already, and its attempts are being recorded", correlation)}
	}
	return cancelRun(ctx, c, s.WorkflowID, s.RunID, fmt.Sprintf("call %s has ended", correlation))
}

// AwaitCall waits for the end of a call, when its attempts are on record, and returns its
// outcome.
func AwaitCall(ctx context.Context, c client.Client, organization, correlation uuid.UUID) (o workflows.Outcome, err error) {
	err = c.GetWorkflow(ctx, workflows.InvokeID(organization, correlation), "").Get(ctx, &o)
	if err != nil {
		err = fmt.Errorf("call %s: %w", correlation, endedOtherwise(err))
	}
	return o, err
}

// CancelExport asks Temporal to cancel the run of a pending export. The run ends the request
// under way, closes the export as failed (cancelled), and leaves its entries as they are:
// what was sent stays open, and a retry asks the vendor about it. The error is an
// [*EndedError] of an export that has ended, or whose run no longer exists. integration is its
// integration's name.
func CancelExport(ctx context.Context, c client.Client, e exports.Export, integration string) error {
	period := exports.PeriodName(e.Period)
	switch {
	case e.Status != exports.Pending:
		return &EndedError{fmt.Sprintf("the export of %s has ended as %s", period, e.Status)}
	case e.Trigger == exports.ByAdopting:
		return &EndedError{fmt.Sprintf("what the vendor has of %s is being taken over in the terminal of whoever started that: stop it there", period)}
	}
	resume := "starter sync --period " + e.Reference(integration)
	if e.ParentID != nil {
		resume = "starter exports retry " + e.Reference(integration)
	}
	gone := fmt.Sprintf("the run of the export of %s no longer exists; %s resumes the export", period, resume)
	closed, err := RunClosed(ctx, c, e)
	if err != nil {
		return err
	}
	if closed {
		return &EndedError{gone}
	}
	return cancelRun(ctx, c, e.WorkflowID, "", gone)
}

// AwaitExport waits for the end of an export's run and returns its result.
func AwaitExport(ctx context.Context, c client.Client, e exports.Export) (r workflows.SyncResult, err error) {
	err = c.GetWorkflow(ctx, e.WorkflowID, "").Get(ctx, &r)
	if err != nil {
		err = fmt.Errorf("export %s: %w", e.ID, endedOtherwise(err))
	}
	return r, err
}

// cancelRun asks Temporal to cancel a run; one that has ended since is an [*EndedError].
func cancelRun(ctx context.Context, c client.Client, workflowID, runID, ended string) error {
	err := c.CancelWorkflow(ctx, workflowID, runID)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return &EndedError{ended}
	}
	return err
}

// endedOtherwise explains the end of a workflow that returned no result: somebody has ended
// it from outside.
func endedOtherwise(err error) error {
	var failed *temporal.WorkflowExecutionError
	var terminated *temporal.TerminatedError
	if errors.As(err, &failed) && errors.As(err, &terminated) {
		return errors.New("somebody has terminated its workflow, so there is no outcome")
	}
	return err
}

// Unanswered reports whether a request to Temporal ended without an answer, so that nothing
// is known of it: the time was up or the caller stopped waiting, whichever side noticed.
func Unanswered(err error) bool {
	var late *serviceerror.DeadlineExceeded
	var cancelled *serviceerror.Canceled
	var away *serviceerror.Unavailable
	var update *client.WorkflowUpdateServiceTimeoutOrCanceledError
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &late) || errors.As(err, &cancelled) ||
		errors.As(err, &away) || errors.As(err, &update)
}
