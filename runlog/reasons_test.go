package runlog_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// reasons are those on record.
func (b books) reasons() (list []string) {
	b.t.Helper()
	rows, err := b.admin.Query(b.t.Context(), "SELECT DISTINCT reason FROM ledgerline.export_entries WHERE reason IS NOT NULL ORDER BY 1")
	require.NoError(b.t, err)
	for rows.Next() {
		var reason string
		require.NoError(b.t, rows.Scan(&reason))
		list = append(list, reason)
	}
	require.NoError(b.t, rows.Err())
	return list
}

// problems are the texts of plan.go that say what is wrong with a line or a voucher.
var problems = regexp.MustCompile(`THEN\s+(?:\(SELECT\s+)?'([^']+)'`)

// Whatever PostgreSQL writes as the reason of an entry, package words says it in people's
// language: each text of the plan, and those of corrections and resolutions.
func TestReasonsHaveWords(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for _, voucher := range []string{"no-amount", "no-account", "no-currency", "decimals", "euro", "account", "dimension", "several", "balance", "large"} {
		dimensions := "{}"
		if voucher == "dimension" {
			dimensions = `{"team":"T"}`
		}
		b.lines(voucher+"-1 "+voucher+" 2026-10-01 1920 5 NOK "+dimensions, voucher+"-2 "+voucher+" 2026-10-01 3000 -5")
	}
	b.lines("seen-1 se\u00adn 2026-10-01 1920 0", "large-3 large 2026-10-01 1920 1", "large-4 large 2026-10-01 1920 -1")
	b.exec("CREATE SCHEMA reporting")
	b.exec("GRANT USAGE ON SCHEMA reporting TO s")
	b.exec(`CREATE VIEW reporting.spoilt AS SELECT organization_id, entry_id, voucher_id, entry_date, text, dimensions, created_at,
		CASE entry_id WHEN 'no-account-1' THEN '' WHEN 'account-1' THEN '9999' ELSE account END AS account,
		CASE entry_id WHEN 'no-amount-1' THEN NULL WHEN 'decimals-1' THEN 1.005 WHEN 'balance-1' THEN amount + 0.5 ELSE amount END AS amount,
		CASE WHEN entry_id = 'no-currency-1' THEN NULL WHEN voucher_id = 'euro' THEN 'EUR' WHEN entry_id = 'several-1' THEN 'SEK' ELSE currency END AS currency
		FROM ledgerline.accounting_entries`)
	b.exec("GRANT SELECT ON reporting.spoilt TO s")
	e := b.claim("2026-10", nil)
	b.plan(e, integrations.ExportSettings{Source: "reporting.spoilt", Accounts: map[string]string{"1920": "1920", "3000": "3000"}, Currencies: []string{"NOK", "SEK"}}, 3)
	planned := b.reasons()
	source, err := os.ReadFile("plan.go")
	require.NoError(t, err)
	checked := 0
	for _, m := range problems.FindAllStringSubmatch(string(source), -1) {
		if slices.Contains([]string{"planned", "sent", "{}", "rejected"}, m[1]) {
			continue
		}
		checked++
		require.True(t, slices.ContainsFunc(planned, func(reason string) bool {
			return strings.HasPrefix(reason, m[1]) || strings.Contains(reason, ": "+m[1])
		}), "no entry of this test has the reason %q: %q", m[1], planned)
	}
	require.Greater(t, checked, 8)
	require.Len(t, planned, 11)

	other := newBooks(t)
	ctx, f := t.Context(), other.vouchers(4)
	_, err = runlog.MarkChunk(ctx, other.worker, f.Owner(), []string{"e0-1", "e0-2"}, sending(1), 0, runlog.InFlight{Same: time.Hour})
	require.NoError(t, err)
	require.Equal(t, exports.Failed, other.close(f).Status)
	_, err = runlog.ResolveVoucher(ctx, other.operator, other.org, runlog.Resolution{ExportID: f.ID, VoucherID: "v0", AtVendor: true, Reason: "seen: there", Actor: "kari"})
	require.NoError(t, err)
	_, err = runlog.WithdrawVoucher(ctx, other.operator, other.org, "v1", "kari", "not ours")
	require.NoError(t, err)
	other.exec("UPDATE ledgerline.accounting_entries SET text = 'better' WHERE voucher_id = 'v2'")
	written := other.reasons()
	require.Len(t, written, 3)

	torn := newBooks(t)
	g := torn.vouchers(1)
	torn.exec("UPDATE ledgerline.export_entries SET state = 'exported', effect = 'done', settled_at = now() WHERE entry_id = 'e0-1'")
	_, err = runlog.SplitChunk(ctx, torn.worker, g.Owner(), 1, 2, "BAD_REQUEST: closed", true)
	require.NoError(t, err)
	require.Equal(t, []string{"other lines of this voucher are at the vendor: BAD_REQUEST: closed"}, torn.reasons())

	for _, l := range words.Languages {
		p := words.For(l, nil)
		for _, reason := range slices.Concat(planned, written) {
			require.True(t, words.Ours(reason), reason)
			require.NotEqual(t, reason, p.Reason("xledger", reason, false).Text)
		}
		r := p.Reason("xledger", torn.reasons()[0], true)
		require.Equal(t, "BAD_REQUEST: closed", r.Quote)
		require.Greater(t, len(r.Text), 40, "that some of it is there is ours to say")
	}
}
