package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/traffic"
)

// How often the worker lists the integrations, how far apart it starts their
// monitors, so that a fleet's start is no storm, and after how long it makes sure
// again of one that it knows: 6 to 12 hours, by integration. A monitor whose probe is
// overdue is checked at once.
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
	observer *traffic.Observer
	log      *slog.Logger
	known    map[uuid.UUID]monitorCheck // by integration
}

// monitorCheck is the last check of an integration's monitor.
type monitorCheck struct {
	version string
	until   time.Time // when to make sure of its monitor again
}

// newObserver returns an observer that reports to monitors what traffic shows.
func newObserver(temporal client.Client, store activities.Store, log *slog.Logger) *traffic.Observer {
	return traffic.NewObserver(func(ctx context.Context, organization, integration uuid.UUID, observations []health.Observation) error {
		spec, err := store.Integration(ctx, organization, integration)
		if err := engine.ReportObservations(ctx, temporal, organization, integration, spec.Name, observations); err != nil {
			return err
		}
		if err == nil {
			err = recordReached(ctx, store, spec.BaseURL, observations)
		}
		if err != nil {
			log.Debug("a vendor's host could not be noted as reached", "error", redact.Text(err.Error()))
		}
		return nil
	}, traffic.Options{}, log)
}

// recordReached records that an integration's host was reached, if observations show
// that.
func recordReached(ctx context.Context, store activities.Store, baseURL string, observations []health.Observation) error {
	var at time.Time
	for _, o := range observations {
		if s := o.Signal(); (s == health.Success || s == health.Answer) && o.At.After(at) {
			at = o.At
		}
	}
	if at.IsZero() {
		return nil
	}
	return store.RecordHostReached(ctx, activities.HostOf(baseURL), at)
}

// keepMonitors keeps monitors running, and has the observer report to them, until ctx
// ends. What is left is reported before wait returns.
func keepMonitors(ctx context.Context, pool *pgxpool.Pool, temporal client.Client, observer *traffic.Observer, log *slog.Logger) (wait func()) {
	m := &monitors{pool: pool, temporal: temporal, observer: observer, log: log, known: make(map[uuid.UUID]monitorCheck)}
	go m.run(ctx)
	reported := make(chan struct{})
	go func() { observer.Run(ctx); close(reported) }()
	return func() { <-reported }
}

func (m *monitors) run(ctx context.Context) {
	for tick := time.NewTicker(monitorsEvery); ; {
		m.ensureAll(ctx)
		if n := m.observer.Dropped(); n > 0 {
			m.log.Debug("attempts that no monitor learned of, since the start", "count", n)
		}
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// ensureAll goes through all integrations once.
func (m *monitors) ensureAll(ctx context.Context) {
	organizations, err := runlog.ListOrganizations(ctx, m.pool)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		m.log.Warn("integrations could not be listed; their monitors are checked in a minute", "error", err)
		return
	}
	for _, organization := range organizations {
		list, err := runlog.ListMonitorTargets(ctx, m.pool, organization)
		if ctx.Err() != nil {
			return
		}
		if err != nil { // does not stop the others
			m.log.Warn("integrations could not be listed; their monitors are checked in a minute", "organization_id", organization, "error", err)
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
// false if Temporal is unavailable.
func (m *monitors) ensure(ctx context.Context, organization uuid.UUID, in runlog.MonitorListing) bool {
	now := time.Now()
	was, seen := m.known[in.IntegrationID]
	var err error
	switch {
	case seen && was.version != in.Version:
		err = engine.RefreshMonitor(ctx, m.temporal, organization, in.IntegrationID, in.Name)
	case !seen || in.Overdue || now.After(was.until):
		err = engine.EnsureMonitor(ctx, m.temporal, organization, in.IntegrationID, in.Name)
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
	m.known[in.IntegrationID] = monitorCheck{in.Version, now.Add(sureFor + health.Phase(in.IntegrationID.String(), sureFor))}
	time.Sleep(startsApart)
	return true
}
