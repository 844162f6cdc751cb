package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/outlook"
)

// A controller follows her entries: after an import she reads where they will go, in a
// list what became of each, and after a late import with which export that goes. What a
// dry run says, the run says too.
func TestEntriesListSaysWhatComesNext(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	org := b.id.String()
	run := func(in string, args ...string) (out, words string) {
		t.Helper()
		out, words, code := starter(t, in, append(args, "--org", org)...)
		require.Zero(t, code, words)
		return out, words
	}
	xledger := func(args ...string) (out, words string) {
		t.Helper()
		return run("", append(args, "--integration", "xledger-main")...)
	}
	file := func(date, account string, vouchers ...string) string {
		lines := []string{"entry_id,voucher_id,entry_date,account,amount,text"}
		for _, v := range vouchers {
			lines = append(lines, fmt.Sprintf("%s-1,%s,%s,1920,100.10,=HYPERLINK(1)", v, v, date), fmt.Sprintf("%s-2,%s,%s,%s,-100.10,", v, v, date, account))
		}
		return strings.Join(lines, "\n") + "\n"
	}

	_, words := run(file("2025-10-15", "3000", "A1", "A2"), "entries", "import", "-f", "-")
	require.Contains(t, words, "xledger-main: 4 entries of October 2025 go with the export of October 2025, which no schedule starts: starter sync --integration xledger-main --period 2025-10\n")
	require.Contains(t, words, "crm: 4 entries of October 2025 go with", "each integration has its own exports")
	_, words = run(file("2025-10-16", "X999", "B1"), "entries", "import", "-f", "-")
	require.Contains(t, words, "xledger-main: 2 entries of October 2025 go with", "of this import only")

	out, _ := xledger("entries", "list", "--period", "2025-10", "--state", "waiting", "-n", "1")
	require.Regexp(t, `2025-10-15 +A1 +A1-1 +1920 +=HYPERLINK\(1\) +NOK 100.10 +waiting +- +waits for the export of October 2025, which no schedule starts`, out)
	require.Contains(t, out, "5 more are not shown; -n 0 shows all\n6 entries in 3 vouchers: 6 waiting in 3 vouchers, NOK 300.30\n6 entries wait for the export of October 2025,")

	out, words = xledger("sync", "--period", "2025-10", "--dry-run")
	require.Contains(t, out, "6 entries in 3 vouchers and 1 chunk, 0 of them late: NOK 300.30")
	require.Contains(t, words, "dry run")
	xledger("sync", "--period", "2025-10", "--exit-status=false")
	out, _ = xledger("entries", "list", "--period", "2025-10")
	require.Regexp(t, `A2-2 +3000 +- +NOK -100.10 +exported +2025-10 +-\n`, out)
	require.Regexp(t, `B1-2 +X999 +- +NOK -100.10 +refused +2025-10 +\S+`, out)
	require.Contains(t, out, "6 entries in 3 vouchers: 4 exported in 2 vouchers, NOK 200.20; 2 refused in 1 voucher, NOK 100.10\n")

	// Late: the period has its export, and says so before and after it is asked for again.
	_, words = run(file("2025-10-20", "3000", "C1"), "entries", "import", "-f", "-")
	next := "the export of November 2025, which no schedule starts: starter sync --integration xledger-main --period 2025-11\n"
	require.Contains(t, words, "xledger-main: 2 entries of October 2025 came late: October 2025 has its export, so they go with "+next)
	dry, _ := xledger("sync", "--period", "2025-10", "--dry-run")
	require.Regexp(t, `^October 2025 has its export, which ended on \d+ \w+ \d{4} \d\d:\d\d CES?T; `+
		`October 2025 is not complete: 1 of 3 vouchers was refused \(NOK 100.10 is missing\); to send the refused ones again once they are corrected: `+
		`starter exports retry 2025-10 --integration xledger-main; 2 entries that came later go with `+next, dry)
	_, words = xledger("sync", "--period", "2025-10", "--exit-status=false")
	require.Contains(t, words, "nothing was sent now: "+dry, "the run says what the dry run says")
	out, _ = xledger("sync", "--period", "2025-10", "--dry-run", "-o", "json")
	require.Zero(t, fromJSON[outlook.Dry](t, out).Entries)
	for _, args := range [][]string{{"--dry-run"}, {}} {
		_, words, code := starter(t, "", append([]string{"sync", "--org", org, "--integration", "xledger-main", "--period", "2025-10-20"}, args...)...)
		require.Equal(t, 1, code)
		require.Contains(t, words, "period 2025-10-20 overlaps 2025-10", args)
	}

	xledger("integrations", "pause", "--reason", "new chart of accounts")
	_, words = xledger("sync", "--period", "2025-11", "--dry-run")
	require.Contains(t, words, "new chart of accounts; nothing is sent")
	out, _ = xledger("entries", "list", "--state", "waiting")
	require.Contains(t, out, "xledger-main has been paused since")
	xledger("integrations", "resume")

	xledger("sync", "--period", "2025-11")
	out, _ = xledger("entries", "list", "--voucher", "C1", "-o", "json")
	list := fromJSON[outlook.Listing](t, out)
	require.Len(t, list.Entries, 2)
	for _, e := range list.Entries {
		require.Equal(t, []any{"2025-11", "2025-10-20", true}, []any{e.Export.Period, e.Date, e.Next == nil})
	}
	require.Equal(t, 1, list.Sums.Vouchers)

	out, words = xledger("entries", "list", "--state", "refused", "-o", "csv")
	require.Regexp(t, "^\ufeff"+`date,voucher,entry,account,text,amount,currency,state,export,retry,why\n2025-10-16,B1,B1-1,1920,'=HYPERLINK\(1\),100.10,NOK,refused,2025-10,,.+\n2025-10-16,B1,B1-2,X999,,-100.10,NOK,refused,2025-10,,.+\n$`, out)
	require.Contains(t, words, "2 entries in 1 voucher: 2 refused")
	out, _ = xledger("entries", "list", "--period", "2019-01")
	require.Equal(t, "no entries\n", out)

	// The dry run of a retry is what the retry plans: the voucher that was refused.
	export := queryStrings(t, "SELECT export_id::text FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND period = '2025-10'", b.id)[0]
	out, _ = run("", "exports", "retry", export, "--dry-run", "-o", "json")
	require.Equal(t, []int{2, 1}, []int{fromJSON[outlook.Dry](t, out).Entries, fromJSON[outlook.Dry](t, out).Vouchers})
	run("", "exports", "retry", export, "--exit-status=false")
	out, _ = xledger("entries", "list", "--voucher", "B1")
	require.Contains(t, out, "2025-10 retry")

	for want, args := range map[string][]string{
		"--period": {"--period", "2026-13"}, "--state": {"--state", "gone"}, "-n -1": {"-n", "-1"}, "want table, json or csv": {"-o", "yaml"},
	} {
		_, words, code := starter(t, "", append([]string{"entries", "list", "--org", org, "--integration", "xledger-main"}, args...)...)
		require.Equal(t, 2, code)
		require.Contains(t, words, want)
	}
	_, words, code := starter(t, "", "sync", "--org", org, "--integration", "xledger-main", "--period", "2025-10", "-o", "csv")
	require.Equal(t, 2, code)
	require.Contains(t, words, "want table or json")
}
