package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// sight is what the vendor is found to have of an entry.
type sight int

const (
	missing   sight = iota
	there           // once, with the same amount where the vendor gives it
	twice           // or more often
	otherwise       // with another amount
	elsewhere       // not under its key, but something may be it, such as a posted line
)

func sightOf(r runlog.EntryRecord, f adapters.LookupResult) sight {
	switch {
	case f.Count > 1:
		return twice
	case f.Count == 1 && f.Amount != "" && !adapters.SameAmount(r.Amount, f.Amount):
		return otherwise
	case f.Count == 1:
		return there
	case f.Elsewhere != "":
		return elsewhere
	}
	return missing
}

// says is what was found, for people.
func (s sight) says(r runlog.EntryRecord, f adapters.LookupResult) string {
	switch s {
	case there:
		return "it is there"
	case twice:
		return fmt.Sprintf("it is there %d times", f.Count)
	case otherwise:
		return fmt.Sprintf("it is there with amount %s, and here it has %s", f.Amount, r.Amount)
	case elsewhere:
		return "it is not there under its key, and " + f.Elsewhere
	}
	if r.OpenUntil != nil {
		return "it is not there, and can still take effect until " + r.OpenUntil.UTC().Format(time.TimeOnly)
	}
	return "it is not there"
}

// group is what the record holds of an entry, as far as it matters here.
type group int

const (
	isExported group = iota
	isOpen           // sent or unknown: only the vendor can tell
	isNot            // planned, rejected or not on record: it must not be there
)

func groupOf(r runlog.EntryRecord) group {
	switch r.State {
	case exports.Exported:
		return isExported
	case exports.Sent, exports.Unknown:
		return isOpen
	}
	return isNot
}

// difference is an entry of which record and vendor do not say the same, or of
// which the record does not know; then Agrees is null.
type difference struct {
	VoucherID string                 `json:"voucherId"`
	EntryID   string                 `json:"entryId"`
	State     exports.EntryState     `json:"state"` // on record; "" if it is not there
	Agrees    *bool                  `json:"agrees"`
	Says      string                 `json:"says"`
	Found     *adapters.LookupResult `json:"found,omitempty"`
}

// comparison is of a record with a vendor's books. A strict one is with a record
// that may have lost what was exported: the vendor must not have more than it
// says. One that adopts takes into the record what the vendor has more.
type comparison struct {
	strict, adopts bool
	seen           map[group]map[sight]int
	differences    []difference
	keep           int // most differences that are kept; 0 is all
	more           int // that were not kept
	adoptions      []runlog.Adoption
}

// add compares an entry.
func (c *comparison) add(r runlog.EntryRecord, f adapters.LookupResult) {
	g, s := groupOf(r), sightOf(r, f)
	if c.seen == nil {
		c.seen = map[group]map[sight]int{isExported: {}, isOpen: {}, isNot: {}}
	}
	c.seen[g][s]++
	switch {
	case g == isExported && (s == there || s == elsewhere): // to be posted is the usual end of an entry
		return
	case g == isNot && s == missing:
		return
	}
	d := difference{VoucherID: r.VoucherID, EntryID: r.EntryID, State: r.State, Agrees: new(bool), Says: s.says(r, f)}
	if g == isOpen && (s == missing || !c.strict && (s == there || s == elsewhere)) {
		d.Agrees = nil
	}
	if f != (adapters.LookupResult{}) {
		d.Found = &f
	}
	if c.adopts && g != isExported && s != missing {
		a := runlog.Adoption{EntryRecord: r, Reference: f.Reference}
		if s == otherwise || s == elsewhere {
			a.Doubt = d.Says
		}
		c.adoptions = append(c.adoptions, a)
		if s == there {
			return
		}
	}
	if c.keep > 0 && len(c.differences) == c.keep {
		c.more++
		return
	}
	c.differences = append(c.differences, d)
}

// findings say what was counted.
func (c *comparison) findings() []finding {
	total := func(n map[sight]int) (sum int) {
		for _, k := range n {
			sum += k
		}
		return sum
	}
	counted := func(n map[sight]int, missed string) string {
		s := fmt.Sprintf("%d of %d are there, %d %s, %d more than once, %d with another amount", n[there]+n[twice]+n[otherwise], total(n), n[missing], missed, n[twice], n[otherwise])
		if n[elsewhere] > 0 {
			s += fmt.Sprintf(", %d perhaps elsewhere", n[elsewhere])
		}
		return s
	}
	n := c.seen[isExported]
	evidence := counted(n, "missing")
	if n[elsewhere] > 0 {
		evidence += ", such as posted lines, whose amounts are not compared"
	}
	all := []finding{compared("vendor", n[missing]+n[twice]+n[otherwise] == 0, "%s", evidence)}
	if n = c.seen[isNot]; total(n) > 0 {
		agrees := n[twice]+n[otherwise]+n[elsewhere] == 0 && (n[there] == 0 || c.adopts)
		all = append(all, compared("not exported", agrees, "planned, rejected or not on record: %s", counted(n, "not there")))
	}
	if n = c.seen[isOpen]; total(n) > 0 {
		f := compared("open", n[twice]+n[otherwise] == 0 && (!c.strict || n[elsewhere] == 0 && (n[there] == 0 || c.adopts)), "sent or unknown: %s", counted(n, "not there"))
		if *f.Agrees && (n[missing] > 0 || !c.strict) {
			f.Agrees = nil // the record does not say what should be there
		}
		all = append(all, f)
	}
	return all
}

// table lists the differences for people.
func (c *comparison) table() [][]string {
	rows := [][]string{{"VOUCHER", "ENTRY", "ON RECORD", "AT THE VENDOR"}}
	for _, d := range c.differences {
		state := string(d.State)
		if state == "" {
			state = "nothing"
		}
		rows = append(rows, []string{d.VoucherID, d.EntryID, state, strings.TrimPrefix(d.Says, "it is ")})
	}
	return rows
}
