package exports

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// maxDeferrals is how often in a row a run waits for a vendor before it gives
// up, and how often a single chunk is made again; with the waits doubling from a
// minute to twenty, about fifteen hours.
const maxDeferrals = 48

// Item is a chunk that is to be made, and why.
type Item struct {
	Chunk int  `json:"chunk"`
	Step  Step `json:"step,omitempty"`
	// Then is what follows if nothing of the chunk is at the vendor, after an
	// [AskStep]: "" to send it, or halve or fail.
	Then   Action        `json:"then,omitempty"`
	Reason string        `json:"reason,omitempty"` // why it was refused
	Code   classify.Kind `json:"code,omitempty"`
	Tries  int           `json:"tries,omitempty"` // invocations that failed
	Until  time.Time     `json:"until,omitzero"`  // it waits until then

	// Isolates: it serves to find the vouchers that the vendor refuses.
	Isolates bool `json:"isolates,omitempty"`
	// Less: a voucher that was drawn from the refused chunk was refused too, which may be
	// why the chunk was.
	Explained bool `json:"less,omitempty"`
	DrawnFrom int  `json:"from,omitempty"` // of a drawn voucher: the chunk that it was in
	OnlyThis  bool `json:"only,omitempty"` // of fit: the chunks that are still to be made stay as they are
	// Do is what is to be done with the chunk's entries in place of an invocation:
	// halve, draw or fit; "" if there is one.
	Do    Action  `json:"do,omitempty"`
	Place float64 `json:"place,omitempty"` // of draw
}

// Action is what follows from an invocation of a chunk.
type Action string

const (
	forward Action = "forward" // the chunk is finished
	again   Action = "again"   // it is made again at once
	aside   Action = "aside"   // it is made again later, and others are made meanwhile
	DoHalve Action = "halve"   // it is halved to find the voucher that the vendor refuses, or that voucher is rejected
	pause   Action = "pause"   // the run waits for the vendor, and then makes it again
	fail    Action = "fail"    // the run ends
	reclaim Action = "reclaim" // the run is not the owner any more, and has to claim again

	hold    Action = "keep"    // it is refused and has several vouchers: others are tried alone before it is halved
	suspect Action = "suspect" // its only voucher is refused; it is rejected once the vendor has accepted another
	shrink  Action = "shrink"  // it is too much for the vendor: it is halved and nobody is rejected, and those after it become smaller
	leave   Action = "leave"   // its entries stay as they are, and others are made

	DoDraw Action = "draw" // of an item: one voucher of the chunk gets a chunk of its own
	DoFit  Action = "fit"  // of an item: the chunks that are still to be made become smaller, and it is halved
)

// Result is what an invocation of a chunk has shown.
type Result struct {
	Item       Item
	OK         bool
	Left       int // after a question: entries that are not at the vendor
	Kind       classify.Kind
	Class      classify.Class
	Message    string
	Asking     bool            // it ended in the question what is there
	Effect     classify.Effect // of all that it sent
	Ended      bool            // of an open effect: asking can close it at once
	OpenFor    time.Duration   // of an open effect: until it can no longer take effect
	RetryIn    time.Duration   // until an open effect can be closed, or the vendor takes calls again
	deferrals  int             // of the run, in a row
	refusesAll bool            // the vendor refuses requests that ask for nothing, too
	Cancelled  bool

	Vouchers          int           // of the chunk that were sent, or would have been; 0 if that is not known
	Entries           int           // the same of entries
	Requests, LookUps int           // that the invocation made; look-ups are among them
	Took, Timeout     time.Duration // of its last attempt, and what it might have taken
	Accepted          bool          // the vendor has something of it
	Unanswered        bool          // it was sent, and the vendor gave up or did not answer in time
	run               conditions
}

// conditions is how far a run is in finding the vouchers that its vendor refuses, and
// what it may do about size.
type conditions struct {
	pings      bool // a refused token looks like a refused voucher
	accepted   bool // the vendor has something of this run
	cautious   bool // it tries vouchers alone before it halves or rejects
	trusted    bool // something of this run was accepted, or enough others were tried: what is refused is to blame
	spent      bool // it has cost as many requests as it may
	shrinks    bool // it makes chunks smaller that are too much for the vendor
	sizeProved bool // the present size was accepted, or none was reduced: no answer is a reason to reduce it
	floor      int  // no answer is no reason to go below so many entries
}

// decision is what follows, with the item as it is to be made.
type decision struct {
	Action
	item Item
	wait time.Duration // of aside and pause, at least
}

// decide says what follows from an invocation of a chunk. It changes nothing.
//
// Nothing is halved or rejected before it is proved that none of it is at the
// vendor. A refusal of who asks, and not of what is sent, ends the run with its
// entries as they are.
func decide(s Result) decision {
	item := s.Item
	if !s.OK && !s.Kind.Passes() { // which is nobody's failure
		item.Tries++
	}
	permanent := s.Class == classify.Permanent && !s.Kind.Passes()
	exhausted := (s.deferrals >= maxDeferrals || item.Tries > maxDeferrals) && s.Kind != classify.Paused
	open := s.Effect == classify.Open && !s.Asking
	ask := func(then Action) decision { // what is there, before anything follows
		item.Step, item.Then, item.Reason, item.Code = AskStep, then, s.Message, s.Kind
		if s.Ended {
			return decision{Action: again, item: item}
		}
		return decision{Action: aside, item: item, wait: s.OpenFor}
	}
	trusted := s.run.trusted || s.Accepted
	refuse := func() decision { // nothing of the chunk is there
		unread := item.Code == classify.RequestDocument && !s.run.accepted && !s.Accepted // not to blame yet
		switch {
		case !s.run.cautious:
			return decision{Action: DoHalve, item: item}
		case s.run.spent && (!trusted || s.Vouchers != 1), unread && trusted:
			return decision{Action: leave, item: item}
		case s.Vouchers == 1 && (!trusted || s.run.pings):
			return decision{Action: suspect, item: item}
		case s.Vouchers != 1 && !trusted:
			return decision{Action: hold, item: item}
		}
		return decision{Action: DoHalve, item: item}
	}
	// A vendor that is away gives no answer to a small request either, so only the third
	// of several tries at a size of which nothing was accepted makes it smaller.
	unanswered := s.Unanswered && s.Vouchers != 1 && s.Entries > s.run.floor && (s.run.sizeProved || item.Tries%3 == 0)
	away := s.run.shrinks && s.Unanswered && !s.run.sizeProved && !unanswered // nobody else has to try as long
	large := s.run.shrinks && (s.Kind == classify.PayloadTooLarge || unanswered)
	smaller := func() decision { // nothing of the chunk is there, and it was too much
		switch {
		case s.Vouchers == 1 && s.run.cautious && !trusted && !s.run.spent:
			return decision{Action: suspect, item: item}
		case s.Vouchers == 1:
			return decision{Action: leave, item: item}
		}
		return decision{Action: shrink, item: item}
	}
	send := func() Item {
		if item.Step == AskStep {
			item.Step, item.Then = SendStep, ""
		}
		return item
	}
	switch {
	case s.Kind == classify.NotOwner:
		return decision{Action: reclaim}
	case s.Cancelled:
		return decision{Action: fail, item: Item{Code: classify.Cancelled, Reason: s.Message}}
	case s.OK && item.Step == AskStep && s.Left > 0:
		switch item.Then {
		case "":
			return decision{Action: again, item: send()}
		case DoHalve:
			return refuse()
		case shrink:
			if s.Vouchers == 1 && item.Code != classify.PayloadTooLarge {
				return decision{Action: again, item: send()}
			}
			return smaller()
		}
		return decision{Action: item.Then, item: item}
	case s.OK:
		return decision{Action: forward}
	case item.Step == LateErrorsStep && (permanent || exhausted):
		// The entries are where they should be; only what the vendor thinks of
		// them could not be asked.
		return decision{Action: forward, item: Item{Reason: "late errors could not be asked for: " + s.Message}}
	case s.Kind == classify.Unsettled:
		if !s.Unanswered {
			item.Tries-- // waiting is no failure
		}
		if large && item.Step == SendStep {
			item.Step, item.Then, item.Reason, item.Code = AskStep, shrink, s.Message, s.Kind
		}
		if away {
			return decision{Action: pause, item: item, wait: s.RetryIn}
		}
		return decision{Action: aside, item: item, wait: s.RetryIn}
	case s.Kind == classify.UnknownOutcome: // the entries say so
		return decision{Action: forward}
	case s.refusesAll && s.Kind == classify.Business, s.Kind.RefusesCaller(), permanent && s.Asking, exhausted:
		return decision{Action: fail, item: Item{Code: s.Kind, Reason: s.Message}}
	case s.Kind == classify.Untrusted && item.Step != VerifyStep: // others may show what is known to be there
		return decision{Action: aside, item: item, wait: deferralWait(item.Tries-1, 0)}
	case s.Asking:
		return decision{Action: pause, item: item}
	case (item.Step == VerifyStep || item.Step == PingStep) && permanent:
		return decision{Action: fail, item: Item{Code: s.Kind, Reason: s.Message}}
	case large && open:
		return ask(shrink)
	case large && s.Effect == classify.None:
		item.Reason, item.Code = s.Message, s.Kind
		return smaller()
	case s.Kind.RefusesContent() && open:
		return ask(DoHalve)
	case permanent && open:
		return ask(fail)
	case s.Kind.RefusesContent():
		item.Reason, item.Code = s.Message, s.Kind
		return refuse()
	case permanent:
		return decision{Action: fail, item: Item{Code: s.Kind, Reason: s.Message}}
	case open && !s.Ended && away:
		return decision{Action: pause, item: send(), wait: s.OpenFor}
	case open && !s.Ended:
		return decision{Action: aside, item: send(), wait: s.OpenFor}
	}
	return decision{Action: pause, item: send()}
}

// deferralWait is how long the n-th wait of a run is: a minute, doubling to twenty.
func deferralWait(n int, base time.Duration) time.Duration {
	if base == 0 {
		base = time.Minute
	}
	return min(base<<min(max(n, 0), 10), 20*time.Minute)
}
