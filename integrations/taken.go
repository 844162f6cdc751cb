package integrations

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Contents is what entries have that an integration may not take. The zero value is of none.
type Contents struct {
	currencies, accounts, dimensions map[string]bool
}

// mostContents bounds what is kept of each kind.
const mostContents = 10_000

// Note adds what an entry has.
func (c *Contents) Note(currency, account string, dimensions map[string]string) {
	note(&c.currencies, currency)
	note(&c.accounts, account)
	for name := range dimensions {
		note(&c.dimensions, name)
	}
}

func note(kept *map[string]bool, name string) {
	if *kept == nil {
		*kept = make(map[string]bool)
	}
	if len(*kept) < mostContents {
		(*kept)[name] = true
	}
}

// ChoosesEntries says whether the integration is there to export entries: it has a schedule, or
// its file says what it takes of them.
func (i Integration) ChoosesEntries() bool {
	return i.Schedule != nil || i.Export.Accounts != nil || i.Export.Dimensions != nil || i.Export.Currencies != nil
}

// NotTaken says, a sentence each, for what of the contents an export would refuse vouchers. It
// is the rule by which exports are planned, see package runlog.
func (e ExportSettings) NotTaken(c Contents) (list []string) {
	currencies := e.Currencies
	if len(currencies) == 0 {
		currencies = []string{"NOK"}
	}
	add := func(kind string, have map[string]bool, taken func(string) bool, remedy string) {
		var missing []string
		for _, name := range slices.Sorted(maps.Keys(have)) {
			if !taken(name) {
				missing = append(missing, name)
			}
		}
		if len(missing) > 0 {
			shown := strings.Join(missing[:min(len(missing), 5)], ", ")
			if more := len(missing) - 5; more > 0 {
				shown += fmt.Sprintf(" and %d more", more)
			}
			list = append(list, fmt.Sprintf("%s %s is %s", kind, shown, remedy))
		}
	}
	add("currency", c.currencies, func(s string) bool { return slices.Contains(currencies, cmp.Or(s, "NOK")) },
		"not taken; export.currencies of the integration file has "+strings.Join(currencies, ", "))
	if e.Accounts != nil {
		add("account", c.accounts, func(s string) bool { _, ok := e.Accounts[s]; return ok }, "not mapped; add it to export.accounts of the integration file")
	}
	add("dimension", c.dimensions, func(s string) bool { _, ok := e.Dimensions[s]; return ok },
		`not mapped; add it to export.dimensions of the integration file, with "" to leave it out`)
	return list
}
