package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// fakeWorker stops when it is let.
type fakeWorker struct {
	role    role
	let     chan struct{} // nil: at once
	stopped bool
	failed  func(error)
}

func (w *fakeWorker) Stop() {
	if w.let != nil {
		<-w.let
	}
	w.stopped = true
}

// fleet is queues without servers.
type fleet struct {
	*queues
	now     []runlog.QueueLease // what the database says
	err     error
	given   []uuid.UUID
	left    bool
	started []*fakeWorker
}

func newFleet() *fleet {
	f := &fleet{}
	f.queues = &queues{
		logger: slog.New(slog.NewTextHandler(io.Discard, nil)), running: make(map[uuid.UUID]*queue), unreadable: make(map[uuid.UUID]bool), ended: make(chan struct{}, 1),
		lease: func(context.Context) ([]runlog.QueueLease, error) { return f.now, f.err },
		release: func(_ context.Context, held []uuid.UUID) error {
			f.given, f.left = append(f.given, held...), held == nil
			return nil
		},
		start: func(_ uuid.UUID, r role, failed func(error)) (stopper, error) {
			w := &fakeWorker{role: r, failed: failed}
			f.started = append(f.started, w)
			return w, nil
		},
	}
	return f
}

// settle looks until what was to stop has stopped.
func (f *fleet) settle(t *testing.T) {
	t.Helper()
	f.update(t.Context())
	select {
	case <-f.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("no worker stopped")
	}
	f.update(t.Context())
}

func (f *fleet) last() *fakeWorker { return f.started[len(f.started)-1] }

func TestQueueRoles(t *testing.T) {
	id := uuid.New()
	for _, c := range []struct {
		is   runlog.QueueLease
		want role
	}{
		{runlog.QueueLease{RequestsPerMinute: 30}, role{perMinute: 30, slots: sharedSlots}},
		{runlog.QueueLease{}, role{slots: sharedSlots}},
		{runlog.QueueLease{ConcurrentRequests: 2, Held: true}, role{slots: 2, leased: true}},
		{runlog.QueueLease{ConcurrentRequests: 2, RequestsPerMinute: 30, Held: true}, role{perMinute: 30, slots: 2, leased: true}},
		{runlog.QueueLease{ConcurrentRequests: 2, RequestsPerMinute: 30}, role{}},
		{runlog.QueueLease{ConcurrentRequests: 2, Held: true, Surplus: true}, role{}},
		{runlog.QueueLease{Unreadable: true}, role{}}, // no limit that could be kept
	} {
		f := newFleet()
		c.is.IntegrationID = id
		f.now = []runlog.QueueLease{c.is}
		f.update(t.Context())
		require.Equal(t, c.want, f.last().role, "%+v", c.is)
	}
}

// A lease that is surplus is given back when the attempts under it have ended,
// and not before.
func TestLeaseIsGivenBackOnceAttemptsHaveEnded(t *testing.T) {
	id := uuid.New()
	f := newFleet()
	f.now = []runlog.QueueLease{{IntegrationID: id, ConcurrentRequests: 2, Held: true}}
	f.update(t.Context())
	first := f.last()
	first.let = make(chan struct{})
	f.now[0].Surplus = true
	f.update(t.Context())
	f.update(t.Context())
	require.Empty(t, f.given)
	require.Len(t, f.started, 1)
	close(first.let)
	<-f.ended
	f.update(t.Context())
	require.True(t, first.stopped)
	require.Equal(t, []uuid.UUID{id}, f.given)
	require.Equal(t, role{}, f.last().role, "it still runs workflows")
}

// Without PostgreSQL a worker keeps the leases that it holds until another worker may
// take them, and everything else for ever.
func TestLeaseThatCannotBeRenewed(t *testing.T) {
	leased, shared := uuid.New(), uuid.New()
	f := newFleet()
	f.now = []runlog.QueueLease{{IntegrationID: leased, ConcurrentRequests: 2, Held: true}, {IntegrationID: shared, RequestsPerMinute: 60}}
	f.update(t.Context())
	f.err = errors.New("away")
	f.update(t.Context())
	require.Len(t, f.running, 2)
	require.False(t, f.started[0].stopped)
	f.renewed = time.Now().Add(-keepFor)
	f.settle(t)
	require.True(t, f.started[0].stopped)
	require.False(t, f.started[1].stopped)
	require.Equal(t, role{}, f.running[leased].role)
	f.err = nil // the lease is still ours
	f.settle(t)
	require.Equal(t, role{slots: 2, leased: true}, f.running[leased].role)

	require.Less(t, keepFor+updateEvery+updateWithin+workflows.WorkerOptions().WorkerStopTimeout, leaseFor, "all attempts have ended when another one may take the lease")
}

// A worker that failed is started again, one whose integration is long gone is
// ended, and another limit replaces it.
func TestQueuesFollow(t *testing.T) {
	id := uuid.New()
	f := newFleet()
	f.now = []runlog.QueueLease{{IntegrationID: id, RequestsPerMinute: 60}}
	f.update(t.Context())
	f.last().failed(errors.New("namespace not found"))
	f.settle(t)
	require.Len(t, f.started, 2)
	f.now[0].RequestsPerMinute = 90
	f.settle(t)
	require.Equal(t, 90, f.last().role.perMinute)
	f.now = nil
	f.settle(t)
	require.Empty(t, f.running)
	require.Len(t, f.started, 3)
}

func TestStopGivesLeasesBack(t *testing.T) {
	id := uuid.New()
	f := newFleet()
	f.now = []runlog.QueueLease{{IntegrationID: id, ConcurrentRequests: 1, Held: true}, {IntegrationID: uuid.New(), ConcurrentRequests: 1}}
	f.update(t.Context())
	f.stop()
	require.True(t, f.started[0].stopped)
	require.True(t, f.started[1].stopped)
	require.True(t, f.left)
}
