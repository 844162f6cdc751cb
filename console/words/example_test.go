package words_test

import (
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/exports"
)

func Example() {
	october := exports.Chain{
		Exports: []exports.Export{{Period: "2026-10", AdapterName: "xledger", Status: exports.Complete}}, Planned: true,
		Counts: map[exports.Outcome]exports.Count{
			exports.WasExported: {Entries: 160, Vouchers: 80, Amounts: map[string]string{"NOK": "22.50"}},
			exports.WasRefused:  {Entries: 16, Vouchers: 8, Amounts: map[string]string{"NOK": "140.00"}},
		},
	}
	now := time.Date(2026, 11, 2, 14, 0, 0, 0, time.UTC)
	for _, accepts := range []string{"nb-NO,nb;q=0.9,en;q=0.8", "en"} {
		p := words.For(words.Match(accepts), time.UTC)
		fmt.Println(p.Sentence(october))
		fmt.Println(p.Reason("xledger", "line 7: account 9999 is not mapped; add it to export.accounts of the integration file", false))
		fmt.Println(p.Reason("xledger", "Period 2026-10 is closed", true))
		fmt.Println(p.Time(now.Add(16*time.Hour+30*time.Minute), now))
	}
	// Output:
	// Oktober 2026 til Xledger: 80 av 88 bilag kom frem, NOK 22,50; 8 avvist, NOK 140,00
	// Linje 7: konto 9999 har ingen motpart i Xledger; be administratoren legge den inn i integrasjonen.
	// Xledger avviste det: Period 2026-10 is closed
	// i morgen kl. 06.30
	// October 2026 to Xledger: 80 of 88 vouchers arrived, NOK 22.50; 8 refused, NOK 140.00
	// Line 7: account 9999 has no counterpart at Xledger; ask the administrator to add it to the integration.
	// Xledger refused it: Period 2026-10 is closed
	// tomorrow 06:30
}
