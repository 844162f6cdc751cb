package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// NotAgainError is returned for a call that is not made again. Nothing was sent.
type NotAgainError struct {
	CorrelationID uuid.UUID // of the call that is in the way: the one that was asked for, or a repeat of it
	Why           string
}

// Error says what is in the way, and what to do.
func (e *NotAgainError) Error() string { return fmt.Sprintf("call %s %s", e.CorrelationID, e.Why) }

// callState is how far a call is, as far as it matters for making it again.
type callState string

const (
	callAbsent callState = "absent" // there is none
	callRuns   callState = "runs"
	callFailed callState = "failed" // it has ended, and nothing was done
)

// CallAgain makes a call that failed again, as a new call that names the old one, and returns
// it without waiting; [Execute] of what it returns waits for its outcome. Its request is the
// old one's, as long as Temporal keeps that, and the integration's retries and limits are as
// they are now. by is who asks for it.
//
// Nothing is done twice. The old call, and each repeat of it, must have ended with the proof
// that nothing was done, or change nothing. That it is made again is recorded before it starts:
// no other call of the family is sent from then on, also when Temporal has forgotten all of
// them, and none is made again while another one is being sent. The ID of a repeat follows from that of the first
// call and its number, so two who ask at once get one new call; one that is under way is
// returned as it is. The error is a [*NotAgainError] where there is none to be made.
func CallAgain(ctx context.Context, c client.Client, db runlog.Beginner, organization, correlation uuid.UUID, by string) (activities.Invocation, error) {
	old, err := requestOf(ctx, c, organization, correlation)
	if err != nil {
		return old, err
	}
	first := correlation
	if old.Repeats != nil {
		first = *old.Repeats
	}
	last, err := runlog.LastRepeat(ctx, db, organization, first)
	if err != nil {
		return old, err
	}
	id := first
	for n := 0; ; n++ {
		if n > 0 {
			id = repeatID(organization, first, n)
		}
		state, err := stateOf(ctx, c, db, old, id)
		switch {
		case err != nil:
			return old, err
		case state == callRuns && n > 0:
			return requestOf(ctx, c, organization, id)
		case state == callRuns:
			return old, &NotAgainError{id, "has not ended: wait for its outcome, or end it with starter cancel"}
		case state == callAbsent && n > 0 && n >= last:
			return startRepeat(ctx, c, db, old, first, n, by)
		}
	}
}

// startRepeat starts the repeat of a number.
func startRepeat(ctx context.Context, c client.Client, db runlog.Beginner, old activities.Invocation, first uuid.UUID, n int, by string) (in activities.Invocation, err error) {
	integration, err := runlog.LoadIntegration(ctx, db, old.OrganizationID, old.IntegrationID)
	if err != nil {
		return in, fmt.Errorf("the integration of call %s: %w", old.CorrelationID, err)
	}
	in = NewInvocation(integration, old.Operation, old.Body)
	in.CorrelationID, in.Idempotent, in.Repeats, in.Repeat = repeatID(old.OrganizationID, first, n), old.Idempotent, &first, n
	in.Actor = fmt.Sprintf("%s, call %s again", by, first) // which its rows in the audit record have
	way, err := runlog.RecordRepeat(ctx, db, old.OrganizationID, runlog.Repeat{First: first, Number: n, ID: in.CorrelationID})
	switch {
	case err != nil:
		return in, fmt.Errorf("call %s: %w", in.CorrelationID, err)
	case way != nil && way.Effect == "":
		return in, &NotAgainError{way.ID, "is a later repeat of it: ask for that one, see starter show"}
	case way != nil:
		return in, mayHaveActed(way.ID, way.Effect)
	}
	if _, err := c.ExecuteWorkflow(ctx, InvokeOptions(in), workflows.InvokeName, in); err != nil {
		return in, fmt.Errorf("call %s: %w", in.CorrelationID, err)
	}
	return in, nil
}

// repeatID is the correlation ID of the repeat of a call with a number, from 1. It is as a
// random one: version 4.
func repeatID(organization, first uuid.UUID, n int) (id uuid.UUID) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s again %d", organization, first, n))
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// requestOf reads what a call asks for, from the beginning of its history.
func requestOf(ctx context.Context, c client.Client, organization, correlation uuid.UUID) (in activities.Invocation, err error) {
	events := c.GetWorkflowHistory(ctx, workflows.InvokeID(organization, correlation), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var gone *serviceerror.NotFound
	if !events.HasNext() {
		return in, notKept(correlation)
	}
	e, err := events.Next()
	if errors.As(err, &gone) {
		return in, notKept(correlation)
	}
	if err != nil {
		return in, fmt.Errorf("call %s: %w", correlation, err)
	}
	err = converter.GetDefaultDataConverter().FromPayloads(e.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in)
	if err != nil || in.OrganizationID != organization || in.CorrelationID != correlation {
		return in, &NotAgainError{correlation, "was not started as a call of this organization"}
	}
	return in, nil
}

func notKept(correlation uuid.UUID) error {
	return &NotAgainError{correlation, "is not in Temporal any more, and so is its request: make a new call with starter call --body"}
}

// stateOf is how far a call is. The error is a [*NotAgainError] if it succeeded, if it may have
// done something, or if it was ended so that an attempt may still be under way.
func stateOf(ctx context.Context, c client.Client, db runlog.Beginner, old activities.Invocation, id uuid.UUID) (callState, error) {
	workflowID := workflows.InvokeID(old.OrganizationID, id)
	state := callFailed
	d, err := c.DescribeWorkflow(ctx, workflowID, "")
	var gone *serviceerror.NotFound
	switch {
	case errors.As(err, &gone):
		state = callAbsent
	case err != nil:
		return "", fmt.Errorf("call %s: %w", id, err)
	case !activities.Closed(d.Status):
		return callRuns, nil
	case d.Status == enums.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		var outcome workflows.Outcome
		if err := c.GetWorkflow(ctx, workflowID, d.WorkflowExecution.RunID).Get(ctx, &outcome); err != nil {
			return "", fmt.Errorf("call %s: %w", id, err)
		}
		if outcome.OK {
			return "", &NotAgainError{id, "succeeded: nothing is to be made again"}
		}
		if err := mayHaveActed(id, outcome.Effect); err != nil {
			return "", err
		}
	case !old.ChangesNothing():
		return "", &NotAgainError{id, "was ended from outside, and an attempt may still be under way: ask what became of it with starter call --correlation-id and the same body"}
	}
	claim, err := runlog.LoadWriteState(ctx, db, old.OrganizationID, id)
	if err != nil {
		return "", err
	}
	if claim != nil { // somebody has used the ID, if Temporal has forgotten it or not
		return callFailed, mayHaveActed(id, claim.Effect)
	}
	return state, nil
}

// mayHaveActed is an error unless nothing was done.
func mayHaveActed(id uuid.UUID, effect classify.Effect) error {
	switch effect {
	case classify.Done:
		return &NotAgainError{id, "has taken effect at the vendor: nothing is to be made again"}
	case classify.Open:
		return &NotAgainError{id, "may have taken effect at the vendor: ask what became of it with starter call --correlation-id and the same body, and see starter show"}
	}
	return nil
}

// madeAgain is a [*NotAgainError] if a call was made again as a new one, which would double
// what another run of the old one does. A read may be made as often as anybody likes.
func madeAgain(ctx context.Context, c client.Client, in activities.Invocation) error {
	if in.Operation == adapters.Ping || in.ReadOnly {
		return nil
	}
	first, next := in.CorrelationID, 1
	old, err := requestOf(ctx, c, in.OrganizationID, in.CorrelationID)
	var refused *NotAgainError
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	if err == nil && old.Repeats != nil {
		first, next = *old.Repeats, old.Repeat+1
	}
	again := repeatID(in.OrganizationID, first, next)
	_, err = c.DescribeWorkflow(ctx, workflows.InvokeID(in.OrganizationID, again), "")
	var gone *serviceerror.NotFound
	switch {
	case errors.As(err, &gone):
		return nil
	case err != nil:
		return fmt.Errorf("call %s: %w", in.CorrelationID, err)
	}
	return &NotAgainError{in.CorrelationID, fmt.Sprintf("was made again as call %s: ask for that one, see starter show", again)}
}
