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

// take removes the item that is to be made next: one that has waited long enough,
// the last that was put first, or the next planned chunk; when none is left, the
// question for late errors. If there are only items that wait, ok is false and
// sleep is until the first of them is due.
func (p *Progress) take(now time.Time) (item Item, ok bool, sleep time.Duration) {
	for i, item := range slices.Backward(p.Queue) {
		if item.first() {
			p.Queue = slices.Delete(p.Queue, i, i+1)
			return item, true, 0
		}
	}
	if i := p.firstAside(); i >= 0 && !p.Aside[i].Until.After(now) {
		item = p.Aside[i]
		p.Aside = slices.Delete(p.Aside, i, i+1)
		item.Until = time.Time{}
		return item, true, 0
	}
	p.leaveSpent()
	p.skipTried()
	switch n := len(p.Queue); {
	case n > 0:
		item = p.Queue[n-1]
		p.Queue = p.Queue[:n-1]
		return item, true, 0
	case p.Next <= p.Plan.Chunks && !p.enough():
		p.Next++
		return Item{Chunk: p.Next - 1}, true, 0
	case len(p.Aside) > 0:
		return Item{}, false, p.Aside[p.firstAside()].Until.Sub(now)
	case p.Trusted && len(p.Suspects) > 0: // nothing was accepted since they were refused
		p.ping()
		return p.take(now)
	case len(p.Held)+len(p.Suspects) > 0: // nothing was accepted
		p.drawNext()
		return p.take(now)
	case !p.Plan.LateErrors && p.Plan.Full > 0:
		return Item{}, false, 0 // what was left to be made is left as it is
	}
	return Item{Step: activities.LateErrorsStep}, true, 0
}

// enough reports whether so many chunks are refused or wait, and none was accepted,
// that the planned ones wait too.
func (p Progress) enough() bool {
	return p.Plan.EqualRefusals > 0 && !p.Accepted && !p.Trusted && len(p.Held)+len(p.Aside) >= 64
}

// firstAside is the place of the item that is due first; -1 if there is none.
func (p Progress) firstAside() int {
	first := -1
	for i, item := range p.Aside {
		if first < 0 || item.Until.Before(p.Aside[first].Until) {
			first = i
		}
	}
	return first
}

// WaitsUntil is until when a run that has nothing else to do waits for what the
// vendor may still be doing; zero if it does not.
func (p Progress) WaitsUntil() time.Time {
	if i := p.firstAside(); i >= 0 && len(p.Queue) == 0 && p.Next > p.Plan.Chunks {
		return p.Aside[i].Until
	}
	return time.Time{}
}

// step makes the item at hand as one invocation, with audit rows of its own, and
// does what [decide] says. It returns false if the run has to end.
func step(ctx workflow.Context, in SyncInput, p *Progress) (goOn bool, err error) {
	item, ok, sleep := p.take(workflow.Now(ctx))
	if !ok {
		return waitAside(ctx, in, p, sleep)
	}
	if item.Do != "" {
		return true, p.arrange(ctx, item)
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
	s.deferrals, s.unwelcome, s.cancelled, s.run = p.Deferrals, p.Unwelcome, cancelled && !outcome.OK, p.isolation()
	return apply(ctx, in, p, s, decide(s))
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

// apply does what was decided.
func apply(ctx workflow.Context, in SyncInput, p *Progress, s seen, d decision) (goOn bool, err error) {
	f := p.note(s, d, workflow.Now(ctx), in.DeferBase)
	switch {
	case f.split != nil:
		durable, _ := workflow.NewDisconnectedContext(ctx)
		var halved bool
		if err := store(durable, activities.SplitName, "refused: find the voucher", f.split, &halved); err != nil {
			return false, err
		}
		p.halved(f.split, halved)
	case f.sleep > 0:
		if err := sleepDeferred(ctx, p, f.sleep); err != nil {
			p.fail(classify.Permanent, classify.Cancelled, "cancelled while it waited: "+s.message)
			return false, nil
		}
	}
	return f.goOn, f.err
}

// followUp is what is left to be done of a decision once it is noted.
type followUp struct {
	split *activities.SplitInput // a chunk is to be halved
	sleep time.Duration          // the run waits
	goOn  bool
	err   error
}

// note notes in a run's progress what was decided.
func (p *Progress) note(s seen, d decision, now time.Time, base time.Duration) followUp {
	if s.ok && s.item.Step != activities.LateErrorsStep {
		p.Unwelcome, p.Deferrals = false, 0
	}
	p.count(s)
	f := followUp{goOn: true}
	switch d.next {
	case forward:
		if s.item.Step == activities.LateErrorsStep {
			p.LateErrors = true
			if d.item.Reason != "" {
				p.Export.ErrorMessage = d.item.Reason
			}
		}
	case again:
		p.Queue = append(p.Queue, d.item)
	case aside:
		d.item.Until = now.Add(max(d.wait, minAside))
		p.Aside = append(p.Aside, d.item)
	case halve:
		if p.Plan.Ping && !s.item.Isolates {
			p.Queue = append(p.Queue, Item{Chunk: d.item.Chunk, Do: halve, Reason: d.item.Reason, Code: d.item.Code, Isolates: s.vouchers != 1}, Item{Step: activities.PingStep})
			break
		}
		f.split = p.split(d.item)
		f.split.Keep = p.Plan.EqualRefusals > 0 && s.vouchers != 1
	case keep:
		held := Item{Chunk: d.item.Chunk, Code: d.item.Code}
		if len(p.Held) == 0 {
			held.Reason = d.item.Reason // there can be many, and they say much the same
		}
		p.Held = append(p.Held, held)
		p.drawNext()
	case suspect:
		if p.suspects(d.item) {
			return followUp{}
		}
		p.drawNext()
	case shrink:
		p.smaller(s.entries, d.item)
	case leave:
		p.leaves(d.item)
	case pause:
		p.Queue = append(p.Queue, d.item)
		s.retryIn = max(s.retryIn, d.wait)
		f.sleep = p.defers(s, now, base)
	case reclaim:
		return followUp{err: errNotOwner}
	case fail:
		class, message := s.class, d.item.Reason
		if d.item.Code == classify.Cancelled || class == "" || class == classify.Success {
			class = classify.Permanent
		}
		if d.item.Code == classify.Business && (s.unwelcome || s.item.Step == activities.PingStep) {
			message = "the vendor refuses every request, also one that asks for nothing, perhaps because of its token: " + message
		}
		p.fail(class, d.item.Code, message)
		return followUp{}
	}
	return f
}

// halved notes that a chunk was halved, or that its only voucher was rejected.
func (p *Progress) halved(s *activities.SplitInput, halved bool) {
	if !halved && s.Keep { // its one voucher is tried alone first
		p.Queue = append(p.Queue, Item{Chunk: s.Chunk, Isolates: true})
	}
	if halved {
		p.Last = s.Into
		p.Queue = append(p.Queue, Item{Chunk: s.Into, Isolates: true}, Item{Chunk: s.Chunk, Isolates: true})
	}
}

// fail notes why a run ends before its work is done.
func (p *Progress) fail(class classify.Class, code classify.Kind, message string) {
	p.Export.ErrorClass, p.Export.ErrorCode, p.Export.ErrorMessage = string(class), string(code), message
}

// minAside is the least time for which an item is set aside: PostgreSQL decides
// when it is due, and to ask it too often costs the vendor's requests.
const minAside = 100 * time.Millisecond

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

// defers notes that a run waits for a vendor, never for less than it asked for,
// and returns for how long.
func (p *Progress) defers(s seen, now time.Time, base time.Duration) time.Duration {
	d := max(deferral(p.Deferrals, base), min(s.retryIn, 31*24*time.Hour))
	if s.kind != classify.Paused { // which is nobody's failure
		p.Deferrals++
	}
	until := now.Add(d)
	p.Export.DeferredUntil = &until
	return d
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
