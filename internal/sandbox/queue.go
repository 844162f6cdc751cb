package sandbox

import (
	"net/http"
	"slices"
	"time"
)

// queue is Business Central's of one user: so many requests are carried out at
// a time, the others wait in the order in which they came, whether their
// clients wait or not (docs/vendors.md#businesscentral-api). The sandbox has one user.
type queue struct {
	running int
	waiting []*job
}

// limited is true for a request that takes a place of its user's.
func (s *Sandbox) limited(j *job) bool {
	return j.call.vendor == "businesscentral" && s.user(j.call)
}

// queueUp begins the work on a request if there is a place, or has it wait.
func (s *Sandbox) queueUp(j *job) {
	switch {
	case s.queue.running < s.options.Concurrent:
		s.queue.running++
		s.start(j)
	case len(s.queue.waiting) >= s.options.QueueLength:
		s.refuse(j, bcError(http.StatusTooManyRequests, "Application_TooManyRequests", "Too many requests reached. Maximum (%d).", s.options.QueueLength))
	default:
		s.queue.waiting = append(s.queue.waiting, j)
		j.expiry = s.schedule(s.now().Add(s.options.QueueWait), func() {
			s.queue.waiting = slices.DeleteFunc(s.queue.waiting, func(other *job) bool { return other == j })
			a := bcError(http.StatusServiceUnavailable, "Internal_TenantUnavailable", "The request has waited for too long.")
			a.header.Set("Retry-After", "30")
			s.refuse(j, a)
		})
	}
}

// refuse ends a request that is not carried out.
func (s *Sandbox) refuse(j *job, a answer) {
	j.rule = Rule{}
	e := j.call.entry
	e.Done, e.Status, e.Answer = s.now(), a.status, beginning(a.body)
	e.Ended = e.Done
	s.say(j, a)
}

// free gives a place to the one that has waited longest.
func (s *Sandbox) free() {
	s.queue.running--
	if len(s.queue.waiting) == 0 {
		return
	}
	next := s.queue.waiting[0]
	s.queue.waiting = s.queue.waiting[1:]
	s.agenda = slices.DeleteFunc(s.agenda, func(e *event) bool { return e == next.expiry })
	s.queue.running++
	s.start(next)
}

// waits is how long to wait before a request in the queue is looked at again.
func (s *Sandbox) waits() time.Duration {
	return min(time.Until(s.next()), 10*poll) // one that comes later may be due earlier
}
