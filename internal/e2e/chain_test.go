package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/statement"
)

// exports runs a command on the exports of an organization.
func (b book) exports(t *testing.T, code int, args ...string) (out, words string) {
	t.Helper()
	out, words, got := starter(t, "", append(append([]string{"exports"}, args...), "--org", b.id.String())...)
	require.Equal(t, code, got, "%v: %s%s", args, out, words)
	return out, words
}

// A month in which the vendor refuses vouchers is shown, corrected, sent again by its name, and
// complete: nobody copies an ID.
func TestMonthIsCorrected(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.verified(t, "xledger-main")
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	b.vouchers(t, "X", 2, "2026-10-16", "X999", "0") // refused by the vendor
	out, words, code := starter(t, "", "sync", "--org", b.id.String(), "--integration", "xledger-main", "--period", "2026-10")
	require.Equal(t, 3, code, out+words)
	require.Contains(t, out, "October 2026 is not complete: 2 of 5 vouchers were refused (NOK 200.20 is missing)\n")
	require.Contains(t, out, "corrected: starter exports retry 2026-10 --integration xledger-main\n")
	_, _, code = starter(t, "", "sync", "--org", b.id.String(), "--integration", "xledger-main", "--period", "2026-10", "--exit-status=false")
	require.Zero(t, code)

	month := []string{"2026-10", "--integration", "xledger-main"}
	out, _ = b.exports(t, 0, append([]string{"show"}, month...)...)
	require.Regexp(t, `^October 2026 is not complete: `, out)
	require.Regexp(t, `X00000 +2026-10-16 +book \S+ +NOK 100.10 +refused +.*X999`, out)
	require.NotContains(t, out, "A00000")
	out, _ = b.exports(t, 0, append([]string{"show", "-o", "csv", "--decimal-comma"}, month...)...)
	require.True(t, strings.HasPrefix(out, statement.ByteOrderMark+"period;integration;voucher;"), out)
	require.Regexp(t, `(?m)^2026-10;xledger-main;A00001;2026-10-15;book \S+;NOK;100,10;2;exported;;`, out)
	require.Equal(t, 6, strings.Count(out, "\n"))
	out, _ = b.exports(t, 0, "list")
	require.Regexp(t, `October 2026 +xledger-main +not complete +10 +6 +4 +NOK 200.20 +`, out)
	out, _ = b.exports(t, 0, "list", "--status", "complete,running", "-o", "json")
	require.JSONEq(t, `{"periods": [], "more": 0}`, out)

	out, _ = b.exports(t, 0, append([]string{"prove"}, month...)...)
	require.Contains(t, out, "\n\nOctober 2026: the vendor has 6 entries, NOK 300.30, each once; 4 entries (NOK 200.20) were refused and are not there\n")

	// One voucher is corrected and sent again, then the other.
	correct := func(voucher string) {
		t.Helper()
		asAdmin(t, "UPDATE ledgerline.accounting_entries SET account = '3000' WHERE organization_id = $1 AND account = 'X999' AND voucher_id = $2", b.id, voucher)
	}
	correct("X00000")
	_, words = b.exports(t, 1, append([]string{"retry", "--voucher", "A00000"}, month...)...)
	require.Contains(t, words, "October 2026 has no refused voucher A00000")
	out, _ = b.exports(t, 3, append([]string{"retry", "-o", "json", "--voucher", "X00000"}, month...)...)
	first := fromJSON[synced](t, out)
	require.Equal(t, []any{exports.ChainIncomplete, 1, 2}, []any{first.Period.State, first.Period.Missing.Vouchers, first.Export.Exported})
	correct("X00001")
	out, _ = b.exports(t, 0, append([]string{"retry"}, month...)...)
	require.Contains(t, out, "October 2026 is complete: 10 entries in 5 vouchers, NOK 500.50\n")
	b.requireOnce(t, 10)

	out, _ = b.exports(t, 0, append([]string{"show", "-o", "json"}, month...)...)
	shown := fromJSON[statement.Period](t, out)
	require.Equal(t, exports.ChainComplete, shown.State)
	require.Len(t, shown.Exports, 3)
	require.Equal(t, shown.Exports[1].ID, *shown.Exports[0].RetryID, "the parent names its retry")
	root := shown.Exports[0].ID.String()
	out, words = b.exports(t, 0, "retry", root[:8])
	require.Empty(t, out)
	require.Contains(t, words, "nothing to retry: October 2026 is complete: 10 entries in 5 vouchers, NOK 500.50. The last retry is export "+shown.Exports[2].ID.String()[:8])
	out, _ = b.exports(t, 0, append([]string{"prove"}, month...)...)
	require.Equal(t, 3, strings.Count(out, ": SHA-256"), out)
	_, _, code = starter(t, "", "sync", "--org", b.id.String(), "--integration", "xledger-main", "--period", "2026-10")
	require.Zero(t, code, "the period is complete, by its retries")
}

// What names no export says what does.
func TestExportsAreNamed(t *testing.T) {
	b := newBook(t)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "want a period such as 2026-10 with --integration, or the ID", []string{"forrige"}},
		{2, `EXPORT "10/2026": write 2026-10, with --integration`, []string{"10/2026"}},
		{2, "want a period such as 2026-10 with --integration, or the ID", []string{"abc"}},
		{2, "--integration goes with a period", []string{"0d9f2f51", "--integration", "xledger-main"}},
		{1, "the organization has no export whose ID begins with 0d9f2f51", []string{"0d9f2f51"}},
		{1, "there is no export of October 2026; starter sync --period 2026-10 --integration NAME makes one", []string{"2026-10"}},
		{1, "there is no export of October 2026 of xledger-main; starter sync", []string{"2026-10", "--integration", "xledger-main"}},
		{1, `--integration "elsewhere"`, []string{"2026-10", "--integration", "elsewhere"}},
	} {
		for _, command := range [][]string{{"show"}, {"retry"}, {"prove"}, {"resolve", "--voucher", "v", "--there", "--reason", "seen"}} {
			_, words := b.exports(t, c.code, append(command, c.args...)...)
			require.Contains(t, words, c.want, command)
		}
	}
	for id, integration := range map[string]string{"aaaa0000-0000-4000-8000-000000000001": "xledger-main", "aaaa0000-0000-4000-8000-000000000002": "crm"} {
		asAdmin(t, `INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, export_id, integration_id, adapter_name, period, period_start, period_end, idempotency_key, trigger, triggered_by, started_at, workflow_id, run_id)
			VALUES ($1, $2, $3, 'xledger', '2026-10', '2026-10-01', '2026-11-01', concat($3::uuid, '/2026-10'), 'manual', 'test', now(), 'w', gen_random_uuid())`, b.id, id, b.integrations[integration].ID)
	}
	_, words := b.exports(t, 2, "show", "2026-10")
	require.Contains(t, words, "several integrations have an export of October 2026: add --integration with one of crm, xledger-main")
	_, words = b.exports(t, 2, "show", "aaaa0000")
	require.Contains(t, words, "several exports begin so; add characters:")
	require.Contains(t, words, "aaaa0000-0000-4000-8000-000000000002, October 2026, started")
	out, _ := b.exports(t, 0, "show", "2026-10", "--integration", "crm")
	require.Contains(t, out, "October 2026 is being exported: its entries are being planned")
	out, _ = b.exports(t, 0, "list", "--integration", "crm", "--period", "2026-10")
	require.Equal(t, 2, strings.Count(out, "\n"), out)
	_, words = b.exports(t, 2, "list", "--status", "done")
	require.Contains(t, words, "want complete, incomplete, running or failed")
}

// An export that has not ended cannot be proved yet, which is no disagreement.
func TestProvePending(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	b.verified(t, "xledger-main")
	b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
	in := b.input(t, "2026-10")
	in.Policy.MaxRetries, in.DeferBase = 0, time.Hour
	b.fault(sandbox.Rule{Times: 1, Status: 503})
	run := b.start(t, in)
	b.deferred(t)
	out, words := b.exports(t, 1, "prove", "2026-10")
	require.NotContains(t, words, "does not agree")
	require.Regexp(t, `the export of October 2026 has not ended \(export \S+\), and can only be proved after that: so far nothing disagrees`, words)
	require.NotContains(t, out, "NO ")
	out, _ = b.exports(t, 1, "prove", "2026-10", "-o", "json")
	require.Contains(t, out, `"agrees": null`)
	out, _ = b.exports(t, 0, "show", "2026-10")
	require.Regexp(t, `Xledger is not available \(HTTP 503\); the next try is at .*it tries again by itself`, out)
	require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), ""))
	require.Equal(t, exports.Failed, result(t, run).Export.Status)
	out, _ = b.exports(t, 0, "show", "2026-10", "--details")
	require.NotContains(t, out, "waits until")
	require.NotContains(t, out, "deferred")
	require.Contains(t, out, "October 2026 is not complete: 2 of 2 vouchers were not sent or not confirmed (NOK 200.20 is missing)")
}
