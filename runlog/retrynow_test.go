package runlog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Of what waits it is known which retry would take it now, and that one does: new lines up to
// the end of the period of a voucher that was refused there.
func TestWhatARetryTakesNow(t *testing.T) {
	t.Parallel()
	for _, refusedBy := range []string{"the vendor", "us"} {
		t.Run(refusedBy, func(t *testing.T) {
			b := newBooks(t)
			for _, v := range []string{"v", "w", "gone"} {
				b.lines(v+"1 "+v+" 2026-10-01 1920 5", v+"2 "+v+" 2026-10-01 3000 -5")
			}
			if refusedBy == "us" {
				b.lines("v3 v 2026-10-01 3000 -1")
			}
			first := b.claim("2026-10", nil)
			b.plan(first, integrations.ExportSettings{}, 500)
			b.become(first, exports.Exported, "w")
			b.become(first, exports.Rejected, "v", "gone")
			b.lines("v4 v 2026-10-31 1920 7", "v5 v 2026-09-30 3000 -7", "v6 v 2026-11-01 1920 1", "w3 w 2026-10-02 1920 2", "x1 x 2026-10-03 1920 2")
			if refusedBy == "us" {
				b.lines("v7 v 2026-10-31 1920 1")
			}
			require.Empty(t, b.retriesNow(), "its export has not ended")
			b.close(first)
			_, err := runlog.WithdrawVoucher(t.Context(), b.operator, b.org, "gone", "kari", "twice")
			require.NoError(t, err)
			b.lines("gone3 gone 2026-10-02 1920 2")

			want := []string{"v4", "v5"}
			if refusedBy == "us" {
				want = append(want, "v7")
			}
			require.Equal(t, want, b.retriesNow())
			retry := b.claim("2026-10", &first.ID)
			require.Empty(t, b.retriesNow(), "it has begun")
			planned := b.plan(retry, integrations.ExportSettings{}, 500)
			took := slices.DeleteFunc(planned, func(e string) bool {
				id, _, _ := strings.Cut(e, ":")
				return !slices.Contains([]string{"v4", "v5", "v6", "v7", "w3", "x1", "gone3"}, id)
			})
			for i := range took {
				took[i], _, _ = strings.Cut(took[i], ":")
			}
			require.Equal(t, want, took, "what was said")
		})
	}
}

// retriesNow are the waiting entries that a retry would take now, by the list, whose sums and
// counts must agree.
func (b books) retriesNow() (ids []string) {
	b.t.Helper()
	list, sums, err := runlog.ListEntries(b.t.Context(), b.reader, b.sources, b.spec, runlog.EntryFilter{State: runlog.Waits})
	require.NoError(b.t, err)
	count := make(map[string]int)
	for _, e := range list {
		count[e.Date+e.RetryNow]++
		if e.RetryNow != "" {
			require.Equal(b.t, "2026-10 --integration x", e.RetryNow)
			ids = append(ids, e.EntryID)
		}
	}
	slices.Sort(ids)
	waiting, err := runlog.CountWaiting(b.t.Context(), b.reader, b.sources, b.spec, runlog.WaitingFilter{})
	require.NoError(b.t, err)
	require.Equal(b.t, waiting, sums.Waiting)
	for _, w := range waiting {
		require.Equal(b.t, count[w.Date.Format("2006-01-02")+w.Retry], w.Entries, fmt.Sprint(w))
	}
	return ids
}
