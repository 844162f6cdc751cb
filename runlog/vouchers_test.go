package runlog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// A refused voucher that was withdrawn and came again, with some of the same lines or with
// others, is what became of the lines that came. At each step its period counts what its
// vouchers sum to, for each outcome.
func TestVouchersThatCameAgain(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	line := func(id, account, amount string) runlog.AccountingEntry {
		return runlog.AccountingEntry{EntryID: id, VoucherID: "v", Date: october, Account: account, Amount: amount, Currency: "NOK"}
	}
	for again, c := range map[string]struct {
		lines                        []runlog.AccountingEntry
		before, between, after, last string
	}{
		"some of the same": {[]runlog.AccountingEntry{line("e1", "1920", "10.00"), line("e3", "3000", "-10.00")},
			"v refused NOK 14.50 3", "v refused NOK 10.00 1 (2 withdrawn), corrected", "v exported NOK 10.00 2 (2 withdrawn)",
			"October 2026 is complete: 4 entries in 2 vouchers, NOK 17.00; 2 single lines were withdrawn"},
		"others": {[]runlog.AccountingEntry{line("e4", "1920", "10.00"), line("e5", "3000", "-10.00")},
			"v refused NOK 14.50 3", "v withdrawn NOK 14.50 3", "v withdrawn NOK 14.50 3",
			"October 2026 is complete: 2 entries in 1 voucher, NOK 7.00; 1 voucher was withdrawn"},
		"the same": {[]runlog.AccountingEntry{line("e1", "1920", "10.00"), line("e2", "3000", "-14.50"), line("x", "1920", "4.50")},
			"v refused NOK 14.50 3", "v refused NOK 14.50 3, corrected", "v exported NOK 14.50 3",
			"October 2026 is complete: 5 entries in 2 vouchers, NOK 21.50"},
	} {
		t.Run(again, func(t *testing.T) {
			b, _ := b.fresh(t)
			_, err := b.importing([]runlog.AccountingEntry{line("e1", "1920", "10.00"), line("e2", "3000", "-14.50"), line("x", "X777", "4.50")}, runlog.ImportOptions{})
			require.NoError(t, err)
			b.lines("w1 w 2026-10-02 1920 7", "w2 w 2026-10-02 3000 -7")
			first := b.claim("2026-10", nil)
			b.plan(first, mapped, 500)
			b.become(first, exports.Exported, "w")
			b.close(first)
			require.Equal(t, c.before, b.voucher(first, "v"))

			_, err = runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "v", "kari", "wrong account")
			require.NoError(t, err)
			require.Equal(t, "v withdrawn NOK 14.50 3", b.voucher(first, "v"))
			_, err = b.importing(c.lines, runlog.ImportOptions{})
			require.NoError(t, err)
			require.Equal(t, c.between, b.voucher(first, "v"))

			retry := b.claim("2026-10", &first.ID)
			b.plan(retry, mapped, 500)
			b.become(retry, exports.Exported, "v")
			b.close(retry)
			require.Equal(t, c.after, b.voucher(retry, "v"))
			require.Equal(t, c.last, b.summaryOf(retry))
		})
	}
}

// voucher is what a period's statement has of a voucher: state, amount, entries. The vouchers
// of each outcome must sum to what the period counts.
func (b books) voucher(e exports.Export, id string) (says string) {
	b.t.Helper()
	c, err := runlog.LoadChain(b.t.Context(), b.reader, b.org, e.ID)
	require.NoError(b.t, err)
	list, _, err := runlog.ListVouchers(b.t.Context(), b.reader, b.org, c, true, "", 100)
	require.NoError(b.t, err)
	missing, sums := exports.Count{}, map[exports.Outcome]exports.Count{}
	var named, notRefused []string
	for _, v := range list {
		if named = append(named, v.ID); v.Outcome != exports.WasRefused {
			notRefused = append(notRefused, v.ID)
		}
		if v.ID == id {
			says = fmt.Sprintf("%s %s %s %d", v.ID, v.Outcome, exports.MoneyList(v.Amounts()), v.Entries())
			if n := v.Withdrawn(); n > 0 {
				says += fmt.Sprintf(" (%d withdrawn)", n)
			}
			if v.Corrected {
				says += ", corrected"
			}
		}
		if v.Outcome != exports.WasExported && v.Outcome != exports.WasWithdrawn {
			missing = exports.Count{Entries: missing.Entries + v.Entries(), Vouchers: missing.Vouchers + 1, Amounts: exports.AddAmounts(missing.Amounts, v.Amounts())}
		}
		for i, p := range v.Parts {
			n := sums[p.Outcome]
			if i == 0 {
				n.Vouchers++
			}
			n.Entries, n.Amounts = n.Entries+p.Entries, exports.AddAmounts(n.Amounts, p.Amounts)
			sums[p.Outcome] = n
		}
	}
	require.Equal(b.t, notRefused, b.notRefused(c, named...))
	for _, o := range exports.Outcomes {
		want := c.Counts[o]
		if want.Amounts == nil && want.Entries > 0 { // none of its amounts is positive
			want.Amounts = map[string]string{"NOK": "0.00"}
		}
		require.Equal(b.t, want, sums[o], "%s", o)
	}
	require.Equal(b.t, exports.MoneyList(c.Missing().Amounts), exports.MoneyList(missing.Amounts))
	require.Equal(b.t, c.Missing().Entries, missing.Entries)
	return says
}
