package runlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// replaceImported gives entries the contents of the file. The keys are looked up one by
// one, whatever the planner thinks of a table that is being filled.
const replaceImported = `
UPDATE ledgerline.accounting_entries AS stored SET voucher_id = imported.voucher_id, entry_date = imported.entry_date, account = imported.account,
    amount = imported.amount, currency = imported.currency, text = imported.text, dimensions = imported.dimensions
FROM ` + importedEntries + `
WHERE stored.organization_id = @organization AND stored.entry_id = ANY(@entry_id::text[]) AND stored.entry_id = imported.entry_id
  AND (stored.voucher_id, stored.entry_date, stored.account, stored.amount, stored.currency, stored.text, stored.dimensions)
    IS DISTINCT FROM (imported.voucher_id, imported.entry_date, imported.account, imported.amount, imported.currency, imported.text, imported.dimensions)`

// replace gives the entries that differ the contents of the file, or refuses to. It comes last, because no plan is
// made from then on until the import ends.
func (i *importing) replace(ctx context.Context, tx pgx.Tx) error {
	for _, d := range i.differ {
		if i.done.Changes = append(i.done.Changes, d.changes()...); len(i.done.Changes) >= mostListed {
			i.done.Changes = i.done.Changes[:mostListed]
			break
		}
	}
	if len(i.differ) == 0 {
		return nil
	}
	if i.options.Replace && !i.options.DryRun {
		if err := beginCorrection(ctx, tx, i.options.Actor, i.options.Reason); err != nil {
			return err
		}
	}
	taken, err := loadTaken(ctx, tx, i.organization, column(i.differ, func(d differing) string { return d.EntryID }))
	if err != nil {
		return err
	}
	if err := i.refuse(taken); err != nil {
		return err
	}
	if i.options.DryRun {
		i.done.Replaced, i.done.Sendings = int64(len(i.differ)), nextSendings(taken)
		return nil
	}
	for batch := range slices.Chunk(i.differ, importBatch) {
		replaced, err := tx.Exec(ctx, replaceImported, i.args(column(batch, func(d differing) AccountingEntry { return d.entry })))
		if err != nil {
			return err
		}
		if replaced.RowsAffected() < int64(len(batch)) {
			return errors.New("entries of the file were replaced or withdrawn while it was read; import it again")
		}
		i.done.Replaced += replaced.RowsAffected()
	}
	for _, d := range i.differ { // a voucher that has lost an entry may be without a sum of zero now
		if d.Old.VoucherID != d.New.VoucherID {
			i.touched = append(i.touched, d.Old.VoucherID)
		}
	}
	i.done.Sendings = nextSendings(taken)
	return nil
}

// sendAgain finds which exports send what was withdrawn and comes again.
func (i *importing) sendAgain(ctx context.Context, tx pgx.Tx) error {
	if len(i.again) == 0 {
		return nil
	}
	taken, err := loadTaken(ctx, tx, i.organization, column(i.again, func(e AccountingEntry) string { return e.EntryID }))
	i.done.Sendings = firstSendings(append(i.done.Sendings, nextSendings(taken)...))
	return err
}

// refuse is a [*RefusedError] of the entries that are not replaced.
func (i *importing) refuse(taken map[string][]takenEntry) error {
	refused := &RefusedError{}
	for _, d := range i.differ {
		why, remedy, ok := d.refusal(taken[d.EntryID])
		if !i.options.Replace {
			differs := "already exists with " + d.inWords()
			switch {
			case ok:
				why, remedy, ok = differs, "to replace it before it is exported, add --replace", false
			default:
				why = differs + ", and " + why
			}
		}
		if ok {
			continue
		}
		if refused.Total++; len(refused.Refused) < mostListed {
			refused.Refused = append(refused.Refused, Refusal{d.EntryID, d.Old.VoucherID, why, remedy})
		}
	}
	if refused.Total > 0 {
		return refused
	}
	return nil
}

// refusal is why an entry that was taken cannot be replaced; ok if it can.
func (d differing) refusal(taken []takenEntry) (why, remedy string, ok bool) {
	if why, remedy, ok = refusalOfAny(taken); !ok {
		return why, remedy, false
	}
	if len(taken) > 0 && d.Old.VoucherID != d.New.VoucherID {
		return fmt.Sprintf("belongs to voucher %s (file: %s), with which an export has taken it (%s, %s)", d.Old.VoucherID, d.New.VoucherID, taken[0].Integration, taken[0].Period),
			fmt.Sprintf("give it another entry ID, and withdraw the voucher: starter entries withdraw %s --reason TEXT", d.Old.VoucherID), false
	}
	return "", "", true
}

// changes are the fields in which the file differs from what is there.
func (d differing) changes() (list []EntryDifference) {
	for _, field := range []struct{ name, old, new string }{
		{"voucher", d.Old.VoucherID, d.New.VoucherID}, {"date", d.Old.Date, d.New.Date}, {"account", d.Old.Account, d.New.Account},
		{"amount", d.Old.Amount, d.New.Amount}, {"currency", d.Old.Currency, d.New.Currency}, {"text", d.Old.Text, d.New.Text},
		{"dimensions", inOneLine(d.Old.Dimensions), inOneLine(d.New.Dimensions)},
	} {
		if field.old != field.new {
			list = append(list, EntryDifference{d.EntryID, d.Old.VoucherID, field.name, field.old, field.new})
		}
	}
	if list == nil { // a number where the file has the same as a text, say
		list = append(list, EntryDifference{d.EntryID, d.Old.VoucherID, "dimensions", inOneLine(d.Old.Dimensions), inOneLine(d.New.Dimensions)})
	}
	return list
}

// inWords is such as: account X999 (file: 3900), amount 1.00 (file: 2.00).
func (d differing) inWords() string {
	return strings.Join(column(d.changes(), func(c EntryDifference) string {
		return fmt.Sprintf("%s %s (file: %s)", c.Field, orNone(c.Old), orNone(c.New))
	}), ", ")
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// inOneLine is such as: department=10 project=P1.
func inOneLine(dimensions map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(dimensions)) {
		list = append(list, name+"="+dimensions[name])
	}
	return strings.Join(list, " ")
}
