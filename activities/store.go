package activities

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// Store is what calls and monitors keep in PostgreSQL. Its methods are those of
// package runlog, which say what they do.
//
// It is an interface for one reason: Temporal's test environment skips waits, so its
// months of probes and its retries run by a clock that no database follows. Exports
// and notifications have no such seam: their rules are the database's, and tests of
// them have one.
type Store interface {
	// Integration and Pause find an integration, and who paused it (nil if nobody did).
	// [runlog.ErrNotFound] means that the organization has no such integration; any
	// other error, that it is not known.
	Integration(ctx context.Context, organization, integration uuid.UUID) (integrations.Integration, error)
	Pause(ctx context.Context, organization, integration uuid.UUID) (*runlog.Pause, error)

	InsertAttempts(ctx context.Context, organization uuid.UUID, rows []runlog.AttemptRow) error

	// Of ad-hoc writes; Control is what an integration's exports know to be at a
	// place, nil if nothing.
	ClaimWrite(ctx context.Context, c runlog.WriteClaim, left, inFlight time.Duration, again bool) (runlog.WriteClaimResult, error)
	SettleWrite(ctx context.Context, organization, correlation uuid.UUID, attempt int, effect classify.Effect, ended bool, httpStatus int) error
	Control(ctx context.Context, organization, integration uuid.UUID, place string) (*runlog.Control, error)

	// Of monitors and probes.
	MonitorTarget(ctx context.Context, organization, integration uuid.UUID) (runlog.MonitorTarget, error)
	RecordHealth(ctx context.Context, organization, integration uuid.UUID, u health.Update) error
	HostLastReached(ctx context.Context, host string) (time.Time, error) // by anybody
	RecordHostReached(ctx context.Context, host string, at time.Time) error
	RecordSecretExpiries(ctx context.Context, s runlog.SecretExpiries) (reached []runlog.SecretWarning, err error)
	ReportEvent(ctx context.Context, e notify.Event) (queued bool, err error)
}

// Freshness is how long a worker uses what it knows of an integration before it
// reads it again, so how long it takes until a change or a pause holds everywhere.
const Freshness = 10 * time.Second

// Database is the [Store] of production.
type Database struct {
	db          runlog.Beginner
	integration *cache[integrations.Integration]
	pause       *cache[*runlog.Pause]
}

// NewStore returns a store that keeps all in db. It reads an integration, and whether
// it is paused, again if what it knows is older than [Freshness]. What it cannot read, and
// does without, is logged and counted by refused, as [Options.Refused] is.
func NewStore(db runlog.Beginner, log *slog.Logger, refused func(step, reason string)) *Database {
	r := refusals{log, refused}
	return &Database{
		db: db,
		integration: cached("LoadIntegration", func(ctx context.Context, organization, id uuid.UUID) (integrations.Integration, error) {
			return runlog.LoadIntegration(ctx, db, organization, id)
		}, Freshness, r),
		pause: cached("LoadPause", func(ctx context.Context, organization, id uuid.UUID) (*runlog.Pause, error) {
			return runlog.LoadPause(ctx, db, organization, id)
		}, Freshness, r),
	}
}

// Integration returns an integration as it was at most [Freshness] ago; see [Store].
func (d *Database) Integration(ctx context.Context, organization, integration uuid.UUID) (integrations.Integration, error) {
	return d.integration.get(ctx, organization, integration)
}

// Pause returns who paused an integration, as it was known at most [Freshness] ago; see [Store].
func (d *Database) Pause(ctx context.Context, organization, integration uuid.UUID) (*runlog.Pause, error) {
	return d.pause.get(ctx, organization, integration)
}

// ClaimWrite is [runlog.ClaimWrite].
func (d *Database) ClaimWrite(ctx context.Context, c runlog.WriteClaim, left, inFlight time.Duration, again bool) (runlog.WriteClaimResult, error) {
	return runlog.ClaimWrite(ctx, d.db, c, left, inFlight, again)
}

// SettleWrite is [runlog.SettleWrite].
func (d *Database) SettleWrite(ctx context.Context, organization, correlation uuid.UUID, attempt int, effect classify.Effect, ended bool, httpStatus int) error {
	return runlog.SettleWrite(ctx, d.db, organization, correlation, attempt, effect, ended, httpStatus)
}

// Control is [runlog.LoadControl].
func (d *Database) Control(ctx context.Context, organization, integration uuid.UUID, place string) (*runlog.Control, error) {
	return runlog.LoadControl(ctx, d.db, organization, integration, place)
}

// MonitorTarget is [runlog.MonitoredIntegration].
func (d *Database) MonitorTarget(ctx context.Context, organization, integration uuid.UUID) (runlog.MonitorTarget, error) {
	return runlog.MonitoredIntegration(ctx, d.db, organization, integration)
}

// RecordHealth is [runlog.RecordHealth].
func (d *Database) RecordHealth(ctx context.Context, organization, integration uuid.UUID, u health.Update) error {
	return runlog.RecordHealth(ctx, d.db, organization, integration, u)
}

// HostLastReached is [runlog.HostLastReached].
func (d *Database) HostLastReached(ctx context.Context, host string) (time.Time, error) {
	return runlog.HostLastReached(ctx, d.db, host)
}

// RecordHostReached is [runlog.RecordHostReached].
func (d *Database) RecordHostReached(ctx context.Context, host string, at time.Time) error {
	return runlog.RecordHostReached(ctx, d.db, host, at)
}

// RecordSecretExpiries is [runlog.RecordSecretExpiries].
func (d *Database) RecordSecretExpiries(ctx context.Context, s runlog.SecretExpiries) ([]runlog.SecretWarning, error) {
	return runlog.RecordSecretExpiries(ctx, d.db, s)
}

// ReportEvent is [runlog.ReportEvent].
func (d *Database) ReportEvent(ctx context.Context, e notify.Event) (bool, error) {
	return runlog.ReportEvent(ctx, d.db, e)
}

// ReadPauses makes the store know all pauses as they are now, and returns as of when that
// is, by PostgreSQL's clock.
func (d *Database) ReadPauses(ctx context.Context) (asOf time.Time, err error) {
	began := time.Now()
	pauses, asOf, err := runlog.ReadPauses(ctx, d.db)
	if err != nil {
		return time.Time{}, err
	}
	found := make(map[runlog.IntegrationKey]*runlog.Pause, len(pauses))
	for k, p := range pauses {
		found[k] = &p
	}
	d.pause.adopt(found, began)
	return asOf, nil
}

// readWithin bounds a read, so that a database or a file that hangs does not use up
// the time of attempts and look like a vendor that does.
const readWithin = 2 * time.Second

// cache finds something that is known of an integration, and reads it at most once in
// fresh for each.
type cache[V any] struct {
	step     string
	read     func(ctx context.Context, organization, integration uuid.UUID) (V, error)
	fresh    time.Duration
	refusals refusals

	mu    sync.Mutex
	known map[runlog.IntegrationKey]entry[V]
}

// entry is what was found by a read that began at a time, and until when it is used.
type entry[V any] struct {
	found     V
	at, until time.Time
}

func cached[V any](step string, read func(ctx context.Context, organization, integration uuid.UUID) (V, error), fresh time.Duration, r refusals) *cache[V] {
	return &cache[V]{step: step, read: read, fresh: fresh, refusals: r, known: make(map[runlog.IntegrationKey]entry[V])}
}

// get returns what is known. While it cannot read, it uses what it knows: a database
// outage must not stop calls. Only that nothing was found is not kept, so that an
// integration can be used as soon as it is applied.
func (c *cache[V]) get(ctx context.Context, organization, integration uuid.UUID) (V, error) {
	k, began := runlog.IntegrationKey{OrganizationID: organization, IntegrationID: integration}, time.Now()
	c.mu.Lock()
	e, ok := c.known[k]
	c.mu.Unlock()
	if ok && began.Before(e.until) {
		return e.found, nil
	}
	bounded, cancel := context.WithTimeout(ctx, readWithin)
	found, err := c.read(bounded, organization, integration)
	cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok = c.known[k]
	switch {
	case ok && e.at.After(began): // somebody has read it since
		return e.found, nil
	case err == nil:
		c.known[k] = entry[V]{found, began, began.Add(c.fresh)}
	case errors.Is(err, runlog.ErrNotFound):
		delete(c.known, k)
	case ok:
		c.refusals.note(c.step, "an integration could not be read; what is known of it is used", err, "organization_id", organization, "integration_id", integration)
		c.known[k] = entry[V]{e.found, e.at, time.Now().Add(c.fresh)} // not every attempt has to find that out
		return e.found, nil
	}
	return found, err
}

// adopt makes what a read of all integrations has found what is known: those that it has
// not found have the zero value. A read of one that began later stays.
func (c *cache[V]) adopt(found map[runlog.IntegrationKey]V, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.known {
		if _, ok := found[k]; !ok && !c.known[k].at.After(began) {
			var none V
			c.known[k] = entry[V]{none, began, began.Add(c.fresh)}
		}
	}
	for k, v := range found {
		if !c.known[k].at.After(began) {
			c.known[k] = entry[V]{v, began, began.Add(c.fresh)}
		}
	}
}
