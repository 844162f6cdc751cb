package runlog

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/big"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// An entry has one name, and by it is exported once. A file whose IDs are made in another
// way than before gives every line a second name, and both would be exported. So a new line
// that is stored already under an ID that the file does not have is refused.

// RepeatedLine is a stored line that a new line of the file equals in voucher, date, account,
// amount and currency.
type RepeatedLine struct {
	VoucherID string `json:"voucherId"`
	EntryID   string `json:"entryId"` // that it is stored under
	Date      string `json:"date"`    // such as 2026-10-31
	Account   string `json:"account"`
	Amount    string `json:"amount"` // decimal
	Currency  string `json:"currency"`
}

// RepeatedError is returned where an import has lines that are stored under other IDs; nothing
// was imported.
type RepeatedError struct {
	Count int64
	Lines []RepeatedLine // the first 1,000
}

// Error names the first lines and what to do.
func (e *RepeatedError) Error() string {
	var b strings.Builder
	what := "lines are stored under other entry IDs, and would be exported twice"
	if e.Count == 1 {
		what = "line is stored under another entry ID, and would be exported twice"
	}
	fmt.Fprintf(&b, "%d %s:\n", e.Count, what)
	for _, l := range e.Lines[:min(len(e.Lines), 5)] {
		fmt.Fprintf(&b, "  voucher %s of %s, account %s, %s %s: stored as %s\n", l.VoucherID, l.Date, l.Account, l.Currency, l.Amount, l.EntryID)
	}
	if more := e.Count - 5; more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	b.WriteString("import the file with the IDs that it had before, with the same --id-from, or first take out what no vendor has: starter entries withdraw VOUCHER; if they are further lines that are alike, add --allow-repeated")
	return b.String()
}

// newLines are what an import adds, as far as it is needed to find it again: a count for each
// line's contents and a name for each voucher.
type newLines struct {
	lines       map[uint64]int // by hash
	vouchers    map[string]struct{}
	first, last time.Time // their dates
}

// lineHash is of what two lines must have in common to be taken for one. amount is a decimal.
func (f *inFile) lineHash(voucher, date, account, amount, currency string) uint64 {
	if exact, ok := new(big.Rat).SetString(amount); ok {
		amount = exact.FloatString(2)
	}
	return maphash.String(f.seed, strings.Join([]string{voucher, date, account, amount, currency}, "\x00"))
}

// compares says whether new lines are compared with what is stored. Of a first import, which may be large, they need not be.
func (i *importing) compares() bool { return i.hadEntries && !i.options.AllowRepeated }

// noteNew notes an entry that is stored now, and was not there.
func (i *importing) noteNew(e AccountingEntry) {
	if !i.compares() {
		return
	}
	i.added.lines[i.file.lineHash(e.VoucherID, e.Date.Format(time.DateOnly), e.Account, e.Amount, e.Currency)]++
	i.added.vouchers[e.VoucherID] = struct{}{}
	if i.added.first.IsZero() || e.Date.Before(i.added.first) {
		i.added.first = e.Date
	}
	if e.Date.After(i.added.last) {
		i.added.last = e.Date
	}
}

// refuseRepeated is a [*RepeatedError] if new lines are stored under IDs that the file does not have.
func (i *importing) refuseRepeated(ctx context.Context, tx pgx.Tx) error {
	if len(i.added.vouchers) == 0 {
		return nil
	}
	vouchers := make([]string, 0, len(i.added.vouchers))
	for voucher := range i.added.vouchers {
		vouchers = append(vouchers, voucher)
	}
	rows, err := tx.Query(ctx, `
		SELECT voucher_id, entry_id, to_char(entry_date, 'YYYY-MM-DD'), account, amount::text, currency
		FROM ledgerline.accounting_entries JOIN unnest($2::text[]) AS file (voucher_id) USING (voucher_id)
		WHERE organization_id = $1 AND entry_date BETWEEN $3 AND $4 AND imported_in IS DISTINCT FROM pg_current_xact_id_if_assigned()
		ORDER BY voucher_id, entry_id`, i.organization, vouchers, i.added.first, i.added.last)
	if err != nil {
		return err
	}
	repeated := &RepeatedError{}
	var l RepeatedLine
	_, err = pgx.ForEachRow(rows, []any{&l.VoucherID, &l.EntryID, &l.Date, &l.Account, &l.Amount, &l.Currency}, func() error {
		key := i.file.lineHash(l.VoucherID, l.Date, l.Account, l.Amount, l.Currency)
		if i.added.lines[key] == 0 || i.file.has(l.EntryID) {
			return nil
		}
		i.added.lines[key]--
		if repeated.Count++; repeated.Count <= mostListed {
			repeated.Lines = append(repeated.Lines, l)
		}
		return nil
	})
	if err == nil && repeated.Count > 0 {
		err = repeated
	}
	return err
}
