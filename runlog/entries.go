package runlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// AccountingEntry is an accounting entry to be stored.
type AccountingEntry struct {
	EntryID, VoucherID string
	Date               time.Time
	Account            string
	Amount             string // decimal, at most two places
	Currency, Text     string
	Dimensions         map[string]string
}

// ErrEntryExists is returned for an entry that is there with other contents.
var ErrEntryExists = errors.New("an entry with this ID is there with other contents")

// ImportResult is what storing entries came to.
type ImportResult struct {
	Added      int64       `json:"added"`
	Unchanged  int64       `json:"unchanged"`  // were there, the same in everything
	Unbalanced int64       `json:"unbalanced"` // vouchers that got an entry and do not sum to zero
	Examples   []Imbalance `json:"examples"`   // of those, at most five
}

// Imbalance is what a voucher lacks to sum to zero.
type Imbalance struct {
	VoucherID  string `json:"voucherId"`
	Difference string `json:"difference"` // decimal
}

// importBatch is how many entries go in one statement: enough to be as fast as
// it gets without COPY, which row-level security refuses, and few enough to
// keep little in memory.
const importBatch = 5000

// ImportEntries stores entries as they come, all or none: the first error that
// entries yields ends it. An entry that is there already, the same in everything,
// is left as it is.
func ImportEntries(ctx context.Context, db Beginner, organization uuid.UUID, entries iter.Seq2[AccountingEntry, error]) (done ImportResult, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		// The source may be slow, and the last question looks at all entries.
		if _, err := tx.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', '600s', true), set_config('statement_timeout', '120s', true)`); err != nil {
			return err
		}
		var batch entryColumns
		for e, err := range entries {
			if err != nil {
				return err
			}
			if err := batch.add(e); err != nil {
				return err
			}
			if len(batch.ids) == importBatch {
				if err := batch.store(ctx, tx, organization, &done); err != nil {
					return err
				}
			}
		}
		if err := batch.store(ctx, tx, organization, &done); err != nil {
			return err
		}
		return unbalanced(ctx, tx, organization, &done)
	})
	if err != nil {
		return ImportResult{}, err
	}
	return done, nil
}

// entryColumns are entries, column by column.
type entryColumns struct {
	ids, vouchers, accounts, amounts, currencies, texts, dimensions []string
	dates                                                           []time.Time
}

func (c *entryColumns) add(e AccountingEntry) error {
	dimensions := []byte("{}")
	if len(e.Dimensions) > 0 {
		var err error
		if dimensions, err = json.Marshal(e.Dimensions); err != nil {
			return err
		}
	}
	c.ids, c.vouchers, c.dates = append(c.ids, e.EntryID), append(c.vouchers, e.VoucherID), append(c.dates, e.Date)
	c.accounts, c.amounts, c.currencies = append(c.accounts, e.Account), append(c.amounts, e.Amount), append(c.currencies, e.Currency)
	c.texts, c.dimensions = append(c.texts, storable(e.Text)), append(c.dimensions, string(dimensions))
	return nil
}

// store inserts the entries and forgets them.
func (c *entryColumns) store(ctx context.Context, tx pgx.Tx, organization uuid.UUID, done *ImportResult) error {
	const given = `(SELECT id, v, d, a, m, c, t, x::jsonb AS x FROM unnest($2::text[], $3::text[], $4::date[], $5::text[], $6::numeric[], $7::text[], $8::text[], $9::text[])
		AS u (id, v, d, a, m, c, t, x)) AS given`
	args := []any{organization, c.ids, c.vouchers, c.dates, c.accounts, c.amounts, c.currencies, c.texts, c.dimensions}
	tag, err := tx.Exec(ctx, `
		INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions)
		SELECT $1, id, v, d, a, m, c, t, x FROM `+given+` ON CONFLICT DO NOTHING`, args...)
	if err != nil {
		return err
	}
	there := int64(len(c.ids)) - tag.RowsAffected()
	done.Added, done.Unchanged = done.Added+tag.RowsAffected(), done.Unchanged+there
	if there > 0 {
		var other string
		// LATERAL and OFFSET: one look at the key for each entry, whatever the
		// planner thinks of a table that is being filled.
		err = tx.QueryRow(ctx, `SELECT id FROM `+given+` CROSS JOIN LATERAL (
				SELECT * FROM ledgerline.accounting_entries WHERE organization_id = $1 AND entry_id = id OFFSET 0) e
			WHERE (e.voucher_id, e.entry_date, e.account, e.amount, e.currency, e.text, e.dimensions) IS DISTINCT FROM (v, d, a, m, c, t, x)
			ORDER BY 1 LIMIT 1`, args...).Scan(&other)
		if err == nil {
			return fmt.Errorf("entry %q: %w", other, ErrEntryExists)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
	}
	*c = entryColumns{c.ids[:0], c.vouchers[:0], c.accounts[:0], c.amounts[:0], c.currencies[:0], c.texts[:0], c.dimensions[:0], c.dates[:0]}
	return nil
}

// unbalanced looks at the vouchers that got an entry in this transaction, whose
// time is on their entries. A voucher counts with all its entries, also those
// of earlier imports.
func unbalanced(ctx context.Context, tx pgx.Tx, organization uuid.UUID, done *ImportResult) error {
	done.Examples = []Imbalance{}
	if done.Added == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT voucher_id, sum(amount)::text, count(*) OVER () FROM ledgerline.accounting_entries
		WHERE organization_id = $1 GROUP BY voucher_id HAVING sum(amount) <> 0 AND bool_or(created_at = now()) ORDER BY voucher_id LIMIT 5`, organization)
	if err != nil {
		return err
	}
	var d Imbalance
	_, err = pgx.ForEachRow(rows, []any{&d.VoucherID, &d.Difference, &done.Unbalanced}, func() error {
		done.Examples = append(done.Examples, d)
		return nil
	})
	return err
}
