package workflows

import (
	"errors"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
)

// InvokeName is the workflow type of [Invoke].
const InvokeName = "Invoke"

// OutcomeUpdate is the update by which callers wait for the [Outcome]. It
// returns as soon as the outcome is known, before the audit rows are written.
const OutcomeUpdate = "outcome"

// reserve is what the workflow keeps of the budget for reporting.
const reserve = time.Second

// Invoke runs one invocation: call until it succeeds, cannot succeed, or may no
// longer be tried; tell whoever waits; mirror the trail. A failure is a result:
// the workflow completes with an [Outcome] whatever became of the call.
func Invoke(ctx workflow.Context, in activities.Invocation) (Outcome, error) {
	var outcome *Outcome
	err := workflow.SetUpdateHandler(ctx, OutcomeUpdate, func(ctx workflow.Context) (Outcome, error) {
		err := workflow.Await(ctx, func() bool { return outcome != nil })
		if outcome == nil {
			return Outcome{}, err
		}
		return *outcome, nil
	})
	if err != nil {
		return Outcome{}, err
	}

	known, trail := call(ctx, in)
	outcome = &known

	// What follows must happen even if the caller has cancelled.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if !known.OK {
		err := workflow.UpsertTypedSearchAttributes(ctx, ErrorClass.ValueSet(string(known.Failure.ErrorClass)))
		if err != nil {
			return Outcome{}, err
		}
	}
	if err := mirror(ctx, in, trail); err != nil {
		return Outcome{}, err
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return Outcome{}, err
	}
	return known, nil
}

// call makes an invocation's attempts and says what became of them.
func call(ctx workflow.Context, in activities.Invocation) (Outcome, activities.Trail) {
	in.Policy = in.Policy.WithDefaults()
	began := workflow.Now(ctx)
	var result activities.CallResult
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, callOptions(in)), activities.CallName, in).Get(ctx, &result)
	trail := result.Trail
	if err != nil {
		trail = trailOf(err, in.Policy, began, workflow.Now(ctx))
	}
	return outcomeOf(in, trail, result.Response, err), trail
}

// mirror copies a trail that has failures into the audit record.
func mirror(ctx workflow.Context, in activities.Invocation, trail activities.Trail) error {
	if len(trail.Failures()) == 0 {
		return nil
	}
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, mirrorOptions()), activities.MirrorName, activities.Finished{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, CorrelationID: in.CorrelationID,
		AdapterName: in.AdapterName, Operation: string(in.Operation),
		RunStartedAt: workflow.GetInfo(ctx).WorkflowStartTime, Trail: trail,
	}).Get(ctx, nil)
}

// callOptions are the retry policy of an invocation, as the Temporal UI shows
// it. With the default policy: waits of 1 s, 2 s and 4 s between four attempts
// of at most 10 s, all within 59 s of the budget of 60 s. An attempt that
// reports its failure asks for its slot's wait with jitter instead; the plain
// waits apply after one that did not report.
func callOptions(in activities.Invocation) workflow.ActivityOptions {
	p := in.Policy
	summary := in.Summary
	if summary == "" {
		summary = in.AdapterName + " " + string(in.Operation)
	}
	queue, allowance := queueOf(in)
	return workflow.ActivityOptions{
		TaskQueue:              queue,
		Priority:               fairly(in.OrganizationID),
		StartToCloseTimeout:    p.AttemptTimeout,
		ScheduleToCloseTimeout: p.Budget - min(reserve, p.Budget/10) + allowance,
		WaitForCancellation:    true, // the attempt under way must be on record
		Summary:                summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:        p.BaseDelay,
			BackoffCoefficient:     p.Coefficient,
			MaximumInterval:        max(p.Wait(max(p.MaxRetries, 1)), p.BaseDelay),
			MaximumAttempts:        int32(p.MaxAttempts()),
			NonRetryableErrorTypes: classify.NonRetryable(),
		},
	}
}

// mirrorOptions retry without limit: 1 s, 2 s, 4 s … up to 30 s, for ever. Each
// try has 20 s. Nothing bounds the whole, or a long outage would cut rows off.
func mirrorOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:           activities.TaskQueue, // also of a workflow in its integration's own queue
		StartToCloseTimeout: 20 * time.Second,
		Summary:             "audit rows to integration_run_logs",
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
	}
}

// trailOf finds the trail in the error of a call. A timeout must be looked for
// first: its cause is the failure of the attempt before, whose trail lacks the
// attempt that was lost.
func trailOf(err error, p classify.Policy, began, now time.Time) activities.Trail {
	var trail activities.Trail
	var timedOut *temporal.TimeoutError
	var failed *temporal.ApplicationError
	var cancelled *temporal.CanceledError
	var call *temporal.ActivityError
	errors.As(err, &call)
	switch {
	case errors.As(err, &timedOut):
		if timedOut.HasLastHeartbeatDetails() {
			_ = timedOut.LastHeartbeatDetails(&trail) // unreadable: the gaps are filled
		}
		switch {
		case call.StartedEventID() == 0 && len(trail) == 0:
			return nil // no worker ever took it
		case timedOut.TimeoutType() == enums.TIMEOUT_TYPE_START_TO_CLOSE && call.RetryState() == enums.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED:
			return trail.Lost(p.MaxAttempts(), began, now)
		case timedOut.TimeoutType() == enums.TIMEOUT_TYPE_START_TO_CLOSE && trail.Last().Class != "":
			return trail.Lost(len(trail)+1, began, now)
		}
		return trail.Lost(max(len(trail), 1), began, now)
	case errors.As(err, &failed):
		if failed.HasDetails() {
			_ = failed.Details(&trail)
		}
	case errors.As(err, &cancelled):
		if cancelled.HasDetails() {
			_ = cancelled.Details(&trail)
		}
		return trail.Lost(len(trail), began, now)
	}
	return trail
}
