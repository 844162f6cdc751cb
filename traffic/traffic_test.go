package traffic_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/traffic"
)

// reports are what was reported to monitors.
type reports struct {
	mu   sync.Mutex
	list []string
	fail bool
}

func (l *reports) report(_ context.Context, _, _ uuid.UUID, seen []health.Observation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail {
		return errors.New("away")
	}
	var s string
	for _, o := range seen {
		s += fmt.Sprintf("%s×%d ", o.Kind, o.Count)
	}
	l.list = append(l.list, s)
	return nil
}

// all returns what was reported and forgets it.
func (l *reports) all() []string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list
	l.list = nil
	return list
}

// observing runs an observer in a bubble whose clock jumps.
func observing(t *testing.T, f func(t *testing.T, o *traffic.Observer, l *reports)) {
	synctest.Test(t, func(t *testing.T) {
		l := &reports{}
		o := traffic.NewObserver(l.report, traffic.Options{}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { o.Run(ctx); close(done) }()
		f(t, o, l)
		cancel()
		<-done
	})
}

var in = activities.Invocation{OrganizationID: uuid.New(), IntegrationID: uuid.New()}

func attempts(o *traffic.Observer, n int, kind classify.Kind) {
	for range n {
		o.Observe(in, activities.Attempt{Kind: kind, StartedAt: time.Now(), EndedAt: time.Now()})
	}
}

// A busy and healthy integration costs one report when it is first seen, and
// one in five minutes or a little more.
func TestSuccessesAreFolded(t *testing.T) {
	observing(t, func(t *testing.T, o *traffic.Observer, l *reports) {
		attempts(o, 1, classify.OK)
		require.Equal(t, []string{"ok×1 "}, l.all())
		for range 60 {
			attempts(o, 100, classify.OK)
			time.Sleep(time.Minute)
		}
		list := l.all()
		require.GreaterOrEqual(t, len(list), 9)
		require.LessOrEqual(t, len(list), 12)
		time.Sleep(10 * time.Minute)
		l.all()
		time.Sleep(3 * time.Hour)
		require.Empty(t, l.all(), "nothing without traffic")
		require.Zero(t, o.LastSuccess(in.OrganizationID, in.IntegrationID), "and it is forgotten")
		require.Zero(t, o.Dropped())
	})
}

// What may change the state is reported at once; what is of no interest never is.
func TestChangesAreReportedAtOnce(t *testing.T) {
	observing(t, func(t *testing.T, o *traffic.Observer, l *reports) {
		attempts(o, 1, classify.OK)
		require.Len(t, l.all(), 1)
		attempts(o, 2, classify.OK)
		require.Empty(t, l.all())
		attempts(o, 1, classify.Unavailable)
		require.Equal(t, []string{"ok×2 unavailable×1 "}, l.all())
		attempts(o, 1, classify.DNS)
		require.Equal(t, []string{"dns×1 "}, l.all(), "each failure is news until the vendor counts as away")
		attempts(o, 1, classify.RateLimited)
		require.Equal(t, []string{"rate_limited×1 "}, l.all())
		attempts(o, 1, classify.OK)
		require.Equal(t, []string{"ok×1 "}, l.all())
		attempts(o, 3, classify.Business) // the vendor works
		require.Empty(t, l.all())

		for _, none := range []activities.Attempt{
			{Kind: classify.Unavailable, Retryable: true}, {Kind: classify.Internal}, {Kind: classify.Paused}, {Kind: classify.Cancelled},
			{Kind: classify.OK, Rule: activities.RuleSettled}, // nobody was asked
		} {
			o.Observe(in, none)
		}
		probe := in
		probe.Purpose = limits.Probe
		o.Observe(probe, activities.Attempt{Kind: classify.DNS})
		require.Empty(t, l.all())
		time.Sleep(time.Hour)
		require.Equal(t, []string{"business×3 "}, l.all())
		o.Observe(in, activities.Attempt{Kind: classify.RateLimited, Retryable: true})
		require.Len(t, l.all(), 1, "throttling is reported even if it is tried again")
	})
}

// An integration that flickers is reported a few times and then every 30 s.
func TestFlickerIsBounded(t *testing.T) {
	observing(t, func(t *testing.T, o *traffic.Observer, l *reports) {
		for range 600 {
			attempts(o, 1, classify.OK)
			attempts(o, 1, classify.Unavailable)
			time.Sleep(time.Second)
		}
		n := len(l.all())
		require.GreaterOrEqual(t, n, 20)
		require.LessOrEqual(t, n, 26)
	})
}

// What cannot be reported is reported later, all of it and in order; a worker that
// stops reports what is left.
func TestNothingIsLostWhileTemporalIsAway(t *testing.T) {
	l := &reports{}
	synctest.Test(t, func(t *testing.T) {
		o := traffic.NewObserver(l.report, traffic.Options{}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { o.Run(ctx); close(done) }()
		l.fail = true
		attempts(o, 2, classify.OK)
		synctest.Wait()
		attempts(o, 3, classify.Unavailable)
		require.Empty(t, l.all())
		l.mu.Lock()
		l.fail = false
		l.mu.Unlock()
		time.Sleep(time.Minute)
		require.Equal(t, []string{"ok×2 unavailable×3 "}, l.all())
		attempts(o, 5, classify.Unavailable)
		synctest.Wait()
		cancel()
		<-done
		require.Equal(t, []string{"unavailable×5 "}, l.all())
	})
}

// With nobody looking, Observe neither waits nor grows.
func TestObserveNeverWaits(t *testing.T) {
	o := traffic.NewObserver(nil, traffic.Options{Backlog: 10}, slog.New(slog.DiscardHandler))
	attempts(o, 25, classify.OK)
	require.EqualValues(t, 15, o.Dropped())
}

// A success is news where a monitor does not take the integration for healthy.
func TestDoubt(t *testing.T) {
	observing(t, func(t *testing.T, o *traffic.Observer, l *reports) {
		attempts(o, 1, classify.OK)
		require.Len(t, l.all(), 1)
		o.Doubt(in.OrganizationID, in.IntegrationID)
		attempts(o, 1, classify.OK)
		require.Equal(t, []string{"ok×1 "}, l.all())
	})
}

func BenchmarkObserve(b *testing.B) {
	o := traffic.NewObserver(func(context.Context, uuid.UUID, uuid.UUID, []health.Observation) error { return nil },
		traffic.Options{}, slog.New(slog.DiscardHandler))
	go o.Run(b.Context())
	at := activities.Attempt{Kind: classify.OK}
	b.ReportAllocs()
	for b.Loop() {
		o.Observe(in, at)
	}
}
