package main

import (
	"context"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"

	"github.com/ledgerline/ledgerline/classify"
)

// stuckAfter is how long all slots may be taken with none coming free: two of the
// default attempts, which end by themselves.
var stuckAfter = 2 * classify.DefaultPolicy().AttemptTimeout

// slots counts the activities under way in the shared queue. A worker whose slots
// are all taken is busy; one that gets none of them back does no work, although
// Temporal and PostgreSQL answer. A queue of an integration's own is another one's
// trouble: it shows in temporal_worker_task_slots_used by task_queue, and the worker
// stays ready for the others.
//
//	free ──the last slot is taken──► full ──none comes free for 20 s──► stuck
//	  ▲                               │ one comes free                    │
//	  └───────────────────────────────┴───────────────────────────────────┘
type slots struct {
	interceptor.WorkerInterceptorBase
	size int
	now  func() time.Time

	mu   sync.Mutex
	used int
	full time.Time // since when all have been taken; zero if one is free
}

func newSlots(size int) *slots { return &slots{size: size, now: time.Now} }

func (s *slots) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used++; s.used >= s.size && s.full.IsZero() {
		s.full = s.now()
	}
}

// free gives a slot back. Where the SDK hands the next task out before this one is
// counted, used is above size for a moment; that one came free counts all the same.
func (s *slots) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = time.Time{}
	if s.used--; s.used >= s.size {
		s.full = s.now()
	}
}

// stuck is how long all slots have been taken, if that is too long; else 0.
func (s *slots) stuck() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full.IsZero() {
		return 0
	}
	if since := s.now().Sub(s.full); since > stuckAfter {
		return since
	}
	return 0
}

// InterceptActivity implements [interceptor.WorkerInterceptor].
func (s *slots) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &slotCounter{interceptor.ActivityInboundInterceptorBase{Next: next}, s}
}

type slotCounter struct {
	interceptor.ActivityInboundInterceptorBase
	slots *slots
}

// ExecuteActivity implements [interceptor.ActivityInboundInterceptor]. Local
// activities have slots of their own.
func (c *slotCounter) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if !activity.GetInfo(ctx).IsLocalActivity {
		c.slots.take()
		defer c.slots.free()
	}
	return c.Next.ExecuteActivity(ctx, in)
}
