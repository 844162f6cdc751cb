package activities

import (
	"fmt"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// Attempt is one entry of an invocation's trail. An attempt is either done,
// with its class, or still running, with Class empty.
type Attempt struct {
	Number     int            `json:"number"` // 1, 2, 3, … without a gap, over operator resets too
	StartedAt  time.Time      `json:"startedAt"`
	EndedAt    time.Time      `json:"endedAt,omitzero"`
	Class      classify.Class `json:"class,omitempty"` // empty while it runs
	Kind       classify.Kind  `json:"kind,omitempty"`
	Rule       string         `json:"rule,omitempty"`
	HTTPStatus int            `json:"httpStatus,omitempty"` // 0 if there was no response
	Message    string         `json:"message,omitempty"`    // redacted, at most 500 characters
	Retryable  bool           `json:"retryable,omitempty"`  // another attempt followed or was due
	Delay      time.Duration  `json:"delay,omitempty"`      // planned wait before the next attempt, in ns
	RetryAfter time.Duration  `json:"retryAfter,omitempty"` // wait that the vendor asked for, or until an open effect can be closed, in ns

	// Effect is that of its own sending; "" if it sent nothing. An attempt may first
	// look up what earlier ones have done: Found is what is known then of all of them, ""
	// if nothing. Asking is true if it ended in that look-up.
	Effect    classify.Effect `json:"effect,omitempty"`
	Ended     bool            `json:"ended,omitempty"`    // of an open effect: a look-up can close it at once
	OpenUntil time.Time       `json:"openUntil,omitzero"` // of an open effect, by PostgreSQL's clock; zero if it is not known
	Found     classify.Effect `json:"found,omitempty"`
	Asking    bool            `json:"asking,omitempty"`

	Requests int `json:"requests,omitempty"` // that it made to the vendor, those for tokens left out
	LookUps  int `json:"lookUps,omitempty"`  // of those: what is there, or what the vendor is like
	Entries  int `json:"entries,omitempty"`  // of a chunk: those that it sent, or would have
	Vouchers int `json:"vouchers,omitempty"` // and their vouchers
}

// Until is the latest time at which an open effect can come: that of the answer,
// if it proves that the vendor's work has ended. It is zero if it is not known.
func (a Attempt) Until() time.Time {
	if a.Ended {
		return a.EndedAt
	}
	return a.OpenUntil
}

// Trail is the list of an invocation's attempts, in order.
//
// Temporal keeps only the last failure of an activity that it retries, so the
// trail travels in the heartbeat details: each attempt reads what the one
// before it left, adds itself, and hands on the whole.
type Trail []Attempt

// ruleLost marks an attempt that never reported.
const ruleLost = "trail:gap"

// lostMessage is recorded for an attempt that never reported.
const lostMessage = "the worker was lost during this attempt; nothing was reported"

// Begin returns the trail with attempt number n begun at now, having filled
// what is missing below it: an attempt that never reported, or is still marked
// as running, was lost with its worker. n is at least one more than the trail
// is long, since Temporal's own count starts again when an operator resets an
// activity.
//
// since bounds the times of attempts that left no trace: they began between
// the previous entry (or since, if there is none) and now.
func (t Trail) Begin(n int, since, now time.Time) Trail {
	t = slices.Clone(t).closeLost(now)
	t = t.fill(max(n+t.before(), t.Last().Number+1)-1, since, now)
	return append(t, Attempt{Number: t.Last().Number + 1, StartedAt: now})
}

// before is how many attempts were made of the invocation before this trail
// began, in an earlier run of its workflow.
func (t Trail) before() int {
	if len(t) == 0 {
		return 0
	}
	return t[0].Number - 1
}

// From returns the trail with numbers that begin at n, if it has only just
// begun: what came before was made in an earlier run.
func (t Trail) From(n int) Trail {
	if len(t) == 0 || t[0].Number >= n {
		return t
	}
	t = slices.Clone(t)
	shift := n - t[0].Number
	for i := range t {
		t[i].Number += shift
	}
	return t
}

// Lost returns the trail of an invocation whose last attempt was lost, with at
// least n attempts. Nothing follows the last one.
func (t Trail) Lost(n int, since, now time.Time) Trail {
	t = slices.Clone(t).closeLost(now)
	t = t.fill(n+t.before(), since, now)
	if len(t) > 0 {
		t[len(t)-1].Retryable, t[len(t)-1].Delay = false, 0
	}
	return t
}

// closeLost marks a last attempt that is still running as lost.
func (t Trail) closeLost(now time.Time) Trail {
	if len(t) > 0 && t[len(t)-1].Class == "" {
		last := &t[len(t)-1]
		*last = lost(last.Number, last.StartedAt, now)
	}
	return t
}

// fill appends lost attempts until the trail has n.
func (t Trail) fill(n int, since, now time.Time) Trail {
	for t.Last().Number < n {
		start := since
		if len(t) > 0 {
			start = t[len(t)-1].EndedAt.Add(t[len(t)-1].Delay)
		}
		t = append(t, lost(t.Last().Number+1, start, now))
	}
	return t
}

func lost(n int, start, end time.Time) Attempt {
	if end.Before(start) {
		end = start
	}
	return Attempt{
		Number: n, StartedAt: start, EndedAt: end, Class: classify.Timeout, Kind: classify.WorkerLost,
		Rule: ruleLost, Message: lostMessage, Retryable: true, Effect: classify.Open,
	}
}

// Effect folds what is known of all that the invocation has sent: open if any of
// it is open, else done if any of it was done, none if all of it is proved to have
// had no effect, and "" if nothing was sent. ended and until are of an open one: ended
// if the vendor's work on all of it has ended, until the latest time at which it
// can still take effect, zero if that is not known.
func (t Trail) Effect() (effect classify.Effect, ended bool, until time.Time) {
	for _, a := range t {
		if a.Found != "" && effect != classify.Done {
			effect, ended, until = a.Found, false, time.Time{}
			if a.Found == classify.Open {
				until = a.OpenUntil
			}
		}
		switch {
		case a.Effect == classify.Open: // also where a part of a chunk was done before: the rest was sent
			ended = a.Ended && (ended || effect != classify.Open)
			effect = classify.Open
		case a.Effect == classify.Done:
			effect, ended, until = classify.Done, false, time.Time{}
		case effect == "":
			effect = a.Effect
		}
		if effect == classify.Open && a.OpenUntil.After(until) {
			until = a.OpenUntil // also of one that was lost, as a later attempt found it
		}
	}
	return effect, ended, until
}

// Failures returns the attempts that failed.
func (t Trail) Failures() Trail {
	return slices.DeleteFunc(slices.Clone(t), func(a Attempt) bool { return a.Class == "" || a.Class == classify.Success })
}

// Last returns the last attempt, or the zero Attempt of an empty trail.
func (t Trail) Last() Attempt {
	if len(t) == 0 {
		return Attempt{}
	}
	return t[len(t)-1]
}

// String is for logs and tests: "1:transient/unavailable 2:success".
func (t Trail) String() string {
	var s string
	for i, a := range t {
		if i > 0 {
			s += " "
		}
		s += fmt.Sprintf("%d:%s", a.Number, a.Class)
		if a.Kind != "" {
			s += "/" + string(a.Kind)
		}
	}
	return s
}
