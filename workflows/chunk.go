package workflows

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// makeNext makes the next item of a run: it waits for it, arranges chunks, or makes one
// invocation, and then does what follows from that. What is next and what follows is
// decided by [exports.Progress].
func makeNext(ctx workflow.Context, in SyncInput, p *exports.Progress) error {
	item, ok, sleep := p.Take(workflow.Now(ctx))
	switch {
	case !ok:
		waitForOpen(ctx, in, p, sleep)
		return nil
	case item.Do != "":
		return arrange(ctx, p, item)
	}
	show(ctx, in.IntegrationName, "%s; %s", summaryOf(in.Period, activities.Chunk{Chunk: item.Chunk, Step: item.Step}), sent(p))
	result, last, err := invoke(ctx, in, p, item)
	if err != nil {
		return err
	}
	followUp := p.Follow(result, workflow.Now(ctx), in.DeferBase)
	switch {
	case followUp.Reclaim:
		return errNotOwner
	case followUp.Split != nil:
		return halve(ctx, p, followUp.Split)
	case followUp.Sleep > 0:
		if err := sleepDeferred(ctx, in, p, followUp.Sleep, said(in.AdapterName, last)); err != nil {
			p.Fail(classify.Permanent, classify.Cancelled, "cancelled while it waited: "+result.Message)
		}
	}
	return nil
}

// invoke makes an item as one invocation, with a correlation ID and audit rows of its
// own, and returns what it has shown and its last attempt.
func invoke(ctx workflow.Context, in SyncInput, p *exports.Progress, item exports.Item) (exports.Result, activities.Attempt, error) {
	var correlation uuid.UUID
	err := workflow.SideEffect(ctx, func(workflow.Context) any {
		return uuid.New() //workflowcheck:ignore
	}).Get(&correlation)
	if err != nil {
		return exports.Result{}, activities.Attempt{}, err
	}
	inv := in.Invocation(p.Export, item, correlation)
	outcome, called := call(ctx, inv)
	cancelled := ctx.Err() != nil
	if !onlyLooked(ctx, called.Trail) {
		p.Export.LastCorrelationID = &correlation
		p.Export.Attempts += len(called.Trail)
		durable, _ := workflow.NewDisconnectedContext(ctx)
		if err := mirror(durable, inv, called.Trail); err != nil {
			return exports.Result{}, activities.Attempt{}, err
		}
	}
	result := ResultOf(inv, item, outcome, called)
	result.Cancelled = cancelled && !outcome.OK
	return result, called.Trail.Last(), nil
}

// onlyLooked reports whether an invocation of an export found no more than that its
// integration is paused. That is no attempt to call anybody, and leaves no row.
func onlyLooked(ctx workflow.Context, trail activities.Trail) bool {
	for _, a := range trail {
		if a.Kind != classify.Paused {
			return false
		}
	}
	return len(trail) > 0 && workflow.GetVersion(ctx, pausedWithoutRow, workflow.DefaultVersion, 1) >= 1
}

// VerifyPolicy is the policy for checking a contract, which takes up to a dozen
// requests: an attempt of 25 s, and a second one.
func VerifyPolicy() classify.Policy {
	p := classify.DefaultPolicy()
	p.AttemptTimeout, p.MaxRetries = 25*time.Second, 1
	return p
}

// Invocation is the one that makes an item of an export.
func (in SyncInput) Invocation(e exports.Export, item exports.Item, correlation uuid.UUID) activities.Invocation {
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

// summaryOf is what the Temporal UI shows of an invocation of an export.
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

// waitForOpen sleeps until an item that was set aside is due: what was sent of it can
// then no longer take effect. Such a wait is no deferral.
func waitForOpen(ctx workflow.Context, in SyncInput, p *exports.Progress, d time.Duration) {
	what := "what " + integrations.VendorTitle(in.AdapterName) + " may still be doing"
	until := clock(workflow.Now(ctx).Add(d), workflow.Now(ctx))
	show(ctx, in.IntegrationName, "waiting until %s for %s; %s", until, what, sent(p))
	err := sleep(ctx, d, "waiting until "+until+" for "+what)
	if err != nil {
		p.Fail(classify.Permanent, classify.Cancelled, "cancelled while it waited for "+what)
	}
}

// sleepDeferred lets the run wait for its vendor, and shows why: a durable timer, visible
// on its row.
func sleepDeferred(ctx workflow.Context, in SyncInput, p *exports.Progress, d time.Duration, why string) error {
	until := clock(*p.Export.DeferredUntil, workflow.Now(ctx))
	if p.Export.DeferredFor == classify.Paused {
		show(ctx, in.IntegrationName, "%s, and ends the wait at once; otherwise the run looks again %s; %s", waitFacts(in, *p).Reason(workflow.Now(ctx)), until, sent(p))
	} else {
		show(ctx, in.IntegrationName, "%s; next try %s; %s", why, until, sent(p))
	}
	err := runUntilDone(ctx, activities.DeferName, "deferred until "+until+": "+why, activities.DeferInput{Export: p.Export}, nil)
	if err != nil {
		return err
	}
	summary := "waiting for " + integrations.VendorTitle(in.AdapterName) + " until " + until + ": " + why
	if p.Export.DeferredFor == classify.Paused {
		err = sleepUnlessResumed(ctx, d, summary)
	} else {
		err = sleep(ctx, d, summary)
	}
	p.Export.DeferredUntil, p.Export.DeferredFor = nil, ""
	return err
}

// sleep waits, and the Temporal UI shows why.
func sleep(ctx workflow.Context, d time.Duration, summary string) error {
	return workflow.NewTimerWithOptions(ctx, d, workflow.TimerOptions{Summary: summary}).Get(ctx, nil)
}

// sleepUnlessResumed waits no longer than until the integration is resumed and every worker
// has noticed that. A signal that came before the wait ends it too.
func sleepUnlessResumed(ctx workflow.Context, d time.Duration, summary string) error {
	resumed := workflow.GetSignalChannel(ctx, ResumedSignal)
	timed, stop := workflow.WithCancel(ctx)
	defer stop()
	var err error
	selector := workflow.NewSelector(ctx)
	paused := workflow.NewTimerWithOptions(timed, d, workflow.TimerOptions{Summary: summary})
	selector.AddFuture(paused, func(f workflow.Future) { err = f.Get(ctx, nil) })
	selector.AddReceive(resumed, func(workflow.ReceiveChannel, bool) {
		stop()
		for resumed.ReceiveAsync(nil) {
		}
		err = sleep(ctx, activities.Freshness+time.Second, "until every worker has seen that it was resumed")
	})
	selector.Select(ctx)
	return err
}

// arrange has the database arrange an item's chunk.
func arrange(ctx workflow.Context, p *exports.Progress, item exports.Item) error {
	durable, _ := workflow.NewDisconnectedContext(ctx)
	switch item.Do {
	case exports.DoDraw:
		in, out := activities.DrawInput{Export: p.Export, Draw: p.Draw(item)}, exports.DrawResult{}
		err := runUntilDone(durable, activities.DrawName, "refused: try a voucher alone", in, &out)
		if err == nil {
			p.Drawn(in.Draw, out)
		}
		return err
	case exports.DoFit:
		in, out := activities.FitInput{Export: p.Export, Fit: p.Fit(item)}, exports.FitResult{}
		err := runUntilDone(durable, activities.FitName, "too much: make chunks smaller", in, &out)
		if err == nil {
			p.Fitted(in.Fit, out, item)
		}
		return err
	}
	return halve(ctx, p, p.Split(item))
}

// halve has the database halve a refused chunk, or reject its only voucher.
func halve(ctx workflow.Context, p *exports.Progress, s *exports.Split) error {
	durable, _ := workflow.NewDisconnectedContext(ctx)
	var out activities.SplitResult
	err := runUntilDone(durable, activities.SplitName, "refused: find the voucher", activities.SplitInput{Export: p.Export, Split: *s}, &out)
	if err == nil {
		p.Halved(s, out.Halved)
	}
	return err
}
