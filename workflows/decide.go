package workflows

import (
	"time"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
)

// maxDeferrals is how often in a row a run waits for a vendor before it gives
// up, and how often a single chunk is made again; with the waits doubling from a
// minute to twenty, about fifteen hours.
const maxDeferrals = 48

// Item is a chunk that is to be made, and why.
type Item struct {
	Chunk int    `json:"chunk"`
	Step  string `json:"step,omitempty"` // of [activities.Chunk]
	// Then is what follows if nothing of the chunk is at the vendor, after an
	// [activities.AskStep]: "" to send it, or halve or fail.
	Then   next          `json:"then,omitempty"`
	Reason string        `json:"reason,omitempty"` // why it was refused
	Code   classify.Kind `json:"code,omitempty"`
	Tries  int           `json:"tries,omitempty"` // invocations that failed
	Until  time.Time     `json:"until,omitzero"`  // it waits until then

	// Isolates: it serves to find the vouchers that the vendor refuses.
	Isolates bool `json:"isolates,omitempty"`
	// Less: a voucher that was drawn from the refused chunk was refused too, which may be
	// why the chunk was.
	Less bool `json:"less,omitempty"`
	From int  `json:"from,omitempty"` // of a drawn voucher: the chunk that it was in
	Only bool `json:"only,omitempty"` // of fit: the chunks that are still to be made stay as they are
	// Do is what is to be done with the chunk's entries in place of an invocation:
	// halve, draw or fit; "" if there is one.
	Do    next    `json:"do,omitempty"`
	Place float64 `json:"place,omitempty"` // of draw
}

// next is what follows from an invocation of a chunk.
type next string

const (
	forward next = "forward" // the chunk is finished
	again   next = "again"   // it is made again at once
	aside   next = "aside"   // it is made again later, and others are made meanwhile
	halve   next = "halve"   // it is halved to find the voucher that the vendor refuses, or that voucher is rejected
	pause   next = "pause"   // the run waits for the vendor, and then makes it again
	fail    next = "fail"    // the run ends
	reclaim next = "reclaim" // the run is not the owner any more, and has to claim again

	keep    next = "keep"    // it is refused and has several vouchers: others are tried alone before it is halved
	suspect next = "suspect" // its only voucher is refused; it is rejected once the vendor has accepted another
	shrink  next = "shrink"  // it is too much for the vendor: it is halved and nobody is rejected, and those after it become smaller
	leave   next = "leave"   // its entries stay as they are, and others are made

	draw next = "draw" // of an item: one voucher of the chunk gets a chunk of its own
	fit  next = "fit"  // of an item: the chunks that are still to be made become smaller, and it is halved
)

// seen is what an invocation of a chunk has shown.
type seen struct {
	item      Item
	ok        bool
	left      int // after a question: entries that are not at the vendor
	kind      classify.Kind
	class     classify.Class
	message   string
	asking    bool            // it ended in the question what is there
	effect    classify.Effect // of all that it sent
	ended     bool            // of an open effect: asking can close it at once
	openFor   time.Duration   // of an open effect: until it can no longer take effect
	retryIn   time.Duration   // until an open effect can be closed, or the vendor takes calls again
	deferrals int             // of the run, in a row
	unwelcome bool            // the vendor refuses requests that ask for nothing, too
	cancelled bool

	vouchers          int           // of the chunk that were sent, or would have been; 0 if that is not known
	entries           int           // the same of entries
	requests, lookUps int           // that the invocation made; look-ups are among them
	took, timeout     time.Duration // of its last attempt, and what it might have taken
	accepted          bool          // the vendor has something of it
	unanswered        bool          // it was sent, and the vendor gave up or did not answer in time
	run               isolation
}

// isolation is how far a run is in finding the vouchers that its vendor refuses, and
// what it may do about size.
type isolation struct {
	quiet    bool // a refused token looks like a refused voucher
	accepted bool // the vendor has something of this run
	alike    bool // it tries vouchers alone before it halves or rejects
	trusted  bool // something of this run was accepted, or enough others were tried: what is refused is to blame
	spent    bool // it has cost as many requests as it may
	fits     bool // it makes chunks smaller that are too much for the vendor
	proved   bool // the present size was accepted, or none was reduced: no answer is a reason to reduce it
	floor    int  // no answer is no reason to go below so many entries
}

// decision is what follows, with the item as it is to be made.
type decision struct {
	next
	item Item
	wait time.Duration // of aside and pause, at least
}

// decide says what follows from an invocation of a chunk. It changes nothing.
//
// Nothing is halved or rejected before it is proved that none of it is at the
// vendor. A refusal of who asks, and not of what is sent, ends the run with its
// entries as they are.
func decide(s seen) decision {
	item := s.item
	if !s.ok && !s.kind.Passes() { // which is nobody's failure
		item.Tries++
	}
	permanent := s.class == classify.Permanent && !s.kind.Passes()
	exhausted := (s.deferrals >= maxDeferrals || item.Tries > maxDeferrals) && s.kind != classify.Paused
	open := s.effect == classify.Open && !s.asking
	ask := func(then next) decision { // what is there, before anything follows
		item.Step, item.Then, item.Reason, item.Code = activities.AskStep, then, s.message, s.kind
		if s.ended {
			return decision{next: again, item: item}
		}
		return decision{next: aside, item: item, wait: s.openFor}
	}
	trusted := s.run.trusted || s.accepted
	refuse := func() decision { // nothing of the chunk is there
		unread := item.Code == classify.RequestDocument && !s.run.accepted && !s.accepted // not to blame yet
		switch {
		case !s.run.alike:
			return decision{next: halve, item: item}
		case s.run.spent && (!trusted || s.vouchers != 1), unread && trusted:
			return decision{next: leave, item: item}
		case s.vouchers == 1 && (!trusted || s.run.quiet):
			return decision{next: suspect, item: item}
		case s.vouchers != 1 && !trusted:
			return decision{next: keep, item: item}
		}
		return decision{next: halve, item: item}
	}
	// A vendor that is away gives no answer to a small request either, so only the third
	// of several tries at a size of which nothing was accepted makes it smaller.
	unanswered := s.unanswered && s.vouchers != 1 && s.entries > s.run.floor && (s.run.proved || item.Tries%3 == 0)
	away := s.run.fits && s.unanswered && !s.run.proved && !unanswered // nobody else has to try as long
	large := s.run.fits && (s.kind == classify.PayloadTooLarge || unanswered)
	smaller := func() decision { // nothing of the chunk is there, and it was too much
		switch {
		case s.vouchers == 1 && s.run.alike && !trusted && !s.run.spent:
			return decision{next: suspect, item: item}
		case s.vouchers == 1:
			return decision{next: leave, item: item}
		}
		return decision{next: shrink, item: item}
	}
	send := func() Item {
		if item.Step == activities.AskStep {
			item.Step, item.Then = activities.SendStep, ""
		}
		return item
	}
	switch {
	case s.kind == classify.NotOwner:
		return decision{next: reclaim}
	case s.cancelled:
		return decision{next: fail, item: Item{Code: classify.Cancelled, Reason: s.message}}
	case s.ok && item.Step == activities.AskStep && s.left > 0:
		switch item.Then {
		case "":
			return decision{next: again, item: send()}
		case halve:
			return refuse()
		case shrink:
			if s.vouchers == 1 && item.Code != classify.PayloadTooLarge {
				return decision{next: again, item: send()}
			}
			return smaller()
		}
		return decision{next: item.Then, item: item}
	case s.ok:
		return decision{next: forward}
	case item.Step == activities.LateErrorsStep && (permanent || exhausted):
		// The entries are where they should be; only what the vendor thinks of
		// them could not be asked.
		return decision{next: forward, item: Item{Reason: "late errors could not be asked for: " + s.message}}
	case s.kind == classify.Unsettled:
		if !s.unanswered {
			item.Tries-- // waiting is no failure
		}
		if large && item.Step == activities.SendStep {
			item.Step, item.Then, item.Reason, item.Code = activities.AskStep, shrink, s.message, s.kind
		}
		if away {
			return decision{next: pause, item: item, wait: s.retryIn}
		}
		return decision{next: aside, item: item, wait: s.retryIn}
	case s.kind == classify.UnknownOutcome: // the entries say so
		return decision{next: forward}
	case s.unwelcome && s.kind == classify.Business, s.kind.RefusesCaller(), permanent && s.asking, exhausted:
		return decision{next: fail, item: Item{Code: s.kind, Reason: s.message}}
	case s.kind == classify.Untrusted && item.Step != activities.VerifyStep: // others may show what is known to be there
		return decision{next: aside, item: item, wait: deferral(item.Tries-1, 0)}
	case s.asking:
		return decision{next: pause, item: item}
	case (item.Step == activities.VerifyStep || item.Step == activities.PingStep) && permanent:
		return decision{next: fail, item: Item{Code: s.kind, Reason: s.message}}
	case large && open:
		return ask(shrink)
	case large && s.effect == classify.None:
		item.Reason, item.Code = s.message, s.kind
		return smaller()
	case s.kind.RefusesContent() && open:
		return ask(halve)
	case permanent && open:
		return ask(fail)
	case s.kind.RefusesContent():
		item.Reason, item.Code = s.message, s.kind
		return refuse()
	case permanent:
		return decision{next: fail, item: Item{Code: s.kind, Reason: s.message}}
	case open && !s.ended && away:
		return decision{next: pause, item: send(), wait: s.openFor}
	case open && !s.ended:
		return decision{next: aside, item: send(), wait: s.openFor}
	}
	return decision{next: pause, item: send()}
}

// deferral is how long the n-th wait of a run is: a minute, doubling to twenty.
func deferral(n int, base time.Duration) time.Duration {
	if base == 0 {
		base = time.Minute
	}
	return min(base<<min(max(n, 0), 10), 20*time.Minute)
}
