package main

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// A period that has not ended is refused only where --unfinished would export it: one that
// has its export says so at once, and one that overlaps another says that.
func TestSyncOfAnUnfinishedPeriod(t *testing.T) {
	d := newDatabase(t)
	env := map[string]string{"DATABASE_URL": d.url("op"), "LEDGERLINE_ORG": "eksempel"}
	today := integrations.Integration{}.Today(time.Now())
	month, day := exports.ByMonth.Containing(today), exports.ByDay.Containing(today)
	dry := func(period string, more ...string) (out, words string, code int) {
		t.Helper()
		return try(t, env, append([]string{"sync", "--integration", "main", "--period", period, "--dry-run"}, more...)...)
	}
	_, words, code := dry(month)
	require.Equal(t, exitUsage, code, words)
	require.Contains(t, words, "or add --unfinished to export what is there now")
	_, words, code = dry(month, "--unfinished")
	require.Zero(t, code, words)
	_, words, code = dry(exports.ByMonth.Containing(today.AddDate(0, 2, 0)), "--unfinished")
	require.Equal(t, exitUsage, code, words)
	require.Contains(t, words, "has not begun")

	pool, err := runlog.Open(t.Context(), d.url("postgres"), 1)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	first, err := runlog.LoadExport(t.Context(), pool, uuid.MustParse(books), d.export)
	require.NoError(t, err)
	first.ID, first.RunID, first.Period = uuid.New(), uuid.New(), month
	first.PeriodStart, first.PeriodEnd, err = exports.ParsePeriod(month)
	require.NoError(t, err)
	first, _, err = runlog.ClaimExport(t.Context(), pool, first)
	require.NoError(t, err)
	_, err = runlog.PlanExport(t.Context(), pool, nil, first, integrations.ExportSettings{}, 10, 10)
	require.NoError(t, err)
	_, err = runlog.CloseExport(t.Context(), pool, first)
	require.NoError(t, err)

	out, words, code := dry(month)
	require.Zero(t, code, words)
	require.Contains(t, out, exports.PeriodName(month)+" has its export, which ended on ")
	_, words, code = dry(day)
	require.Equal(t, exitFailed, code, words)
	require.Contains(t, words, "overlaps "+month)
	require.NotContains(t, words, "--unfinished")
}
