package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
)

// Vouchers that the vendor refused: one is corrected by importing it again and is exported once, by a retry; one is
// withdrawn, and nothing sends it. What is exported cannot be corrected.
func TestRefusedVouchersAreCorrected(t *testing.T) {
	startWorker(t)
	b := newBook(t)
	org := b.id.String()
	b.vouchers(t, "A", 2, "2026-10-15", "3000", "0")
	b.vouchers(t, "B", 2, "2026-10-16", "X999", "0") // refused by the vendor
	e := result(t, b.start(t, b.input(t, "2026-10"))).Export
	require.Equal(t, []any{exports.Complete, 4, 4}, []any{e.Status, e.Exported, e.Rejected})

	file := func(account string) string {
		text := "entry_id,voucher_id,entry_date,account,amount,text\n"
		for _, v := range []string{"A00000", "B00000"} {
			text += fmt.Sprintf("%s-1,%s,2026-10-%d,1920,100.10,%s\n%s-2,%s,2026-10-%d,%s,-100.10,%s\n", v, v, 15+int(v[0]-'A'), b.text, v, v, 15+int(v[0]-'A'), account, b.text)
		}
		return text
	}
	imports := func(text string, args ...string) (string, string, int) {
		return starter(t, text, append([]string{"entries", "import", "--org", org, "-f", "-"}, args...)...)
	}
	_, words, code := imports(file("3000"))
	require.Equal(t, 1, code)
	require.Contains(t, words, "entry B00000-2 already exists with account X999 (file: 3000); to replace it before it is exported, add --replace")
	_, words, code = imports(file("3900"), "--replace")
	require.Equal(t, 1, code)
	require.Contains(t, words, "entry A00000-2 is exported (xledger-main, 2026-10); what the vendor has is corrected there, or by a counter-entry")
	out, words, code := imports(file("3000"), "--replace", "--dry-run")
	require.Zero(t, code, words)
	require.Contains(t, out, "0 entries added, 3 unchanged, 1 replaced; that is what an import would do, nothing was stored\n")
	out, words, code = imports(file("3000"), "--replace", "--reason", "wrong account")
	require.Zero(t, code, words)
	require.Regexp(t, `B00000-2 +B00000 +account +X999 +3000`, out)
	require.Contains(t, out, "voucher B00000 goes with: starter exports retry 2026-10 --integration xledger-main; or with the next export of xledger-main, if that is first\n")

	_, words, code = starter(t, "", "entries", "withdraw", "B00001", "--org", org)
	require.Equal(t, 2, code)
	require.Contains(t, words, "--reason is missing")
	_, words, code = starter(t, "", "entries", "withdraw", "A00001", "--org", org, "--reason", "x")
	require.Equal(t, 1, code)
	require.Contains(t, words, "A00001-1-counter,A00001-counter,2026-10-15,1920,-100.10,NOK")
	out, words, code = starter(t, "", "entries", "withdraw", "B00001", "--org", org, "--reason", "entered twice")
	require.Zero(t, code, words)
	require.Equal(t, "voucher B00001: 2 entries withdrawn\n", out)
	out, words, code = starter(t, "", "entries", "history", "B00000", "--org", org)
	require.Zero(t, code, words)
	require.Regexp(t, `B00000-2 +account +X999 +3000 +\S+ +wrong account`, out)

	out, words, code = starter(t, "", "exports", "retry", e.ID.String(), "--org", org, "-o", "json")
	require.Zero(t, code, words)
	retry := fromJSON[synced](t, out).Export
	require.Equal(t, []any{exports.Complete, 2, 2}, []any{retry.Status, retry.Total, retry.Exported})
	b.requireOnce(t, 6)
	require.Equal(t, []string{"B00001-1 withdrawn", "B00001-2 withdrawn"}, queryStrings(t,
		"SELECT entry_id || ' ' || correction FROM ledgerline.export_entries WHERE organization_id = $1 AND correction IS NOT NULL ORDER BY 1", org))
}
