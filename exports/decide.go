package exports

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// maxDeferrals is how often in a row a run waits for a vendor before it gives
// up, and how often a single chunk is made again; with the waits doubling from a
// minute to twenty, about fifteen hours.
const maxDeferrals = 48

// action is what follows from an invocation of a chunk.
type action string

const (
	forward action = "forward" // the chunk is finished
	again   action = "again"   // it is made again at once
	aside   action = "aside"   // it is made again later, and others are made meanwhile
	pause   action = "pause"   // the run waits for the vendor, and then makes it again
	fail    action = "fail"    // the run ends
	reclaim action = "reclaim" // the run no longer owns its export, and has to claim it again

	halve   action = "halve"   // it is halved to find the voucher that the vendor refuses, or that voucher is rejected
	hold    action = "hold"    // it is refused and has several vouchers: others are tried alone before it is halved
	suspect action = "suspect" // its only voucher is refused; it is rejected once the vendor has accepted another
	shrink  action = "shrink"  // it is too much for the vendor: it is halved and nobody is rejected, and those after it become smaller
	leave   action = "leave"   // its entries stay as they are, and others are made
)

// Result is what an invocation of a chunk has shown, folded over its attempts.
type Result struct {
	Item      Item
	OK        bool
	Left      int // after a question: entries that are not at the vendor
	Kind      classify.Kind
	Class     classify.Class
	Message   string
	Cancelled bool

	Asking  bool            // it ended in the question what is there
	Effect  classify.Effect // of all that it sent
	Ended   bool            // of an open effect: asking can close it at once
	OpenFor time.Duration   // of an open effect: until it can no longer take effect
	RetryIn time.Duration   // until an open effect can be closed, or the vendor takes calls again

	Vouchers          int           // of the chunk that were sent, or would have been; 0 if that is not known
	Entries           int           // the same of entries
	Requests, LookUps int           // that the invocation made; look-ups are among them
	Took, Timeout     time.Duration // of its last attempt, and what it might have taken
	Accepted          bool          // the vendor has something of it
	Unanswered        bool          // it was sent, and the vendor gave up or did not answer in time

	// What [Progress.Follow] adds of the run, before it decides.
	run        conditions
	deferrals  int  // in a row
	refusesAll bool // the vendor refuses requests that ask for nothing, too
}

// conditions is how far a run is in finding the vouchers that its vendor refuses, and
// what it may do about size.
type conditions struct {
	accepted bool // the vendor has something of this run
	trusted  bool // that, or enough others were tried: what is refused is to blame
	pings    bool // a refused token looks like a refused voucher
	spent    bool // finding refused vouchers has cost as many requests as it may

	sizeProved bool // the present size was accepted, or none was reduced: no answer is a reason to reduce it
	floor      int  // no answer is no reason to go below so many entries
}

// decision is what follows, with the item as it is to be made.
type decision struct {
	action action
	item   Item
	wait   time.Duration // of aside and pause, at least
}

// decide says what follows from an invocation of a chunk. It changes nothing.
//
// Nothing is halved or rejected before it is proved that none of it is at the vendor. A
// refusal of who asks, and not of what is sent, ends the run with its entries as they
// are. The first case that holds decides.
func decide(s Result) decision {
	item := s.Item
	if !s.OK && !s.Kind.Passes() { // what passes is nobody's failure
		item.Tries++
	}
	permanent := s.Class == classify.Permanent && !s.Kind.Passes()
	exhausted := (s.deferrals >= maxDeferrals || item.Tries > maxDeferrals) && s.Kind != classify.Paused
	open := s.Effect == classify.Open && !s.Asking
	large, away := s.size(item.Tries)
	failed := decision{action: fail, item: Item{Code: s.Kind, Reason: s.Message}}

	switch {
	case s.Kind == classify.NotOwner:
		return decision{action: reclaim}
	case s.Cancelled:
		return decision{action: fail, item: Item{Code: classify.Cancelled, Reason: s.Message}}
	case s.OK && item.Step == AskStep && s.Left > 0:
		return s.missing(item)
	case s.OK:
		return decision{action: forward}
	case item.Step == LateErrorsStep && (permanent || exhausted):
		// The entries are at the vendor; only the errors that it has found since could not be
		// asked for.
		return decision{action: forward, item: Item{Reason: "late errors could not be asked for: " + s.Message}}
	case s.Kind == classify.Unsettled:
		if !s.Unanswered {
			item.Tries-- // waiting is no failure
		}
		if large && item.Step == SendStep {
			item = item.because(s)
			item.Step, item.Then = AskStep, shrink
		}
		if away {
			return decision{action: pause, item: item, wait: s.RetryIn}
		}
		return decision{action: aside, item: item, wait: s.RetryIn}
	case s.Kind == classify.UnknownOutcome: // the entries say so
		return decision{action: forward}
	case s.refusesAll && s.Kind == classify.Business, s.Kind.RefusesCaller(), permanent && s.Asking, exhausted:
		return failed
	case s.Kind == classify.Untrusted && item.Step != VerifyStep: // others may show what is known to be there
		return decision{action: aside, item: item, wait: deferralWait(item.Tries-1, 0)}
	case s.Asking:
		return decision{action: pause, item: item}
	case (item.Step == VerifyStep || item.Step == PingStep) && permanent:
		return failed

	// What was sent failed.
	case large && open:
		return s.askThen(shrink, item)
	case large && s.Effect == classify.None:
		return s.tooMuch(item.because(s))
	case s.Kind.RefusesContent() && open:
		return s.askThen(halve, item)
	case permanent && open:
		return s.askThen(fail, item)
	case s.Kind.RefusesContent():
		return s.refused(item.because(s))
	case permanent:
		return failed
	case open && !s.Ended && away:
		return decision{action: pause, item: item.toSend(), wait: s.OpenFor}
	case open && !s.Ended:
		return decision{action: aside, item: item.toSend(), wait: s.OpenFor}
	}
	return decision{action: pause, item: item.toSend()}
}

// size says whether a chunk was too much for its vendor, and whether the vendor is away
// instead: then no other chunk has to find that out by as long a wait.
//
// A vendor that is away gives no answer to a small request either. So where nothing of
// the present size was accepted, only each third of several tries makes a chunk smaller.
func (s Result) size(tries int) (large, away bool) {
	tooLong := s.Unanswered && s.Vouchers != 1 && s.Entries > s.run.floor && (s.run.sizeProved || tries%3 == 0)
	return s.Kind == classify.PayloadTooLarge || tooLong, s.Unanswered && !s.run.sizeProved && !tooLong
}

// askThen asks what is at the vendor, before anything else follows.
func (s Result) askThen(then action, item Item) decision {
	item = item.because(s)
	item.Step, item.Then = AskStep, then
	if s.Ended {
		return decision{action: again, item: item}
	}
	return decision{action: aside, item: item, wait: s.OpenFor}
}

// missing is what follows from an answer that not all of a chunk is at the vendor.
func (s Result) missing(item Item) decision {
	switch item.Then {
	case "":
		return decision{action: again, item: item.toSend()}
	case halve:
		return s.refused(item)
	case shrink:
		if s.Vouchers == 1 && item.Code != classify.PayloadTooLarge {
			return decision{action: again, item: item.toSend()}
		}
		return s.tooMuch(item)
	}
	return decision{action: item.Then, item: item}
}

// refused is what follows from a refusal of a chunk of which nothing is at the vendor.
func (s Result) refused(item Item) decision {
	trusted := s.run.trusted || s.Accepted
	unread := item.Code == classify.RequestDocument && !s.run.accepted && !s.Accepted // its vouchers are not to blame yet
	switch {
	case s.run.spent && (!trusted || s.Vouchers != 1), unread && trusted:
		return decision{action: leave, item: item}
	case s.Vouchers == 1 && (!trusted || s.run.pings):
		return decision{action: suspect, item: item}
	case s.Vouchers != 1 && !trusted:
		return decision{action: hold, item: item}
	}
	return decision{action: halve, item: item}
}

// tooMuch is what follows where a chunk was too much, and nothing of it is at the vendor.
func (s Result) tooMuch(item Item) decision {
	switch {
	case s.Vouchers == 1 && !s.run.trusted && !s.Accepted && !s.run.spent:
		return decision{action: suspect, item: item}
	case s.Vouchers == 1:
		return decision{action: leave, item: item}
	}
	return decision{action: shrink, item: item}
}

// because is the item with the reason why it was refused.
func (i Item) because(s Result) Item {
	i.Reason, i.Code = s.Message, s.Kind
	return i
}

// toSend is the item as it is to be sent.
func (i Item) toSend() Item {
	if i.Step == AskStep {
		i.Step, i.Then = SendStep, ""
	}
	return i
}

// pausedWait is how long a run waits before it looks again whether its integration is
// still paused: an hour, or sixty times base.
func pausedWait(base time.Duration) time.Duration {
	if base == 0 {
		base = time.Minute
	}
	return 60 * base
}

// deferralWait is how long the n-th wait of a run is, from 0: base, a minute if that is 0,
// doubling up to twenty minutes.
func deferralWait(n int, base time.Duration) time.Duration {
	if base == 0 {
		base = time.Minute
	}
	return min(base<<min(max(n, 0), 10), 20*time.Minute)
}
