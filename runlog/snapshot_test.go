package runlog_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// meddling is a database in which something changes before each query.
type meddling struct {
	runlog.Beginner
	meddle func()
}

func (m meddling) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := m.Beginner.Begin(ctx)
	return meddledWith{tx, m.meddle}, err
}

type meddledWith struct {
	pgx.Tx
	meddle func()
}

func (m meddledWith) Begin(ctx context.Context) (pgx.Tx, error) {
	tx, err := m.Tx.Begin(ctx)
	return meddledWith{tx, m.meddle}, err
}

func (m meddledWith) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	m.meddle()
	return m.Tx.Query(ctx, sql, args...)
}

// What a view shows of a period is as it was at one moment, also while a run is at work, which
// exports one more voucher, of two entries, before each query.
func TestAViewIsOneSnapshot(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	const vouchers = 40
	for v := range vouchers {
		b.lines(fmt.Sprintf("e%d-1 v%d 2026-10-01 1920 5", v, v), fmt.Sprintf("e%d-2 v%d 2026-10-01 3000 -5", v, v))
	}
	e := b.claim("2026-10", nil)
	b.plan(e, integrations.ExportSettings{}, 500)
	done := 0
	db := meddling{b.reader, func() {
		b.become(e, exports.Exported, fmt.Sprintf("v%d", done))
		done++
	}}
	agree := func(c exports.Chain) {
		t.Helper()
		for _, n := range c.Counts {
			require.Equal(t, 2*n.Vouchers, n.Entries, "%s", c.Summary())
		}
		require.Equal(t, vouchers, c.Total().Vouchers)
	}
	c, err := runlog.LoadChain(t.Context(), db, b.org, e.ID)
	require.NoError(t, err)
	agree(c)
	list, _, err := runlog.ListChains(t.Context(), db, b.org, runlog.ChainFilter{})
	require.NoError(t, err)
	agree(list[0])
	_, sums, err := runlog.ListEntries(t.Context(), db, b.sources, b.spec, runlog.EntryFilter{})
	require.NoError(t, err)
	for _, s := range sums.ByState {
		require.Equal(t, 2*sums.PerState[string(s.State)], s.Entries)
	}

	before := done
	require.NoError(t, runlog.Snapshot(t.Context(), db, func(db runlog.Beginner) error {
		c, err := runlog.LoadChain(t.Context(), db, b.org, e.ID)
		require.NoError(t, err)
		agree(c)
		shown, _, err := runlog.ListVouchers(t.Context(), db, b.org, c, true, "", 100)
		require.NoError(t, err)
		exported := 0
		for _, v := range shown {
			if v.Outcome == exports.WasExported {
				exported++
			}
		}
		require.Equal(t, c.Counts[exports.WasExported].Vouchers, exported)
		problems, err := runlog.ListProblems(t.Context(), db, b.org, e.ID, 100)
		require.NoError(t, err)
		require.Len(t, problems, c.Missing().Entries)
		return nil
	}))
	require.Greater(t, done, before+4, "a run was at work")
	require.Less(t, done, vouchers)
}
