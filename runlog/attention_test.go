package runlog_test

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// troubleAgrees holds what is said of trouble to the counts of a chain: the same entries,
// vouchers and amounts, whatever became of them. Tests of chains call it for all that they make.
func (b books) troubleAgrees(c exports.Chain, name string) {
	b.t.Helper()
	first := c.First().ID
	said := func(list []runlog.EntryTrouble, err error) []runlog.EntryTrouble {
		b.t.Helper()
		require.NoError(b.t, err, name)
		return slices.DeleteFunc(list, func(t runlog.EntryTrouble) bool { return t.ExportID != first })
	}
	of := map[runlog.Trouble]exports.Outcome{runlog.TroubleRefused: exports.WasRefused, runlog.TroubleUnknown: exports.IsUnknown}
	own := make(map[exports.Outcome]exports.Count)
	for _, t := range said(runlog.ListEntryTrouble(b.t.Context(), b.reader, b.org)) {
		require.Equal(b.t, c.First().Period, t.Period, name)
		own[of[t.Trouble]] = t.Count
	}
	for _, o := range of {
		want := c.Counts[o]
		require.Equal(b.t, []any{want.Entries, want.Vouchers}, []any{own[o].Entries, own[o].Vouchers}, "%s: %s", name, o)
		require.Equal(b.t, exports.MoneyList(want.Amounts), exports.MoneyList(own[o].Amounts), "%s: %s", name, o)
	}

	var elsewhere []exports.Elsewhere
	for _, t := range said(runlog.ListTroubleElsewhere(b.t.Context(), b.reader, b.org)) {
		elsewhere = append(elsewhere, exports.Elsewhere{Period: t.With, Outcome: of[t.Trouble], Count: t.Count})
	}
	require.ElementsMatch(b.t, slices.DeleteFunc(slices.Clone(c.Elsewhere), func(e exports.Elsewhere) bool {
		return e.Outcome != exports.WasRefused && e.Outcome != exports.IsUnknown
	}), elsewhere, name)

	list, err := runlog.ListFailedExports(b.t.Context(), b.reader, b.org)
	require.NoError(b.t, err, name)
	list = slices.DeleteFunc(list, func(f runlog.FailedExport) bool { return f.First != first })
	waiting := c.Counts[exports.IsWaiting]
	if last := c.Last(); last.Status != exports.Failed || last.Trigger == exports.ByAdopting || c.Planned && waiting.Entries == 0 {
		require.Empty(b.t, list, name)
		return
	}
	require.Len(b.t, list, 1, name)
	require.Equal(b.t, []any{c.Last().ID, c.Planned, waiting.Entries, waiting.Vouchers}, []any{list[0].ExportID, list[0].Planned, list[0].Left.Entries, list[0].Left.Vouchers}, name)
	require.Equal(b.t, exports.MoneyList(waiting.Amounts), exports.MoneyList(list[0].Left.Amounts), name)
}
