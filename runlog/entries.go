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

// ImportResult is what an import came to.
type ImportResult struct {
	Added      int64       `json:"added"`
	Unchanged  int64       `json:"unchanged"`  // were there, the same in everything
	Unbalanced int64       `json:"unbalanced"` // vouchers that got an entry and do not sum to zero
	Examples   []Imbalance `json:"examples"`   // of those, at most five
	Import     string      `json:"-"`          // the import, for [WaitingFilter]
}

// Imbalance is what a voucher lacks to sum to zero.
type Imbalance struct {
	VoucherID  string `json:"voucherId"`
	Difference string `json:"difference"` // decimal
}

// importBatch is how many entries go in one statement: enough to be as fast as
// possible without COPY, which row-level security refuses, and few enough to
// keep little in memory.
const importBatch = 5000

// ImportEntries stores entries as they come, all or none: the first error that
// entries yields ends it. An entry that is there already, the same in everything,
// is left as it is.
func ImportEntries(ctx context.Context, db Beginner, organization uuid.UUID, entries iter.Seq2[AccountingEntry, error]) (done ImportResult, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		// Entries may come slowly, and the last query reads all of them.
		if _, err := tx.Exec(ctx, `SELECT set_config('idle_in_transaction_session_timeout', '600s', true), set_config('statement_timeout', '120s', true)`); err != nil {
			return err
		}
		batch := make([]AccountingEntry, 0, importBatch)
		for e, err := range entries {
			if err != nil {
				return err
			}
			if batch = append(batch, e); len(batch) == importBatch {
				if err := insertEntries(ctx, tx, organization, batch, &done); err != nil {
					return err
				}
				batch = batch[:0]
			}
		}
		if err := insertEntries(ctx, tx, organization, batch, &done); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `SELECT pg_current_xact_id()::text`).Scan(&done.Import); err != nil {
			return err
		}
		return findUnbalanced(ctx, tx, organization, &done)
	})
	if err != nil {
		return ImportResult{}, err
	}
	return done, nil
}

const (
	// importedEntries are the entries of a batch, as rows.
	importedEntries = `(
    SELECT entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions::jsonb AS dimensions
    FROM unnest(@entry_id::text[], @voucher_id::text[], @entry_date::date[], @account::text[], @amount::numeric[], @currency::text[], @text::text[], @dimensions::text[])
        AS columns (entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions)) AS imported`

	insertImported = `
INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions)
SELECT @organization, entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions FROM ` + importedEntries + ` ON CONFLICT DO NOTHING`

	// selectDifferent finds an entry that is stored with other contents. LATERAL and
	// OFFSET: one look at the key for each entry, whatever the planner thinks of a
	// table that is being filled.
	selectDifferent = `
SELECT imported.entry_id FROM ` + importedEntries + ` CROSS JOIN LATERAL (
    SELECT * FROM ledgerline.accounting_entries WHERE organization_id = @organization AND entry_id = imported.entry_id OFFSET 0) AS stored
WHERE (stored.voucher_id, stored.entry_date, stored.account, stored.amount, stored.currency, stored.text, stored.dimensions)
    IS DISTINCT FROM (imported.voucher_id, imported.entry_date, imported.account, imported.amount, imported.currency, imported.text, imported.dimensions)
ORDER BY 1 LIMIT 1`
)

// insertEntries stores the entries of a batch that are not there yet.
func insertEntries(ctx context.Context, tx pgx.Tx, organization uuid.UUID, batch []AccountingEntry, done *ImportResult) error {
	args := pgx.StrictNamedArgs{
		"organization": organization,
		"entry_id":     column(batch, func(e AccountingEntry) string { return e.EntryID }),
		"voucher_id":   column(batch, func(e AccountingEntry) string { return e.VoucherID }),
		"entry_date":   column(batch, func(e AccountingEntry) time.Time { return e.Date }),
		"account":      column(batch, func(e AccountingEntry) string { return e.Account }),
		"amount":       column(batch, func(e AccountingEntry) string { return e.Amount }),
		"currency":     column(batch, func(e AccountingEntry) string { return e.Currency }),
		"text":         column(batch, func(e AccountingEntry) string { return storable(e.Text) }),
		"dimensions":   column(batch, AccountingEntry.dimensionsJSON),
	}
	inserted, err := tx.Exec(ctx, insertImported, args)
	if err != nil {
		return err
	}
	there := int64(len(batch)) - inserted.RowsAffected()
	done.Added, done.Unchanged = done.Added+inserted.RowsAffected(), done.Unchanged+there
	if there == 0 {
		return nil
	}
	var different string
	switch err := tx.QueryRow(ctx, selectDifferent, args).Scan(&different); {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("entry %q already exists with other contents", different)
}

func (e AccountingEntry) dimensionsJSON() string {
	if len(e.Dimensions) == 0 {
		return "{}"
	}
	text, err := json.Marshal(e.Dimensions)
	if err != nil {
		panic(err) // a map of strings
	}
	return string(text)
}

// findUnbalanced adds the vouchers that got an entry in this transaction, whose time
// is on their entries, and do not sum to zero. A voucher counts with all its entries,
// also those of earlier imports.
func findUnbalanced(ctx context.Context, tx pgx.Tx, organization uuid.UUID, done *ImportResult) error {
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
	var voucher Imbalance
	_, err = pgx.ForEachRow(rows, []any{&voucher.VoucherID, &voucher.Difference, &done.Unbalanced}, func() error {
		done.Examples = append(done.Examples, voucher)
		return nil
	})
	return err
}
