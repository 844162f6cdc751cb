package runlog_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// sumsAreTheChains requires that the sums are what the chains count, entry by entry.
func (b books) sumsAreTheChains(when string) {
	b.t.Helper()
	want, _, err := runlog.ListChains(b.t.Context(), b.reader, b.org, runlog.ChainFilter{})
	require.NoError(b.t, err)
	for _, c := range want { // also of each period by itself
		of, err := runlog.LoadPeriodSums(b.t.Context(), b.console, b.org, c.First().IntegrationID, c.First().Period)
		require.NoError(b.t, err)
		require.Contains(b.t, of, c, when)
	}
	for _, c := range want { // what an export cost is not read
		for i, e := range c.Exports {
			c.Exports[i] = exports.Export{
				OrganizationID: e.OrganizationID, ID: e.ID, IntegrationID: e.IntegrationID, AdapterName: e.AdapterName, Period: e.Period, PeriodStart: e.PeriodStart, PeriodEnd: e.PeriodEnd,
				Trigger: e.Trigger, ParentID: e.ParentID, ScheduledAt: e.ScheduledAt, StartedAt: e.StartedAt, DeferredUntil: e.DeferredUntil, DeferredFor: e.DeferredFor,
				FinishedAt: e.FinishedAt, Status: e.Status, ErrorCode: e.ErrorCode, ErrorMessage: e.ErrorMessage,
			}
		}
	}
	got, err := runlog.ListPeriodSums(b.t.Context(), b.console, b.org, time.Time{})
	require.NoError(b.t, err)
	require.Equal(b.t, want, got, when)
}

// Whatever became of entries, the sums of periods are what the chains count: before and after
// they are counted for good, while runs are under way, and after people have resolved,
// withdrawn or adopted something.
func TestPeriodSumsAreTheChains(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	resolved, counted := 0, 0
	for range 6 {
		one, two := drawBooks(t, b, r)
		sum := func() {
			n, err := runlog.SumExports(t.Context(), b.console, one.org)
			require.NoError(t, err)
			counted += n
		}
		for _, d := range []*drawn{one, two} {
			d.chain("2026-10")
			one.sumsAreTheChains("not counted")
			sum()
			one.sumsAreTheChains("counted")
			d.chain("2026-11")
			one.sumsAreTheChains("partly counted")
		}
		sum()
		one.sumsAreTheChains("all counted")
		chains, _, err := runlog.ListChains(t.Context(), b.reader, one.org, runlog.ChainFilter{})
		require.NoError(t, err)
		for _, c := range chains {
			list, _, err := runlog.ListVouchers(t.Context(), b.reader, one.org, c, true, "", 1000)
			require.NoError(t, err)
			for _, v := range list {
				ids, err := runlog.OpenVoucherExports(t.Context(), b.reader, one.org, c, v.ID)
				require.NoError(t, err)
				for _, id := range ids {
					if _, err := runlog.ResolveVoucher(t.Context(), b.console, one.org, runlog.Resolution{ExportID: id, VoucherID: v.ID, AtVendor: r.IntN(3) > 0, Reason: "seen", Actor: "kari"}); err == nil {
						resolved++
						one.sumsAreTheChains("resolved")
					}
					if r.IntN(3) == 0 {
						sum()
					}
				}
			}
		}
		sum()
		one.sumsAreTheChains("resolved and counted")
	}
	require.Positive(t, resolved)
	require.Positive(t, counted)
}

// What was adopted counts at once, also where an export on record has become exported.
func TestAdoptedIsCounted(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("v1 v 2026-10-02 1920 4", "v2 v 2026-10-02 3000 -4", "w1 w 2026-10-02 1920 5", "w2 w 2026-10-02 3000 -5")
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	b.become(e, exports.Rejected, "v")
	b.become(e, exports.Exported, "w")
	b.close(e)
	sum := func() {
		_, err := runlog.SumExports(t.Context(), b.console, b.org)
		require.NoError(t, err)
	}
	sum()
	b.sumsAreTheChains("counted")
	adoption, owned := b.claimBy(exports.ByAdopting, "2026-10")
	require.True(t, owned)
	sum()
	records, err := b.admin.Exec(t.Context(), `UPDATE ledgerline.export_entries SET state = 'exported', effect = 'done', reason = NULL WHERE export_id = $1 AND state = 'rejected'`, e.ID)
	require.NoError(t, err)
	require.EqualValues(t, 2, records.RowsAffected())
	b.sumsAreTheChains("adopting")
	sum()
	b.sumsAreTheChains("adopting, and others count")
	b.close(adoption)
	sum()
	b.sumsAreTheChains("adopted")
}

// Nobody else counts: not another organization's exports, and not in a snapshot.
func TestSumsAreOfTheOrganization(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("v1 v 2026-10-02 1920 4", "v2 v 2026-10-02 3000 -4")
	e := b.claim("2026-10", nil)
	b.plan(e, mapped, 500)
	b.close(e)
	n, err := runlog.SumExports(t.Context(), b.console, uuid.New())
	require.NoError(t, err)
	require.Zero(t, n)
	list, err := runlog.ListPeriodSums(t.Context(), b.console, b.org, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Empty(t, list, "October ends before")
	list, err = runlog.ListPeriodSums(t.Context(), b.console, b.org, time.Date(2026, 10, 31, 0, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Len(t, list, 1)
}
