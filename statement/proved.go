package statement

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/exports"
)

// notThere are the outcomes of entries that a proof does not find at the vendor, or says nothing
// of, in the order in which [Proved] has them, each after one entry and after several.
var notThere = []struct {
	outcome   exports.Outcome
	one, many string
}{
	{exports.WasRefused, "was refused and is not there", "were refused and are not there"},
	{exports.WasWithdrawn, "was withdrawn and is not there", "were withdrawn and are not there"},
	{exports.IsWaiting, "is not sent or not confirmed", "are not sent or not confirmed"},
	{exports.IsUnknown, "may or may not be there", "may or may not be there"},
}

// Proved says what the vendor has of a chain that has ended, once it was asked for every entry
// and nothing disagrees: "October 2026: the vendor has 6 entries, NOK 16,545.50, each once; 2
// entries (NOK 3,200.00) were refused and are not there".
func Proved(c exports.Chain) string {
	period, done := exports.PeriodName(c.First().Period), c.Counts[exports.WasExported]
	if !c.Planned {
		return period + ": nothing was exported, as no entries were assigned to the export"
	}
	if c.Total().Entries == 0 {
		return period + ": there was nothing to export"
	}
	parts := []string{period + ": the vendor has none of it: nothing was exported"}
	if done.Entries > 0 {
		amounts := slices.DeleteFunc([]string{exports.MoneyList(done.Amounts)}, func(s string) bool { return s == "" })
		parts[0] = period + ": the vendor has " + strings.Join(slices.Concat([]string{countOf(done.Entries, "entry", "entries")}, amounts, []string{"each once"}), ", ")
	}
	for _, o := range notThere {
		n := c.Counts[o.outcome]
		if n.Entries == 0 {
			continue
		}
		what, verb := countOf(n.Entries, "entry", "entries"), o.many
		if amounts := exports.MoneyList(n.Amounts); amounts != "" {
			what += fmt.Sprintf(" (%s)", amounts)
		}
		if n.Entries == 1 {
			verb = o.one
		}
		parts = append(parts, what+" "+verb)
	}
	return strings.Join(parts, "; ")
}
