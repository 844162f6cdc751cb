package exports

import (
	"fmt"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// Progress is how far a run is. Its owner calls [Progress.Begin] once, then
// [Progress.Take] and, with what came of the item, [Progress.Follow] or one of
// [Progress.Halved], [Progress.Drawn] and [Progress.Fitted], until it is over or has
// failed, and [Progress.Finish] at the end.
type Progress struct {
	Export     Export `json:"export"`
	Plan       Plan   `json:"plan"`
	Next       int    `json:"next"`                 // the planned chunk to be sent next, from 1
	Queue      []Item `json:"queue,omitempty"`      // to be made before it, the last one first
	Aside      []Item `json:"aside,omitempty"`      // that wait until what was sent can no longer take effect
	Last       int    `json:"last"`                 // the highest chunk number given out
	LateErrors bool   `json:"lateErrors"`           // late errors have been asked for
	Deferrals  int    `json:"deferrals"`            // in a row
	RefusesAll bool   `json:"refusesAll,omitempty"` // the vendor refused a request that asked for nothing, and has taken none since

	Isolation
	Sizes
}

// Left is how many chunks are still to be sent.
func (p Progress) Left() int {
	return max(0, p.Plan.Chunks-p.Next+1) + len(p.Queue) + len(p.Aside) + len(p.Held) + len(p.Suspects)
}

// Over reports whether nothing is left to ask the vendor. A retry with nothing to
// send asks for late errors too: what it retries may have ended before it could.
func (p Progress) Over() bool {
	return p.Left() == 0 && (p.LateErrors || !p.Plan.LateErrors || p.Plan.Chunks == 0 && p.Export.ParentID == nil)
}

// Failed reports whether something has ended the run before its work was done.
func (p Progress) Failed() bool { return p.Export.ErrorClass != "" }

// HandedOver reports whether the run with this ID, which continued as new, owned the
// export that it hands over. A run that was reset before it could notice does not: it
// remembers how far another run was at some time, and that one has gone on since.
func (p Progress) HandedOver(by string) bool { return p.Export.RunID.String() == by }

// Begin notes that a run has its plan. The contract with the vendor comes first, if
// it has to be checked.
func (p *Progress) Begin() {
	p.Next, p.Last, p.Export.Chunks = 1, p.Plan.Chunks, p.Plan.Chunks
	if p.Plan.Verify {
		p.queueVerify()
	}
}

// queueVerify queues the check of the contract with the vendor.
func (p *Progress) queueVerify() {
	p.Queue = append(p.Queue, Item{Step: VerifyStep})
}

// Take removes the item that is to be made next: one that has waited long enough, the
// last that was queued, or the next planned chunk; when none is left, the question for
// late errors. If there are only items that wait, ok is false and sleep is how long
// until the first of them is due.
func (p *Progress) Take(now time.Time) (item Item, ok bool, sleep time.Duration) {
	for i, item := range slices.Backward(p.Queue) {
		if item.isFirst() {
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
	p.leaveUnaffordable()
	p.skipTried()
	switch n := len(p.Queue); {
	case n > 0:
		item = p.Queue[n-1]
		p.Queue = p.Queue[:n-1]
		return item, true, 0
	case p.Next <= p.Plan.Chunks && !p.holdsEnough():
		p.Next++
		return Item{Chunk: p.Next - 1}, true, 0
	case len(p.Aside) > 0:
		return Item{}, false, p.Aside[p.firstAside()].Until.Sub(now)
	case p.Trusted && len(p.Suspects) > 0: // nothing was accepted since they were refused
		p.queuePing()
		return p.Take(now)
	case len(p.Held)+len(p.Suspects) > 0: // nothing was accepted
		p.queueDraw()
		return p.Take(now)
	case !p.Plan.LateErrors:
		return Item{}, false, 0 // what was left to be made is left as it is
	}
	return Item{Step: LateErrorsStep}, true, 0
}

// holdsEnough reports whether so many chunks are refused or wait, and none was accepted,
// that the planned ones wait too.
func (p Progress) holdsEnough() bool {
	return !p.Accepted && !p.Trusted && len(p.Held)+len(p.Aside) >= 64
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

// FollowUp is what the caller has to do once a result is noted. The zero FollowUp is to
// take the next item, unless the run has failed.
type FollowUp struct {
	Split   *Split        // a chunk is to be halved; see [Progress.Halved]
	Sleep   time.Duration // the run waits
	Reclaim bool          // the run no longer owns its export, and has to claim it again
}

// Follow notes what the invocation of an item has shown, decides what follows from it,
// and returns what its caller has to do. base is the first wait of a deferral, a minute
// if 0.
func (p *Progress) Follow(s Result, now time.Time, base time.Duration) FollowUp {
	s.deferrals, s.refusesAll, s.run = p.Deferrals, p.RefusesAll, p.conditions()
	return p.apply(s, decide(s), now, base)
}

// conditions is what [decide] needs to know of the run.
func (p Progress) conditions() conditions {
	return conditions{
		accepted: p.Accepted, trusted: p.Trusted, pings: p.Plan.Ping, spent: p.Export.Isolating >= p.Plan.Isolate,
		sizeProved: p.Size == 0 || p.Fits, floor: p.Plan.Full / 16,
	}
}

// apply notes in a run's progress what was decided.
func (p *Progress) apply(s Result, d decision, now time.Time, base time.Duration) FollowUp {
	if s.OK && s.Item.Step != LateErrorsStep {
		p.RefusesAll, p.Deferrals = false, 0
	}
	p.count(s)
	var f FollowUp
	switch d.action {
	case forward:
		if s.Item.Step == LateErrorsStep {
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
		if p.Plan.Ping && !s.Item.Isolates {
			rejection := Item{Chunk: d.item.Chunk, Do: DoHalve, Reason: d.item.Reason, Code: d.item.Code, Isolates: s.Vouchers != 1}
			p.Queue = append(p.Queue, rejection, Item{Step: PingStep}) // the last one comes first
			break
		}
		f.Split = p.Split(d.item)
		f.Split.Keep = s.Vouchers != 1
	case hold:
		held := Item{Chunk: d.item.Chunk, Code: d.item.Code}
		if len(p.Held) == 0 {
			held.Reason = d.item.Reason // there can be many, and they say much the same
		}
		p.Held = append(p.Held, held)
		p.queueDraw()
	case suspect:
		if p.suspect(d.item) {
			return FollowUp{}
		}
		p.queueDraw()
	case shrink:
		p.queueFit(s.Entries, d.item)
	case leave:
		p.leave(d.item)
	case pause:
		p.Queue = append(p.Queue, d.item)
		s.RetryIn = max(s.RetryIn, d.wait)
		f.Sleep = p.deferFor(s, now, base)
	case reclaim:
		return FollowUp{Reclaim: true}
	case fail:
		class, message := s.Class, d.item.Reason
		if d.item.Code == classify.Cancelled || class == "" || class == classify.Success {
			class = classify.Permanent
		}
		if d.item.Code == classify.Business && (s.refusesAll || s.Item.Step == PingStep) {
			message = "the vendor refuses every request, also one that asks for nothing, perhaps because of its token: " + message
		}
		p.Fail(class, d.item.Code, message)
		return FollowUp{}
	}
	return f
}

// Fail notes why a run ends before its work is done.
func (p *Progress) Fail(class classify.Class, code classify.Kind, message string) {
	p.Export.ErrorClass, p.Export.ErrorCode, p.Export.ErrorMessage = class, code, message
}

// minAside is the least time for which an item is set aside: PostgreSQL decides
// when it is due, and to ask it too often costs the vendor's requests.
const minAside = 100 * time.Millisecond

// deferFor notes that a run waits for a vendor, never for less than it asked for,
// and returns for how long.
func (p *Progress) deferFor(s Result, now time.Time, base time.Duration) time.Duration {
	d := max(deferralWait(p.Deferrals, base), min(s.RetryIn, 31*24*time.Hour))
	if s.Kind == classify.Paused { // which is nobody's failure, and asks no vendor
		d = pausedWait(base)
	} else {
		p.Deferrals++
	}
	until := now.Add(d)
	p.Export.DeferredUntil, p.Export.DeferredFor = &until, s.Kind
	return d
}

// count notes what an invocation has cost and shown.
func (p *Progress) count(s Result) {
	p.Export.Requests += s.Requests
	p.Export.LookUps += s.LookUps
	if s.Item.Isolates {
		p.Export.Isolating += s.Requests
	}
	switch {
	case s.OK && s.Item.Step == VerifyStep:
		p.Verified = true
	case s.OK && s.Item.Step == PingStep:
		p.queueRejections()
	case s.Accepted && !p.Accepted:
		p.Accepted = true
		p.trust()
	case s.Accepted:
		p.queueRejections()
	}
	if s.Item.Step == SendStep && s.OK {
		p.noteSize(s)
	}
}

// Finish notes what is to be on record of a run that goes to its close: what it has
// left, and the size of a request that worked.
func (p *Progress) Finish() {
	if p.LeftOver > 0 && !p.Failed() {
		code, why := p.LeftReason.Code, p.LeftReason.Reason
		if why == "" {
			code, why = classify.Business, "the vendor refuses some of their vouchers"
		}
		message := fmt.Sprintf("%d chunks were not sent: %s", p.LeftOver, why)
		if p.conditions().spent {
			message = fmt.Sprintf("finding refused vouchers has cost %d requests, and export.isolateRequests allows %d; %s", p.Export.Isolating, p.Plan.Isolate, message)
		}
		p.Fail(classify.Permanent, code, message)
	}
	p.Export.ChunkFull = p.Plan.Full
	switch {
	case p.Size > 0 && p.Fits:
		p.Export.ChunkSize = p.Size
	case p.Size == 0 && p.Fits && !p.Slow && p.Plan.Size < p.Plan.Full: // try more next time
		p.Export.ChunkSize = min(4*p.Plan.Size, p.Plan.Full)
	}
}
