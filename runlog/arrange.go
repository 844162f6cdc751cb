package runlog

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/ledgerline/ledgerline/exports"
)

// DrawVoucher moves one voucher of a chunk to a chunk of its own, into: the one at a
// place in it, from 0 to less than 1. It moves none of which a line is open or
// settled. Doing it again is harmless.
func DrawVoucher(ctx context.Context, db Beginner, o exports.Owner, chunk, into int, place float64) (d exports.DrawResult, err error) {
	err = asExportOwner(ctx, db, o, func(tx pgx.Tx) error {
		var vouchers int
		if err := tx.QueryRow(ctx, `SELECT coalesce(bool_or(chunk = $4), false), count(DISTINCT voucher_id) FILTER (WHERE chunk = $3 AND state IN ('planned', 'sent'))
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND chunk IN ($3, $4)`,
			o.OrganizationID, o.ExportID, chunk, into).Scan(&d.Moved, &vouchers); err != nil || d.Moved {
			return err
		}
		if d.Alone = vouchers == 1; vouchers < 2 {
			return nil
		}
		tag, err := tx.Exec(ctx, `
			WITH vouchers AS (
			    SELECT voucher_id, row_number() OVER (ORDER BY voucher_id) - 1 AS i, count(*) OVER () AS n
			    FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND chunk = $3
			    GROUP BY voucher_id HAVING bool_and(state = 'planned')
			)
			UPDATE ledgerline.export_entries x SET chunk = $4 FROM vouchers v
			WHERE x.organization_id = $1 AND x.export_id = $2 AND x.chunk = $3 AND x.voucher_id = v.voucher_id AND v.i = floor($5::float8 * v.n)`,
			o.OrganizationID, o.ExportID, chunk, into, place)
		d.Moved = tag.RowsAffected() > 0
		return err
	})
	return d, err
}

// FitChunks halves a chunk of which nothing is at the vendor, and makes those that
// are still to be made smaller, with whole vouchers in each. Nobody is rejected.
// Doing it again is harmless.
func FitChunks(ctx context.Context, db Beginner, o exports.Owner, f exports.Fit) (out exports.FitResult, err error) {
	err = asExportOwner(ctx, db, o, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		except := append([]int{}, f.Except...) // not NULL
		var open, vouchers int
		var done bool
		if err := tx.QueryRow(ctx, `SELECT count(*) FILTER (WHERE chunk = $3 AND state = 'sent'), count(DISTINCT voucher_id) FILTER (WHERE chunk = $3 AND state = 'planned'),
			    coalesce(max(chunk), 0) >= $4, coalesce(bool_or(chunk = $4), false)
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`, o.OrganizationID, o.ExportID, f.Chunk, f.Into).Scan(&open, &vouchers, &done, &out.Halved); err != nil {
			return err
		}
		if !done {
			if open > 0 {
				return fmt.Errorf("chunk %d has %d entries whose effect is open; ask before it is halved: %w", f.Chunk, open, ErrNotOwner)
			}
			if out.Halved = vouchers > 1; out.Halved {
				if err := moveHalf(ctx, tx, o, f.Chunk, f.Into); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, `
				WITH free AS (
				    SELECT chunk FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND chunk BETWEEN $3 AND $4 AND chunk <> ALL($7)
				    GROUP BY chunk HAVING bool_and(state = 'planned')
				), vouchers AS (
				    SELECT chunk, voucher_id, count(*)::int AS n FROM ledgerline.export_entries
				    WHERE organization_id = $1 AND export_id = $2 AND chunk IN (SELECT chunk FROM free) GROUP BY chunk, voucher_id
				), placed AS (
				    SELECT chunk, voucher_id, dense_rank() OVER (ORDER BY `+placeOf("$5::int")+`) AS place
				    FROM (SELECT *, sum(n) OVER (PARTITION BY `+small("$5::int")+` ORDER BY chunk, voucher_id) AS upto, row_number() OVER (ORDER BY chunk, voucher_id) AS nth,
				              max(n) FILTER (WHERE `+small("$5::int")+`) OVER () AS most FROM vouchers) v
				)
				UPDATE ledgerline.export_entries x SET chunk = $6 + p.place FROM placed p
				WHERE x.organization_id = $1 AND x.export_id = $2 AND x.chunk = p.chunk AND x.voucher_id = p.voucher_id AND x.state = 'planned'`,
				o.OrganizationID, o.ExportID, f.From, f.To, f.Size, f.Into, except); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT greatest($5, coalesce(max(chunk), 0)), coalesce(array_agg(DISTINCT chunk ORDER BY chunk) FILTER (WHERE chunk BETWEEN $3 AND $4 AND chunk <> ALL($6)), '{}')
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2 AND (chunk >= $5 OR chunk BETWEEN $3 AND $4 AND state IN ('planned', 'sent'))`,
			o.OrganizationID, o.ExportID, f.From, f.To, f.Into, except).Scan(&out.Last, &out.Kept)
	})
	return out, err
}

// moveHalf moves the upper half of a chunk's vouchers.
func moveHalf(ctx context.Context, tx pgx.Tx, o exports.Owner, chunk, into int) error {
	_, err := tx.Exec(ctx, `
		UPDATE ledgerline.export_entries x SET chunk = $4
		FROM (SELECT voucher_id, ntile(2) OVER (ORDER BY voucher_id) AS half
		      FROM (SELECT DISTINCT voucher_id FROM ledgerline.export_entries
		            WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'planned') d) v
		WHERE x.organization_id = $1 AND x.export_id = $2 AND x.chunk = $3 AND x.state = 'planned' AND x.voucher_id = v.voucher_id AND v.half = 2`,
		o.OrganizationID, o.ExportID, chunk, into)
	return err
}
