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
	Unknown    bool           `json:"unknown,omitempty"`    // the vendor may have acted
	Marked     bool           `json:"marked,omitempty"`     // it was the first to mark its chunk of an export as sent
	Asked      time.Duration  `json:"asked,omitempty"`      // wait that the vendor asked for, in ns
}

// Trail is the list of an invocation's attempts, in order.
//
// Temporal keeps only the last failure of an activity that it retries, so the
// trail travels in the heartbeat details: each attempt reads what the one
// before it left, adds itself, and hands on the whole.
type Trail []Attempt

// lostMessage is recorded for an attempt of which nothing was heard.
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
	t = t.fill(max(n, len(t)+1)-1, since, now)
	return append(t, Attempt{Number: len(t) + 1, StartedAt: now})
}

// Lost returns the trail of an invocation whose last attempt was lost, with at
// least n attempts. Nothing follows the last one.
func (t Trail) Lost(n int, since, now time.Time) Trail {
	t = slices.Clone(t).closeLost(now)
	t = t.fill(n, since, now)
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
	for len(t) < n {
		start := since
		if len(t) > 0 {
			start = t[len(t)-1].EndedAt.Add(t[len(t)-1].Delay)
		}
		t = append(t, lost(len(t)+1, start, now))
	}
	return t
}

func lost(n int, start, end time.Time) Attempt {
	if end.Before(start) {
		end = start
	}
	return Attempt{
		Number: n, StartedAt: start, EndedAt: end, Class: classify.Timeout, Kind: classify.WorkerLost,
		Rule: "trail:gap", Message: lostMessage, Retryable: true, Unknown: true,
	}
}

// Uncertain reports whether a finished attempt may have taken effect at the
// vendor. The next one then reads back before it sends.
func (t Trail) Uncertain() bool {
	return slices.ContainsFunc(t, func(a Attempt) bool { return a.Class != "" && a.Unknown })
}

// Marked reports whether this invocation was the first to mark its chunk of an
// export as sent. Only then does the trail say all that is to be known of the
// chunk: otherwise somebody before it may have sent the same entries.
func (t Trail) Marked() bool {
	return slices.ContainsFunc(t, func(a Attempt) bool { return a.Marked })
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
