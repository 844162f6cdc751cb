package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Entry is one line of a voucher, as it goes to the vendor. The amount is
// decimal text throughout.
type Entry struct {
	EntryID, VoucherID, Account, Amount, Currency, Text, VendorKey string
	Date                                                           time.Time
}

// TakeChunk returns the entries of a chunk that are to be sent, and marks them
// as sent before anybody sends them. sent is true if they were marked before:
// then they may be at the vendor already, who must be asked first.
func TakeChunk(ctx context.Context, db Beginner, organization, export uuid.UUID, chunk int) (entries []Entry, sent bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT x.entry_id, x.voucher_id, a.account, a.amount::text, a.currency, a.text, x.vendor_key, a.entry_date, x.state = 'sent'
			FROM ledgerline.export_entries x JOIN ledgerline.accounting_entries a USING (organization_id, entry_id)
			WHERE x.organization_id = $1 AND x.export_id = $2 AND x.chunk = $3 AND x.state IN ('planned', 'sent')
			ORDER BY x.voucher_id, x.entry_id FOR UPDATE OF x`, organization, export, chunk)
		if err != nil {
			return err
		}
		entries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Entry, err error) {
			var before bool
			err = row.Scan(&e.EntryID, &e.VoucherID, &e.Account, &e.Amount, &e.Currency, &e.Text, &e.VendorKey, &e.Date, &before)
			sent = sent || before
			return e, err
		})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'sent'
			WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'planned'`, organization, export, chunk)
		return err
	})
	return entries, sent, err
}

// SettleChunk records what became of a chunk that was sent: exported, rejected
// or unknown.
func SettleChunk(ctx context.Context, db Beginner, organization, export uuid.UUID, chunk int, state, reason string) error {
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = $4, reason = nullif($5, '')
			WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state IN ('planned', 'sent')`,
			organization, export, chunk, state, storable(reason))
		return err
	})
}

// SplitChunk moves the upper half of a refused chunk's vouchers to chunk into,
// to find the one that the vendor refuses. Both halves are to be sent again: a
// refusal means that nothing was stored. split is false if the chunk is one
// voucher, which then is rejected with the reason. Doing it again is harmless.
func SplitChunk(ctx context.Context, db Beginner, organization, export uuid.UUID, chunk, into int, reason string) (split bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		var vouchers, moved int
		if err := tx.QueryRow(ctx, `SELECT count(DISTINCT voucher_id) FILTER (WHERE chunk = $3 AND state = 'sent'), count(*) FILTER (WHERE chunk = $4)
			FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`, organization, export, chunk, into).Scan(&vouchers, &moved); err != nil {
			return err
		}
		if split = moved > 0; split {
			return nil
		}
		if split = vouchers > 1; !split {
			_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'rejected', reason = nullif($4, '')
				WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'sent'`, organization, export, chunk, storable(reason))
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE ledgerline.export_entries x SET state = 'planned', chunk = CASE WHEN v.half = 2 THEN $4 ELSE x.chunk END
			FROM (SELECT voucher_id, ntile(2) OVER (ORDER BY voucher_id) AS half
			      FROM (SELECT DISTINCT voucher_id FROM ledgerline.export_entries
			            WHERE organization_id = $1 AND export_id = $2 AND chunk = $3 AND state = 'sent') d) v
			WHERE x.organization_id = $1 AND x.export_id = $2 AND x.chunk = $3 AND x.state = 'sent' AND x.voucher_id = v.voucher_id`,
			organization, export, chunk, into)
		return err
	})
	return split, err
}
