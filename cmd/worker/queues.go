package main

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// Times of leases. A worker that could not renew one for keepFor stops taking
// attempts; those under way have ended before another worker may take the
// lease: after WorkerStopTimeout they are cut off.
//
//	renewed ──keepFor 12 s──► stops ──at most 12 s──► all ended … leaseFor 35 s ──► another's
const (
	updateEvery  = 5 * time.Second
	updateWithin = 3 * time.Second
	keepFor      = 12 * time.Second
	leaseFor     = 35 * time.Second
)

// sharedSlots are how many attempts at a time this process makes for an
// integration that has a rate and no concurrency limit.
const sharedSlots = 20

// queues are the workers of the integrations that have a queue of their own.
//
// The server hands out as many attempts as TaskQueueActivitiesPerSecond says
// over all workers. It keeps no concurrency limit over all workers, so only the
// worker that has the lease takes attempts, with as many slots. Either way an
// attempt that waits is still with the server, and its time has not begun.
// Workflows of the queue run on every worker.
type queues struct {
	logger  *slog.Logger
	lease   func(context.Context) ([]runlog.QueueLease, error) // lists, renews and takes leases
	release func(context.Context, []uuid.UUID) error           // gives leases back; nil is all, for ever
	start   func(uuid.UUID, role, func(error)) (stopper, error)

	renewed    time.Time // just before the leases that are held were renewed
	running    map[uuid.UUID]*queue
	unreadable map[uuid.UUID]bool // whose limits could not be read, which was logged
	ended      chan struct{}      // a worker that was to stop has stopped
}

// stopper is a started worker.
type stopper interface{ Stop() }

// role is what a process does in a queue.
type role struct {
	perMinute int  // 0 is no limit
	slots     int  // attempts at a time; 0 leaves them to the one who holds the lease
	leased    bool // slots are a lease's
}

type queue struct {
	role
	worker stopper
	failed atomic.Bool   // it stopped by itself
	ended  chan struct{} // nil, or closed once it has stopped
}

// keepQueues works on the queues of integrations that have one of their own, until stop
// is called, which waits for attempts in those queues.
func keepQueues(ctx context.Context, pool *pgxpool.Pool, acts *activities.Activities, temporal client.Client, version worker.DeploymentOptions, logger *slog.Logger) (stop func()) {
	q := newQueues(pool, acts, temporal, version, logger)
	q.update(ctx)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stopped := make(chan struct{})
	go func() { q.keep(ctx); close(stopped) }()
	return func() {
		cancel()
		<-stopped
		q.stop()
	}
}

func newQueues(pool *pgxpool.Pool, acts *activities.Activities, temporal client.Client, version worker.DeploymentOptions, logger *slog.Logger) *queues {
	process := uuid.New()
	return &queues{
		logger: logger, running: make(map[uuid.UUID]*queue), unreadable: make(map[uuid.UUID]bool), ended: make(chan struct{}, 1),
		lease: func(ctx context.Context) ([]runlog.QueueLease, error) {
			return runlog.LeaseQueues(ctx, pool, process, leaseFor)
		},
		release: func(ctx context.Context, held []uuid.UUID) error {
			return runlog.ReleaseQueues(ctx, pool, process, held)
		},
		start: func(integration uuid.UUID, r role, failed func(error)) (stopper, error) {
			options := workflows.WorkerOptions()
			options.OnFatalError, options.DeploymentOptions = failed, version
			options.DisableEagerActivities = true // they would bypass the limits
			options.MaxConcurrentActivityTaskPollers, options.MaxConcurrentWorkflowTaskPollers = 2, 2
			if r.slots > 0 {
				options.MaxConcurrentActivityExecutionSize = r.slots
				options.TaskQueueActivitiesPerSecond = float64(r.perMinute) / 60
			} else {
				options.LocalActivityWorkerOnly = true // that is, workflows
			}
			w := worker.New(temporal, activities.OwnQueue(integration), options)
			workflows.Register(w, acts)
			return w, w.Start()
		},
	}
}

func (q *queues) keep(ctx context.Context) {
	tick := time.NewTicker(updateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-q.ended:
		}
		q.update(ctx)
	}
}

// update takes the role in each queue that leases and limits give. A queue stays
// open after its integration has lost its limits: calls may still wait there.
func (q *queues) update(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, updateWithin)
	defer cancel()
	began := time.Now()
	list, err := q.lease(within)
	if err != nil {
		if ctx.Err() == nil {
			q.logger.Warn("integrations with a queue of their own could not be looked up; what is known of them is used", "error", err)
			q.doubt(time.Since(q.renewed))
		}
		return
	}
	q.renewed = began
	var released []uuid.UUID
	known := make(map[uuid.UUID]bool, len(list))
	for _, l := range list {
		known[l.IntegrationID] = true
		q.logUnreadable(l)
		if q.become(l.IntegrationID, roleOf(l)) && l.Surplus {
			released = append(released, l.IntegrationID)
		}
	}
	for id := range q.running {
		if !known[id] { // removed for so long that no call waits any longer
			q.end(id)
		}
	}
	if len(released) > 0 {
		if err := q.release(within, released); err != nil {
			q.logger.Warn("a lease could not be given back; another worker takes it when it ends", "error", err)
		}
	}
}

// logUnreadable logs once that an integration's limits cannot be read. Its calls wait;
// those of others do not.
func (q *queues) logUnreadable(l runlog.QueueLease) {
	if l.Unreadable && !q.unreadable[l.IntegrationID] {
		q.logger.Error("an integration's limits cannot be read, so none of its calls is made: apply its file again", "integration_id", l.IntegrationID)
	}
	q.unreadable[l.IntegrationID] = l.Unreadable
}

// roleOf is what to do in a queue.
func roleOf(l runlog.QueueLease) role {
	switch {
	case l.Unreadable: // no limit that could be kept
		return role{}
	case l.ConcurrentRequests == 0:
		return role{perMinute: l.RequestsPerMinute, slots: sharedSlots}
	case l.Held && !l.Surplus:
		return role{perMinute: l.RequestsPerMinute, slots: l.ConcurrentRequests, leased: true}
	}
	return role{}
}

// doubt stops taking attempts under leases that were not renewed for so long
// that others may soon hold them.
func (q *queues) doubt(since time.Duration) {
	if since < keepFor {
		return
	}
	for id, r := range q.running {
		if r.leased {
			q.logger.Warn("the concurrency limit of an integration can no longer be held: no attempt of it is made here until PostgreSQL answers", "integration_id", id)
			q.become(id, role{})
		}
	}
}

// become takes a role and says whether it has it: one that had another ends
// first, which takes as long as its attempts under way.
func (q *queues) become(id uuid.UUID, want role) bool {
	is, ok := q.running[id]
	if ok && is.ended == nil && is.role == want && !is.failed.Load() {
		return true
	}
	if ok && !q.end(id) {
		return false
	}
	r := &queue{role: want}
	w, err := q.start(id, want, func(err error) {
		q.logger.Error("the worker of an integration's queue has failed; it is started again", "integration_id", id, "error", err)
		r.failed.Store(true)
	})
	if err != nil {
		q.logger.Error("the queue of an integration cannot be worked on; trying again", "integration_id", id, "error", err)
		return false
	}
	r.worker = w
	q.running[id] = r
	return true
}

// end stops a worker, without waiting, and says whether it has stopped.
func (q *queues) end(id uuid.UUID) bool {
	r := q.running[id]
	if r.ended == nil {
		r.ended = make(chan struct{})
		go func() {
			r.worker.Stop()
			close(r.ended)
			select {
			case q.ended <- struct{}{}:
			default:
			}
		}()
	}
	select {
	case <-r.ended:
		delete(q.running, id)
		return true
	default:
		return false
	}
}

// stop ends all, waits for attempts under way, and gives the leases back.
func (q *queues) stop() {
	var all sync.WaitGroup
	for id, r := range q.running {
		q.end(id)
		all.Go(func() { <-r.ended })
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := q.release(ctx, nil); err != nil {
		q.logger.Warn("leases could not be given back; other workers take them when they end", "error", err)
	}
}
