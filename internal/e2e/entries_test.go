package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

func TestEntriesImport(t *testing.T) {
	org := newTenant(t, quick).id.String()
	file := "entry_id,voucher_id,entry_date,account,amount,dimensions\n1,V,2026-10-01,1920,10.50,\"{\"\"department\"\":\"\"10\"\"}\"\n2,V,2026-10-01,3000,-10.50,\n"
	out, words, code := starter(t, file, "entries", "import", "--org", org, "-f", "-")
	require.Zero(t, code, words)
	require.Equal(t, "2 entries added, 0 unchanged\n", out)
	require.NotContains(t, words, "%", "no terminal, no bar")
	require.Contains(t, words, "read as CSV, UTF-8, separator comma")
	require.Equal(t, []string{`{"department": "10"}`, `{}`}, queryStrings(t, "SELECT dimensions::text FROM ledgerline.accounting_entries WHERE organization_id = $1 ORDER BY entry_id", org))
	lines := `{"entry_id":"1","voucher_id":"V","entry_date":"2026-10-01","account":"1920","amount":10.5,"dimensions":{"department":"10"}}
{"entry_id":"3","voucher_id":"W","entry_date":"2026-10-01","account":"1920","amount":"0.10"}
`
	out, words, code = starter(t, lines, "entries", "import", "--org", org, "-f", "-", "-o", "json")
	require.Zero(t, code, words)
	require.Contains(t, words, "warning: an export would refuse vouchers that do not sum to zero: W by 0.10")
	require.Equal(t, runlog.ImportResult{Added: 1, Unchanged: 1, Unbalanced: 1, Examples: []runlog.Imbalance{{VoucherID: "W", Difference: "0.10"}},
		MixedOnes: []runlog.Mixed{}, Left: []runlog.LeftVoucher{}, Changes: []runlog.EntryDifference{}, Refused: []runlog.Refusal{}, Sendings: []runlog.NextSending{}}, fromJSON[runlog.ImportResult](t, out))

	_, words, code = starter(t, strings.ReplaceAll(file, "10.50", "9.50"), "entries", "import", "--org", org, "-f", "-")
	require.Equal(t, 1, code)
	require.Contains(t, words, "nothing was imported:\n  entry 1 already exists with amount 10.50 (file: 9.50); to replace it before it is exported, add --replace\n")
	_, words, code = starter(t, "entry_id,voucher_id,entry_date,account,amount\n1,V,31.10.2026,1920,\"10,50\"\n1,,2026-10-01,,x\n", "entries", "import", "--org", org, "-f", "-")
	require.Equal(t, 2, code)
	for _, wrong := range []string{`-:3:3: voucher_id`, `-:3:15: account`, `-:3:16: amount "x"`, `-:3:1: duplicate entry_id "1" (first on line 2)`} {
		require.Contains(t, words, wrong)
	}
	for _, period := range []string{"", "2026-13", "oktober"} {
		_, words, code = starter(t, "", "sync", "--org", org, "--integration", "x", "--period", period)
		require.Equal(t, 2, code)
		require.Contains(t, words, "--period")
	}
	for want, args := range map[string][]string{"--file is missing": {}, "--format": {"-f", "-", "--format", "pdf"}, "no such file": {"-f", "/no/such/file"}} {
		_, words, code = starter(t, "", append([]string{"entries", "import", "--org", org}, args...)...)
		require.Equal(t, 2, code)
		require.Contains(t, words, want)
	}
}

// A long file goes in as a whole or not at all: also one whose last line is
// wrong, after many batches have been stored.
func TestEntriesImportIsAllOrNothing(t *testing.T) {
	org := newTenant(t, quick).id.String()
	var b strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&b, `{"entry_id":"%d","voucher_id":"%d","entry_date":"2026-10-01","account":"1920","amount":%d}`+"\n", i, i/2, 7-14*(i%2))
	}
	load := func(text string) (string, string, int) {
		path := t.TempDir() + "/entries.jsonl"
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return starter(t, "", "entries", "import", "--org", org, "-f", path)
	}
	_, words, code := load(b.String() + "{}\n")
	require.Equal(t, 2, code)
	require.Contains(t, words, ":30001:1: entry_id is missing")
	count := func() string {
		return queryStrings(t, "SELECT count(*)::text FROM ledgerline.accounting_entries WHERE organization_id = $1", org)[0]
	}
	require.Equal(t, "0", count())
	out, words, code := load(b.String())
	require.Zero(t, code, words)
	require.Equal(t, "30000 entries added, 0 unchanged\n", out)
	require.NotContains(t, words, "warning", "every voucher sums to zero")
	require.Equal(t, "30000", count())

	// Under other IDs, which would be exported too, it is refused.
	_, words, code = load(strings.ReplaceAll(b.String(), `"entry_id":"`, `"entry_id":"again/`))
	require.Equal(t, 1, code)
	require.Contains(t, words, "nothing was imported: 30000 lines are stored under other entry IDs, and would be exported twice")
	require.Equal(t, "30000", count())
	// What an integration does not take is said before its export refuses it.
	file := `organization: ` + org + "\n" + `integrations:
  - {id: ` + uuid.NewString() + `, name: books, adapter: xledger, baseURL: "` + stack.Vendors["xledger"] + `", credentials: {token: file:token}, export: {currencies: [NOK]}}` + "\n"
	_, words, code = starter(t, file, "integrations", "apply", "-f", "-")
	require.Zero(t, code, words)
	_, words, code = load(`{"entry_id":"x","voucher_id":"x","entry_date":"2026-10-01","account":"1920","amount":0,"currency":"EUR","dimensions":{"team":"a"}}` + "\n")
	require.Zero(t, code, words)
	require.Contains(t, words, "warning: an export of books would refuse vouchers: currency EUR is not taken; export.currencies of the integration file has NOK\n")
	require.Contains(t, words, "warning: an export of books would refuse vouchers: dimension team is not mapped; add it to export.dimensions of the integration file")
	require.NotContains(t, words, "an export of crm", "which exports nothing")
}
