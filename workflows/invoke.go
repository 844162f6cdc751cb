package workflows

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/redact"
)

// InvokeName is the workflow type of [Invoke].
const InvokeName = "Invoke"

// OutcomeUpdate is the update by which callers wait for the [Outcome]. It
// returns as soon as the outcome is known, before the audit rows are written. Its
// argument is the [RequestSum] of what the caller asks for; "" if any request will do. One
// that asks for something else is refused with the error type OtherRequest.
const OutcomeUpdate = "outcome"

// OtherRequest is the error type of an [OutcomeUpdate] that asks for something else than
// the invocation did.
const OtherRequest = "other_request"

// reserve is what the workflow keeps of the budget for reporting.
const reserve = time.Second

// Invoke runs one invocation: call until it succeeds, cannot succeed, or may no
// longer be tried; answer those who wait; mirror the trail. A failure is a result:
// the workflow completes with an [Outcome] whatever became of the call.
func Invoke(ctx workflow.Context, in activities.Invocation) (Outcome, error) {
	var outcome *Outcome
	err := workflow.SetUpdateHandlerWithOptions(ctx, OutcomeUpdate, func(ctx workflow.Context, _ string) (Outcome, error) {
		ctx, _ = workflow.NewDisconnectedContext(ctx) // a cancelled invocation has an outcome too
		err := workflow.Await(ctx, func() bool { return outcome != nil })
		if outcome == nil {
			return Outcome{}, err
		}
		return *outcome, nil
	}, workflow.UpdateHandlerOptions{Validator: func(_ workflow.Context, sum string) error {
		if sum != "" && sum != RequestSum(in) {
			return temporal.NewNonRetryableApplicationError("this correlation ID stands for another request", OtherRequest, nil)
		}
		return nil
	}})
	if err != nil {
		return Outcome{}, err
	}

	in.Policy = in.Policy.WithDefaults()
	show(ctx, in.IntegrationName, "the call is under way: at most %s of %s within %s; Pending Activities shows them and when the next one is",
		count(in.Policy.MaxAttempts(), "attempt"), integrations.Short(in.Policy.AttemptTimeout), integrations.Short(in.Policy.Budget))
	known, called := refused(in), activities.CallResult{}
	if known.Failure == nil {
		known, called = call(ctx, in)
	}
	outcome = &known // which answers those who wait
	show(ctx, in.IntegrationName, "%s", known.words())

	// What follows must happen even if the caller has cancelled.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if !known.OK {
		err := workflow.UpsertTypedSearchAttributes(ctx, ErrorClass.ValueSet(string(known.Failure.ErrorClass)), outcomeOf(known.Ending()))
		if err != nil {
			return Outcome{}, err
		}
	}
	if err := mirror(ctx, in, called.Trail); err != nil {
		return Outcome{}, err
	}
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return Outcome{}, err
	}
	return known, nil
}

// refused is the outcome of an invocation whose input is not valid. Its Failure is nil if
// the input is valid.
func refused(in activities.Invocation) Outcome {
	adapter := activities.AdapterLabel(in.AdapterName)
	out := Outcome{CorrelationID: in.CorrelationID, AdapterName: adapter}
	if err := in.Validate(); err != nil {
		out.Failure = &Failure{CorrelationID: in.CorrelationID, ErrorClass: classify.Permanent, AdapterName: adapter,
			Message: redact.Text("the invocation is not valid, and nothing was sent: " + onOneLine(err))}
	}
	return out
}

// call makes an invocation's attempts and says what became of them, with the
// whole trail. Cancelling a call first captures its attempts, because an activity
// that is waiting for a retry closes without them.
func call(ctx workflow.Context, in activities.Invocation) (Outcome, activities.CallResult) {
	in.Policy = in.Policy.WithDefaults()
	began := workflow.Now(ctx)
	durable, cancel := workflow.NewDisconnectedContext(ctx)
	calling := workflow.ExecuteActivity(workflow.WithActivityOptions(durable, callOptions(in)), activities.CallName, in)
	var held activities.HoldResult
	if workflow.Await(ctx, calling.IsReady) != nil { // the caller has cancelled
		held = hold(durable)
		held.Cancelled = true
		cancel()
	}
	var result activities.CallResult
	err := calling.Get(durable, &result)
	if err != nil {
		// Where the worker was lost while it held the call, the cancellation and the call's
		// end arrive together, and nothing shows that it was held.
		held.Cancelled = held.Cancelled || ctx.Err() != nil
		result.Trail = trailOf(err, held, in.Policy, began, workflow.Now(ctx))
	}
	return OutcomeOf(in, result, held, err), result
}

// hold reads what a call's attempts have left before it is cancelled. It is a local
// activity, because it needs no more than this worker has, and the cancellation goes out
// with the answer. If Temporal does not answer within 5 s, the call is cancelled without
// it.
func hold(ctx workflow.Context) activities.HoldResult {
	var held activities.HoldResult
	err := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 2 * time.Second, ScheduleToCloseTimeout: 5 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: time.Second},
	}), activities.HoldName).Get(ctx, &held)
	if err != nil {
		workflow.GetLogger(ctx).Error("a call is cancelled without knowing its attempts", "error", err)
		held.Unread = true
	}
	return held
}

// mirror copies a trail into the audit record, if it leaves rows there.
func mirror(ctx workflow.Context, in activities.Invocation, trail activities.Trail) error {
	f := activities.MirrorInput{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, CorrelationID: in.CorrelationID,
		AdapterName: in.AdapterName, Operation: in.Operation, Actor: in.Actor, ReadOnly: in.ChangesNothing(),
		RunStartedAt: workflow.GetInfo(ctx).WorkflowStartTime, Trail: trail,
	}
	if !f.Rows() {
		return nil
	}
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, mirrorOptions()), activities.MirrorName, f).Get(ctx, nil)
}

// callOptions are the retry policy of an invocation, as the Temporal UI shows it. With the
// default policy: waits of 1 s, 2 s and 4 s between four attempts of at most 10 s, all
// within 59 s of the budget of 60 s. An attempt that reports its failure sets the wait
// after it itself, with jitter; these waits apply after one that did not report.
func callOptions(in activities.Invocation) workflow.ActivityOptions {
	p := in.Policy
	summary := in.Summary
	if summary == "" {
		summary = in.AdapterName + " " + string(in.Operation)
	}
	queue, allowance := queueOf(in)
	return workflow.ActivityOptions{
		TaskQueue:              queue,
		Priority:               Fairly(in.OrganizationID),
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

// mirrorOptions retry without limit: 1 s, 2 s, 4 s … up to 30 s. Each attempt has 20 s.
// Nothing bounds the whole, or a long outage would lose rows.
func mirrorOptions() workflow.ActivityOptions {
	return workflow.ActivityOptions{
		TaskQueue:           activities.TaskQueue, // also of a workflow in its integration's own queue
		StartToCloseTimeout: 20 * time.Second,
		Summary:             "audit rows to integration_run_logs",
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 30 * time.Second},
	}
}

// trailOf finds the trail in the error of a call, or in what was held of it. A timeout
// comes first: its cause is the failure of the attempt before, whose trail lacks the
// attempt that was lost.
func trailOf(err error, held activities.HoldResult, p classify.Policy, began, now time.Time) activities.Trail {
	var trail activities.Trail
	var timedOut *temporal.TimeoutError
	var failed *temporal.ApplicationError
	var cancelled *temporal.CanceledError
	switch {
	case errors.As(err, &timedOut):
		if timedOut.HasLastHeartbeatDetails() {
			_ = timedOut.LastHeartbeatDetails(&trail) // unreadable: the gaps are filled
		}
		n := max(len(trail), held.Begun)
		// An attempt's word can arrive, and its end be late: then none is missing that was held as the last.
		missing := (trail.Last().Class != "" || len(trail) == 0) && (!held.Last || len(trail) < held.Begun)
		if missing && lostOne(err, timedOut) {
			n = max(n, len(trail)+1)
		}
		if outOfAttempts(err) && !held.Cancelled { // a call that was held has made no more than it had
			n = max(n, p.MaxAttempts())
		}
		return trail.Lost(n, began, now)
	case errors.As(err, &failed):
		if failed.HasDetails() {
			_ = failed.Details(&trail)
		}
	case errors.As(err, &cancelled):
		begun := held.Begun
		if held.Unread { // there may have been one, and it is not dropped
			begun = max(1, begun)
		}
		return held.Trail.Lost(begun, began, now)
	}
	if len(trail) == 0 { // it ended without a report: it may have been refused
		trail = held.Trail.Lost(max(1, held.Begun), began, now)
	}
	return trail
}

// lostOne reports whether the last attempt of a call that timed out was lost: it was
// under way, or the call waited for another one after it, which no worker took.
func lostOne(err error, timedOut *temporal.TimeoutError) bool {
	var call *temporal.ActivityError
	if errors.As(err, &call) && call.StartedEventID() != 0 {
		return true
	}
	var before *temporal.TimeoutError
	return errors.As(timedOut.Unwrap(), &before) && before.TimeoutType() == enums.TIMEOUT_TYPE_START_TO_CLOSE
}

// outOfAttempts reports whether Temporal ended a call because it had made all its attempts.
func outOfAttempts(err error) bool {
	var call *temporal.ActivityError
	return errors.As(err, &call) && call.RetryState() == enums.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED
}

// RequestSum identifies what an invocation asks for, to notice a correlation ID that is
// used again for something else. How the JSON of a body is written does not count.
func RequestSum(in activities.Invocation) string {
	body := in.Body
	if len(body) > 0 { // as it arrives at a worker
		encoded, err := json.Marshal(body) //workflowcheck:ignore
		if err == nil {
			body = encoded
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %q %s", in.IntegrationID, in.Operation, in.AdapterName, body))
	return hex.EncodeToString(sum[:])
}
