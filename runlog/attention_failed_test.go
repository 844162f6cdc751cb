package runlog_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// An export that failed before it planned anything is made up for by one that takes what it
// would have, and not by the retry of another period or by an earlier one.
func TestFailedIsMadeUpFor(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("a1 a 2026-10-02 1920 4", "a2 a 2026-10-02 3000 -4")
	october := b.claim("2026-10", nil)
	b.plan(october, mapped, 500)
	b.become(october, exports.Rejected, "a")
	b.close(october)
	b.lines("b1 b 2027-01-02 1920 4", "b2 b 2027-01-02 3000 -4")
	january := b.claim("2027-01", nil)
	b.plan(january, mapped, 500)
	b.become(january, exports.Rejected, "b")
	b.close(january)
	_, err := runlog.RecordTick(t.Context(), b.worker, b.org, runlog.Tick{IntegrationID: b.spec.ID, ExpectedAt: time.Now(), Period: "2026-12-31", Result: exports.TickMissed})
	require.NoError(t, err)
	december := b.claim("2026-12", nil)
	b.fail(december)
	is := func(when string, want ...uuid.UUID) {
		t.Helper()
		list, err := runlog.ListFailedExports(t.Context(), b.reader, b.org)
		require.NoError(t, err)
		var got []uuid.UUID
		for _, f := range list {
			got = append(got, f.ExportID)
		}
		require.Equal(t, want, got, when)
		ticks, err := runlog.ListMissedTicks(t.Context(), b.reader, b.org)
		require.NoError(t, err)
		require.Len(t, ticks, 1, when)
		require.Equal(t, len(want) > 0, ticks[0].TakenTo == nil || ticks[0].TakenTo.Before(december.PeriodEnd), when)
	}
	retry := func(of exports.Export, voucher string) {
		e := b.claim(of.Period, &of.ID)
		b.plan(e, mapped, 500)
		b.become(e, exports.Exported, voucher)
		require.Equal(t, exports.Complete, b.close(e).Status)
	}
	is("it failed", december.ID)
	retry(october, "a")
	is("October was retried", december.ID)
	retry(january, "b")
	is("January was retried", december.ID)
	early := b.claim("2026-11", nil)
	b.plan(early, mapped, 500)
	b.close(early)
	is("November was planned", december.ID)
	again := b.claim("2026-12", &december.ID)
	b.plan(again, mapped, 500)
	b.close(again)
	is("December was")
}
