package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// LoadWaitFacts returns what the record knows of why a pending export waits. Until when its
// run is deferred it takes from e, which may be the run's own and newer. Whether the run is
// there is not known here. It needs the operator's role or that of reports.
func LoadWaitFacts(ctx context.Context, db Beginner, e exports.Export) (f exports.WaitFacts, err error) {
	facts, err := ListWaitFacts(ctx, db, e.OrganizationID, []exports.Export{e})
	if err != nil {
		return f, err
	}
	f, ok := facts[e.ID]
	if !ok {
		return f, ErrNotFound
	}
	return f, nil
}

// ListWaitFacts is [LoadWaitFacts] of those of an organization's exports that are pending, by
// their IDs. However many there are, it asks once; if there are none, not at all. An adoption
// has none: it has no run that could wait.
//
// Each request leaves its entries open for a time, also where all goes well. So open writes
// are a reason to wait only once nothing is left to be sent, as they are for the run itself,
// see [exports.Progress.WaitsUntil].
func ListWaitFacts(ctx context.Context, db Beginner, organization uuid.UUID, list []exports.Export) (map[uuid.UUID]exports.WaitFacts, error) {
	facts := make(map[uuid.UUID]exports.WaitFacts)
	pending := make(map[uuid.UUID]exports.Export)
	var ids, of []uuid.UUID // exports, and the integration of each
	for _, e := range list {
		if e.Status != "" && e.Status != exports.Pending {
			continue
		}
		pending[e.ID], ids, of = e, append(ids, e.ID), append(of, e.IntegrationID)
	}
	if len(ids) == 0 {
		return facts, nil
	}
	rows, err := queryInOrganization[struct {
		ExportID uuid.UUID
		pauseRow
		Organization string // as people call it
		Name         string
		OpenUntil    *time.Time
	}](ctx, db, organization, `
		SELECT export_id, `+calledOrganization+` AS organization, name, `+pauseColumns+`,
		    (SELECT max(open_until) FILTER (WHERE effect = 'open' AND NOT ended AND open_until > clock_timestamp()) FROM ledgerline.export_entries AS entry
		        WHERE organization_id = $1 AND entry.integration_id = pending.integration_id AND entry.export_id = pending.export_id
		        HAVING NOT coalesce(bool_or(state = 'planned' AND chunk > 0), false)) AS open_until
		FROM unnest($2::uuid[], $3::uuid[]) AS pending (export_id, integration_id) JOIN ledgerline.integrations AS integration USING (integration_id)
		WHERE organization_id = $1 AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS adoption
		    WHERE adoption.organization_id = $1 AND adoption.export_id = pending.export_id AND adoption.trigger = 'adopt')`, organization, ids, of)
	if err != nil {
		return nil, err
	}
	running, err := AnyWorker(ctx, db)
	for _, row := range rows {
		e := pending[row.ExportID]
		f := exports.WaitFacts{
			Organization: row.Organization, Integration: row.Name, Vendor: integrations.VendorTitle(e.AdapterName), Period: e.Period,
			NoWorker: err == nil && !running, DeferredUntil: orZero(e.DeferredUntil), DeferredFor: e.DeferredFor, OpenUntil: orZero(row.OpenUntil),
		}
		if p := row.pause(); p != nil {
			f.Paused, f.PausedBy, f.PausedAt, f.PauseReason = true, p.By, p.At, p.Reason
		}
		facts[row.ExportID] = f
	}
	return facts, err
}

// AnyWorker reports whether any worker is there, as far as anybody can know: it was seen
// within [WorkerLate] and has not stopped. It needs the operator's role or that of reports.
func AnyWorker(ctx context.Context, db Beginner) (running bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.workers WHERE stopped_at IS NULL AND seen_at > clock_timestamp() - $1::interval)`, WorkerLate).Scan(&running)
	})
	return running, err
}
