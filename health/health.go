// Package health decides how an integration is doing, and when the vendor may
// be asked about it.
//
// Vendors limit and bill requests, so what real traffic shows comes first. A
// probe is made only when traffic has shown nothing for a while, and never
// after the vendor has said that it is asked too often. Every attempt, probe
// and warm-up is an [Observation]; [Record.Apply] is the state machine:
//
//	              success                        3rd failure in a row,
//	        ┌───────────────────┐                or a failed probe
//	        ▼     failure,      │                        │
//	┌─────────┐   refused   ┌───┴──────┐  ──────────►  ┌─┴───────────┐
//	│ healthy │ ──────────► │ degraded │               │ unreachable │
//	└─────────┘             └──────────┘  ◄──────────  └─────────────┘
//	  ▲  ▲                                 an answer,         │
//	  │  └────────────────── success ──── or refused ─────────┘
//	  │                   throttled, from every state
//	  │  ┌─────────┐ ◄──────────────────────────────────────────
//	  └──┤ passive │
//	     └─────────┘
//	   success of a call; probes stop until then
//
// The package is pure: no I/O, no clock; of the module it needs only classify.
package health

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// State is how an integration is doing. It is stored and shown.
type State string

// The states.
const (
	Unknown     State = "unknown"     // nothing was seen yet
	Healthy     State = "healthy"     // the last thing that was seen is a success
	Degraded    State = "degraded"    // failures, or the vendor refuses the credentials or a probe
	Unreachable State = "unreachable" // failures in a row, or confirmed by a probe
	Passive     State = "passive"     // throttled or out of credits: no probes until a call succeeds
)

// Source says what an observation was seen by.
type Source string

// The sources. Only a call is real: the others are requests of ours that do
// nobody's work.
const (
	Call   Source = "call"   // an invocation, also one of a run
	Probe  Source = "probe"  // asked because nothing else was seen
	WarmUp Source = "warmup" // asked because a run is due
)

// Observation is what one or several like outcomes in a row showed.
type Observation struct {
	At      time.Time     `json:"at"` // of the last of them
	Kind    classify.Kind `json:"kind"`
	Source  Source        `json:"source"`
	Count   int           `json:"count"`   // how many in a row; 0 counts as 1
	Latency time.Duration `json:"latency"` // of the last of them
}

// Signal is what a kind says about an integration's health; which one stands in
// classify's table of kinds.
type Signal = classify.Signal

// The signals.
const (
	Success   = classify.SignalSuccess
	Answer    = classify.SignalAnswer
	Failure   = classify.SignalFailure
	Refused   = classify.SignalRefused
	Throttled = classify.SignalThrottled
	Nothing   = classify.SignalNothing
)

// SignalOf returns what a kind says when it is the outcome of a call; a kind
// that is not known says nothing.
func SignalOf(k classify.Kind) Signal { return k.Signal() }

// Signal returns what the observation says.
func (o Observation) Signal() Signal { return o.Kind.Signal() }

// maxCount is how many outcomes in a row one observation can stand for.
const maxCount = 100_000

// Bounded returns what a message from outside may say of traffic: it was seen by
// calls, by now, and so many in a row as a worker can have seen.
func (o Observation) Bounded(now time.Time) Observation {
	if o.At.After(now) {
		o.At = now
	}
	o.Source, o.Count, o.Latency = Call, min(max(o.Count, 0), maxCount), min(max(o.Latency, 0), time.Hour)
	return o
}

// wrong reports whether a request of ours, which asks for nothing but a sign of
// life, was refused: the vendor is there, and yet something is wrong with what
// we are to it.
func (o Observation) wrong() bool { return o.Source != Call && o.Signal() == Answer }

// UnreachableAfter is how many failures in a row make an integration
// unreachable.
const UnreachableAfter = 3

// moves are the changes of state; where there is none, the state stays. What
// depends on more than state and signal is in [move].
var moves = map[Signal]map[State]State{
	Success:   {Unknown: Healthy, Degraded: Healthy, Unreachable: Healthy, Passive: Healthy},
	Answer:    {Unreachable: Degraded},
	Failure:   {Unknown: Degraded, Healthy: Degraded, Degraded: Unreachable},
	Refused:   {Unknown: Degraded, Healthy: Degraded, Unreachable: Degraded},
	Throttled: {Unknown: Passive, Healthy: Passive, Degraded: Passive, Unreachable: Passive},
}

// move returns the state after a signal, of which failures is the count in a
// row.
func move(from State, o Observation, failures int) State {
	to, ok := moves[o.Signal()][from]
	switch {
	case o.wrong() && (from == Unknown || from == Healthy):
		return Degraded
	case !ok:
		return from
	case from == Passive && o.Source != Call:
		return from // one request of ours got through; that is not yet leave to continue
	case to == Unreachable && o.Source != Probe && failures < UnreachableAfter:
		return from
	}
	return to
}
