package runlog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// What was sent is a reason to wait only once nothing is left to be sent: each request of a
// run that is under way leaves its entries open.
func TestOpenWritesAreAReasonOnceAllIsSent(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for i := range 2 {
		b.lines(fmt.Sprintf("e%d-1 v%d 2026-10-01 1920 1", i, i), fmt.Sprintf("e%d-2 v%d 2026-10-01 3000 -1", i, i))
	}
	b.lines("r1 r 2026-10-01 1920 1") // is refused before it is sent, and never will be
	e := b.claim("2026-10", nil)
	b.plan(e, integrations.ExportSettings{}, 2)
	until := func() time.Time {
		t.Helper()
		f, err := runlog.LoadWaitFacts(t.Context(), b.operator, e)
		require.NoError(t, err)
		return f.OpenUntil
	}
	mark := func(voucher int) {
		t.Helper()
		_, err := runlog.MarkChunk(t.Context(), b.worker, e.Owner(), []string{fmt.Sprintf("e%d-1", voucher), fmt.Sprintf("e%d-2", voucher)}, sending(1), time.Second, runlog.InFlight{Same: time.Hour})
		require.NoError(t, err)
	}
	require.Zero(t, until())
	mark(0)
	require.Zero(t, until(), "the second chunk is still to be sent")
	mark(1)
	require.WithinDuration(t, time.Now().Add(time.Hour), until(), time.Minute)
	b.exec("UPDATE ledgerline.export_entries SET ended = true WHERE effect = 'open'")
	require.Zero(t, until(), "the vendor's work is over")
}
