package runlog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// What was corrected goes by the first date of its voucher, once its export has ended; what
// was withdrawn has a state of its own, and waits for nothing.
func TestListSaysWhatWasCorrected(t *testing.T) {
	t.Parallel()
	b, _ := newBooks(t).fresh(t)
	list := func(state exports.EntryState) (says []string) {
		t.Helper()
		entries, sums, err := runlog.ListEntries(t.Context(), b.reader, b.sources, b.spec, runlog.EntryFilter{State: state})
		require.NoError(t, err)
		require.Equal(t, len(entries), sums.Entries)
		for _, e := range entries {
			next := "-"
			if e.NextDate != nil {
				next = e.NextDate.Format("01-02")
			}
			says = append(says, fmt.Sprint(e.EntryID, " ", e.State, " ", e.Correction, " ", next))
		}
		return says
	}
	_, err := b.importing(pair("v", "10.00", "1920", october), runlog.ImportOptions{})
	require.NoError(t, err)
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	b.settle(e, 1, exports.Rejected, nil)
	require.Equal(t, []string{"e1 rejected  -", "e2 rejected  -"}, list(""))

	changed := pair("v", "10.00", "1920", october)
	changed[0].Date, changed[1].Date = october.AddDate(0, 1, 0), october.AddDate(0, 1, 1)
	_, err = b.importing(changed, runlog.ImportOptions{Replace: true})
	require.NoError(t, err)
	require.Equal(t, []string{"e1 rejected replaced -", "e2 rejected replaced -"}, list(exports.Rejected), "its export has not ended")
	b.close(e)
	require.Equal(t, []string{"e1 rejected replaced 11-20", "e2 rejected replaced 11-20"}, list(exports.Rejected))
	b.lines("e3 v 2026-11-05 1920 1.00")
	require.Equal(t, []string{"e3 waiting  11-05", "e1 rejected replaced 11-05", "e2 rejected replaced 11-05"}, list(""), "what is new is due first")

	_, err = runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "v", "kari", "twice")
	require.NoError(t, err)
	gone := []string{"e1 withdrawn  -", "e2 withdrawn  -"}
	require.Equal(t, gone, list(""))
	require.Equal(t, gone, list(runlog.WasWithdrawn))
	require.Empty(t, list(exports.Rejected))
	require.Empty(t, list(runlog.Waits))
}
