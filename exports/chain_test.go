package exports_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
)

func counted(entries, vouchers int, amount string) exports.Count {
	return exports.Count{Entries: entries, Vouchers: vouchers, Amounts: map[string]string{"NOK": amount}}
}

// What became of a period is one sentence, and what to do about it a command.
func TestChainSummary(t *testing.T) {
	done := exports.Export{ID: uuid.New(), Period: "2026-10", Status: exports.Complete}
	failed := exports.Export{Period: "2026-10", Status: exports.Failed, ErrorMessage: "source books: no such table or view"}
	pending := exports.Export{Period: "2026-10", Status: exports.Pending}
	adopted := exports.Export{ID: uuid.MustParse("0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"), Period: "2026-10", Status: exports.Failed, Trigger: exports.ByAdopting}
	type counts = map[exports.Outcome]exports.Count
	all := counted(84, 21, "120400.00")
	for name, c := range map[string]struct {
		chain       exports.Chain
		state       exports.ChainState
		says, does  string
		missingText string
	}{
		"everything is there": {exports.Chain{Exports: []exports.Export{done}, Planned: true, Counts: counts{exports.WasExported: all}},
			exports.ChainComplete, "October 2026 is complete: 84 entries in 21 vouchers, NOK 120,400.00", "", ""},
		"the rest was withdrawn": {exports.Chain{Exports: []exports.Export{failed}, Planned: true, Counts: counts{exports.WasExported: counted(80, 20, "100.00"), exports.WasWithdrawn: counted(4, 1, "9.00")}},
			exports.ChainComplete, "October 2026 is complete: 80 entries in 20 vouchers, NOK 100.00; 1 voucher was withdrawn", "", ""},
		"all was withdrawn": {exports.Chain{Exports: []exports.Export{failed}, Planned: true, Counts: counts{exports.WasWithdrawn: counted(4, 2, "9.00")}},
			exports.ChainComplete, "October 2026 is complete: there is nothing to export; 2 vouchers were withdrawn", "", ""},
		"lines were withdrawn": {exports.Chain{Exports: []exports.Export{failed}, Planned: true, WithdrawnLines: 1, Counts: counts{exports.WasExported: counted(80, 20, "100.00"), exports.WasWithdrawn: counted(5, 1, "9.00")}},
			exports.ChainComplete, "October 2026 is complete: 80 entries in 20 vouchers, NOK 100.00; 1 voucher was withdrawn; 1 single line was withdrawn", "", ""},
		"there was nothing": {exports.Chain{Exports: []exports.Export{done}, Planned: true},
			exports.ChainComplete, "October 2026 is complete: there was nothing to export", "", ""},
		"errors that came late": {exports.Chain{Exports: []exports.Export{done}, Planned: true, Counts: counts{exports.WasExported: all}, LateErrors: 1},
			exports.ChainComplete, "October 2026 is complete: 84 entries in 21 vouchers, NOK 120,400.00; the vendor found errors in 1 entry after it had accepted them", "", ""},
		"refused": {exports.Chain{Exports: []exports.Export{done}, Planned: true, Counts: counts{exports.WasExported: counted(76, 19, "117200.00"), exports.WasRefused: counted(8, 2, "3200.00")}},
			exports.ChainIncomplete, "October 2026 is not complete: 2 of 21 vouchers were refused (NOK 3,200.00 is missing)",
			"starter exports retry 2026-10 --integration xledger-main", "NOK 3,200.00"},
		"all outcomes": {exports.Chain{Exports: []exports.Export{failed}, Planned: true, Counts: counts{exports.WasExported: counted(2, 1, "0.30"), exports.WasRefused: counted(2, 1, "0.10"),
			exports.IsWaiting: counted(4, 2, "0.20"), exports.IsUnknown: counted(2, 1, "1000000000000000000000.05"), exports.WasWithdrawn: counted(2, 1, "9.00")}},
			exports.ChainIncomplete, "October 2026 is not complete: 1 of 6 vouchers was refused, 2 were not sent or not confirmed and 1 may or may not be there " +
				"(NOK 1,000,000,000,000,000,000,000.35 is missing); 1 voucher was withdrawn",
			"starter exports retry 2026-10 --integration xledger-main", "NOK 1,000,000,000,000,000,000,000.35"},
		"an amount that is nobody's": {exports.Chain{Exports: []exports.Export{done}, Planned: true, Counts: counts{exports.IsUnknown: {Entries: 1, Vouchers: 1}}},
			exports.ChainIncomplete, "October 2026 is not complete: 1 of 1 voucher may or may not be there", "starter exports retry 2026-10 --integration xledger-main", ""},
		"nothing was planned": {exports.Chain{Exports: []exports.Export{failed}},
			exports.ChainFailed, "October 2026 was not exported: source books: no such table or view", "starter exports retry 2026-10 --integration xledger-main", ""},
		"a retry planned nothing and failed": {exports.Chain{Exports: []exports.Export{done, failed}, Planned: true, Counts: counts{exports.WasExported: all}},
			exports.ChainComplete, "October 2026 is complete: 84 entries in 21 vouchers, NOK 120,400.00", "", ""},
		"running": {exports.Chain{Exports: []exports.Export{done, pending}, Planned: true, Counts: counts{exports.WasExported: counted(40, 10, "1.00"), exports.IsWaiting: counted(40, 10, "1.00"), exports.WasRefused: counted(4, 1, "2.00")}},
			exports.ChainRunning, "October 2026 is being exported: 40 of 84 entries in 21 vouchers at the vendor, 1 was refused", "", "NOK 3.00"},
		"not planned yet": {exports.Chain{Exports: []exports.Export{pending}},
			exports.ChainRunning, "October 2026 is being exported: its entries are being planned", "", ""},
		"its retry has ended before it": {exports.Chain{Exports: []exports.Export{pending, done}},
			exports.ChainRunning, "October 2026 is being exported: its entries are being planned", "", ""},
		"its retry has ended before it, and it has planned": {exports.Chain{Exports: []exports.Export{pending, done}, Planned: true, Counts: counts{exports.WasExported: all}},
			exports.ChainRunning, "October 2026 is being exported: 84 of 84 entries in 21 vouchers at the vendor", "", ""},
		"its retry had nothing to plan, and it failed": {exports.Chain{Exports: []exports.Export{failed, done}},
			exports.ChainFailed, "October 2026 was not exported: source books: no such table or view", "starter exports retry 2026-10 --integration xledger-main", ""},
		"entries of it were refused elsewhere": {exports.Chain{Exports: []exports.Export{done}, Planned: true, Counts: counts{exports.WasExported: all},
			Elsewhere: []exports.Elsewhere{{Period: "2026-11", Outcome: exports.WasRefused, Count: counted(2, 1, "3200.00")}}},
			exports.ChainIncomplete, "October 2026 is not complete: 2 entries that went with November 2026 were refused (NOK 3,200.00 is missing)",
			"starter exports show 2026-11 --integration xledger-main", "NOK 3,200.00"},
		"entries of it are missing here and elsewhere": {exports.Chain{Exports: []exports.Export{done}, Planned: true, Counts: counts{exports.WasExported: all, exports.WasRefused: counted(2, 1, "1.00")},
			Elsewhere: []exports.Elsewhere{{Period: "2026-11", Outcome: exports.IsWaiting, Count: counted(1, 1, "2.00")}, {Period: "2026-12", Outcome: exports.IsUnknown, Count: counted(4, 2, "4.00")}}},
			exports.ChainIncomplete, "October 2026 is not complete: 1 of 22 vouchers was refused, 1 entry that went with November 2026 is not sent or not confirmed and " +
				"4 entries that went with December 2026 may or may not be there (NOK 7.00 is missing)",
			"starter exports retry 2026-10 --integration xledger-main", "NOK 7.00"},
		"it failed, and entries of it were refused elsewhere": {exports.Chain{Exports: []exports.Export{failed},
			Elsewhere: []exports.Elsewhere{{Period: "2026-11", Outcome: exports.WasRefused, Count: counted(2, 1, "3200.00")}}},
			exports.ChainFailed, "October 2026 was not exported: source books: no such table or view", "starter exports retry 2026-10 --integration xledger-main", "NOK 3,200.00"},
		"it runs, and entries of it were refused elsewhere": {exports.Chain{Exports: []exports.Export{done, pending}, Planned: true, Counts: counts{exports.WasExported: all},
			Elsewhere: []exports.Elsewhere{{Period: "2026-11", Outcome: exports.WasRefused, Count: counted(2, 1, "3200.00")}}},
			exports.ChainRunning, "October 2026 is being exported: 84 of 84 entries in 21 vouchers at the vendor", "", "NOK 3,200.00"},
		"adopted": {exports.Chain{Exports: []exports.Export{adopted}, Planned: true, Counts: counts{exports.IsUnknown: counted(2, 1, "5.00")}},
			exports.ChainIncomplete, "October 2026 (adopted) is not complete: 1 of 1 voucher may or may not be there (NOK 5.00 is missing)", "starter exports retry 0d9f2f51", "NOK 5.00"},
	} {
		t.Run(name, func(t *testing.T) {
			c.chain.Integration = "xledger-main"
			require.Equal(t, c.state, c.chain.State())
			require.Equal(t, c.says, c.chain.Summary())
			_, does := c.chain.NextStep()
			require.Equal(t, c.does, does)
			require.Equal(t, c.missingText, exports.MoneyList(c.chain.Missing().Amounts))
		})
	}
}

// A retry does nothing where nothing is left of the chain itself; one that failed is closed by it.
func TestNothingToRetry(t *testing.T) {
	complete, failed, pending := exports.Export{Status: exports.Complete}, exports.Export{Status: exports.Failed}, exports.Export{Status: exports.Pending}
	one := counted(2, 1, "1.00")
	elsewhere := []exports.Elsewhere{{Period: "2026-11", Outcome: exports.WasRefused, Count: one}}
	type counts = map[exports.Outcome]exports.Count
	for name, c := range map[string]struct {
		chain exports.Chain
		want  bool
	}{
		"complete":                      {exports.Chain{Exports: []exports.Export{complete}, Planned: true, Counts: counts{exports.WasExported: one}}, true},
		"nothing was due":               {exports.Chain{Exports: []exports.Export{complete}, Planned: true}, true},
		"what is left went elsewhere":   {exports.Chain{Exports: []exports.Export{complete}, Planned: true, Elsewhere: elsewhere}, true},
		"withdrawn":                     {exports.Chain{Exports: []exports.Export{complete}, Planned: true, Counts: counts{exports.WasWithdrawn: one}}, true},
		"failed, and then withdrawn":    {exports.Chain{Exports: []exports.Export{failed}, Planned: true, Counts: counts{exports.WasWithdrawn: one}}, false},
		"failed, and all went with it":  {exports.Chain{Exports: []exports.Export{failed}, Planned: true}, false},
		"failed and retried":            {exports.Chain{Exports: []exports.Export{failed, complete}, Planned: true}, true},
		"refused":                       {exports.Chain{Exports: []exports.Export{complete}, Planned: true, Counts: counts{exports.WasRefused: one}}, false},
		"waiting":                       {exports.Chain{Exports: []exports.Export{failed}, Planned: true, Counts: counts{exports.IsWaiting: one}}, false},
		"nothing was planned":           {exports.Chain{Exports: []exports.Export{failed, complete}}, false},
		"its retry is under way":        {exports.Chain{Exports: []exports.Export{complete, pending}, Planned: true}, false},
		"its retry has ended before it": {exports.Chain{Exports: []exports.Export{pending, complete}, Planned: true}, false},
	} {
		require.Equal(t, c.want, c.chain.NothingToRetry(), name)
	}
}

func TestPeriodName(t *testing.T) {
	for period, want := range map[string][2]string{
		"2026-10":    {"October 2026", "1–31 October 2026"},
		"2026-W40":   {"week 40 of 2026", "28 September – 4 October 2026"},
		"2026-W01":   {"week 1 of 2026", "29 December 2025 – 4 January 2026"},
		"2026-11-23": {"23 November 2026", "23 November 2026"},
	} {
		start, end, err := exports.ParsePeriod(period)
		require.NoError(t, err)
		require.Equal(t, want, [2]string{exports.PeriodName(period), exports.PeriodDays(start, end)})
	}
	require.Equal(t, "soon", exports.PeriodName("soon"))
}

// Amounts are exact, whatever their size.
func TestMoney(t *testing.T) {
	for amount, want := range map[string]string{
		"0": "NOK 0.00", "5": "NOK 5.00", "120400.00": "NOK 120,400.00", "-3200.5": "NOK -3,200.50", "999": "NOK 999.00", "1000": "NOK 1,000.00",
		"123456789012345678901.995": "NOK 123,456,789,012,345,678,901.995", "1/3": "NOK 0.00", "": "NOK 0.00",
	} {
		require.Equal(t, want, exports.Money("NOK", amount), amount)
	}
	require.Equal(t, map[string]string{"NOK": "0.30", "EUR": "1.00"}, exports.AddAmounts(map[string]string{"NOK": "0.1"}, map[string]string{"NOK": "0.2", "EUR": "1"}))
	require.Equal(t, "EUR 1.00, NOK 0.30 and SEK 2.00", exports.MoneyList(map[string]string{"NOK": "0.3", "SEK": "2", "EUR": "1"}))
	require.Empty(t, exports.MoneyList(nil))
}
