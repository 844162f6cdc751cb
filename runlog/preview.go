package runlog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// ExportPreview is what an export would plan.
type ExportPreview struct {
	Entries  int // to be sent
	Vouchers int
	Chunks   int
	Late     int               // dated before the period
	Amounts  map[string]string // sum of the positive amounts by currency
	Rejected []Problem         `db:"-"` // one for each voucher, at most 1,000
}

// previewSums sums what [replanEntries] and [planEntries] would plan, and previewRejected
// lists what the latter would refuse. Of a retry, @retried are the exports that it retries.
var (
	previewSums = lines + `, replanned AS (
    SELECT voucher_id, amount, currency, entry_date, dense_rank() OVER (ORDER BY array_position(@retried::uuid[], export_id), chunk) AS chunk
    FROM ledgerline.export_entries
    WHERE organization_id = @organization_id AND export_id = ANY(@retried) AND state NOT IN ('exported', 'rejected') AND chunk > 0
), planned AS (
    SELECT voucher_id, amount, currency, entry_date, chunk FROM replanned
    UNION ALL
    SELECT voucher_id, lines.amount, lines.currency, lines.entry_date, placed.chunk + (SELECT coalesce(max(chunk), 0) FROM replanned)
    FROM lines JOIN placed USING (voucher_id) WHERE placed.chunk > 0
) SELECT count(*) AS entries, count(DISTINCT voucher_id) AS vouchers, coalesce(max(chunk), 0) AS chunks, count(*) FILTER (WHERE entry_date < @period_start) AS late,
    (SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}')
     FROM (SELECT currency, sum(amount) FILTER (WHERE amount > 0) AS debit FROM planned GROUP BY currency) AS by_currency) AS amounts
FROM planned`
	previewRejected = lines + `
SELECT voucher_id, '' AS entry_id, 'rejected' AS state, problem AS reason, '' AS effect, NULL::timestamptz AS open_until
FROM vouchers WHERE problem IS NOT NULL ORDER BY voucher_id LIMIT 1000`
)

// PreviewExport returns what [PlanExport] would do, and does nothing: PostgreSQL enforces that.
// Of a retry, e has the parent: what that left unsent or unknown counts as planned, and a
// parent that has not ended leaves nothing to plan.
// It refuses a user to whom row-level security does not apply. An error of the source is a
// [*SourceError].
func PreviewExport(ctx context.Context, db Beginner, sources *Sources, e exports.Export, settings integrations.ExportSettings, chunkSize int) (preview ExportPreview, err error) {
	return PreviewRetry(ctx, db, sources, e, settings, chunkSize, nil)
}

// PreviewRetry is [PreviewExport] of a retry that takes, of the vouchers that were rejected,
// only some, see [PlanRetry]; nil is all.
func PreviewRetry(ctx context.Context, db Beginner, sources *Sources, e exports.Export, settings integrations.ExportSettings, chunkSize int, vouchers []string) (preview ExportPreview, err error) {
	source, args := sourceOf(settings), planArgs(e, settings, chunkSize, chunkSize)
	if len(vouchers) > 0 {
		args["only_vouchers"] = vouchers
	}
	err = sources.with(ctx, db, e, source, true, func(db Beginner, table string, r reading) error {
		return readOnly(ctx, db, e.OrganizationID, false, func(tx pgx.Tx) error {
			if err := refuseUnbound(ctx, tx); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, planStatements); err != nil {
				return err
			}
			if table == integrations.DefaultSource {
				if r.since, err = loadMark(ctx, tx, e, source); err != nil {
					return err
				}
			}
			if e.ParentID != nil {
				if due, err := parentHasEnded(ctx, tx, e); err != nil || !due {
					preview.Amounts, preview.Rejected = map[string]string{}, []Problem{}
					return err
				}
				retried, err := loadRetried(ctx, tx, e)
				if err != nil {
					return err
				}
				if len(retried) > 0 {
					args["retried"] = retried
				}
			}
			if preview, err = queryRow[ExportPreview](ctx, tx, r.fresh(previewSums, table, args), args); err != nil {
				return sourceError(source, err)
			}
			preview.Rejected, err = queryRows[Problem](ctx, tx, r.fresh(previewRejected, table, args), args)
			return err
		})
	})
	return preview, err
}

// parentHasEnded reports whether the parent of a retry has.
func parentHasEnded(ctx context.Context, tx pgx.Tx, e exports.Export) (ended bool, err error) {
	err = tx.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND export_id = $2 AND status = 'pending')`,
		e.OrganizationID, e.ParentID).Scan(&ended)
	return ended, err
}

// ClaimPreview is what [ClaimExport] would find.
type ClaimPreview struct {
	Export  *exports.Export // that has the period already; nil if none has
	Planned bool            // that one has its plan, or has ended: nothing more is planned into it
}

// PreviewClaim returns what [ClaimExport] would find, and does nothing: an [*OverlapError] is
// the one with which it would refuse e.
func PreviewClaim(ctx context.Context, db Beginner, e exports.Export) (p ClaimPreview, err error) {
	err = readOnly(ctx, db, e.OrganizationID, false, func(tx pgx.Tx) error {
		found, ok, err := exportWithKey(ctx, tx, e)
		if err != nil {
			return err
		}
		if !ok && e.Trigger == exports.ByHand {
			return refuseOverlap(ctx, tx, e)
		}
		if ok {
			p.Export = &found
			err = tx.QueryRow(ctx, `SELECT status <> 'pending' OR planned_at IS NOT NULL FROM ledgerline.bufdir_export_audit_log
				WHERE organization_id = $1 AND export_id = $2`, found.OrganizationID, found.ID).Scan(&p.Planned)
		}
		return err
	})
	return p, err
}
