package limits

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
)

// When a circuit breaker opens and for how long.
const (
	Failures    = 10               // in a row, over all invocations
	window      = time.Minute      // within which they must fall
	CoolDown    = 15 * time.Second // before one attempt is let through; doubled each time that fails
	maxCoolDown = 5 * time.Minute
)

// apart is the time between two attempts that come back to a breaker that
// refused them: thousands at one moment would hold up the server, and with it
// everyone. Within CoolDown all of them are back.
const apart = 50 * time.Millisecond

// Breakers are the circuit breakers of integrations. The zero value has all of them
// closed.
//
//	closed ──10 failures in a row within 1 min──► open
//	  ▲                                            │ 15 s, 30 s, … 5 min
//	  │                                            ▼
//	  └────the vendor answers──── half-open: one attempt ──fails──► open
//
// An answer that says no is an answer: the vendor is there. Throttling neither
// opens nor closes a breaker, since it has waits of its own, and neither does
// what failed on our side.
type Breakers struct {
	mu sync.Mutex
	by map[uuid.UUID]*breaker // by integration; one whose last answer was good has no entry
}

type breaker struct {
	failures int
	since    time.Time     // the first of the failures in a row
	coolDown time.Duration // 0 while closed
	until    time.Time     // open until then
	refused  int           // attempts, since it opened last
	trial    int           // the attempt that is let through, by its number; 0 for none
	trials   int
}

// Admission is the answer to an attempt that asks.
type Admission struct {
	breakers    *Breakers
	integration uuid.UUID
	trial       int

	Open  bool      // no call may be made
	Until time.Time // an open breaker lets an attempt through then
	Back  time.Time // when this one should come back; not before Until
}

// Admit asks whether an attempt may call the vendor. Unless the answer is Open,
// [Admission.Done] must follow.
func (b *Breakers) Admit(integration uuid.UUID, now time.Time) Admission {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := Admission{breakers: b, integration: integration}
	s := b.by[integration]
	switch {
	case s == nil || s.coolDown == 0:
	case now.Before(s.until):
		a.Open, a.Until, a.Back = true, s.until, s.until.Add(s.turn())
	case s.trial != 0:
		a.Open, a.Until, a.Back = true, now, now.Add(s.turn()) // it is decided when the one under way is over
	default:
		s.trials++
		s.trial, a.trial = s.trials, s.trials
	}
	return a
}

// turn is how long after the others an attempt that is refused should come back.
func (s *breaker) turn() time.Duration {
	after := time.Duration(s.refused) * apart % CoolDown
	s.refused++
	return after
}

// Done reports what became of the attempt. changed is true if that opened or
// closed the breaker.
func (a Admission) Done(v classify.Verdict, now time.Time) (changed bool) {
	b := a.breakers
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.by[a.integration]
	trial := s != nil && a.trial != 0 && s.trial == a.trial
	if trial {
		s.trial = 0
	}
	switch says(v) {
	case alive:
		// An attempt from before it opened says nothing of now.
		if s != nil && (s.coolDown == 0 || trial) {
			delete(b.by, a.integration)
			return s.coolDown > 0
		}
	case failing:
		if s == nil {
			if b.by == nil {
				b.by = make(map[uuid.UUID]*breaker)
			}
			s = &breaker{}
			b.by[a.integration] = s
		}
		switch {
		case trial:
			s.coolDown = min(2*s.coolDown, maxCoolDown)
			s.until, s.refused = now.Add(s.coolDown), 0
			return false
		case s.coolDown > 0: // it was under way when the breaker opened
			return false
		case s.failures == 0 || now.Sub(s.since) > window:
			s.failures, s.since = 0, now
		}
		s.failures++
		if s.failures >= Failures {
			s.coolDown, s.until = CoolDown, now.Add(CoolDown)
			return true
		}
	}
	return false
}

// State is how a breaker stands. Until is zero unless it is open.
func (b *Breakers) State(integration uuid.UUID) (open bool, until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.by[integration]; s != nil && s.coolDown > 0 {
		return true, s.until
	}
	return false, time.Time{}
}

// Open is how many breakers are open.
func (b *Breakers) Open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, s := range b.by {
		if s.coolDown > 0 {
			n++
		}
	}
	return n
}

// What a verdict says of the vendor.
const (
	nothing = iota
	alive
	failing
)

func says(v classify.Verdict) int {
	switch {
	case v.Class == classify.Success:
		return alive
	case v.Kind.Breaks():
		return failing
	case v.Kind.Closes() && v.HTTPStatus != 0:
		return alive
	}
	return nothing
}
