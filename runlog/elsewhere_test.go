package runlog_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// summaryOf is what is said of the chain of an export.
func (b books) summaryOf(e exports.Export) string {
	b.t.Helper()
	c, err := runlog.LoadChain(b.t.Context(), b.reader, b.org, e.ID)
	require.NoError(b.t, err)
	b.troubleAgrees(c, c.Summary())
	list, _, err := runlog.ListChains(b.t.Context(), b.reader, b.org, runlog.ChainFilter{})
	require.NoError(b.t, err)
	require.Contains(b.t, list, c, "the list says the same")
	return c.Summary()
}

// A voucher of October that was refused, corrected, and taken by November is missing in
// October until the vendor has it, whatever becomes of it there, and in November only as
// what that export has taken.
func TestChainMissesWhatWentElsewhere(t *testing.T) {
	t.Parallel()
	base := newBooks(t)
	for name, c := range map[string]struct {
		arrive func(b books, e exports.Export)
		says   string
	}{
		"under way":  {func(books, exports.Export) {}, "October 2026 is not complete: 2 entries that went with November 2026 are not sent or not confirmed (NOK 25.00 is missing)"},
		"never sent": {func(b books, e exports.Export) { b.close(e) }, "October 2026 is not complete: 2 entries that went with November 2026 are not sent or not confirmed (NOK 25.00 is missing)"},
		"refused":    {func(b books, e exports.Export) { b.become(e, exports.Rejected, "v"); b.close(e) }, "October 2026 is not complete: 2 entries that went with November 2026 were refused (NOK 25.00 is missing)"},
		"in doubt":   {func(b books, e exports.Export) { b.become(e, exports.Unknown, "v"); b.close(e) }, "October 2026 is not complete: 2 entries that went with November 2026 may or may not be there (NOK 25.00 is missing)"},
		"exported":   {func(b books, e exports.Export) { b.become(e, exports.Exported, "v"); b.close(e) }, "October 2026 is complete: 2 entries in 1 voucher, NOK 4.00"},
		"a retry too": {func(b books, e exports.Export) {
			b.become(e, exports.Rejected, "v")
			b.close(e)
			retry := b.claim("2026-11", &e.ID)
			b.plan(retry, mapped, 500)
			b.become(retry, exports.Rejected, "v")
			b.close(retry)
		}, "October 2026 is not complete: 2 entries that went with November 2026 were refused (NOK 25.00 is missing)"},
		"withdrawn": {func(b books, e exports.Export) {
			b.become(e, exports.Rejected, "v")
			b.close(e)
			_, err := runlog.WithdrawVoucher(b.t.Context(), b.operator, b.org, "v", "kari", "twice")
			require.NoError(b.t, err)
		}, "October 2026 is complete: 2 entries in 1 voucher, NOK 4.00"},
	} {
		t.Run(name, func(t *testing.T) {
			b, two := base.fresh(t)
			b.lines("a1 a 2026-10-02 1920 4", "a2 a 2026-10-02 3000 -4")
			other := two.claim("2026-10", nil) // of another integration: v comes later
			two.plan(other, mapped, 500)
			two.become(other, exports.Exported, "a")
			two.close(other)
			_, err := b.importing(pair("v", "10.00", "1920", october), runlog.ImportOptions{})
			require.NoError(t, err)
			first := b.claim("2026-10", nil)
			b.plan(first, mapped, 500)
			b.become(first, exports.Exported, "a")
			b.become(first, exports.Rejected, "v")
			b.close(first)
			_, err = b.importing(pair("v", "25.00", "1920", october), runlog.ImportOptions{Replace: true})
			require.NoError(t, err)
			second := b.claim("2026-11", nil)
			require.Len(t, b.plan(second, mapped, 500), 2)
			c.arrive(b, second)
			require.Equal(t, c.says, b.summaryOf(first))
			require.Equal(t, "October 2026 is complete: 2 entries in 1 voucher, NOK 4.00", two.summaryOf(other))
			november, err := runlog.LoadChain(t.Context(), b.reader, b.org, second.ID)
			require.NoError(t, err)
			require.Empty(t, november.Elsewhere)
		})
	}
}

// What was adopted is shown by itself: neither chain has the other's entries.
func TestAdoptionsAreNotElsewhere(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("v1 v 2026-10-02 1920 4", "v2 v 2026-10-02 3000 -4")
	e := b.claim("2026-10", nil)
	b.plan(e, integrations.ExportSettings{}, 500)
	b.become(e, exports.Rejected, "v")
	b.close(e)
	adopted, owned := b.claimBy(exports.ByAdopting, "2026-10")
	require.True(t, owned)
	b.lines("w1 w 2026-10-03 1920 4", "w2 w 2026-10-03 3000 -4")
	b.plan(adopted, integrations.ExportSettings{}, 500)
	b.become(adopted, exports.Rejected, "w")
	b.close(adopted)
	require.Equal(t, "October 2026 is not complete: 1 of 1 voucher was refused (NOK 4.00 is missing)", b.summaryOf(e))
	require.Equal(t, "October 2026 (adopted) is not complete: 1 of 1 voucher was refused (NOK 4.00 is missing)", b.summaryOf(adopted))
}
