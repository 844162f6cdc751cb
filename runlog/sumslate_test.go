package runlog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// What comes late counts at once, also where it was counted that the vendor does not have it:
// an entry that was open, or one of which nobody thought so any more.
func TestLateAnswersAreCounted(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	ctx, e := t.Context(), b.vouchers(3)
	s := sending(1)
	ids := []string{"e0-1", "e0-2", "e1-1", "e1-2", "e2-1", "e2-2"}
	_, err := runlog.MarkChunk(ctx, b.worker, e.Owner(), ids[:4], s, 0, runlog.InFlight{})
	require.NoError(t, err)
	require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), ids[:2], s, classify.None, false, nil))
	late := func(when string, id ...string) {
		t.Helper()
		require.NoError(t, runlog.RecordSend(ctx, b.worker, e.Owner(), id, s, classify.Done, false, nil))
		b.sumsAreTheChains(when)
		_, err := runlog.SumExports(ctx, b.console, b.org)
		require.NoError(t, err)
		b.sumsAreTheChains(when + ", and counted")
	}
	b.close(e)
	late("open, a line", "e1-1")
	late("open, the other", "e1-2")
	late("said not to be there, a line", "e0-1")
	retry := b.claim("2026-10", &e.ID)
	b.plan(retry, integrations.ExportSettings{}, 500)
	b.close(retry)
	late("in the retry since", "e0-2")
	late("never sent", "e2-1", "e2-2")
}
