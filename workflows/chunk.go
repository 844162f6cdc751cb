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
	"github.com/ledgerline/ledgerline/exports"
)

// step makes the item at hand as one invocation, with audit rows of its own, and
// does what [decide] says. It returns false if the run has to end.
func step(ctx workflow.Context, in SyncInput, p *exports.Progress) (goOn bool, err error) {
	item, ok, sleep := p.Take(workflow.Now(ctx))
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
	s.Cancelled = cancelled && !outcome.OK
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
func (in SyncInput) invocation(e exports.Export, item exports.Item, correlation uuid.UUID) activities.Invocation {
	chunk := activities.Chunk{ExportID: e.ID, Chunk: item.Chunk, Fence: e.Fence, Step: item.Step}
	policy := in.Policy.WithDefaults()
	if item.Step == exports.VerifyStep {
		policy = VerifyPolicy()
	}
	return activities.Invocation{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, AdapterName: in.AdapterName, CorrelationID: correlation,
		Operation: adapters.Export, Body: chunk.Body(), Policy: policy, Summary: summaryOf(e.Period, chunk),
		OwnQueue: in.OwnQueue, ReadOnly: item.Step != exports.SendStep,
	}
}

// longestOpen is more than an effect can be open for: inFlight is at most an hour,
// an attempt a minute. It is the difference of the database's time and a worker's,
// whose clock may be wrong. A question that comes too early is refused and repeated.
const longestOpen = time.Hour + time.Minute

// seenOf is what an invocation of an item has shown.
func seenOf(in activities.Invocation, item exports.Item, o Outcome, r activities.CallResult) exports.Result {
	last := r.Trail.Last()
	s := exports.Result{Item: item, OK: o.OK, Left: r.Left, Kind: last.Kind, Class: last.Class, Asking: last.Asking, RetryIn: last.RetryAfter}
	var until time.Time
	s.Effect, s.Ended, until = r.Trail.Effect()
	if !until.IsZero() {
		s.OpenFor = min(max(0, until.Sub(last.EndedAt)), longestOpen)
	}
	if o.Failure != nil {
		s.Class, s.Message = o.Failure.ErrorClass, o.Failure.Message
	}
	s.Vouchers, s.Entries, s.Took, s.Timeout = last.Vouchers, last.Entries, last.EndedAt.Sub(last.StartedAt), in.Policy.AttemptTimeout
	sent := false
	for _, a := range r.Trail {
		s.Requests, s.LookUps = s.Requests+a.Requests, s.LookUps+a.LookUps
		// What was found before anything was sent is of an earlier run, unless this one asks
		// for what it has sent.
		found := a.Found == classify.Done && (sent || item.Step == exports.AskStep)
		s.Accepted = s.Accepted || a.Effect == classify.Done || found
		sent = sent || a.Effect != ""
		if a.Effect != "" { // of its last sending
			s.Unanswered = a.Effect == classify.Open && slices.Contains(gaveUp, a.Kind)
		}
	}
	return s
}

// gaveUp are the kinds of a sending that may have been too much for the vendor: it
// said so, or did not answer in time.
var gaveUp = []classify.Kind{classify.AttemptTimeout, classify.RequestTimeout, classify.GatewayTimeout}

// apply does what follows from an invocation.
func apply(ctx workflow.Context, in SyncInput, p *exports.Progress, s exports.Result) (goOn bool, err error) {
	f := p.Follow(s, workflow.Now(ctx), in.DeferBase)
	switch {
	case f.Reclaim:
		return false, errNotOwner
	case f.Split != nil:
		durable, _ := workflow.NewDisconnectedContext(ctx)
		var r activities.SplitResult
		if err := store(durable, activities.SplitName, summaries[exports.DoHalve], activities.SplitInput{Export: p.Export, Split: *f.Split}, &r); err != nil {
			return false, err
		}
		p.Halved(f.Split, r.Halved)
	case f.Sleep > 0:
		if err := sleepDeferred(ctx, p, f.Sleep); err != nil {
			p.Fail(classify.Permanent, classify.Cancelled, "cancelled while it waited: "+s.Message)
			return false, nil
		}
	}
	return !f.Over, nil
}

// waitAside sleeps until an item that was set aside is due. That is no deferral.
func waitAside(ctx workflow.Context, in SyncInput, p *exports.Progress, d time.Duration) (goOn bool, err error) {
	title := in.AdapterName
	if v, ok := vendors.Lookup(in.AdapterName); ok {
		title = v.Title
	}
	until := workflow.Now(ctx).Add(d)
	err = workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{
		Summary: "waiting until " + until.UTC().Format(time.TimeOnly) + " for what " + title + " may still be doing",
	}).Get(ctx, nil)
	if err != nil {
		p.Fail(classify.Permanent, classify.Cancelled, "cancelled while it waited for what "+title+" may still be doing")
		return false, nil
	}
	return true, nil
}

func summaryOf(period string, c activities.Chunk) string {
	switch c.Step {
	case exports.PingStep:
		return "export " + period + ", whether the vendor takes any request"
	case exports.VerifyStep:
		return "export " + period + ", the contract with the vendor"
	case exports.LateErrorsStep:
		return "export " + period + ", late errors"
	case exports.AskStep:
		return fmt.Sprintf("export %s, what the vendor has of chunk %d", period, c.Chunk)
	}
	return fmt.Sprintf("export %s, chunk %d", period, c.Chunk)
}

// sleepDeferred lets the run wait: a durable timer, visible on its row.
func sleepDeferred(ctx workflow.Context, p *exports.Progress, d time.Duration) error {
	err := store(ctx, activities.DeferName, "deferred until "+p.Export.DeferredUntil.UTC().Format(time.RFC3339), activities.DeferInput{Export: p.Export}, nil)
	if err != nil {
		return err
	}
	err = workflow.Sleep(ctx, d)
	p.Export.DeferredUntil = nil
	return err
}

// arrangement is the activity of an item that is no invocation. done notes its result,
// which it reads with the function that it is given.
func arrangement(p *exports.Progress, item exports.Item) (name string, arg any, done func(result func(any) error) error) {
	switch item.Do {
	case exports.DoDraw:
		d := p.Draw(item)
		return activities.DrawName, activities.DrawInput{Export: p.Export, Draw: d}, func(result func(any) error) error {
			var r exports.DrawResult
			err := result(&r)
			if err == nil {
				p.Drawn(d, r)
			}
			return err
		}
	case exports.DoFit:
		f := p.Fit(item)
		return activities.FitName, activities.FitInput{Export: p.Export, Fit: f}, func(result func(any) error) error {
			var r exports.FitResult
			err := result(&r)
			if err == nil {
				p.Fitted(f, r, item)
			}
			return err
		}
	}
	s := p.Split(item)
	return activities.SplitName, activities.SplitInput{Export: p.Export, Split: *s}, func(result func(any) error) error {
		var r activities.SplitResult
		err := result(&r)
		if err == nil {
			p.Halved(s, r.Halved)
		}
		return err
	}
}

// summaries are what the Temporal UI shows of the activities that arrange chunks.
var summaries = map[exports.Action]string{
	exports.DoDraw: "refused: try a voucher alone", exports.DoFit: "too much: make chunks smaller", exports.DoHalve: "refused: find the voucher",
}

// arrange runs the activity of an item that is no invocation.
func arrange(ctx workflow.Context, p *exports.Progress, item exports.Item) error {
	durable, _ := workflow.NewDisconnectedContext(ctx)
	name, arg, done := arrangement(p, item)
	return done(func(result any) error { return store(durable, name, summaries[item.Do], arg, result) })
}
