package main

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/runlog"
)

// How often the worker looks which integrations there are, how far apart it
// starts their monitors, so that a fleet's start is no storm, and after how
// long it makes sure again of one that it knows: 6 to 12 hours, by integration.
// One whose probe is overdue is looked after at once.
const (
	monitorsEvery = time.Minute
	startsApart   = 20 * time.Millisecond
	sureFor       = 6 * time.Hour
)

// monitors keeps a monitor running for each integration. Every worker does
// this: starting one that runs has no effect.
type monitors struct {
	pool     *pgxpool.Pool
	temporal client.Client
	observer *activities.Observer
	log      *slog.Logger
	known    map[uuid.UUID]known // by integration
}

// known is what the last look showed of an integration.
type known struct {
	version string
	until   time.Time // when to make sure of its monitor again
}

// keepMonitors wires what traffic shows to the monitors, and keeps these running until
// ctx ends. It adds to the hooks of acts, so it must be called before work begins.
func keepMonitors(ctx context.Context, pool *pgxpool.Pool, temporal client.Client, acts *activities.Activities, log *slog.Logger) (wait func()) {
	observer := activities.NewObserver(func(ctx context.Context, organization, integration uuid.UUID, seen []health.Observation) error {
		if err := engine.ReportObservations(ctx, temporal, organization, integration, seen); err != nil {
			return err
		}
		acts.NoteTraffic(ctx, organization, integration, seen)
		return nil
	}, activities.ObserverOptions{}, log)
	count := acts.Observe
	acts.Observe = func(in activities.Invocation, done activities.Attempt) {
		count(in, done)
		observer.Observe(in, done)
	}
	acts.LastSuccess = observer.LastSuccess
	w := &monitors{pool: pool, temporal: temporal, observer: observer, log: log, known: make(map[uuid.UUID]known)}
	go w.run(ctx)
	told := make(chan struct{})
	go func() { observer.Run(ctx); close(told) }()
	return func() { <-told }
}

func (m *monitors) run(ctx context.Context) {
	for tick := time.NewTicker(monitorsEvery); ; {
		m.look(ctx)
		if n := m.observer.Dropped(); n > 0 {
			m.log.Debug("attempts that health was not told of, since the start", "count", n)
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// look goes through all integrations once.
func (m *monitors) look(ctx context.Context) {
	organizations, err := runlog.ListOrganizations(ctx, m.pool)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		m.log.Warn("integrations could not be listed; their monitors are looked after in a minute", "error", err)
		return
	}
	for _, organization := range organizations {
		list, err := runlog.ListMonitorTargets(ctx, m.pool, organization)
		if ctx.Err() != nil {
			return
		}
		if err != nil { // does not stop the others
			m.log.Warn("integrations could not be listed; their monitors are looked after in a minute", "organization_id", organization, "error", err)
			continue
		}
		for _, in := range list {
			if in.Doubtful {
				m.observer.Doubt(organization, in.IntegrationID)
			}
			if !m.ensure(ctx, organization, in) {
				return
			}
		}
	}
}

// ensure makes sure of one monitor, and that it knows of a change. It returns
// false if Temporal cannot be asked.
func (m *monitors) ensure(ctx context.Context, organization uuid.UUID, in runlog.MonitorListing) bool {
	now := time.Now()
	was, seen := m.known[in.IntegrationID]
	var err error
	switch {
	case seen && was.version != in.Version:
		err = engine.RefreshMonitor(ctx, m.temporal, organization, in.IntegrationID)
	case !seen || in.Overdue || now.After(was.until):
		err = engine.EnsureMonitor(ctx, m.temporal, organization, in.IntegrationID)
	default:
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		m.log.Warn("a monitor could not be started; it is tried again in a minute", "organization_id", organization, "integration_id", in.IntegrationID, "error", err)
		var away *serviceerror.Unavailable
		return !errors.As(err, &away) // one that cannot be started does not stop the others
	}
	m.known[in.IntegrationID] = known{in.Version, now.Add(sureFor + share(in.IntegrationID, sureFor))}
	time.Sleep(startsApart)
	return true
}

// share is a part of most, the same for an integration at all times.
func share(id uuid.UUID, most time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write(id[:])
	return most * time.Duration(h.Sum32()%1000) / 1000
}
