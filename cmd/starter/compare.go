package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// match is what the vendor is found to have of an entry.
type match int

const (
	matchNone        match = iota
	matchExact             // once, with the same amount where the vendor gives it
	matchDuplicate         // or more often
	matchOtherAmount       // with another amount
	matchElsewhere         // not under its key, but something may be it, such as a posted line
)

func matchOf(r runlog.EntryRecord, f adapters.Found) match {
	switch {
	case f.Count > 1:
		return matchDuplicate
	case f.Count == 1 && f.Amount != "" && !adapters.SameAmount(r.Amount, f.Amount):
		return matchOtherAmount
	case f.Count == 1:
		return matchExact
	case f.Elsewhere != "":
		return matchElsewhere
	}
	return matchNone
}

// describe is what was found, for people.
func (s match) describe(r runlog.EntryRecord, f adapters.Found) string {
	switch s {
	case matchExact:
		return "it is there"
	case matchDuplicate:
		return fmt.Sprintf("it is there %d times", f.Count)
	case matchOtherAmount:
		return fmt.Sprintf("it is there with amount %s, and here it has %s", f.Amount, r.Amount)
	case matchElsewhere:
		return "it is not there under its key, and " + f.Elsewhere
	}
	if r.OpenUntil != nil {
		return "it is not there, and can still take effect until " + r.OpenUntil.UTC().Format(time.TimeOnly)
	}
	return "it is not there"
}

// recordGroup is what the record holds of an entry, as far as it matters here.
type recordGroup int

const (
	groupExported    recordGroup = iota
	groupOpen                    // sent or unknown: only the vendor can tell
	groupNotExported             // planned, rejected or not on record: it must not be there
)

func groupOf(r runlog.EntryRecord) recordGroup {
	switch r.State {
	case exports.Exported:
		return groupExported
	case exports.Sent, exports.Unknown:
		return groupOpen
	}
	return groupNotExported
}

// difference is an entry of which record and vendor do not say the same, or of
// which the record does not know; then Agrees is null.
type difference struct {
	VoucherID string             `json:"voucherId"`
	EntryID   string             `json:"entryId"`
	State     exports.EntryState `json:"state"` // on record; "" if it is not there
	Agrees    *bool              `json:"agrees"`
	Says      string             `json:"says"`
	Found     *adapters.Found    `json:"found,omitempty"`
}

// vendorComparison is of a record with a vendor's books. A strict one is with a record
// that may have lost what was exported: the vendor must not have more than it
// says. One that adopts takes into the record what the vendor has more.
type vendorComparison struct {
	strict, adopts bool
	counts         map[recordGroup]map[match]int
	differences    []difference
	keep           int // most differences that are kept; 0 is all
	more           int // that were not kept
	adoptions      []runlog.Adoption
}

// add compares an entry.
func (c *vendorComparison) add(r runlog.EntryRecord, f adapters.Found) {
	g, s := groupOf(r), matchOf(r, f)
	if c.counts == nil {
		c.counts = map[recordGroup]map[match]int{groupExported: {}, groupOpen: {}, groupNotExported: {}}
	}
	c.counts[g][s]++
	switch {
	case g == groupExported && (s == matchExact || s == matchElsewhere): // to be posted is the usual end of an entry
		return
	case g == groupNotExported && s == matchNone:
		return
	}
	d := difference{VoucherID: r.VoucherID, EntryID: r.EntryID, State: r.State, Agrees: new(bool), Says: s.describe(r, f)}
	if g == groupOpen && (s == matchNone || !c.strict && (s == matchExact || s == matchElsewhere)) {
		d.Agrees = nil
	}
	if f != (adapters.Found{}) {
		d.Found = &f
	}
	if c.adopts && g != groupExported && s != matchNone {
		a := runlog.Adoption{EntryRecord: r, Reference: f.Reference}
		if s == matchOtherAmount || s == matchElsewhere {
			a.Doubt = d.Says
		}
		c.adoptions = append(c.adoptions, a)
		if s == matchExact {
			return
		}
	}
	if c.keep > 0 && len(c.differences) == c.keep {
		c.more++
		return
	}
	c.differences = append(c.differences, d)
}

// checks say what was counted.
func (c *vendorComparison) checks() []proofCheck {
	total := func(n map[match]int) (sum int) {
		for _, k := range n {
			sum += k
		}
		return sum
	}
	counted := func(n map[match]int, missed string) string {
		s := fmt.Sprintf("%d of %d are there, %d %s, %d more than once, %d with another amount", n[matchExact]+n[matchDuplicate]+n[matchOtherAmount], total(n), n[matchNone], missed, n[matchDuplicate], n[matchOtherAmount])
		if n[matchElsewhere] > 0 {
			s += fmt.Sprintf(", %d perhaps elsewhere", n[matchElsewhere])
		}
		return s
	}
	n := c.counts[groupExported]
	evidence := counted(n, "missing")
	if n[matchElsewhere] > 0 {
		evidence += ", such as posted lines, whose amounts are not compared"
	}
	all := []proofCheck{checked("vendor", n[matchNone]+n[matchDuplicate]+n[matchOtherAmount] == 0, "%s", evidence)}
	if n = c.counts[groupNotExported]; total(n) > 0 {
		agrees := n[matchDuplicate]+n[matchOtherAmount]+n[matchElsewhere] == 0 && (n[matchExact] == 0 || c.adopts)
		all = append(all, checked("not exported", agrees, "planned, rejected or not on record: %s", counted(n, "not there")))
	}
	if n = c.counts[groupOpen]; total(n) > 0 {
		f := checked("open", n[matchDuplicate]+n[matchOtherAmount] == 0 && (!c.strict || n[matchElsewhere] == 0 && (n[matchExact] == 0 || c.adopts)), "sent or unknown: %s", counted(n, "not there"))
		if *f.Agrees && (n[matchNone] > 0 || !c.strict) {
			f.Agrees = nil // the record does not say what should be there
		}
		all = append(all, f)
	}
	return all
}

// table lists the differences for people.
func (c *vendorComparison) table() [][]string {
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
