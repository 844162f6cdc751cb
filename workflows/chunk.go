package workflows

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// maxDeferrals is how often in a row a run waits for a vendor before it gives
// up; with the waits doubling from a minute to twenty, about fifteen hours.
const maxDeferrals = 48

// current is the chunk at hand: the last half, or the next one that was
// planned; when none is left, the question for late faults.
func (p Progress) current() activities.Chunk {
	c := activities.Chunk{ExportID: p.Export.ID}
	switch {
	case p.Left() == 0:
		c.Step = activities.FaultsStep
		return c
	case len(p.Halves) > 0:
		c.Chunk = p.Halves[len(p.Halves)-1]
	default:
		c.Chunk = p.Next
	}
	if p.Verify {
		c.Step, c.Reason = activities.VerifyStep, p.Reason
	}
	return c
}

// done goes on to what comes after the chunk at hand.
func (p *Progress) done() {
	switch {
	case p.Left() == 0:
		p.Faults = true
	case len(p.Halves) > 0:
		p.Halves = p.Halves[:len(p.Halves)-1]
	default:
		p.Next++
	}
	p.Deferrals, p.Verify, p.Reason = 0, false, ""
}

// halve sends both halves of the chunk at hand in its place; the upper one has
// got the next number.
func (p *Progress) halve() {
	lower := p.current().Chunk
	p.done()
	p.Last++
	p.Halves = append(p.Halves, p.Last, lower)
}

// step sends the chunk at hand as one invocation, with audit rows of its own,
// and acts on what became of it. It returns false if the run cannot go on.
func step(ctx workflow.Context, in SyncInput, p *Progress) (goOn bool, err error) {
	chunk := p.current()
	var correlation uuid.UUID
	err = workflow.SideEffect(ctx, func(workflow.Context) any {
		return uuid.New() //workflowcheck:ignore
	}).Get(&correlation)
	if err != nil {
		return false, err
	}
	inv := activities.Invocation{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, AdapterName: in.AdapterName, CorrelationID: correlation,
		Operation: adapters.Export, Body: chunk.Body(), Policy: in.Policy, Summary: summaryOf(p.Export.Period, chunk),
		OwnQueue: in.OwnQueue,
	}
	outcome, trail := call(ctx, inv)
	p.Export.LastCorrelationID = &correlation
	p.Export.Attempts += len(trail)
	cancelled := ctx.Err() != nil
	durable, _ := workflow.NewDisconnectedContext(ctx)
	if err := mirror(durable, inv, trail); err != nil {
		return false, err
	}
	if outcome.OK {
		p.Unwelcome = false
		p.done()
		return true, nil
	}
	last, message := trail.Last(), outcome.Failure.Message
	settle := func(state, summary string) error {
		return store(durable, activities.SettleName, summary, activities.Settled{OrganizationID: in.OrganizationID, Chunk: chunk, State: state, Reason: message}, nil)
	}
	fail := func(code classify.Kind) {
		p.Export.ErrorClass, p.Export.ErrorCode, p.Export.ErrorMessage = string(outcome.Failure.ErrorClass), string(code), message
	}
	permanent := outcome.Failure.ErrorClass == classify.Permanent && !passing[last.Kind]
	unwelcome := p.Unwelcome && last.Kind == classify.Business
	if unwelcome {
		message = "the vendor refuses every request, also one that asks for nothing, perhaps because of its token: " + message
	}
	switch {
	case cancelled:
		fail(classify.Cancelled)
		return false, nil
	case chunk.Step == activities.FaultsStep && (permanent || p.Deferrals >= maxDeferrals && last.Kind != classify.Paused):
		// The entries are where they should be; only what the vendor thinks of
		// them could not be asked.
		p.Export.ErrorMessage = "late faults could not be asked for: " + message
		p.done()
		return true, nil
	case last.Kind == classify.UnknownOutcome:
		p.done()
		return true, settle("unknown", "outcome unknown")
	case chunk.Step == activities.SendStep && refused[last.Kind] && !unwelcome:
		return true, split(durable, in, p, chunk, message, p.Plan.Atomic && !trail.Uncertain() && trail.Marked())
	case permanent, p.Deferrals >= maxDeferrals && last.Kind != classify.Paused:
		fail(last.Kind)
		if trail.Uncertain() || !trail.Marked() || chunk.Step != activities.SendStep {
			return false, nil // it stays as it is: if it is marked as sent, its outcome is open
		}
		return false, settle("planned", "not sent")
	}
	if err := wait(ctx, in, p, last); err != nil {
		fail(classify.Cancelled)
		p.Export.ErrorMessage = "cancelled while it waited: " + message
		return false, nil
	}
	return true, nil
}

func summaryOf(period string, c activities.Chunk) string {
	switch c.Step {
	case activities.FaultsStep:
		return "export " + period + ", late faults"
	case activities.VerifyStep:
		return fmt.Sprintf("export %s, what the vendor has of chunk %d", period, c.Chunk)
	}
	return fmt.Sprintf("export %s, chunk %d", period, c.Chunk)
}

// refused are the failures by which a vendor says no to what was sent, and not
// to who sent it.
var refused = map[classify.Kind]bool{
	classify.Business: true, classify.BadRequest: true, classify.Unprocessable: true, classify.Duplicate: true, classify.Transformation: true,
}

// passing are permanent failures that pass by themselves: permanent for an
// invocation, and a run waits.
var passing = map[classify.Kind]bool{classify.QuotaExhausted: true, classify.Paused: true}

// split halves a refused chunk to find the voucher that the vendor refuses. One
// voucher is rejected, if need be after asking whether none of it was stored:
// where a refusal does not mean that (atomic is false), or where the question
// what is there from before was refused and not the entries.
func split(ctx workflow.Context, in SyncInput, p *Progress, chunk activities.Chunk, reason string, atomic bool) error {
	var halved bool
	err := store(ctx, activities.SplitName, "refused: find the voucher", activities.Settled{
		OrganizationID: in.OrganizationID, Chunk: chunk, Into: p.Last + 1, Atomic: atomic, Reason: reason,
	}, &halved)
	switch {
	case err != nil:
		return err
	case halved:
		p.halve()
	case atomic:
		p.done()
	default:
		p.Verify, p.Reason = true, reason
	}
	return nil
}

// wait defers the run: a durable timer, visible on its row. It is never shorter
// than what the vendor asked for.
func wait(ctx workflow.Context, in SyncInput, p *Progress, last activities.Attempt) error {
	base := in.DeferBase
	if base == 0 {
		base = time.Minute
	}
	d := max(min(base<<min(p.Deferrals, 10), 20*time.Minute), min(last.Asked, 31*24*time.Hour))
	if last.Kind != classify.Paused { // which is nobody's failure
		p.Deferrals++
	}
	until := workflow.Now(ctx).Add(d)
	p.Export.DeferredUntil = &until
	if err := store(ctx, activities.DeferName, "deferred until "+until.UTC().Format(time.RFC3339), p.Export, nil); err != nil {
		return err
	}
	err := workflow.Sleep(ctx, d)
	p.Export.DeferredUntil = nil
	return err
}
