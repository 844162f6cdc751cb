package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// OverlapError is returned by [ClaimExport] for a period that another one of the same
// integration covers in part. Nothing would be sent twice, but nobody could
// say which export an entry belongs to.
type OverlapError struct {
	Period string
	Other  exports.Export
}

// Error says which export has the period, and what becomes of new entries.
func (e *OverlapError) Error() string {
	return fmt.Sprintf("period %s overlaps %s, which export %s has; entries that came since go with the next period of that kind", e.Period, e.Other.Period, e.Other.ID)
}

// ClaimExport makes an export's row, or finds the one that its period has already. owned is true if the row
// belongs to e's own run: to this claim, or to an earlier try of it. A period asked for by hand that overlaps
// another is an [*OverlapError]; a scheduled one is not, so that a schedule can change from days to months.
func ClaimExport(ctx context.Context, db Beginner, e exports.Export) (claimed exports.Export, owned bool, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if err := lockPlanning(ctx, tx, e.IntegrationID); err != nil {
			return err
		}
		var found bool
		if claimed, found, err = exportWithKey(ctx, tx, e); found || err != nil {
			return err
		}
		if e.Trigger == exports.ByHand {
			if err := refuseOverlap(ctx, tx, e); err != nil {
				return err
			}
		}
		if err := insertExport(ctx, tx, e); err != nil {
			return err
		}
		claimed, _, err = exportWithKey(ctx, tx, e)
		return err
	})
	return claimed, claimed.RunID == e.RunID, err
}

// exportWithKey finds the export that has e's idempotency key.
func exportWithKey(ctx context.Context, tx pgx.Tx, e exports.Export) (found exports.Export, ok bool, err error) {
	return findExport(ctx, tx, `WHERE organization_id = $1 AND idempotency_key = $2`, e.OrganizationID, e.IdempotencyKey())
}

// refuseOverlap returns an [*OverlapError] if another export covers a part of e's period.
func refuseOverlap(ctx context.Context, tx pgx.Tx, e exports.Export) error {
	other, found, err := findExport(ctx, tx, `WHERE organization_id = @organization_id AND integration_id = @integration_id AND parent_export_id IS NULL
		AND trigger <> 'adopt' AND period_start < @period_end AND period_end > @period_start ORDER BY period_start LIMIT 1`, pgx.StrictNamedArgs{
		"organization_id": e.OrganizationID, "integration_id": e.IntegrationID, "period_start": e.PeriodStart, "period_end": e.PeriodEnd,
	})
	if err == nil && found {
		err = &OverlapError{e.Period, other}
	}
	return err
}

// insertExport makes an export's row, unless there is one with its key.
func insertExport(ctx context.Context, tx pgx.Tx, e exports.Export) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, export_id, integration_id, adapter_name, period, period_start, period_end,
		    idempotency_key, trigger, triggered_by, started_at, workflow_id, run_id, parent_export_id, scheduled_at)
		VALUES (@organization_id, @export_id, @integration_id, @adapter_name, @period, @period_start, @period_end,
		    @idempotency_key, @trigger, @triggered_by, @started_at, @workflow_id, @run_id, @parent_export_id, @scheduled_at)
		ON CONFLICT (organization_id, idempotency_key) DO NOTHING`, pgx.StrictNamedArgs{
		"organization_id": e.OrganizationID, "export_id": e.ID, "integration_id": e.IntegrationID, "adapter_name": e.AdapterName,
		"period": e.Period, "period_start": e.PeriodStart, "period_end": e.PeriodEnd, "idempotency_key": e.IdempotencyKey(),
		"trigger": e.Trigger, "triggered_by": e.TriggeredBy, "started_at": e.StartedAt, "workflow_id": e.WorkflowID, "run_id": e.RunID,
		"parent_export_id": e.ParentID, "scheduled_at": e.ScheduledAt,
	})
	return err
}

// TakeOverExport makes a pending export that of another run, whose fencing number is one higher: orders of the
// run before are refused from then on. ok is false if another run was quicker, or the export has ended.
func TakeOverExport(ctx context.Context, db Beginner, e exports.Export, workflowID string, runID uuid.UUID) (taken exports.Export, ok bool, err error) {
	taken = e
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET workflow_id = @workflow_id, run_id = @run_id, fence = fence + 1
			WHERE organization_id = @organization_id AND export_id = @export_id AND status = 'pending' AND fence = @old_fence AND run_id = @old_run_id
			RETURNING fence`, pgx.StrictNamedArgs{
			"organization_id": e.OrganizationID, "export_id": e.ID, "old_fence": e.Fence, "old_run_id": e.RunID,
			"workflow_id": workflowID, "run_id": runID,
		}).Scan(&taken.Fence)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		ok = err == nil
		return err
	})
	taken.WorkflowID, taken.RunID = workflowID, runID
	return taken, ok, err
}

// DeferExport records until when an export waits, and for what kind of error to pass, "" if
// that is not known; the zero time ends the wait.
func DeferExport(ctx context.Context, db Beginner, owner exports.Owner, until time.Time, why classify.Kind) error {
	return asExportOwner(ctx, db, owner, func(tx pgx.Tx) error {
		var at *time.Time
		if !until.IsZero() {
			at = &until
		}
		_, err := tx.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET deferred_until = $3, deferred_for = nullif($4, '')
			WHERE organization_id = $1 AND export_id = $2 AND status = 'pending'`, owner.OrganizationID, owner.ExportID, at, why)
		return err
	})
}

// RecordCost stores what a pending export's run has cost so far, for its row and for
// the run that may take it over. The numbers only grow.
func RecordCost(ctx context.Context, db Beginner, e exports.Export) error {
	return asExportOwner(ctx, db, e.Owner(), func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log
			SET requests = greatest(requests, @requests), look_ups = greatest(look_ups, @look_ups), isolating = greatest(isolating, @isolating)
			WHERE organization_id = @organization_id AND export_id = @export_id AND status = 'pending'`, pgx.StrictNamedArgs{
			"organization_id": e.OrganizationID, "export_id": e.ID, "requests": e.Requests, "look_ups": e.LookUps, "isolating": e.Isolating,
		})
		return err
	})
}

// CloseExport counts what became of an export's entries, sums and hashes them, and closes its row: failed if
// there is an error class or an entry's outcome is open, otherwise complete. People are notified in the same
// transaction. Closing again changes nothing and returns the row as it was closed. A run that does not own a
// pending export gets [ErrNotOwner].
func CloseExport(ctx context.Context, db Beginner, e exports.Export) (closed exports.Export, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		err := lockOwned(ctx, tx, e.Owner(), "NO KEY UPDATE")
		if errors.Is(err, ErrNotOwner) {
			closed, err = closedBefore(ctx, tx, e)
			return err
		}
		if err != nil {
			return err
		}
		first, err := closeRow(ctx, tx, e)
		if err == nil && e.ChunkSize > 0 {
			err = recordChunkSize(ctx, tx, e)
		}
		if err != nil {
			return err
		}
		if closed, _, err = exportWithID(ctx, tx, e.OrganizationID, e.ID); err != nil {
			return err
		}
		if !first {
			return nil // it was closed, and reported, before
		}
		_, err = report(ctx, tx, exportEvent(closed))
		return err
	})
	if err == nil {
		// So that no reader has to. Where it fails, one does.
		_, _ = sumExports(ctx, db, e.OrganizationID, []uuid.UUID{e.ID})
	}
	return closed, err
}

// closedBefore returns the export as an earlier try of the same run has closed it, or [ErrNotOwner].
func closedBefore(ctx context.Context, tx pgx.Tx, e exports.Export) (exports.Export, error) {
	closed, found, err := exportWithID(ctx, tx, e.OrganizationID, e.ID)
	if err != nil {
		return exports.Export{}, err
	}
	if !found || closed.Status == exports.Pending || closed.RunID != e.RunID {
		return exports.Export{}, ErrNotOwner
	}
	return closed, nil
}

// closeRow closes the row of a pending export with what its run found and what its entries came to. first is
// false if it was not pending.
func closeRow(ctx context.Context, tx pgx.Tx, e exports.Export) (first bool, err error) {
	sum, err := canonicalSum(ctx, tx, e, nil)
	if err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `
		WITH counts AS (
		    SELECT count(*) AS total, count(*) FILTER (WHERE state = 'exported') AS exported,
		        count(*) FILTER (WHERE state = 'rejected') AS rejected, count(*) FILTER (WHERE state IN ('unknown', 'sent')) AS unknown,
		        count(*) FILTER (WHERE state = 'planned') AS planned, count(late_error) AS late_errors
		    FROM ledgerline.export_entries WHERE organization_id = @organization_id AND export_id = @export_id
		), debits AS (
		    SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}') AS amounts FROM (
		        SELECT currency, sum(amount) FILTER (WHERE amount > 0) AS debit FROM ledgerline.export_entries
		        WHERE organization_id = @organization_id AND export_id = @export_id AND state = 'exported' GROUP BY currency) AS by_currency
		)
		UPDATE ledgerline.bufdir_export_audit_log AS export SET entries_total = counts.total, entries_exported = counts.exported,
		    entries_rejected = counts.rejected, entries_unknown = counts.unknown, entries_with_late_errors = counts.late_errors, amounts = debits.amounts, sha256 = @sha256,
		    last_correlation_id = @last_correlation_id, error_class = nullif(@error_class, ''), error_code = nullif(@error_code, ''), error_message = nullif(@error_message, ''),
		    finished_at = ledgerline.clock(), attempts = @attempts, chunks = @chunks, requests = @requests, look_ups = @look_ups, isolating = @isolating,
		    warm_up = nullif(@warm_up::interval, interval '0'), cold_start = @cold_start, warm_up_ms = @warm_up_ms,
		    status = CASE WHEN @error_class <> '' OR counts.unknown > 0 OR counts.planned > 0 THEN 'failed' ELSE 'complete' END
		FROM counts, debits WHERE export.organization_id = @organization_id AND export.export_id = @export_id AND export.status = 'pending'`, pgx.StrictNamedArgs{
		"organization_id": e.OrganizationID, "export_id": e.ID, "sha256": sum, "last_correlation_id": e.LastCorrelationID,
		"error_class": e.ErrorClass, "error_code": e.ErrorCode, "error_message": storable(e.ErrorMessage),
		"attempts": e.Attempts, "chunks": e.Chunks, "requests": e.Requests, "look_ups": e.LookUps, "isolating": e.Isolating,
		"warm_up": e.WarmUp, "cold_start": e.ColdStart, "warm_up_ms": e.WarmUpMS,
	})
	return tag.RowsAffected() > 0, err
}

// LateErrorsSince is since when a vendor is to be asked for errors that it found after it had accepted something:
// since the start of the integration's last export before this one that asked, for what was found after that one
// had closed; if none did, since the start of the first. A retry counts as a part of what it retries.
func LateErrorsSince(ctx context.Context, db Beginner, organization, exportID uuid.UUID) (since time.Time, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			WITH RECURSIVE chain AS (
			    SELECT integration_id, parent_export_id, started_at FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND export_id = $2
			    UNION ALL
			    SELECT parent.integration_id, parent.parent_export_id, parent.started_at
			    FROM ledgerline.bufdir_export_audit_log AS parent JOIN chain AS retry ON parent.export_id = retry.parent_export_id
			    WHERE parent.organization_id = $1
			), own AS (SELECT min(started_at) AS started_at FROM chain)
			SELECT coalesce(
			    max(earlier.started_at) FILTER (WHERE earlier.status = 'complete' AND earlier.chunks > 0 AND earlier.error_message IS NULL),
			    min(earlier.started_at), own.started_at, now())
			FROM own LEFT JOIN ledgerline.bufdir_export_audit_log AS earlier ON earlier.organization_id = $1 AND earlier.started_at < own.started_at
			    AND earlier.integration_id = (SELECT integration_id FROM chain LIMIT 1)
			GROUP BY own.started_at`,
			organization, exportID).Scan(&since)
	})
	return since, err
}

// ListExports returns an organization's exports, newest first, at most limit.
func ListExports(ctx context.Context, db Beginner, organization uuid.UUID, limit int) (list []exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryExports(ctx, tx, `WHERE organization_id = $1 ORDER BY started_at DESC, export_id LIMIT $2`, organization, limit)
		return err
	})
	return list, err
}

// LoadExport returns one export of an organization; none is an error that names its ID.
func LoadExport(ctx context.Context, db Beginner, organization, exportID uuid.UUID) (e exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		var found bool
		e, found, err = exportWithID(ctx, tx, organization, exportID)
		if err == nil && !found {
			err = fmt.Errorf("the organization has no export %s", exportID)
		}
		return err
	})
	return e, err
}

func exportWithID(ctx context.Context, tx pgx.Tx, organization, exportID uuid.UUID) (found exports.Export, ok bool, err error) {
	return findExport(ctx, tx, `WHERE organization_id = $1 AND export_id = $2`, organization, exportID)
}

// findExport returns the first export that a WHERE clause selects; ok is false if there is none.
func findExport(ctx context.Context, tx pgx.Tx, where string, args ...any) (found exports.Export, ok bool, err error) {
	list, err := queryExports(ctx, tx, where, args...)
	if err != nil || len(list) == 0 {
		return found, false, err
	}
	return list[0], true, nil
}

// queryExports returns the exports that a WHERE clause selects.
func queryExports(ctx context.Context, tx pgx.Tx, where string, args ...any) ([]exports.Export, error) {
	return queryRows[exports.Export](ctx, tx, `
		SELECT organization_id, export_id, integration_id, adapter_name, period, period_start, period_end, trigger, triggered_by, parent_export_id, scheduled_at, started_at,
		    deferred_until, coalesce(deferred_for, '') AS deferred_for, finished_at, status, entries_total, entries_exported, entries_rejected, entries_unknown, entries_with_late_errors,
		    attempts, chunks, requests, look_ups, isolating, coalesce(warm_up, interval '0') AS warm_up, cold_start, warm_up_ms, amounts, coalesce(sha256, '') AS sha256,
		    last_correlation_id, coalesce(error_class, '') AS error_class, coalesce(error_code, '') AS error_code, coalesce(error_message, '') AS error_message,
		    workflow_id, run_id, fence
		FROM ledgerline.bufdir_export_audit_log `+where, args...)
}
