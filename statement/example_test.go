package statement_test

import (
	"fmt"

	"github.com/ledgerline/ledgerline/statement"
)

func ExamplePeriod_Headline() {
	for _, line := range statement.Of(chain, now, nil).Headline() {
		fmt.Println(line)
	}
	// Output:
	// October 2026 is not complete: 1 of 2 vouchers was refused (NOK 3,200.00 is missing)
	// to send the refused ones again once they are corrected: starter exports retry 2026-10 --integration xledger-main
}
