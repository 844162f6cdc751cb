package main

import (
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// match is what the vendor is found to have of an entry.
type match string

const (
	matchNone        match = "none"
	matchExact       match = "exact"        // once, with the same amount if the vendor gives it
	matchDuplicate   match = "duplicate"    // twice or more often
	matchOtherAmount match = "other_amount" // once, with another amount
	matchElsewhere   match = "elsewhere"    // not under its key, but something may be it, such as a posted line
)

func matchOf(r runlog.EntryRecord, f adapters.LookupResult) match {
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
func (m match) describe(r runlog.EntryRecord, f adapters.LookupResult) string {
	switch m {
	case matchExact:
		return "it is there"
	case matchDuplicate:
		return fmt.Sprintf("it is there %d times", f.Count)
	case matchOtherAmount:
		return fmt.Sprintf("it is there with amount %s, but %s on record", f.Amount, r.Amount)
	case matchElsewhere:
		return "it is not there under its key, but " + f.Elsewhere
	}
	if r.OpenUntil != nil {
		return "it is not there, and can still take effect until " + localTime(r.OpenUntil.Local())
	}
	return "it is not there"
}

// recordGroup is what the record says of an entry, as far as a comparison needs it.
type recordGroup string

const (
	groupExported    recordGroup = "exported"
	groupOpen        recordGroup = "open"         // sent or unknown: only the vendor can tell
	groupNotExported recordGroup = "not exported" // planned, refused or not on record: the vendor must not have it
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

// difference is an entry on which record and vendor do not agree or, if it is
// undecided, on which the record does not say what the vendor should have.
type difference struct {
	VoucherID string                 `json:"voucherId"`
	EntryID   string                 `json:"entryId"`
	State     statement.State        `json:"state"` // on record; "" if it is not there
	Agrees    agreement              `json:"agrees"`
	Says      string                 `json:"says"`
	Found     *adapters.LookupResult `json:"found,omitempty"`
}

// vendorComparison compares the record with a vendor's books.
type vendorComparison struct {
	strict      bool // the record may have lost what was exported: the vendor must not have more
	adopts      bool // what the vendor has more is to be recorded
	counts      map[recordGroup]map[match]int
	differences []difference
	keep        int // most differences that are kept; 0 is all
	more        int // differences that were not kept
	adoptions   []runlog.Adoption
}

// add compares an entry.
func (c *vendorComparison) add(r runlog.EntryRecord, f adapters.LookupResult) {
	g, m := groupOf(r), matchOf(r, f)
	if c.counts == nil {
		c.counts = map[recordGroup]map[match]int{groupExported: {}, groupOpen: {}, groupNotExported: {}}
	}
	c.counts[g][m]++
	switch {
	case g == groupExported && (m == matchExact || m == matchElsewhere): // an exported entry is usually posted in the end
		return
	case g == groupNotExported && m == matchNone:
		return
	}
	d := difference{VoucherID: r.VoucherID, EntryID: r.EntryID, State: statement.StateOf(r.State), Agrees: disagrees, Says: m.describe(r, f)}
	if g == groupOpen && (m == matchNone || !c.strict && (m == matchExact || m == matchElsewhere)) {
		d.Agrees = undecided
	}
	if f != (adapters.LookupResult{}) {
		d.Found = &f
	}
	if c.adopts && g != groupExported && m != matchNone {
		a := runlog.Adoption{EntryRecord: r, Reference: f.Reference}
		if m == matchOtherAmount || m == matchElsewhere {
			a.Doubt = d.Says
		}
		c.adoptions = append(c.adoptions, a)
		if m == matchExact {
			return
		}
	}
	if c.keep > 0 && len(c.differences) == c.keep {
		c.more++
		return
	}
	c.differences = append(c.differences, d)
}

// checks returns a check of each group.
func (c *vendorComparison) checks() []proofCheck {
	n := c.counts[groupExported]
	evidence := evidenceOf(n, "missing")
	if n[matchElsewhere] > 0 {
		evidence += ", such as posted lines, whose amounts are not compared"
	}
	all := []proofCheck{newCheck("vendor", n[matchNone]+n[matchDuplicate]+n[matchOtherAmount] == 0, "%s", evidence)}
	if n = c.counts[groupNotExported]; len(n) > 0 {
		ok := n[matchDuplicate]+n[matchOtherAmount]+n[matchElsewhere] == 0 && (n[matchExact] == 0 || c.adopts)
		all = append(all, newCheck("not exported", ok, "planned, refused or not on record: %s", evidenceOf(n, "not there")))
	}
	if n = c.counts[groupOpen]; len(n) > 0 {
		ok := n[matchDuplicate]+n[matchOtherAmount] == 0 && (!c.strict || n[matchElsewhere] == 0 && (n[matchExact] == 0 || c.adopts))
		open := newCheck("open", ok, "sent or unknown: %s", evidenceOf(n, "not there"))
		if ok && (n[matchNone] > 0 || !c.strict) {
			open.Agrees = undecided // the record does not say what should be there
		}
		all = append(all, open)
	}
	return all
}

// evidenceOf is the count of each match.
func evidenceOf(n map[match]int, none string) string {
	total := 0
	for _, k := range n {
		total += k
	}
	s := fmt.Sprintf("%d of %d are there, %d %s, %d more than once, %d with another amount",
		n[matchExact]+n[matchDuplicate]+n[matchOtherAmount], total, n[matchNone], none, n[matchDuplicate], n[matchOtherAmount])
	if n[matchElsewhere] > 0 {
		s += fmt.Sprintf(", %d perhaps elsewhere", n[matchElsewhere])
	}
	return s
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
