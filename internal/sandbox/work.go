package sandbox

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// event is something that is due at a time of the sandbox's clock.
type event struct {
	at time.Time
	do func()
}

// job is a request that a vendor works on. It continues when its client has gone.
type job struct {
	call   *call
	rule   Rule
	handle func(*call)
	epoch  chan struct{} // closed when the sandbox is reset

	expiry   *event        // of its wait in the queue
	due      time.Time     // of the answer; zero while it waits in the queue
	known    chan struct{} // closed when the answer is known
	limited  bool          // it takes a place of its user's
	answer   answer
	said     LogEntry // as it was when the answer became known
	attended bool     // its client waits for the answer
}

// now is the moment at which something happens: that at which it was due, if it
// is made up for.
func (s *Sandbox) now() time.Time {
	if !s.moment.IsZero() {
		return s.moment
	}
	return s.options.Now()
}

// lock locks the sandbox when everything that is due has happened.
func (s *Sandbox) lock() {
	s.mu.Lock()
	s.settle(s.options.Now())
}

// unlock unlocks the sandbox and reports the answers that nobody waits for.
func (s *Sandbox) unlock() {
	unheard := s.unheard
	s.unheard = nil
	s.mu.Unlock()
	for _, e := range unheard {
		s.options.Answered(e)
	}
}

// Settle makes everything happen that is due by a time, which may lie ahead of
// the clock, in the order in which it is due and dated so.
func (s *Sandbox) Settle(until time.Time) {
	s.mu.Lock()
	defer s.unlock()
	s.settle(until)
}

// NextDue returns when the next thing is due that vendors still have to do; zero
// if there is nothing.
func (s *Sandbox) NextDue() time.Time {
	s.lock()
	defer s.unlock()
	return s.next()
}

func (s *Sandbox) next() time.Time {
	if len(s.agenda) == 0 {
		return time.Time{}
	}
	return s.agenda[0].at
}

func (s *Sandbox) settle(until time.Time) {
	for len(s.agenda) > 0 && !s.agenda[0].at.After(until) {
		e := s.agenda[0]
		s.agenda = slices.Delete(s.agenda, 0, 1)
		s.moment = e.at
		e.do()
		s.moment = time.Time{}
	}
}

// schedule has something happen at a time, after what is due then already.
func (s *Sandbox) schedule(at time.Time, do func()) *event {
	e := &event{at, do}
	i, _ := slices.BinarySearchFunc(s.agenda, at, func(e *event, at time.Time) int {
		if e.at.After(at) {
			return 1
		}
		return -1
	})
	s.agenda = slices.Insert(s.agenda, i, e)
	return e
}

// accept takes a request on. After a reset since it came, nobody does.
func (s *Sandbox) accept(j *job) {
	s.lock()
	defer s.unlock()
	if j.epoch != s.epoch {
		return
	}
	if j.limited = s.limited(j); j.limited {
		s.queueUp(j)
	} else {
		s.start(j)
	}
	s.settle(s.options.Now())
}

// start begins the work on a request.
func (s *Sandbox) start(j *job) {
	e := j.call.entry
	e.Started = s.now()
	s.log[e.Seq-1] = *e
	j.due = e.Started.Add(time.Duration(j.rule.DelayMS) * time.Millisecond)
	s.schedule(j.due, func() { s.decide(j) })
}

// decide is the moment at which a vendor answers and, unless the effect comes
// later, acts.
func (s *Sandbox) decide(j *job) {
	c, r := j.call, j.rule
	c.view, c.lookUp = s.shows(r), r.Lookup
	late := r.acts() && r.EffectDelayMS > 0
	switch {
	case late:
		c.rehearse(j.handle)
		late = !c.refused() // what has no good token is over at once
	case r.acts():
		j.handle(c)
	}
	c.speak(r)
	e := c.entry
	e.Done = s.now()
	e.Status = c.answer.status
	if c.vendor != "entra" { // its answer is a credential
		e.Answer = beginning(c.answer.body)
	}
	if r.Drop != "" || r.Reset != "" || r.Hang || r.CutHeaders > 0 {
		e.Status, e.Answer = 0, ""
	}
	if late {
		s.schedule(e.Done.Add(time.Duration(r.EffectDelayMS)*time.Millisecond), func() {
			j.handle(c)
			s.end(j)
		})
	} else {
		e.Ended = e.Done
	}
	s.say(j, c.answer)
	if !late {
		s.end(j)
	}
}

// say makes an answer known.
func (s *Sandbox) say(j *job, a answer) {
	e := j.call.entry
	s.log[e.Seq-1] = *e
	j.answer, j.said = a, *e
	j.call.answer = newAnswer() // that of what comes later is for nobody
	close(j.known)
	if !j.attended {
		s.leave(j)
	}
}

// leave notes that nobody waits for an answer.
func (s *Sandbox) leave(j *job) {
	if s.options.Answered != nil {
		s.unheard = append(s.unheard, j.said)
	}
}

// end ends the work on a request.
func (s *Sandbox) end(j *job) {
	e := j.call.entry
	e.Ended = s.now()
	s.log[e.Seq-1] = *e
	if j.limited {
		s.free()
	}
}

// beginning is what the log keeps of an answer.
func beginning(body []byte) string { return string(body[:min(len(body), 200)]) }

// poll is how often an injected clock is looked at.
const poll = 2 * time.Millisecond

// await waits for an answer. It returns false if nobody is left to hear it, or
// nobody to give it.
func (s *Sandbox) await(ctx context.Context, j *job) bool {
	for {
		select {
		case <-j.known:
			if s.options.Answered != nil {
				s.options.Answered(j.said)
			}
			return true
		default:
		}
		timer := time.NewTimer(s.patience(j))
		select {
		case <-j.known:
		case <-timer.C:
			s.Settle(s.options.Now())
		case <-j.epoch:
			return false
		case <-ctx.Done():
			s.abandon(j)
			return false
		}
		timer.Stop()
	}
}

// patience is how long to wait before the clock is looked at again.
func (s *Sandbox) patience(j *job) time.Duration {
	if !s.real {
		return poll
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.due.IsZero() {
		return s.waits()
	}
	return time.Until(j.due)
}

// abandon notes that the client of a request has gone.
func (s *Sandbox) abandon(j *job) {
	s.lock()
	defer s.unlock()
	select {
	case <-j.known:
		s.leave(j)
	default:
		j.attended = false
	}
}

// speak lets a rule answer in the vendor's place, or add to what it says. One
// that says how a change is answered says nothing of a request whose token the
// vendor refused: there was no change.
func (c *call) speak(r Rule) {
	if r.Status != 0 && !(r.acts() && c.refused()) {
		c.answer = r.answer()
	}
	if r.Rewrite != nil {
		c.answer.body = r.Rewrite(c.answer.body)
	}
	for k, v := range r.Headers {
		c.answer.header.Set(k, v)
	}
}

// refused is true if the vendor did not take the request's token.
func (c *call) refused() bool { return c.answer.status == http.StatusUnauthorized }

// rehearse finds out what a vendor will answer, and takes everything back. What
// it names things by, it will name them by again.
func (c *call) rehearse(handle func(*call)) {
	effects, noted := len(c.sb.effects), c.entry.Effects
	c.rehearsing = true
	handle(c)
	c.rehearsing = false
	c.takeBack(0)
	c.sb.effects, c.entry.Effects = c.sb.effects[:effects], noted
	c.guids.used, c.numbers.used = 0, 0
}

// names are what one request calls the things that it makes.
type names[T any] struct {
	all  []T
	used int
}

// next returns the next name, which is made up the first time.
func (n *names[T]) next(fresh func() T) T {
	if n.used == len(n.all) {
		n.all = append(n.all, fresh())
	}
	n.used++
	return n.all[n.used-1]
}
