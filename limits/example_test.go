package limits_test

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

// A vendor that fails ten times in a row is left alone for 15 seconds.
func ExampleBreakers() {
	var breakers limits.Breakers
	integration, now := uuid.New(), time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for range 10 {
		breakers.Admit(integration, now).Done(classify.Verdict{Class: classify.Transient, Kind: classify.Unavailable}, now)
	}
	a := breakers.Admit(integration, now)
	fmt.Println(a.Open, a.Until.Format(time.TimeOnly))
	fmt.Println(breakers.Admit(integration, a.Until).Open)
	// Output:
	// true 12:00:15
	// false
}
