package runlog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// What a corrected file has no more stays stored and is exported: an import that replaces names it,
// and so does its dry run.
func TestReplaceNamesWhatIsLeft(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	in := func(id, voucher, amount string) runlog.AccountingEntry {
		e := entry(0)
		e.EntryID, e.VoucherID, e.Amount = id, voucher, amount
		return e
	}
	stored := []runlog.AccountingEntry{in("1", "A", "5"), in("2", "A", "-5"), in("3", "A", "7.50"), in("4", "A", "-7"),
		in("5", "B", "1"), in("6", "B", "-1"), in("7", "C", "1"), in("8", "C", "-1"), in("9", "D", "1"), in("10", "D", "-1"), in("11", "E", "1")}
	_, err := b.importing(stored, runlog.ImportOptions{})
	require.NoError(t, err)

	both := func(file []runlog.AccountingEntry, replace bool) (done runlog.ImportResult) {
		for _, dry := range []bool{true, false} {
			done, err = b.importing(file, runlog.ImportOptions{DryRun: dry, Replace: replace})
			require.NoError(t, err)
			if dry {
				defer func(said []runlog.LeftVoucher) { require.Equal(t, done.Left, said) }(done.Left)
			}
		}
		return done
	}
	none := []runlog.LeftVoucher{}
	require.Equal(t, none, both(stored[:2], false).Left, "without Replace it is a file of its own")
	require.Equal(t, none, both(stored, true).Left)
	require.Equal(t, none, both([]runlog.AccountingEntry{in("12", "F", "1"), in("13", "F", "-1")}, true).Left, "of the file's vouchers")

	file := []runlog.AccountingEntry{in("1", "A", "6"), in("2", "A", "-6"), // two lines fewer
		in("5", "B", "1"), in("6", "B", "-1"), in("14", "B", "0"), // one more
		in("7", "C", "1"),                      // one fewer, the other unchanged
		in("9", "G", "1"), in("10", "D", "-1"), // one moved
		in("11", "H", "1")} // all of a voucher moved
	require.Equal(t, []runlog.LeftVoucher{
		{VoucherID: "A", Lines: 2, Sum: "0.50", EntryIDs: []string{"3", "4"}},
		{VoucherID: "C", Lines: 1, Sum: "-1.00", EntryIDs: []string{"8"}},
	}, both(file, true).Left)

	done := both([]runlog.AccountingEntry{in("9", "I", "1")}, true)
	require.EqualValues(t, 0, done.LeftCount, "G has nothing left")
	done = both([]runlog.AccountingEntry{in("1", "I", "6")}, true)
	require.EqualValues(t, 2, done.LeftCount, "of the voucher that lost an entry, too")
	require.Equal(t, []string{"2", "3", "4"}, done.Left[0].EntryIDs)
}
