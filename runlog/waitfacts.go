package runlog

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// LoadWaitFacts returns what the record knows of why a pending export waits. Until when its
// run is deferred it takes from e, which may be the run's own and newer. Whether the run is
// there is not known here. It needs the operator's role or that of reports.
func LoadWaitFacts(ctx context.Context, db Beginner, e exports.Export) (f exports.WaitFacts, err error) {
	type row struct {
		pauseRow
		Organization string // as people call it
		Name         string
		OpenUntil    *time.Time
	}
	var found row
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		found, err = queryRow[row](ctx, tx, `
			SELECT `+calledOrganization+` AS organization, name, `+pauseColumns+`,
			    (SELECT max(open_until) FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $3
			        AND effect = 'open' AND NOT ended AND open_until > clock_timestamp()) AS open_until
			FROM ledgerline.integrations WHERE organization_id = $1 AND integration_id = $2`, e.OrganizationID, e.IntegrationID, e.ID)
		return err
	})
	if err != nil {
		return f, err
	}
	running, err := AnyWorker(ctx, db)
	f = exports.WaitFacts{
		Organization: found.Organization, Integration: found.Name, Vendor: integrations.VendorTitle(e.AdapterName), Period: e.Period,
		NoWorker: err == nil && !running, DeferredUntil: orZero(e.DeferredUntil), DeferredFor: e.DeferredFor, OpenUntil: orZero(found.OpenUntil),
	}
	if p := found.pause(); p != nil {
		f.Paused, f.PausedBy, f.PausedAt, f.PauseReason = true, p.By, p.At, p.Reason
	}
	return f, err
}

// AnyWorker reports whether any worker is there, as far as anybody can know: it was seen
// within [WorkerLate] and has not stopped. It needs the operator's role or that of reports.
func AnyWorker(ctx context.Context, db Beginner) (running bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.workers WHERE stopped_at IS NULL AND seen_at > clock_timestamp() - $1::interval)`, WorkerLate).Scan(&running)
	})
	return running, err
}
