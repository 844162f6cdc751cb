package runlog_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
)

// A period that is complete says which of its entries came later, and no others; one that is
// not planned takes them itself. What cannot be read is a note.
func TestCameLater(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	now := time.Date(2026, 11, 23, 11, 0, 0, 0, time.UTC)
	later := func(e exports.Export) outlook.Later {
		t.Helper()
		c, err := runlog.LoadChain(t.Context(), b.reader, b.org, e.ID)
		require.NoError(t, err)
		l, err := outlook.CameLater(t.Context(), b.reader, nil, c, nil, now)
		require.NoError(t, err)
		return l
	}
	none := outlook.Later{Going: []outlook.Going{}, Words: []string{}}
	b.lines("v1 v 2026-10-02 1920 4", "v2 v 2026-10-02 3000 -4")
	e := b.claim("2026-10", nil)
	require.Equal(t, none, later(e), "they go with it")
	b.plan(e, integrations.ExportSettings{}, 500)
	b.become(e, exports.Exported, "v")
	b.close(e)
	require.Equal(t, none, later(e))

	b.lines("s1 s 2026-09-30 1920 4", "s2 s 2026-09-30 3000 -4", "n1 n 2026-11-01 1920 4", "n2 n 2026-11-01 3000 -4")
	require.Equal(t, none, later(e), "those are of other months")
	b.lines("w1 w 2026-10-31 1920 4", "w2 w 2026-10-31 3000 -4")
	l := later(e)
	require.Equal(t, []string{"besides, 2 entries dated in October 2026 came later: they go with the export of November 2026, which no schedule starts: " +
		"from 1 December 2026, starter sync --integration x --period 2026-11"}, l.Words)
	require.Equal(t, []any{1, 2, "2026-11", ""}, []any{len(l.Going), l.Going[0].Entries, l.Going[0].Period, l.Note})
	require.Equal(t, "October 2026 is complete: 2 entries in 1 voucher, NOK 4.00", b.summaryOf(e))

	_, _, err := runlog.PauseIntegration(t.Context(), b.operator, b.org, b.spec.ID, "kari", "new accounts")
	require.NoError(t, err)
	require.Contains(t, later(e).Words[1], "x has been paused since")

	settings := b.spec
	settings.Export.Source = "books.gone"
	_, err = runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{settings}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	l = later(e)
	require.Empty(t, l.Words)
	require.Contains(t, l.Note, "whether entries of October 2026 came later cannot be said now: ")
	b.exec("UPDATE ledgerline.integrations SET removed_at = now() WHERE integration_id = '" + b.spec.ID.String() + "'")
	require.Equal(t, none, later(e))
}
