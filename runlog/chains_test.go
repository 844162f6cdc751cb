package runlog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// elsewhere is a new organization in the same database.
func (b books) elsewhere() books {
	b.t.Helper()
	b.org, b.spec.ID = uuid.New(), uuid.New()
	b.spec.OrganizationID = b.org
	_, err := runlog.ApplyIntegrations(b.t.Context(), b.operator, []integrations.Integration{b.spec}, runlog.ApplyOptions{By: "test"})
	require.NoError(b.t, err)
	return b
}

// become brings the entries of vouchers of an export to a state, as if a run had.
func (b books) become(e exports.Export, state exports.EntryState, vouchers ...string) {
	b.t.Helper()
	_, err := b.admin.Exec(b.t.Context(), `UPDATE ledgerline.export_entries SET state = $3,
		    effect = CASE WHEN $3 = 'exported' THEN 'done' WHEN $3 IN ('sent', 'unknown') THEN 'open' WHEN $3 = 'rejected' THEN 'none' END,
		    sent_in = gen_random_uuid(), sent_attempt = 1, open_until = coalesce(open_until, now() + interval '1 hour'),
		    reason = CASE WHEN $3 IN ('rejected', 'unknown') THEN 'because' END, settled_at = CASE WHEN $3 = 'exported' THEN now() END
		WHERE export_id = $1 AND voucher_id = ANY($2) AND state <> 'exported' AND state <> $3`, e.ID, vouchers, state)
	require.NoError(b.t, err)
}

// taken is what the record has of an organization: entries and vouchers.
func (b books) taken() (entries, vouchers int) {
	b.t.Helper()
	require.NoError(b.t, b.admin.QueryRow(b.t.Context(), `SELECT count(*), count(DISTINCT voucher_id) FROM ledgerline.export_entries WHERE organization_id = $1`,
		b.org).Scan(&entries, &vouchers))
	return entries, vouchers
}

// What a run does with the entries of its export, in the order of the vouchers v0 to v4.
var acts = map[string]func(b books, e exports.Export){
	"fails unplanned": nil,
	"plans":           func(books, exports.Export) {},
	"exports all": func(b books, e exports.Export) {
		b.become(e, exports.Exported, "v0", "v1", "v2", "v3", "v4")
	},
	"some of each": func(b books, e exports.Export) {
		b.become(e, exports.Exported, "v0")
		b.become(e, exports.Rejected, "v1")
		b.become(e, exports.Sent, "v2")
		b.become(e, exports.Unknown, "v3")
	},
}

// Whatever became of the entries, and however often a period was retried, each entry that
// was taken is counted once, and the state follows from what is left.
func TestChainsCountEachEntryOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	var chains [][]string
	for a := range acts {
		chains = append(chains, []string{a})
		for c := range acts {
			chains = append(chains, []string{a, c})
			for d := range acts {
				chains = append(chains, []string{a, c, d})
			}
		}
	}
	for _, chain := range chains {
		for _, end := range []string{"closed", "pending", "deferred"}[:4-len(chain)] {
			name := strings.Join(chain, ", ") + ", " + end
			b := b.elsewhere()
			for v := range 5 {
				b.lines(fmt.Sprintf("e%d-1 v%d 2026-10-0%d 1920 100.10", v, v, v+1), fmt.Sprintf("e%d-2 v%d 2026-10-0%d 3000 -100.10", v, v, v+1))
			}
			var e exports.Export
			var parent *uuid.UUID
			planned := false
			for i, act := range chain {
				e = b.claim("2026-10", parent)
				if acts[act] == nil {
					e.ErrorClass, e.ErrorCode, e.ErrorMessage = classify.Permanent, classify.Configuration, "no such view"
				} else {
					planned = true
					b.plan(e, integrations.ExportSettings{}, 2)
					acts[act](b, e)
				}
				if i < len(chain)-1 || end == "closed" {
					b.close(e)
				}
				parent = &e.ID
			}
			if end == "deferred" {
				require.NoError(t, runlog.DeferExport(t.Context(), b.worker, e.Owner(), time.Now().Add(time.Hour), classify.Unavailable))
			}

			c, err := runlog.LoadChain(t.Context(), b.operator, b.org, e.ID)
			require.NoError(t, err, name)
			require.Len(t, c.Exports, len(chain), name)
			require.Equal(t, e.ID, c.Last().ID, name)
			b.troubleAgrees(c, name)
			entries, vouchers := b.taken()
			require.Equal(t, []int{entries, vouchers}, []int{c.Total().Entries, c.Total().Vouchers}, name)
			list, _, err := runlog.ListVouchers(t.Context(), b.operator, b.org, c, true, "", 100)
			require.NoError(t, err, name)
			require.Len(t, list, vouchers, name)
			if planned {
				require.Equal(t, 10, entries, name)
				require.Equal(t, map[string]string{"NOK": "500.50"}, c.Total().Amounts, name)
			}
			want := exports.ChainComplete
			switch left := c.Missing().Entries; {
			case end != "closed":
				want = exports.ChainRunning
			case !planned:
				want = exports.ChainFailed
			case left > 0:
				want = exports.ChainIncomplete
			}
			require.Equal(t, want, c.State(), name)
			require.NotEmpty(t, c.Summary(), name)

			all, more, err := runlog.ListChains(t.Context(), b.operator, b.org, runlog.ChainFilter{Limit: 10})
			require.NoError(t, err)
			require.Zero(t, more)
			require.Equal(t, []exports.Chain{c}, all, name)
		}
	}
}

// A retry of certain vouchers leaves the other refused ones to the next retry. What is open
// is asked about by the first one, whole. Nothing is lost and nothing is planned twice.
func TestRetryOfVouchers(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for v := range 6 {
		b.lines(fmt.Sprintf("e%d-1 v%d 2026-10-01 1920 5", v, v), fmt.Sprintf("e%d-2 v%d 2026-10-01 3000 -5", v, v))
	}
	b.lines("x1 x 2026-10-01 1920 7") // refused here
	first := b.claim("2026-10", nil)
	b.plan(first, integrations.ExportSettings{}, 5) // v0 and v1, v2 and v3, v4 and v5
	b.become(first, exports.Exported, "v0")
	b.become(first, exports.Rejected, "v1", "v4")
	b.become(first, exports.Sent, "v2", "v3")
	b.close(first)

	only := func(e exports.Export, vouchers ...string) []string {
		t.Helper()
		p, err := runlog.PreviewRetry(t.Context(), b.reader, b.sources, e, integrations.ExportSettings{}, 5, vouchers)
		require.NoError(t, err)
		_, err = runlog.PlanRetry(t.Context(), b.worker, b.sources, e, integrations.ExportSettings{}, 5, 5, vouchers)
		require.NoError(t, err)
		entries := b.entries(e)
		sent := slices.DeleteFunc(slices.Clone(entries), func(e string) bool { return strings.Contains(e, ":rejected") })
		require.Len(t, sent, p.Entries, "a dry run says what a retry of certain vouchers sends")
		return entries
	}
	second := b.claim("2026-10", &first.ID)
	require.Equal(t, []string{
		"e1-1:3:planned", "e1-2:3:planned", "e2-1:1:sent", "e2-2:1:sent", "e3-1:1:sent", "e3-2:1:sent", "e5-1:2:planned", "e5-2:2:planned",
	}, only(second, "v1"))
	require.Equal(t, []string{"e0-1:1:exported", "e0-2:1:exported", "e4-1:3:rejected:because", "e4-2:3:rejected:because", "x1:0:rejected:the voucher does not sum to zero: difference 7.00"}, b.entries(first))
	b.become(second, exports.Exported, "v1", "v2")
	b.become(second, exports.Unknown, "v3")
	b.close(second)

	third := b.claim("2026-10", &second.ID)
	b.lines("x2 x 2026-10-01 3000 -7")
	require.Equal(t, []string{
		"e3-1:1:sent", "e3-2:1:sent", "e4-1:3:planned", "e4-2:3:planned", "e5-1:2:planned", "e5-2:2:planned", "x1:3:planned", "x2:3:planned",
	}, only(third))
	b.become(third, exports.Exported, "v3", "v4", "v5", "x")
	b.close(third)
	c, err := runlog.LoadChain(t.Context(), b.operator, b.org, second.ID)
	require.NoError(t, err)
	require.Equal(t, exports.ChainComplete, c.State())
	require.Equal(t, exports.Count{Entries: 14, Vouchers: 7, Amounts: map[string]string{"NOK": "37.00"}}, c.Total())
	require.Equal(t, c.Total(), c.Counts[exports.WasExported])
}

// The list is cut where it is asked to be, and says how much is left out.
func TestListChains(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("a1 a 2026-08-01 1920 5", "a2 a 2026-08-01 3000 -5")
	for _, period := range []string{"2026-08", "2026-09", "2026-10"} {
		e := b.claim(period, nil)
		b.plan(e, integrations.ExportSettings{}, 2)
		if period != "2026-10" {
			b.close(e)
		}
	}
	periods := func(f runlog.ChainFilter) string {
		t.Helper()
		list, more, err := runlog.ListChains(t.Context(), b.operator, b.org, f)
		require.NoError(t, err)
		var all []string
		for _, c := range list {
			all = append(all, c.First().Period+" "+string(c.State()))
		}
		return fmt.Sprint(strings.Join(all, ", "), ", ", more, " more")
	}
	require.Equal(t, "2026-10 running, 2026-09 complete, 2026-08 incomplete, 0 more", periods(runlog.ChainFilter{}))
	require.Equal(t, "2026-10 running, 2026-09 complete, 1 more", periods(runlog.ChainFilter{Limit: 2}))
	require.Equal(t, "2026-08 incomplete, 0 more", periods(runlog.ChainFilter{Limit: 2, Period: "2026-08", Integration: b.spec.ID}))
	require.Equal(t, "2026-09 complete, 1 more", periods(runlog.ChainFilter{Limit: 1, States: []exports.ChainState{exports.ChainComplete, exports.ChainIncomplete}}))
	require.Equal(t, ", 0 more", periods(runlog.ChainFilter{Integration: uuid.New()}))
	_, err := runlog.LoadChain(t.Context(), b.operator, b.org, uuid.New())
	require.ErrorContains(t, err, "the organization has no export")

	e := b.claim("2026-07", nil)
	found, err := runlog.FindExports(t.Context(), b.operator, b.org, e.ID, e.ID, 5)
	require.NoError(t, err)
	require.Equal(t, e.ID, found[0].ID)
	require.Len(t, found, 1)
}
