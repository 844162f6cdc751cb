package runlog

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// What an import would do is found out without storing anything: which entries are there,
// which differ, and what the vouchers of the file would sum to. The rest is the same as of
// an import that stores.

const selectThere = `
SELECT imported.entry_id FROM ` + importedEntries + ` CROSS JOIN LATERAL (
    SELECT FROM ledgerline.accounting_entries WHERE organization_id = @organization AND entry_id = imported.entry_id OFFSET 0) AS stored`

// compare counts the entries of a batch that are not there, notes those that differ, and
// adds up vouchers.
func (i *importing) compare(ctx context.Context, tx pgx.Tx, batch []AccountingEntry) error {
	there, err := i.there(ctx, tx, batch)
	if err != nil {
		return err
	}
	i.done.Added += int64(len(batch) - len(there))
	for _, e := range batch {
		sign := int64(1)
		if there[e.EntryID] { // it counts already, and its voucher is one of the file's
			sign = 0
			if i.options.Replace {
				i.file.lines[e.VoucherID]++
			}
		} else {
			i.noteNew(e)
		}
		if err := i.addUp(sumKey{e.VoucherID, e.Currency}, e.Amount, sign); err != nil {
			return err
		}
	}
	if len(there) == 0 {
		return nil
	}
	differ, err := i.noteDifferent(ctx, tx, batch, int64(len(there)))
	if err != nil {
		return err
	}
	for _, d := range differ {
		if err := i.addUp(sumKey{d.Old.VoucherID, d.Old.Currency}, d.Old.Amount, -1); err != nil {
			return err
		}
		if err := i.addUp(sumKey{d.New.VoucherID, d.New.Currency}, d.New.Amount, 1); err != nil {
			return err
		}
	}
	return nil
}

// there are the entries of a batch that are stored.
func (i *importing) there(ctx context.Context, tx pgx.Tx, batch []AccountingEntry) (map[string]bool, error) {
	return queryIDs(ctx, tx, selectThere, i.args(batch))
}

// refuseAgain refuses what the trigger withdrawn_come_again does of entries that are stored
// again after they were withdrawn, in its words.
func (i *importing) refuseAgain(ctx context.Context, tx pgx.Tx, batch []AccountingEntry) error {
	there, err := i.there(ctx, tx, batch)
	if err != nil {
		return err
	}
	taken, err := loadTaken(ctx, tx, i.organization, column(batch, func(e AccountingEntry) string { return e.EntryID }))
	if err != nil {
		return err
	}
	for _, e := range batch {
		if there[e.EntryID] {
			continue
		}
		for _, t := range taken[e.EntryID] {
			switch {
			case t.State != exports.Rejected && cmp.Or(t.Source, integrations.DefaultSource) != integrations.DefaultSource: // its source has it all the time
			case t.State != exports.Rejected:
				return fmt.Errorf("entry %s was withdrawn, and is %s all the same%s", e.EntryID, t.State, correctThere)
			case t.VoucherID != e.VoucherID:
				return fmt.Errorf("entry %s belongs to voucher %s, with which an export has taken it; give it another ID", e.EntryID, t.VoucherID)
			}
		}
	}
	return nil
}

// sumKey is a currency of a voucher.
type sumKey struct{ voucher, currency string }

// voucherSum is what a file adds to a voucher in a currency.
type voucherSum struct {
	hundredths big.Int
	entries    int64
}

// addUp adds an entry to what the file adds to a voucher, with sign -1 takes it off, and with 0 notes the voucher.
func (i *importing) addUp(key sumKey, amount string, sign int64) error {
	exact, ok := new(big.Rat).SetString(amount)
	if !ok {
		return fmt.Errorf("voucher %s: amount %q is no number", key.voucher, amount)
	}
	hundredths, _ := new(big.Int).SetString(strings.Replace(exact.FloatString(2), ".", "", 1), 10)
	sum := i.sums[key]
	if sum == nil {
		sum = new(voucherSum)
		i.sums[key] = sum
	}
	sum.hundredths.Add(&sum.hundredths, hundredths.Mul(hundredths, big.NewInt(sign)))
	sum.entries += sign
	return nil
}

// previewUnbalanced is [importing.findUnbalanced] of what would be stored.
func (i *importing) previewUnbalanced(ctx context.Context, tx pgx.Tx) error {
	var vouchers, currencies, sums []string
	var entries []int64
	for key, sum := range i.sums {
		vouchers, currencies = append(vouchers, key.voucher), append(currencies, key.currency)
		sums, entries = append(sums, sum.hundredths.String()), append(entries, sum.entries)
	}
	return i.addUnbalanced(ctx, tx, `FROM (
        SELECT voucher_id, currency, sum(amount) AS amount FROM (
            SELECT voucher_id, currency, hundredths * 0.01 AS amount, entries
            FROM unnest($2::text[], $3::text[], $4::numeric[], $5::bigint[]) AS file (voucher_id, currency, hundredths, entries)
            UNION ALL
            SELECT voucher_id, currency, sum(amount), count(*) FROM ledgerline.accounting_entries
            WHERE organization_id = $1 AND voucher_id IN (SELECT unnest($2::text[])) GROUP BY 1, 2) AS part
        GROUP BY voucher_id, currency HAVING sum(entries) > 0) AS together
    GROUP BY voucher_id HAVING `+isUnbalanced, i.organization, vouchers, currencies, sums, entries)
}
