package runlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Export is one export operation: a row of bufdir_export_audit_log.
type Export struct {
	OrganizationID    uuid.UUID         `json:"organizationId"`
	ID                uuid.UUID         `json:"exportId"`
	IntegrationID     uuid.UUID         `json:"integrationId"`
	AdapterName       string            `json:"adapterName"`
	Period            string            `json:"period"`
	PeriodStart       time.Time         `json:"periodStart"` // a day, at 00:00 UTC
	PeriodEnd         time.Time         `json:"periodEnd"`   // the first day after it
	Trigger           string            `json:"trigger"`     // schedule, manual, backfill, retry
	TriggeredBy       string            `json:"triggeredBy"`
	ParentID          *uuid.UUID        `json:"parentExportId,omitempty"` // of a retry
	ScheduledAt       *time.Time        `json:"scheduledAt,omitempty"`
	StartedAt         time.Time         `json:"startedAt"`
	DeferredUntil     *time.Time        `json:"deferredUntil,omitempty"`
	FinishedAt        *time.Time        `json:"finishedAt,omitempty"`
	Status            string            `json:"status"` // pending, complete, failed
	Total             int               `json:"entriesTotal"`
	Exported          int               `json:"entriesExported"`
	Rejected          int               `json:"entriesRejected"`
	Unknown           int               `json:"entriesUnknown"`
	Amounts           map[string]string `json:"amounts"` // sum of the positive amounts by currency
	SHA256            string            `json:"sha256,omitempty"`
	LastCorrelationID *uuid.UUID        `json:"lastCorrelationId,omitempty"`
	ErrorClass        string            `json:"errorClass,omitempty"`
	ErrorCode         string            `json:"errorCode,omitempty"`
	ErrorMessage      string            `json:"errorMessage,omitempty"`
	WorkflowID        string            `json:"workflowId"`
	RunID             uuid.UUID         `json:"runId"`
}

// IdempotencyKey is what makes a period of an integration one export, and the
// retry of an export one retry.
func (e Export) IdempotencyKey() string {
	key := e.IntegrationID.String() + "/" + e.Period
	if e.ParentID != nil {
		key += "/retry/" + e.ParentID.String()
	}
	return key
}

// Claim makes an export's row, or finds the one that its period has already.
// mine is true if the row belongs to e: to this claim, or to an earlier try of
// it.
func Claim(ctx context.Context, db Beginner, e Export) (claimed Export, mine bool, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, export_id, integration_id, adapter_name, period, period_start, period_end,
			    idempotency_key, trigger, triggered_by, started_at, workflow_id, run_id, parent_export_id, scheduled_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (idempotency_key) DO NOTHING`,
			e.OrganizationID, e.ID, e.IntegrationID, e.AdapterName, e.Period, e.PeriodStart, e.PeriodEnd, e.IdempotencyKey(),
			e.Trigger, e.TriggeredBy, e.StartedAt, e.WorkflowID, e.RunID, e.ParentID, e.ScheduledAt)
		if err != nil {
			return err
		}
		found, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND idempotency_key = $2`, e.OrganizationID, e.IdempotencyKey())
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("the idempotency key %s belongs to another organization", e.IdempotencyKey())
		}
		claimed = found[0]
		return nil
	})
	return claimed, claimed.ID == e.ID, err
}

// TakeOver makes a pending export that of another workflow, whose own died. It
// returns false if somebody else was quicker.
func TakeOver(ctx context.Context, db Beginner, e Export, workflowID string, run uuid.UUID) (taken bool, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET workflow_id = $4, run_id = $5
			WHERE organization_id = $1 AND export_id = $2 AND status = 'pending' AND workflow_id = $3`, e.OrganizationID, e.ID, e.WorkflowID, workflowID, run)
		taken = err == nil && tag.RowsAffected() == 1
		return err
	})
	return taken, err
}

// Drift is how much later than scheduled an export started; 0 if it was not
// scheduled.
func (e Export) Drift() time.Duration {
	if e.ScheduledAt == nil {
		return 0
	}
	return e.StartedAt.Sub(*e.ScheduledAt)
}

// planEntries takes every entry up to the end of the period that no export has
// taken yet. A voucher stays whole: the chunk of its last entry is that of all,
// and the width of a chunk leaves room for the largest voucher. A voucher that
// does not sum to zero, or is larger than a chunk may be, is rejected here.
const planEntries = planned + `
INSERT INTO ledgerline.export_entries (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, late, state, reason)
SELECT $1, $2, o.entry_id, $3, o.voucher_id, coalesce(c.chunk, 0),
    left(encode(sha256(convert_to($2::text || '/' || o.entry_id, 'UTF8')), 'hex'), 32),
    o.entry_date < $4, CASE WHEN v.fault IS NULL THEN 'planned' ELSE 'rejected' END, v.fault
FROM open o JOIN vouchers v USING (voucher_id) LEFT JOIN chunks c USING (voucher_id)
ON CONFLICT DO NOTHING`

const planned = `
WITH open AS (
    SELECT a.* FROM ledgerline.accounting_entries a
    WHERE a.organization_id = $1 AND a.entry_date < $5
      AND NOT EXISTS (SELECT FROM ledgerline.export_entries x
          WHERE x.organization_id = $1 AND x.integration_id = $2 AND x.entry_id = a.entry_id)
), vouchers AS (
    SELECT voucher_id, count(*) AS n,
        CASE WHEN count(DISTINCT currency) > 1 THEN 'the voucher has more than one currency'
             WHEN sum(amount) <> 0 THEN 'the voucher does not sum to zero: difference ' || sum(amount)
             WHEN count(*) > $6 THEN 'the voucher has ' || count(*) || ' lines; at most ' || $6::int || ' fit in one request'
        END AS fault
    FROM open GROUP BY voucher_id
), placed AS (
    SELECT v.*, sum(n) OVER (ORDER BY voucher_id) AS upto,
        greatest(1, $6 + 1 - max(n) OVER ()) AS width
    FROM vouchers v WHERE fault IS NULL
), chunks AS (
    SELECT voucher_id, dense_rank() OVER (ORDER BY div(upto - 1, width)) AS chunk FROM placed
)`

// Preview is what an export would plan.
type Preview struct {
	Entries  int               `json:"entries"` // to be sent
	Vouchers int               `json:"vouchers"`
	Chunks   int               `json:"chunks"`
	Late     int               `json:"late"` // dated before the period
	Amounts  map[string]string `json:"amounts"`
	Rejected []Problem         `json:"rejected"` // one for each voucher, at most 1,000
}

// PreviewPlan says what [Plan] would do, and does nothing.
func PreviewPlan(ctx context.Context, db Beginner, e Export, chunkSize int) (p Preview, err error) {
	args := []any{e.OrganizationID, e.IntegrationID, e.ID, e.PeriodStart, e.PeriodEnd, chunkSize}
	const typed = ` AND $3::uuid IS NOT NULL AND $4::date IS NOT NULL` // PostgreSQL wants each parameter used
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, planned+`, good AS (
			SELECT o.*, c.chunk FROM open o JOIN chunks c USING (voucher_id)
		) SELECT count(*), count(DISTINCT voucher_id), coalesce(max(chunk), 0), count(*) FILTER (WHERE entry_date < $4),
			(SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}')
			 FROM (SELECT currency, sum(amount) FILTER (WHERE amount > 0) AS debit FROM good GROUP BY currency) s)
		FROM good WHERE true`+typed, args...).Scan(&p.Entries, &p.Vouchers, &p.Chunks, &p.Late, &p.Amounts); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, planned+` SELECT voucher_id, '', 'rejected', fault FROM vouchers WHERE fault IS NOT NULL`+typed+` ORDER BY 1 LIMIT 1000`, args...)
		if err != nil {
			return err
		}
		p.Rejected, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Problem])
		return err
	})
	return p, err
}

// replanEntries hands what an export did not get done to its retry, in the same
// chunks: those whose outcome is unknown stay marked as sent, so that the vendor
// is asked first, and those that were refused here stay refused.
const replanEntries = `
UPDATE ledgerline.export_entries SET export_id = $2,
    state = CASE WHEN state IN ('unknown', 'sent') THEN 'sent' WHEN chunk = 0 THEN 'rejected' ELSE 'planned' END,
    reason = CASE WHEN chunk = 0 THEN reason END
WHERE organization_id = $1 AND export_id = $3 AND state <> 'exported'
  AND EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log p WHERE p.organization_id = $1 AND p.export_id = $3 AND p.status <> 'pending')`

// Plan assigns entries to an export in one statement and returns its last
// chunk's number. A second time it adds nothing: whoever claimed plans once.
func Plan(ctx context.Context, db Beginner, e Export, chunkSize int) (chunks int, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		// One plan of an integration at a time: two would take the same entries.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('ledgerline.plan/' || $1, 0))`, e.IntegrationID.String()); err != nil {
			return err
		}
		var planned bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2)`,
			e.OrganizationID, e.ID).Scan(&planned); err != nil {
			return err
		}
		if !planned {
			if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '120s'"); err != nil {
				return err
			}
			var err error
			if e.ParentID != nil {
				_, err = tx.Exec(ctx, replanEntries, e.OrganizationID, e.ID, *e.ParentID)
			} else {
				_, err = tx.Exec(ctx, planEntries, e.OrganizationID, e.IntegrationID, e.ID, e.PeriodStart, e.PeriodEnd, chunkSize)
			}
			if err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT coalesce(max(chunk), 0) FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`,
			e.OrganizationID, e.ID).Scan(&chunks)
	})
	return chunks, err
}

// Defer records until when an export waits; the zero time ends the wait.
func Defer(ctx context.Context, db Beginner, organization, export uuid.UUID, until time.Time) error {
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		var at *time.Time
		if !until.IsZero() {
			at = &until
		}
		_, err := tx.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET deferred_until = $3
			WHERE organization_id = $1 AND export_id = $2 AND status = 'pending'`, organization, export, at)
		return err
	})
}

// CloseExport counts what became of an export's entries, sums and hashes them,
// and closes its row: failed if there is an error class or an entry's outcome
// is open, otherwise complete. Closing again changes nothing.
func CloseExport(ctx context.Context, db Beginner, e Export) (closed Export, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		sum, err := canonicalSum(ctx, tx, e)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			WITH n AS (
			    SELECT count(*) AS total, count(*) FILTER (WHERE state = 'exported') AS exported,
			        count(*) FILTER (WHERE state = 'rejected') AS rejected, count(*) FILTER (WHERE state IN ('unknown', 'sent')) AS unknown,
			        count(*) FILTER (WHERE state = 'planned') AS planned
			    FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2
			), m AS (
			    SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}') AS amounts FROM (
			        SELECT a.currency, sum(a.amount) FILTER (WHERE a.amount > 0) AS debit
			        FROM ledgerline.export_entries x JOIN ledgerline.accounting_entries a USING (organization_id, entry_id)
			        WHERE x.organization_id = $1 AND x.export_id = $2 AND x.state = 'exported' GROUP BY a.currency) s
			)
			UPDATE ledgerline.bufdir_export_audit_log b SET entries_total = n.total, entries_exported = n.exported,
			    entries_rejected = n.rejected, entries_unknown = n.unknown, amounts = m.amounts, sha256 = $3,
			    last_correlation_id = $4, error_class = nullif($5, ''), error_code = nullif($6, ''), error_message = nullif($7, ''),
			    deferred_until = NULL, finished_at = now(),
			    status = CASE WHEN $5 <> '' OR n.unknown > 0 OR n.planned > 0 THEN 'failed' ELSE 'complete' END
			FROM n, m WHERE b.organization_id = $1 AND b.export_id = $2 AND b.status = 'pending'`,
			e.OrganizationID, e.ID, sum, e.LastCorrelationID, e.ErrorClass, e.ErrorCode, storable(e.ErrorMessage))
		if err != nil {
			return err
		}
		found, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND export_id = $2`, e.OrganizationID, e.ID)
		if err == nil && len(found) == 1 {
			closed = found[0]
		}
		return err
	})
	return closed, err
}

// canonicalSum is the SHA-256 over an export's exported entries in the order of
// their keys, each as a line of vendor key, voucher, account, amount, currency
// and date with tabs between.
func canonicalSum(ctx context.Context, tx pgx.Tx, e Export) (string, error) {
	rows, err := tx.Query(ctx, `
		SELECT x.vendor_key || E'\t' || x.voucher_id || E'\t' || a.account || E'\t' || a.amount || E'\t' || a.currency || E'\t' || a.entry_date || E'\n'
		FROM ledgerline.export_entries x JOIN ledgerline.accounting_entries a USING (organization_id, entry_id)
		WHERE x.organization_id = $1 AND x.export_id = $2 AND x.state = 'exported' ORDER BY x.vendor_key`, e.OrganizationID, e.ID)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	var line string
	_, err = pgx.ForEachRow(rows, []any{&line}, func() error {
		_, err := h.Write([]byte(line))
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// Exports returns an organization's exports, newest first, at most limit.
func Exports(ctx context.Context, db Beginner, organization uuid.UUID, limit int) (list []Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryExports(ctx, tx, `WHERE organization_id = $1 ORDER BY started_at DESC, export_id LIMIT $2`, organization, limit)
		return err
	})
	return list, err
}

// ExportByID returns one export of an organization.
func ExportByID(ctx context.Context, db Beginner, organization, id uuid.UUID) (e Export, err error) {
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

func queryExports(ctx context.Context, tx pgx.Tx, where string, args ...any) ([]Export, error) {
	rows, err := tx.Query(ctx, `
		SELECT organization_id, export_id, integration_id, adapter_name, period, period_start, period_end, trigger, triggered_by, parent_export_id, scheduled_at, started_at,
		    deferred_until, finished_at, status, entries_total, entries_exported, entries_rejected, entries_unknown, amounts,
		    coalesce(sha256, ''), last_correlation_id, coalesce(error_class, ''), coalesce(error_code, ''), coalesce(error_message, ''), workflow_id, run_id
		FROM ledgerline.bufdir_export_audit_log `+where, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Export, err error) {
		err = row.Scan(&e.OrganizationID, &e.ID, &e.IntegrationID, &e.AdapterName, &e.Period, &e.PeriodStart, &e.PeriodEnd, &e.Trigger, &e.TriggeredBy, &e.ParentID,
			&e.ScheduledAt, &e.StartedAt, &e.DeferredUntil, &e.FinishedAt, &e.Status, &e.Total, &e.Exported, &e.Rejected, &e.Unknown, &e.Amounts,
			&e.SHA256, &e.LastCorrelationID, &e.ErrorClass, &e.ErrorCode, &e.ErrorMessage, &e.WorkflowID, &e.RunID)
		return e, err
	})
}

// Evidence is what the entry table says of an export, counted anew.
type Evidence struct {
	Exported int
	SHA256   string
	Amounts  map[string]string
	Keys     []string // the vendor's keys of the exported entries, in order
}

// Recount counts, sums and hashes the exported entries of an export again.
func Recount(ctx context.Context, db Beginner, e Export) (ev Evidence, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if ev.SHA256, err = canonicalSum(ctx, tx, e); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT vendor_key FROM ledgerline.export_entries
			WHERE organization_id = $1 AND export_id = $2 AND state = 'exported' ORDER BY vendor_key`, e.OrganizationID, e.ID)
		if err != nil {
			return err
		}
		if ev.Keys, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return err
		}
		ev.Exported = len(ev.Keys)
		return tx.QueryRow(ctx, `SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}') FROM (
			SELECT a.currency, sum(a.amount) FILTER (WHERE a.amount > 0) AS debit
			FROM ledgerline.export_entries x JOIN ledgerline.accounting_entries a USING (organization_id, entry_id)
			WHERE x.organization_id = $1 AND x.export_id = $2 AND x.state = 'exported' GROUP BY a.currency) s`, e.OrganizationID, e.ID).Scan(&ev.Amounts)
	})
	return ev, err
}

// Problem is an entry that was not exported, for people.
type Problem struct {
	VoucherID string `json:"voucherId"`
	EntryID   string `json:"entryId"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
}

// Problems returns the entries of an export that are not exported.
func Problems(ctx context.Context, db Beginner, organization, export uuid.UUID, limit int) (list []Problem, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT voucher_id, entry_id, state, coalesce(reason, '') FROM ledgerline.export_entries
			WHERE organization_id = $1 AND export_id = $2 AND state <> 'exported' ORDER BY voucher_id, entry_id LIMIT $3`, organization, export, limit)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Problem])
		return err
	})
	return list, err
}
