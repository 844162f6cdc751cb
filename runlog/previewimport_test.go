package runlog_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// Whatever is there and whatever a file has, a dry run with a login that may only read says
// what the import then does, to the voucher that does not sum to zero.
func TestDryImportSaysWhatAnImportDoes(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	draw := func() (list []runlog.AccountingEntry) {
		for _, id := range r.Perm(12)[:r.IntN(12)] {
			amount := []string{"0", "1.5", "-1.50", "0.01", "-.01", "12345678901234567.89", "-12345678901234567.89"}[r.IntN(7)]
			e := runlog.AccountingEntry{
				EntryID: fmt.Sprint("e", id), VoucherID: fmt.Sprint("v", r.IntN(4)), Date: time.Date(2026, 10, 1+r.IntN(2), 0, 0, 0, 0, time.UTC),
				Account: "1920", Amount: amount, Currency: []string{"NOK", "NOK", "NOK", "EUR"}[r.IntN(4)], Text: []string{"", "rent"}[r.IntN(2)],
			}
			if r.IntN(3) == 0 {
				e.Dimensions = map[string]string{"department": "10"}
			}
			list = append(list, e)
		}
		return list
	}
	for range 60 {
		file, options := draw(), runlog.ImportOptions{Replace: r.IntN(4) > 0, AllowRepeated: r.IntN(2) > 0}
		dry := options
		dry.DryRun = true
		said, saidErr := b.importingAs(b.reader, file, dry)
		done, err := b.importing(file, options)
		require.Equal(t, fmt.Sprint(err), fmt.Sprint(saidErr))
		done.Import = ""
		require.Equal(t, done, said)
		if r.IntN(5) == 0 {
			b.exec(`DELETE FROM ledgerline.accounting_entries WHERE voucher_id = 'v1'`)
		}
	}
}
