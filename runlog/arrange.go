package runlog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// DrawVoucher moves one voucher of a chunk to a chunk of its own, into: the one at a place in it, from 0 to less
// than 1. It moves none of which a line is open or settled. Doing it again is harmless.
func DrawVoucher(ctx context.Context, db Beginner, owner exports.Owner, chunk, into int, place float64) (result exports.DrawResult, err error) {
	err = asExportOwner(ctx, db, owner, func(tx pgx.Tx) error {
		var vouchers int
		err := tx.QueryRow(ctx, `SELECT coalesce(bool_or(chunk = $4), false), count(DISTINCT voucher_id) FILTER (WHERE chunk = $3 AND state IN ('planned', 'sent'))
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND chunk IN ($3, $4)`,
			owner.OrganizationID, owner.ExportID, chunk, into).Scan(&result.Moved, &vouchers)
		if err != nil || result.Moved {
			return err
		}
		result.Alone = vouchers == 1
		if vouchers < 2 {
			return nil
		}
		tag, err := tx.Exec(ctx, `
			WITH vouchers AS (
			    SELECT voucher_id, row_number() OVER (ORDER BY voucher_id) - 1 AS position, count(*) OVER () AS vouchers
			    FROM ledgerline.export_entries WHERE organization_id = @organization_id AND export_id = @export_id AND chunk = @chunk
			    GROUP BY voucher_id HAVING bool_and(state = 'planned')
			)
			UPDATE ledgerline.export_entries AS entry SET chunk = @into FROM vouchers AS drawn
			WHERE entry.organization_id = @organization_id AND entry.export_id = @export_id AND entry.chunk = @chunk
			  AND entry.voucher_id = drawn.voucher_id AND drawn.position = floor(@place::float8 * drawn.vouchers)`, pgx.StrictNamedArgs{
			"organization_id": owner.OrganizationID, "export_id": owner.ExportID, "chunk": chunk, "into": into, "place": place,
		})
		result.Moved = tag.RowsAffected() > 0
		return err
	})
	return result, err
}

// FitChunks halves a chunk of which nothing is at the vendor, and makes those that
// are still to be made smaller, with whole vouchers in each. Nothing is rejected.
// Doing it again is harmless.
func FitChunks(ctx context.Context, db Beginner, owner exports.Owner, fit exports.Fit) (result exports.FitResult, err error) {
	err = asExportOwner(ctx, db, owner, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		fit.Except = append([]int{}, fit.Except...) // not NULL
		var open, vouchers int
		var done bool
		err := tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE chunk = $3 AND state = 'sent'), count(DISTINCT voucher_id) FILTER (WHERE chunk = $3 AND state = 'planned'),
			    coalesce(max(chunk), 0) >= $4, coalesce(bool_or(chunk = $4), false)
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`,
			owner.OrganizationID, owner.ExportID, fit.Chunk, fit.Into).Scan(&open, &vouchers, &done, &result.Halved)
		if err != nil {
			return err
		}
		if !done && open > 0 {
			return openChunkError(fit.Chunk, open)
		}
		if !done {
			if result.Halved = vouchers > 1; result.Halved {
				if err := moveUpperHalf(ctx, tx, owner, fit.Chunk, fit.Into); err != nil {
					return err
				}
			}
			if err := makeSmaller(ctx, tx, owner, fit); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `
			SELECT greatest(@into, coalesce(max(chunk), 0)),
			    coalesce(array_agg(DISTINCT chunk ORDER BY chunk) FILTER (WHERE chunk BETWEEN @from AND @to AND chunk <> ALL(@except)), '{}')
			FROM ledgerline.export_entries
			WHERE organization_id = @organization_id AND export_id = @export_id
			  AND (chunk >= @into OR chunk BETWEEN @from AND @to AND state IN ('planned', 'sent'))`, pgx.StrictNamedArgs{
			"organization_id": owner.OrganizationID, "export_id": owner.ExportID, "from": fit.From, "to": fit.To, "into": fit.Into, "except": fit.Except,
		}).Scan(&result.Last, &result.Kept)
	})
	return result, err
}

// makeSmaller gives the vouchers of the chunks that are still to be made new chunks, after the number into. A chunk
// stays as it is if anything of it was sent.
func makeSmaller(ctx context.Context, tx pgx.Tx, owner exports.Owner, fit exports.Fit) error {
	_, err := tx.Exec(ctx, `
		WITH untouched AS (
		    SELECT chunk FROM ledgerline.export_entries
		    WHERE organization_id = @organization_id AND export_id = @export_id AND chunk BETWEEN @from AND @to AND chunk <> ALL(@except)
		    GROUP BY chunk HAVING bool_and(state = 'planned')
		), vouchers AS (
		    SELECT chunk, voucher_id, count(*)::int AS line_count FROM ledgerline.export_entries
		    WHERE organization_id = @organization_id AND export_id = @export_id AND chunk IN (SELECT chunk FROM untouched) GROUP BY chunk, voucher_id
		), placed AS (
		    SELECT chunk, voucher_id, dense_rank() OVER (ORDER BY `+chunkOrder("@size::int")+`) AS place
		    FROM (SELECT *, row_number() OVER (ORDER BY chunk, voucher_id) AS voucher_number,
		              sum(line_count) OVER (PARTITION BY `+sharesChunk("@size::int")+` ORDER BY chunk, voucher_id) AS lines_so_far,
		              max(line_count) FILTER (WHERE `+sharesChunk("@size::int")+`) OVER () AS largest
		          FROM vouchers) AS counted
		)
		UPDATE ledgerline.export_entries AS entry SET chunk = @into + placed.place FROM placed
		WHERE entry.organization_id = @organization_id AND entry.export_id = @export_id AND entry.chunk = placed.chunk
		  AND entry.voucher_id = placed.voucher_id AND entry.state = 'planned'`, pgx.StrictNamedArgs{
		"organization_id": owner.OrganizationID, "export_id": owner.ExportID, "from": fit.From, "to": fit.To, "size": fit.Size, "into": fit.Into, "except": fit.Except,
	})
	return err
}

// moveUpperHalf moves the upper half of a chunk's vouchers.
func moveUpperHalf(ctx context.Context, tx pgx.Tx, owner exports.Owner, chunk, into int) error {
	_, err := tx.Exec(ctx, `
		UPDATE ledgerline.export_entries AS entry SET chunk = $4
		FROM (SELECT voucher_id, ntile(2) OVER (ORDER BY voucher_id) AS half
		      FROM (SELECT DISTINCT voucher_id FROM ledgerline.export_entries
		            WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'planned') AS vouchers) AS halved
		WHERE entry.organization_id = $1 AND entry.export_id = $2 AND entry.chunk = $3 AND entry.state = 'planned'
		  AND entry.voucher_id = halved.voucher_id AND halved.half = 2`,
		owner.OrganizationID, owner.ExportID, chunk, into)
	return err
}
