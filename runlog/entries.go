package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// SourceEntry is an accounting entry to be stored.
type SourceEntry struct {
	EntryID, VoucherID string
	Date               time.Time
	Account            string
	Amount             string // decimal, at most two places
	Currency, Text     string
}

// ErrEntryExists is returned for an entry that is there with other contents.
var ErrEntryExists = errors.New("an entry with this ID is there with other contents")

// ImportEntries stores entries, all or none. One that is there already, the
// same in everything, is left as it is. It returns how many were new.
func ImportEntries(ctx context.Context, db Beginner, organization uuid.UUID, entries []SourceEntry) (added int64, err error) {
	var ids, vouchers, accounts, amounts, currencies, texts []string
	var dates []time.Time
	for _, e := range entries {
		ids, vouchers, accounts = append(ids, e.EntryID), append(vouchers, e.VoucherID), append(accounts, e.Account)
		amounts, currencies, texts, dates = append(amounts, e.Amount), append(currencies, e.Currency), append(texts, storable(e.Text)), append(dates, e.Date)
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		const given = `unnest($2::text[], $3::text[], $4::date[], $5::text[], $6::numeric[], $7::text[], $8::text[]) AS u (id, v, d, a, m, c, t)`
		args := []any{organization, ids, vouchers, dates, accounts, amounts, currencies, texts}
		tag, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text)
			SELECT $1, id, v, d, a, m, c, t FROM `+given+` ON CONFLICT DO NOTHING`, args...)
		if err != nil {
			return err
		}
		added = tag.RowsAffected()
		var other string
		err = tx.QueryRow(ctx, `SELECT e.entry_id FROM ledgerline.accounting_entries e JOIN `+given+` ON e.entry_id = id
			WHERE e.organization_id = $1 AND (e.voucher_id, e.entry_date, e.account, e.amount, e.currency, e.text) IS DISTINCT FROM (v, d, a, m, c, t)
			ORDER BY 1 LIMIT 1`, args...).Scan(&other)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("entry %q: %w", other, ErrEntryExists)
		}
		return err
	})
	return added, err
}
