package runlog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// ExportPreview is what an export would plan.
type ExportPreview struct {
	Entries  int               `json:"entries"` // to be sent
	Vouchers int               `json:"vouchers"`
	Chunks   int               `json:"chunks"`
	Late     int               `json:"late"`            // dated before the period
	Amounts  map[string]string `json:"amounts"`         // sum of the positive amounts by currency
	Rejected []Problem         `json:"rejected" db:"-"` // one for each voucher, at most 1,000
}

// previewSums sums what [planEntries] would plan, and previewRejected lists what it would refuse.
var (
	previewSums = lines + `, planned AS (
    SELECT lines.*, placed.chunk FROM lines JOIN placed USING (voucher_id) WHERE placed.chunk > 0
) SELECT count(*) AS entries, count(DISTINCT voucher_id) AS vouchers, coalesce(max(chunk), 0) AS chunks, count(*) FILTER (WHERE entry_date < @period_start) AS late,
    (SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}')
     FROM (SELECT currency, sum(amount) FILTER (WHERE amount > 0) AS debit FROM planned GROUP BY currency) AS by_currency) AS amounts
FROM planned`
	previewRejected = lines + `
SELECT voucher_id, '' AS entry_id, 'rejected' AS state, problem AS reason, '' AS effect, NULL::timestamptz AS open_until
FROM vouchers WHERE problem IS NOT NULL ORDER BY voucher_id LIMIT 1000`
)

// PreviewExport returns what [PlanExport] would do, and does nothing: PostgreSQL enforces that.
// It refuses a user to whom row-level security does not apply. An error of the source is a
// [*SourceError].
func PreviewExport(ctx context.Context, db Beginner, sources *Sources, e exports.Export, settings integrations.ExportSettings, chunkSize int) (preview ExportPreview, err error) {
	source, args := sourceOf(settings), planArgs(e, settings, chunkSize, chunkSize)
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
			if preview, err = queryRow[ExportPreview](ctx, tx, r.fresh(previewSums, table, args), args); err != nil {
				return sourceError(source, err)
			}
			preview.Rejected, err = queryRows[Problem](ctx, tx, r.fresh(previewRejected, table, args), args)
			return err
		})
	})
	return preview, err
}
