package health

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// Record is what is known of an integration's health.
type Record struct {
	State  State         `json:"state"`
	Since  time.Time     `json:"since"`
	Reason classify.Kind `json:"reason,omitempty"` // of a state that is not healthy

	LastSuccessAt time.Time     `json:"lastSuccessAt,omitzero"`
	LastFailureAt time.Time     `json:"lastFailureAt,omitzero"` // of whatever is neither success nor answer to a call
	LastFailure   classify.Kind `json:"lastFailure,omitempty"`
	Failures      int           `json:"failures"`     // in a row
	FailedProbes  int           `json:"failedProbes"` // in a row; each doubles the wait for the next
	Latency       time.Duration `json:"latency"`      // of the last success

	Evidence time.Time `json:"evidence"` // when something was last shown: the wait for a probe counts from here

	Observations int64 `json:"observations"` // numbers given out
	Changes      int64 `json:"changes"`
}

// Change is a change of state, or of what a state is owed to that only a person
// can fix: that credentials are refused, a probe is refused, or credits are
// used up.
type Change struct {
	Number int64         `json:"number"` // 1, 2, 3, … of the integration
	At     time.Time     `json:"at"`
	From   State         `json:"from"`
	To     State         `json:"to"`
	Reason classify.Kind `json:"reason"`
}

// New returns the record of an integration of which nothing is known. Its
// first probe is due within an interval.
func New(now time.Time, p Policy) Record {
	return Record{State: Unknown, Since: now, Evidence: now.Add(-p.withDefaults().Interval)}
}

// Apply returns the record after an observation, and the changes that it made.
func (r Record) Apply(o Observation) (Record, []Change) {
	r.Observations++
	signal := o.Signal()
	if signal == Nothing {
		return r, nil
	}
	if o.Source != Probe && o.At.After(r.Evidence) { // a probe's planned time counts, see [Record.ProbeSent]
		r.Evidence = o.At
	}
	if o.At.Before(r.Since) && r.State != Unknown {
		// Older than what the state is owed to: another worker reported it later.
		if signal == Success {
			r.LastSuccessAt = latest(r.LastSuccessAt, o.At)
		}
		return r, nil
	}
	switch {
	case signal == Success:
		r.LastSuccessAt, r.Latency = latest(r.LastSuccessAt, o.At), o.Latency
		r.Failures, r.FailedProbes = 0, 0
	case signal == Answer && !o.wrong():
		r.Failures = 0
	default:
		if signal == Answer {
			r.Failures = 0 // a sign of life all the same
		}
		r.LastFailureAt, r.LastFailure = latest(r.LastFailureAt, o.At), o.Kind
		if o.Source == Probe {
			r.FailedProbes++
		}
	}
	var changes []Change
	times := 1
	if signal == Failure { // one after the other: a row of them can be two changes
		times = max(o.Count, 1)
	}
	for range times {
		if signal == Failure {
			r.Failures++
		}
		to := move(r.State, o, r.Failures)
		if to == r.State && !r.hasNewReason(o) {
			continue
		}
		r.Changes++
		changes = append(changes, Change{Number: r.Changes, At: o.At, From: r.State, To: to, Reason: o.Kind})
		r.State, r.Since, r.Reason = to, o.At, o.Kind
	}
	return r, changes
}

// hasNewReason reports whether an observation that leaves the state as it is gives it
// another reason, and one to act upon.
func (r Record) hasNewReason(o Observation) bool {
	s := o.Signal()
	switch r.State {
	case Degraded:
		return (s == Refused || o.wrong()) && r.Reason.Signal() != s
	case Passive: // where calls are still made
		return s == Refused && r.Reason.Signal() != s || o.Kind == classify.QuotaExhausted && r.Reason != o.Kind
	}
	return false
}

// refused reports whether the state is owed to refused credentials.
func (r Record) refused() bool { return r.State == Degraded && r.Reason.Signal() == Refused }

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
