package workflows

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// step makes the item at hand as one invocation, with audit rows of its own, and
// does what [decide] says. It returns false if the run has to end.
func step(ctx workflow.Context, in SyncInput, p *Progress) (goOn bool, err error) {
	item, ok, sleep := p.take(workflow.Now(ctx))
	if !ok {
		return waitAside(ctx, in, p, sleep)
	}
	if item.Do != "" {
		return true, arrange(ctx, p, item)
	}
	var correlation uuid.UUID
	err = workflow.SideEffect(ctx, func(workflow.Context) any {
		return uuid.New() //workflowcheck:ignore
	}).Get(&correlation)
	if err != nil {
		return false, err
	}
	inv := in.invocation(p.Export, item, correlation)
	outcome, result := call(ctx, inv)
	p.Export.LastCorrelationID = &correlation
	p.Export.Attempts += len(result.Trail)
	cancelled := ctx.Err() != nil
	durable, _ := workflow.NewDisconnectedContext(ctx)
	if err := mirror(durable, inv, result.Trail); err != nil {
		return false, err
	}
	s := seenOf(inv, item, outcome, result)
	s.cancelled = cancelled && !outcome.OK
	return apply(ctx, in, p, s)
}

// VerifyPolicy is the policy for checking a contract, which takes up to a dozen
// requests: an attempt of 25 s, and a second one.
func VerifyPolicy() classify.Policy {
	p := classify.DefaultPolicy()
	p.AttemptTimeout, p.MaxRetries = 25*time.Second, 1
	return p
}

// invocation is the one that makes an item.
func (in SyncInput) invocation(e runlog.Export, item Item, correlation uuid.UUID) activities.Invocation {
	chunk := activities.Chunk{ExportID: e.ID, Chunk: item.Chunk, Fence: e.Fence, Step: item.Step}
	policy := in.Policy.WithDefaults()
	if item.Step == activities.VerifyStep {
		policy = VerifyPolicy()
	}
	return activities.Invocation{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, AdapterName: in.AdapterName, CorrelationID: correlation,
		Operation: adapters.Export, Body: chunk.Body(), Policy: policy, Summary: summaryOf(e.Period, chunk),
		OwnQueue: in.OwnQueue, ReadOnly: item.Step != activities.SendStep,
	}
}

// longestOpen is more than an effect can be open for: inFlight is at most an hour,
// an attempt a minute. It is the difference of the database's time and a worker's,
// whose clock may be wrong. A question that comes too early is refused and repeated.
const longestOpen = time.Hour + time.Minute

// seenOf is what an invocation of an item has shown.
func seenOf(in activities.Invocation, item Item, o Outcome, r activities.CallResult) seen {
	last := r.Trail.Last()
	s := seen{item: item, ok: o.OK, left: r.Left, kind: last.Kind, class: last.Class, asking: last.Asking, retryIn: last.RetryAfter}
	var until time.Time
	s.effect, s.ended, until = r.Trail.Effect()
	if !until.IsZero() {
		s.openFor = min(max(0, until.Sub(last.EndedAt)), longestOpen)
	}
	if o.Failure != nil {
		s.class, s.message = o.Failure.ErrorClass, o.Failure.Message
	}
	s.vouchers, s.entries, s.took, s.timeout = last.Vouchers, last.Entries, last.EndedAt.Sub(last.StartedAt), in.Policy.AttemptTimeout
	sent := false
	for _, a := range r.Trail {
		s.requests, s.lookUps = s.requests+a.Requests, s.lookUps+a.LookUps
		// What was found before anything was sent is of an earlier run, unless this one asks
		// for what it has sent.
		found := a.Found == classify.Done && (sent || item.Step == activities.AskStep)
		s.accepted = s.accepted || a.Effect == classify.Done || found
		sent = sent || a.Effect != ""
		if a.Effect != "" { // of its last sending
			s.unanswered = a.Effect == classify.Open && slices.Contains(gaveUp, a.Kind)
		}
	}
	return s
}

// gaveUp are the kinds of a sending that may have been too much for the vendor: it
// said so, or did not answer in time.
var gaveUp = []classify.Kind{classify.AttemptTimeout, classify.RequestTimeout, classify.GatewayTimeout}

// apply does what follows from an invocation.
func apply(ctx workflow.Context, in SyncInput, p *Progress, s seen) (goOn bool, err error) {
	f := p.Follow(s, workflow.Now(ctx), in.DeferBase)
	switch {
	case f.Reclaim:
		return false, errNotOwner
	case f.Split != nil:
		durable, _ := workflow.NewDisconnectedContext(ctx)
		var halved bool
		if err := store(durable, activities.SplitName, summaries[halve], activities.SplitInput{Export: p.Export, Split: *f.Split}, &halved); err != nil {
			return false, err
		}
		p.halved(f.Split, halved)
	case f.Sleep > 0:
		if err := sleepDeferred(ctx, p, f.Sleep); err != nil {
			p.fail(classify.Permanent, classify.Cancelled, "cancelled while it waited: "+s.message)
			return false, nil
		}
	}
	return !f.Over, nil
}

// waitAside sleeps until an item that was set aside is due. That is no deferral.
func waitAside(ctx workflow.Context, in SyncInput, p *Progress, d time.Duration) (goOn bool, err error) {
	title := in.AdapterName
	if v, ok := vendors.Lookup(in.AdapterName); ok {
		title = v.Title
	}
	until := workflow.Now(ctx).Add(d)
	err = workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{
		Summary: "waiting until " + until.UTC().Format(time.TimeOnly) + " for what " + title + " may still be doing",
	}).Get(ctx, nil)
	if err != nil {
		p.fail(classify.Permanent, classify.Cancelled, "cancelled while it waited for what "+title+" may still be doing")
		return false, nil
	}
	return true, nil
}

func summaryOf(period string, c activities.Chunk) string {
	switch c.Step {
	case activities.PingStep:
		return "export " + period + ", whether the vendor takes any request"
	case activities.VerifyStep:
		return "export " + period + ", the contract with the vendor"
	case activities.LateErrorsStep:
		return "export " + period + ", late errors"
	case activities.AskStep:
		return fmt.Sprintf("export %s, what the vendor has of chunk %d", period, c.Chunk)
	}
	return fmt.Sprintf("export %s, chunk %d", period, c.Chunk)
}

// sleepDeferred lets the run wait: a durable timer, visible on its row.
func sleepDeferred(ctx workflow.Context, p *Progress, d time.Duration) error {
	err := store(ctx, activities.DeferName, "deferred until "+p.Export.DeferredUntil.UTC().Format(time.RFC3339), p.Export, nil)
	if err != nil {
		return err
	}
	err = workflow.Sleep(ctx, d)
	p.Export.DeferredUntil = nil
	return err
}

// arrangement is the activity of an item that is no invocation. done notes its result,
// which it reads with the function that it is given.
func arrangement(p *Progress, item Item) (name string, arg any, done func(result func(any) error) error) {
	switch item.Do {
	case draw:
		d := p.drawOf(item)
		return activities.DrawName, activities.DrawInput{Export: p.Export, Draw: d}, func(result func(any) error) error {
			var r runlog.DrawResult
			err := result(&r)
			if err == nil {
				p.drawn(d, r)
			}
			return err
		}
	case fit:
		f := p.fitOf(item)
		return activities.FitName, activities.FitInput{Export: p.Export, Fit: f}, func(result func(any) error) error {
			var r runlog.FitResult
			err := result(&r)
			if err == nil {
				p.fitted(f, r, item)
			}
			return err
		}
	}
	s := p.split(item)
	return activities.SplitName, activities.SplitInput{Export: p.Export, Split: *s}, func(result func(any) error) error {
		var halved bool
		err := result(&halved)
		if err == nil {
			p.halved(s, halved)
		}
		return err
	}
}

// summaries are what the Temporal UI shows of the activities that arrange chunks.
var summaries = map[next]string{
	draw: "refused: try a voucher alone", fit: "too much: make chunks smaller", halve: "refused: find the voucher",
}

// arrange runs the activity of an item that is no invocation.
func arrange(ctx workflow.Context, p *Progress, item Item) error {
	durable, _ := workflow.NewDisconnectedContext(ctx)
	name, arg, done := arrangement(p, item)
	return done(func(result any) error { return store(durable, name, summaries[item.Do], arg, result) })
}
