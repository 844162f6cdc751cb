package statement_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/statement"
)

// A proof names what the vendor has, and what it does not have.
func TestProved(t *testing.T) {
	type counts = map[exports.Outcome]exports.Count
	count := func(entries int, amount string) exports.Count {
		return exports.Count{Entries: entries, Amounts: map[string]string{"NOK": amount}}
	}
	for name, c := range map[string]struct {
		counts counts
		says   string
	}{
		"all is there":        {counts{exports.WasExported: count(6, "16545.50")}, "the vendor has 6 entries, NOK 16,545.50, each once"},
		"nothing was there":   {nil, "there was nothing to export"},
		"all was refused":     {counts{exports.WasRefused: count(12, "15094.00")}, "the vendor has none of it: nothing was exported; 12 entries (NOK 15,094.00) were refused and are not there"},
		"some were refused":   {counts{exports.WasExported: count(1, "5.00"), exports.WasRefused: count(1, "7.00")}, "the vendor has 1 entry, NOK 5.00, each once; 1 entry (NOK 7.00) was refused and is not there"},
		"all was withdrawn":   {counts{exports.WasWithdrawn: count(2, "7.00")}, "the vendor has none of it: nothing was exported; 2 entries (NOK 7.00) were withdrawn and are not there"},
		"credits and no more": {counts{exports.WasExported: {Entries: 2}}, "the vendor has 2 entries, each once"},
		"some of each": {counts{exports.WasExported: count(2, "1.00"), exports.WasRefused: count(2, "2.00"), exports.IsWaiting: count(2, "3.00"), exports.IsUnknown: count(1, "4.00"), exports.WasWithdrawn: {Entries: 1}},
			"the vendor has 2 entries, NOK 1.00, each once; 2 entries (NOK 2.00) were refused and are not there; 1 entry was withdrawn and is not there; " +
				"2 entries (NOK 3.00) are not sent or not confirmed; 1 entry (NOK 4.00) may or may not be there"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "October 2026: "+c.says, statement.Proved(exports.Chain{Exports: []exports.Export{root}, Planned: true, Counts: c.counts}))
		})
	}
	require.Equal(t, "October 2026: nothing was exported, as no entries were assigned to the export", statement.Proved(exports.Chain{Exports: []exports.Export{root}}))
}
