package runlog_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

func entry(i int) runlog.AccountingEntry {
	amount := "10.50"
	if i%2 == 1 {
		amount = "-10.50"
	}
	return runlog.AccountingEntry{
		EntryID: fmt.Sprint("e", i), VoucherID: fmt.Sprint("v", i/2), Date: time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC), Account: "1920",
		Amount: amount, Currency: "NOK", Text: "t", Dimensions: map[string]string{"department": "10", "project": "å"},
	}
}

// result is that of an import that replaced nothing.
func result(added, unchanged int64, unbalanced ...runlog.Imbalance) runlog.ImportResult {
	return runlog.ImportResult{
		Added: added, Unchanged: unchanged, Unbalanced: int64(len(unbalanced)), Examples: append([]runlog.Imbalance{}, unbalanced...),
		MixedOnes: []runlog.Mixed{}, Left: []runlog.LeftVoucher{}, Changes: []runlog.EntryDifference{}, Refused: []runlog.Refusal{}, Sendings: []runlog.NextSending{},
	}
}

func TestImportEntries(t *testing.T) {
	b := newBase(t)
	organization := uuid.New()
	load := func(n int, change func(*runlog.AccountingEntry), end error) (runlog.ImportResult, error) {
		done, err := runlog.ImportEntries(t.Context(), b.operator, organization, func(yield func(runlog.AccountingEntry, error) bool) {
			for i := range n {
				e := entry(i)
				if change != nil {
					change(&e)
				}
				if !yield(e, nil) {
					return
				}
			}
			if end != nil {
				yield(runlog.AccountingEntry{}, end)
			}
		}, runlog.ImportOptions{})
		done.Import = "" // names the transaction
		return done, err
	}
	count := func() (n int) {
		t.Helper()
		require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.accounting_entries WHERE organization_id = $1", organization).Scan(&n))
		return n
	}
	wrong := errors.New("line 5001 is wrong")
	_, err := load(5000, nil, wrong)
	require.ErrorIs(t, err, wrong)
	require.Zero(t, count(), "all or none, also after full batches")

	done, err := load(5001, nil, nil)
	require.NoError(t, err)
	require.Equal(t, result(5001, 0, runlog.Imbalance{VoucherID: "v2500", Difference: "10.50"}), done)
	done, err = load(5001, nil, nil)
	require.NoError(t, err)
	require.Equal(t, result(0, 5001, runlog.Imbalance{VoucherID: "v2500", Difference: "10.50"}), done, "what did not balance the first time does not now")
	done, err = load(4999, nil, nil)
	require.NoError(t, err)
	require.Equal(t, result(0, 4999), done, "of the file's vouchers")
	done, err = load(5002, nil, nil)
	require.NoError(t, err)
	require.Equal(t, result(1, 5001), done, "the voucher is whole now, over two imports")

	for differs, change := range map[string]func(*runlog.AccountingEntry){
		"amount 10.50 (file: 10.51)": func(e *runlog.AccountingEntry) { e.Amount = "10.51" },
		"dimensions department=10 project=å (file: department=11 project=å)": func(e *runlog.AccountingEntry) { e.Dimensions["department"] = "11" },
		"dimensions department=10 project=å (file: (none))":                  func(e *runlog.AccountingEntry) { e.Dimensions = nil },
		"date 2026-10-31 (file: 2026-11-30), text t (file: (none))":          func(e *runlog.AccountingEntry) { e.Date, e.Text = e.Date.AddDate(0, 0, 30), "" },
	} {
		_, err = load(5003, func(e *runlog.AccountingEntry) {
			if e.EntryID == "e4000" {
				change(e)
			}
		}, nil)
		require.EqualError(t, err, "entry e4000 already exists with "+differs+"; to replace it before it is exported, add --replace")
	}
	require.Equal(t, 5002, count())
	_, err = load(20, func(e *runlog.AccountingEntry) { e.Amount, e.EntryID = "1", "new"+e.EntryID }, nil)
	require.NoError(t, err)
	done, err = load(12, func(e *runlog.AccountingEntry) {
		e.Amount, e.EntryID, e.VoucherID = "0.01", "x"+e.EntryID, "x"+e.EntryID
	}, nil)
	require.NoError(t, err)
	require.EqualValues(t, 12, done.Unbalanced)
	require.Len(t, done.Examples, 5)
	_, err = runlog.ImportEntries(t.Context(), b.worker, organization, func(yield func(runlog.AccountingEntry, error) bool) { yield(entry(99999), nil) }, runlog.ImportOptions{})
	require.Error(t, err, "a worker stores no entries")
}

// Amounts of two currencies have no sum, and an export refuses such a voucher: an import says so,
// also of one whose other entries came before.
func TestImportOfCurrencies(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	in := func(id, voucher, amount, currency string) runlog.AccountingEntry {
		e := entry(0)
		e.EntryID, e.VoucherID, e.Amount, e.Currency = id, voucher, amount, currency
		return e
	}
	for _, dry := range []bool{true, false} {
		done, err := b.importing([]runlog.AccountingEntry{in("1", "A", "100", "NOK"), in("2", "A", "-100", "EUR"), in("3", "B", "5", "NOK"), in("4", "C", "5", "NOK"), in("5", "C", "-5", "NOK")}, runlog.ImportOptions{DryRun: dry})
		require.NoError(t, err)
		require.EqualValues(t, 1, done.Mixed)
		require.Equal(t, []runlog.Mixed{{VoucherID: "A", Currencies: [2]string{"EUR", "NOK"}}}, done.MixedOnes)
		require.Equal(t, []runlog.Imbalance{{VoucherID: "B", Difference: "5.00"}}, done.Examples)
	}
	for _, dry := range []bool{true, false} {
		done, err := b.importing([]runlog.AccountingEntry{in("6", "B", "-5", "USD")}, runlog.ImportOptions{DryRun: dry})
		require.NoError(t, err)
		require.Equal(t, []runlog.Mixed{{VoucherID: "B", Currencies: [2]string{"NOK", "USD"}}}, done.MixedOnes)
		require.Zero(t, done.Unbalanced)
	}
	for _, dry := range []bool{true, false} {
		done, err := b.importing([]runlog.AccountingEntry{in("2", "A", "-100", "NOK"), in("5", "C", "-5", "NOK")}, runlog.ImportOptions{DryRun: dry, Replace: true})
		require.NoError(t, err)
		require.EqualValues(t, 0, done.Mixed, "it was corrected, and B is not of the file")
		require.Zero(t, done.Unbalanced)
	}
}
