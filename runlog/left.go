package runlog

import (
	"context"
	"hash/maphash"
	"math/big"
	"slices"

	"github.com/jackc/pgx/v5"
)

// A line that was deleted from a corrected file is stored still, and is exported: an import
// replaces what the file has and removes nothing. With Replace it says which lines these are.

// LeftVoucher is a voucher of which lines are stored that the file does not have.
type LeftVoucher struct {
	VoucherID string   `json:"voucherId"`
	Lines     int64    `json:"lines"`    // that are not in the file
	Sum       string   `json:"sum"`      // of their amounts, decimal
	EntryIDs  []string `json:"entryIds"` // the first five of them
}

// inFile is what a file has: a count for each voucher and eight bytes for each entry.
type inFile struct {
	seed    maphash.Seed
	entries map[uint64]struct{} // hashes of IDs; it is to name what is left, not to count it
	lines   map[string]int64    // entries of a voucher that are in the file and will have been stored when it is compared
}

func newInFile() *inFile {
	return &inFile{seed: maphash.MakeSeed(), entries: make(map[uint64]struct{}), lines: make(map[string]int64)}
}

func (f *inFile) has(entry string) bool {
	_, ok := f.entries[maphash.String(f.seed, entry)]
	return ok
}

// noteFile notes a batch of the file. A dry run compares with what is stored before, and counts in compare.
func (i *importing) noteFile(batch []AccountingEntry) {
	if !i.options.Replace && !i.compares() {
		return
	}
	for _, e := range batch {
		i.file.entries[maphash.String(i.file.seed, e.EntryID)] = struct{}{}
		switch {
		case !i.options.Replace:
		case i.options.DryRun:
			i.file.lines[e.VoucherID] += 0
		default:
			i.file.lines[e.VoucherID]++
		}
	}
}

// noteMoves notes the vouchers that entries are taken from.
func (i *importing) noteMoves(differ []differing) {
	for _, d := range differ {
		switch {
		case !i.options.Replace || d.Old.VoucherID == d.New.VoucherID:
		case i.options.DryRun: // it is there still
			i.file.lines[d.New.VoucherID]--
			i.file.lines[d.Old.VoucherID]++
		default:
			i.file.lines[d.Old.VoucherID] += 0
		}
	}
}

// findLeft adds the vouchers of the file that have more lines than the file has.
func (i *importing) findLeft(ctx context.Context, tx pgx.Tx) error {
	if !i.options.Replace {
		return nil
	}
	var vouchers []string
	var lines []int64
	for voucher, n := range i.file.lines {
		vouchers, lines = append(vouchers, voucher), append(lines, n)
	}
	rows, err := tx.Query(ctx, `
		SELECT voucher_id, stored.lines - file.lines, count(*) OVER () FROM unnest($2::text[], $3::bigint[]) AS file (voucher_id, lines)
		JOIN (SELECT voucher_id, count(*) AS lines FROM ledgerline.accounting_entries WHERE organization_id = $1 GROUP BY voucher_id) AS stored USING (voucher_id)
		WHERE stored.lines > file.lines ORDER BY voucher_id LIMIT $4`, i.organization, vouchers, lines, mostListed)
	if err != nil {
		return err
	}
	at := make(map[string]int)
	var next LeftVoucher
	_, err = pgx.ForEachRow(rows, []any{&next.VoucherID, &next.Lines, &i.done.LeftCount}, func() error {
		at[next.VoucherID] = len(i.done.Left)
		i.done.Left = append(i.done.Left, next)
		return nil
	})
	if err != nil || len(at) == 0 {
		return err
	}
	sums := make([]big.Rat, len(at))
	listed := column(i.done.Left, func(l LeftVoucher) string { return l.VoucherID })
	rows, err = tx.Query(ctx, `SELECT voucher_id, entry_id, amount::text FROM ledgerline.accounting_entries WHERE organization_id = $1 AND voucher_id = ANY($2) ORDER BY entry_id`,
		i.organization, listed)
	if err != nil {
		return err
	}
	var voucher, entry, amount string
	_, err = pgx.ForEachRow(rows, []any{&voucher, &entry, &amount}, func() error {
		if i.file.has(entry) {
			return nil
		}
		n := at[voucher]
		if exact, ok := new(big.Rat).SetString(amount); ok {
			sums[n].Add(&sums[n], exact)
		}
		if left := &i.done.Left[n]; len(left.EntryIDs) < 5 {
			left.EntryIDs = append(left.EntryIDs, entry)
		}
		return nil
	})
	for n := range i.done.Left {
		i.done.Left[n].Sum, i.done.Left[n].EntryIDs = sums[n].FloatString(2), slices.Concat([]string{}, i.done.Left[n].EntryIDs)
	}
	return err
}
