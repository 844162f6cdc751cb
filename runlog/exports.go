package runlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// OverlapError is returned by [ClaimExport] for a period that another one of the same
// integration covers in part. Nothing would be sent twice, but nobody could say
// any more which export an entry belongs to.
type OverlapError struct {
	Period string
	Other  exports.Export
}

// Error says which export has the period, and what becomes of new entries.
func (e *OverlapError) Error() string {
	return fmt.Sprintf("period %s overlaps %s, which export %s has; entries that came since go with the next period of that kind", e.Period, e.Other.Period, e.Other.ID)
}

// ClaimExport makes an export's row, or finds the one that its period has already.
// mine is true if the row belongs to e's own run: to this claim, or to an earlier
// try of it. A period asked for by hand that overlaps another is an [*OverlapError];
// a scheduled one is not, so that a schedule can change from days to months.
func ClaimExport(ctx context.Context, db Beginner, e exports.Export) (claimed exports.Export, mine bool, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if err := lockPlan(ctx, tx, e); err != nil {
			return err
		}
		mineOrFirst := func() (bool, error) {
			found, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND idempotency_key = $2`, e.OrganizationID, e.IdempotencyKey())
			if err == nil && len(found) > 0 {
				claimed = found[0]
			}
			return len(found) > 0, err
		}
		if found, err := mineOrFirst(); found || err != nil {
			return err
		}
		if e.Trigger == exports.ByHand {
			found, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND integration_id = $2 AND parent_export_id IS NULL
				AND trigger <> 'adopt' AND period_start < $4 AND period_end > $3 ORDER BY period_start LIMIT 1`, e.OrganizationID, e.IntegrationID, e.PeriodStart, e.PeriodEnd)
			if err != nil {
				return err
			}
			if len(found) > 0 {
				return &OverlapError{e.Period, found[0]}
			}
		}
		if err := insertExport(ctx, tx, e); err != nil {
			return err
		}
		_, err := mineOrFirst()
		return err
	})
	return claimed, claimed.RunID == e.RunID, err
}

// insertExport makes an export's row, unless there is one with its key.
func insertExport(ctx context.Context, tx pgx.Tx, e exports.Export) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, export_id, integration_id, adapter_name, period, period_start, period_end,
		    idempotency_key, trigger, triggered_by, started_at, workflow_id, run_id, parent_export_id, scheduled_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (organization_id, idempotency_key) DO NOTHING`,
		e.OrganizationID, e.ID, e.IntegrationID, e.AdapterName, e.Period, e.PeriodStart, e.PeriodEnd, e.IdempotencyKey(),
		e.Trigger, e.TriggeredBy, e.StartedAt, e.WorkflowID, e.RunID, e.ParentID, e.ScheduledAt)
	return err
}

// TakeOverExport makes a pending export that of another run, whose fencing number is
// one higher: what the run before still orders is refused from then on. It
// returns false if somebody else was quicker.
func TakeOverExport(ctx context.Context, db Beginner, e exports.Export, workflowID string, run uuid.UUID) (taken exports.Export, ok bool, err error) {
	taken = e
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET workflow_id = $4, run_id = $5, fence = fence + 1
			WHERE organization_id = $1 AND export_id = $2 AND status = 'pending' AND fence = $3 AND run_id = $6 RETURNING fence`,
			e.OrganizationID, e.ID, e.Fence, workflowID, run, e.RunID).Scan(&taken.Fence)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		ok = err == nil
		return err
	})
	taken.WorkflowID, taken.RunID = workflowID, run
	return taken, ok, err
}

// DeferExport records until when an export waits; the zero time ends the wait.
func DeferExport(ctx context.Context, db Beginner, o exports.Owner, until time.Time) error {
	return asExportOwner(ctx, db, o, func(tx pgx.Tx) error {
		var at *time.Time
		if !until.IsZero() {
			at = &until
		}
		_, err := tx.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET deferred_until = $3
			WHERE organization_id = $1 AND export_id = $2 AND status = 'pending'`, o.OrganizationID, o.ExportID, at)
		return err
	})
}

// RecordCost stores what a pending export's run has cost so far, for its row and for
// the run that may take it over. The numbers only grow.
func RecordCost(ctx context.Context, db Beginner, e exports.Export) error {
	return asExportOwner(ctx, db, e.Owner(), func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log
			SET requests = greatest(requests, $3), look_ups = greatest(look_ups, $4), isolating = greatest(isolating, $5)
			WHERE organization_id = $1 AND export_id = $2 AND status = 'pending'`, e.OrganizationID, e.ID, e.Requests, e.LookUps, e.Isolating)
		return err
	})
}

// CloseExport counts what became of an export's entries, sums and hashes them,
// and closes its row: failed if there is an error class or an entry's outcome
// is open, otherwise complete. Closing again changes nothing. A run that does not
// own a pending export gets [ErrNotOwner].
func CloseExport(ctx context.Context, db Beginner, e exports.Export) (closed exports.Export, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		if err := lockOwned(ctx, tx, e.Owner()); errors.Is(err, ErrNotOwner) {
			found, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND export_id = $2`, e.OrganizationID, e.ID)
			if err == nil && len(found) > 0 && found[0].Status != exports.Pending && found[0].RunID == e.RunID {
				closed = found[0] // by an earlier try
				return nil
			}
			return cmp.Or(err, error(ErrNotOwner))
		} else if err != nil {
			return err
		}
		sum, err := canonicalSum(ctx, tx, e, nil)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			WITH n AS (
			    SELECT count(*) AS total, count(*) FILTER (WHERE state = 'exported') AS exported,
			        count(*) FILTER (WHERE state = 'rejected') AS rejected, count(*) FILTER (WHERE state IN ('unknown', 'sent')) AS unknown,
			        count(*) FILTER (WHERE state = 'planned') AS planned, count(vendor_fault) AS faulted
			    FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2
			), m AS (`+debits+`)
			UPDATE ledgerline.bufdir_export_audit_log b SET entries_total = n.total, entries_exported = n.exported,
			    entries_rejected = n.rejected, entries_unknown = n.unknown, entries_faulted = n.faulted, amounts = m.amounts, sha256 = $3,
			    last_correlation_id = $4, error_class = nullif($5, ''), error_code = nullif($6, ''), error_message = nullif($7, ''),
			    finished_at = ledgerline.clock(), attempts = $8, chunks = $9, requests = $13, look_ups = $14, isolating = $15, warm_up = nullif($10::interval, interval '0'), cold_start = $11, warm_up_ms = $12,
			    status = CASE WHEN $5 <> '' OR n.unknown > 0 OR n.planned > 0 THEN 'failed' ELSE 'complete' END
			FROM n, m WHERE b.organization_id = $1 AND b.export_id = $2 AND b.status = 'pending'`,
			e.OrganizationID, e.ID, sum, e.LastCorrelationID, e.ErrorClass, e.ErrorCode, storable(e.ErrorMessage), e.Attempts, e.Chunks, e.WarmUp, e.ColdStart, e.WarmUpMS, e.Requests, e.LookUps, e.Isolating)
		if err == nil && e.ChunkSize > 0 {
			err = keepSize(ctx, tx, e)
		}
		if err != nil {
			return err
		}
		found, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND export_id = $2`, e.OrganizationID, e.ID)
		if err != nil || len(found) == 0 {
			return err
		}
		closed = found[0]
		if tag.RowsAffected() == 0 {
			return nil // it was closed, and reported, before
		}
		_, err = report(ctx, tx, exportEvent(closed))
		return err
	})
	return closed, err
}

// LateErrorsSince is since when a vendor is to be asked for late faults: since the
// start of the integration's export before this one that asked, for what was
// found after that one had closed; if none did, since the first one's. A retry
// counts as a part of what it retries.
func LateErrorsSince(ctx context.Context, db Beginner, organization, id uuid.UUID) (at time.Time, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			WITH RECURSIVE chain AS (
			    SELECT integration_id, parent_export_id, started_at FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND export_id = $2
			    UNION ALL
			    SELECT b.integration_id, b.parent_export_id, b.started_at FROM ledgerline.bufdir_export_audit_log b JOIN chain c ON b.export_id = c.parent_export_id
			    WHERE b.organization_id = $1
			), own AS (SELECT min(started_at) AS at FROM chain)
			SELECT coalesce(max(b.started_at) FILTER (WHERE b.status = 'complete' AND b.chunks > 0 AND b.error_message IS NULL), min(b.started_at), own.at, now())
			FROM own LEFT JOIN ledgerline.bufdir_export_audit_log b ON b.organization_id = $1 AND b.started_at < own.at
			    AND b.integration_id = (SELECT integration_id FROM chain LIMIT 1)
			GROUP BY own.at`,
			organization, id).Scan(&at)
	})
	return at, err
}

// ListExports returns an organization's exports, newest first, at most limit.
func ListExports(ctx context.Context, db Beginner, organization uuid.UUID, limit int) (list []exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryExports(ctx, tx, `WHERE organization_id = $1 ORDER BY started_at DESC, export_id LIMIT $2`, organization, limit)
		return err
	})
	return list, err
}

// LoadExport returns one export of an organization.
func LoadExport(ctx context.Context, db Beginner, organization, id uuid.UUID) (e exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		found, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND export_id = $2`, organization, id)
		if err == nil && len(found) == 0 {
			err = fmt.Errorf("the organization has no export %s", id)
		}
		if err == nil {
			e = found[0]
		}
		return err
	})
	return e, err
}

func queryExports(ctx context.Context, tx pgx.Tx, where string, args ...any) ([]exports.Export, error) {
	rows, err := tx.Query(ctx, `
		SELECT organization_id, export_id, integration_id, adapter_name, period, period_start, period_end, trigger, triggered_by, parent_export_id, scheduled_at, started_at,
		    deferred_until, finished_at, status, entries_total, entries_exported, entries_rejected, entries_unknown,
		    entries_faulted, attempts, chunks, requests, look_ups, isolating, coalesce(warm_up, interval '0'), cold_start, warm_up_ms, amounts,
		    coalesce(sha256, ''), last_correlation_id, coalesce(error_class, ''), coalesce(error_code, ''), coalesce(error_message, ''), workflow_id, run_id, fence
		FROM ledgerline.bufdir_export_audit_log `+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e exports.Export, err error) {
		err = row.Scan(&e.OrganizationID, &e.ID, &e.IntegrationID, &e.AdapterName, &e.Period, &e.PeriodStart, &e.PeriodEnd, &e.Trigger, &e.TriggeredBy, &e.ParentID,
			&e.ScheduledAt, &e.StartedAt, &e.DeferredUntil, &e.FinishedAt, &e.Status, &e.Total, &e.Exported, &e.Rejected, &e.Unknown,
			&e.LateErrors, &e.Attempts, &e.Chunks, &e.Requests, &e.LookUps, &e.Isolating, &e.WarmUp, &e.ColdStart, &e.WarmUpMS, &e.Amounts,
			&e.SHA256, &e.LastCorrelationID, &e.ErrorClass, &e.ErrorCode, &e.ErrorMessage, &e.WorkflowID, &e.RunID, &e.Fence)
		return e, err
	})
}
