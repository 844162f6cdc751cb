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

// database is the [Store] of production.
type database struct {
	db          runlog.Beginner
	integration lookup[integrations.Integration]
	pause       lookup[*runlog.Pause]
}

// NewStore returns a store that keeps all in db. It reads an integration, and whether
// it is paused, again if what it knows is older than [Freshness]. What it cannot read, and
// does without, is logged and counted by refused, as [Options.Refused] is.
func NewStore(db runlog.Beginner, log *slog.Logger, refused func(step, reason string)) Store {
	r := refusals{log, refused}
	return &database{
		db: db,
		integration: cached("LoadIntegration", func(ctx context.Context, organization, id uuid.UUID) (integrations.Integration, error) {
			return runlog.LoadIntegration(ctx, db, organization, id)
		}, Freshness, r),
		pause: cached("LoadPause", func(ctx context.Context, organization, id uuid.UUID) (*runlog.Pause, error) {
			return runlog.LoadPause(ctx, db, organization, id)
		}, Freshness, r),
	}
}

func (d *database) Integration(ctx context.Context, organization, integration uuid.UUID) (integrations.Integration, error) {
	return d.integration(ctx, organization, integration)
}

func (d *database) Pause(ctx context.Context, organization, integration uuid.UUID) (*runlog.Pause, error) {
	return d.pause(ctx, organization, integration)
}

func (d *database) ClaimWrite(ctx context.Context, c runlog.WriteClaim, left, inFlight time.Duration, again bool) (runlog.WriteClaimResult, error) {
	return runlog.ClaimWrite(ctx, d.db, c, left, inFlight, again)
}

func (d *database) SettleWrite(ctx context.Context, organization, correlation uuid.UUID, attempt int, effect classify.Effect, ended bool, httpStatus int) error {
	return runlog.SettleWrite(ctx, d.db, organization, correlation, attempt, effect, ended, httpStatus)
}

func (d *database) Control(ctx context.Context, organization, integration uuid.UUID, place string) (*runlog.Control, error) {
	return runlog.LoadControl(ctx, d.db, organization, integration, place)
}

func (d *database) MonitorTarget(ctx context.Context, organization, integration uuid.UUID) (runlog.MonitorTarget, error) {
	return runlog.MonitoredIntegration(ctx, d.db, organization, integration)
}

func (d *database) RecordHealth(ctx context.Context, organization, integration uuid.UUID, u health.Update) error {
	return runlog.RecordHealth(ctx, d.db, organization, integration, u)
}

func (d *database) HostLastReached(ctx context.Context, host string) (time.Time, error) {
	return runlog.HostLastReached(ctx, d.db, host)
}

func (d *database) RecordHostReached(ctx context.Context, host string, at time.Time) error {
	return runlog.RecordHostReached(ctx, d.db, host, at)
}

func (d *database) RecordSecretExpiries(ctx context.Context, s runlog.SecretExpiries) ([]runlog.SecretWarning, error) {
	return runlog.RecordSecretExpiries(ctx, d.db, s)
}

func (d *database) ReportEvent(ctx context.Context, e notify.Event) (bool, error) {
	return runlog.ReportEvent(ctx, d.db, e)
}

// lookup finds something that is known of an integration.
type lookup[V any] func(ctx context.Context, organization, integration uuid.UUID) (V, error)

// readWithin bounds a read, so that a database or a file that hangs does not use up
// the time of attempts and look like a vendor that does.
const readWithin = 2 * time.Second

// cached returns a lookup that reads at most once in fresh for each integration.
// While it cannot read, it uses what it knows: a database outage must not stop calls.
// Only that nothing was found is not kept, so that an integration can be used as soon
// as it is applied.
func cached[V any](step string, read lookup[V], fresh time.Duration, r refusals) lookup[V] {
	type key struct{ organization, integration uuid.UUID }
	type entry struct {
		found V
		at    time.Time
	}
	var mu sync.Mutex
	known := make(map[key]entry)
	return func(ctx context.Context, organization, integration uuid.UUID) (V, error) {
		k := key{organization, integration}
		mu.Lock()
		e, ok := known[k]
		mu.Unlock()
		if ok && time.Since(e.at) < fresh {
			return e.found, nil
		}
		bounded, cancel := context.WithTimeout(ctx, readWithin)
		found, err := read(bounded, organization, integration)
		cancel()
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			known[k] = entry{found, time.Now()}
		case errors.Is(err, runlog.ErrNotFound):
			delete(known, k)
		case ok:
			r.note(step, "an integration could not be read; what is known of it is used", err, "organization_id", organization, "integration_id", integration)
			known[k] = entry{e.found, time.Now()} // not every attempt has to find that out
			return e.found, nil
		}
		return found, err
	}
}
