package workflows

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
)

// Outcome is what became of an invocation: the workflow's result and the
// update's. Exactly one of Response and Failure is set.
type Outcome struct {
	OK            bool               `json:"ok"`
	CorrelationID uuid.UUID          `json:"correlationId"`
	AdapterName   string             `json:"adapterName"`
	TotalAttempts int                `json:"totalAttempts"`
	Response      *activities.Answer `json:"response,omitempty"`
	Failure       *Failure           `json:"failure,omitempty"`
	Kind          classify.Kind      `json:"kind,omitempty"` // of the last failure

	// Effect is what is known of a write: done, none, or open, and then until
	// OpenUntil, where that is known. A read has none.
	Effect    classify.Effect `json:"effect,omitempty"`
	OpenUntil *time.Time      `json:"openUntil,omitempty"`
}

// Failure says why an invocation failed. It has exactly these seven members.
// Callers look at IsRetryable, never at an exit code or a transport status.
type Failure struct {
	CorrelationID uuid.UUID      `json:"correlationId"`
	ErrorClass    classify.Class `json:"errorClass"` // transient, permanent or timeout
	HTTPStatus    *int           `json:"httpStatus"` // null if there was no response
	AdapterName   string         `json:"adapterName"`
	Attempt       int            `json:"attempt"` // the number of the last one; 0 if none was made
	Message       string         `json:"message"` // redacted, at most 500 characters
	IsRetryable   bool           `json:"isRetryable"`
}

// OutcomeOf is the outcome of a call that ended with err, nil if it succeeded, and with a
// result that has the whole trail. held is what was read of a call before it was
// cancelled. IsRetryable is always false: the retries that could help have been made.
func OutcomeOf(in activities.Invocation, called activities.CallResult, held activities.HoldResult, err error) Outcome {
	trail := called.Trail
	out := Outcome{OK: err == nil, CorrelationID: in.CorrelationID, AdapterName: in.AdapterName, TotalAttempts: trail.Last().Number}
	if !in.ChangesNothing() {
		var ended bool
		var until time.Time
		out.Effect, ended, until = trail.Effect()
		if ended { // the answer proves that it can no longer take effect
			until = trail.Last().EndedAt
		}
		if out.Effect == classify.Open && !until.IsZero() {
			out.OpenUntil = &until
		}
	}
	if out.OK {
		out.Response = &called.Response
		return out
	}
	last := trail.Last()
	out.Kind = last.Kind
	f := &Failure{
		CorrelationID: in.CorrelationID, ErrorClass: last.Class, AdapterName: in.AdapterName,
		Attempt: last.Number, Message: last.Message,
	}
	if last.HTTPStatus != 0 {
		f.HTTPStatus = &last.HTTPStatus
	}
	var cancelled *temporal.CanceledError
	if errors.As(err, &cancelled) {
		out.Kind = classify.Cancelled
	}
	switch {
	case errors.As(err, &cancelled) && held.Unread:
		f.ErrorClass, f.Message = classify.Permanent, "cancelled by the caller; Temporal could not be asked for the attempts before: the audit record has one, of which nothing is known"
	case errors.As(err, &cancelled):
		f.ErrorClass, f.Message = classify.Permanent, "cancelled by the caller"
	case neverTaken(err) && last.Kind == classify.WorkerLost:
		f.Message += "; no worker took the next one within the budget"
	case len(trail) == 0:
		f.ErrorClass, f.Message = classify.Timeout, "no worker took the call within its budget; is a worker running on this task queue?"
	}
	out.Failure = f
	return out
}

// neverTaken reports whether a call's time was up while it waited for a worker.
func neverTaken(err error) bool {
	var timedOut *temporal.TimeoutError
	var call *temporal.ActivityError
	return errors.As(err, &timedOut) && timedOut.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE && errors.As(err, &call) && call.StartedEventID() == 0
}
