package proof

import (
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// Match is what the vendor is found to have of an entry.
type Match string

// The matches.
const (
	NotThere    Match = "none"
	Exact       Match = "exact"        // once, with the same amount if the vendor gives it
	Duplicate   Match = "duplicate"    // twice or more often
	OtherAmount Match = "other_amount" // once, with another amount
	Elsewhere   Match = "elsewhere"    // not under its key, but something may be it, such as a posted line
)

func matchOf(r runlog.EntryRecord, f adapters.LookupResult) Match {
	switch {
	case f.Count > 1:
		return Duplicate
	case f.Count == 1 && f.Amount != "" && !adapters.SameAmount(r.Amount, f.Amount):
		return OtherAmount
	case f.Count == 1:
		return Exact
	case f.Elsewhere != "":
		return Elsewhere
	}
	return NotThere
}

// describe is what was found, for people.
func (c *comparison) describe(m Match, r runlog.EntryRecord, f adapters.LookupResult) string {
	switch m {
	case Exact:
		return "it is there"
	case Duplicate:
		return fmt.Sprintf("it is there %d times", f.Count)
	case OtherAmount:
		return fmt.Sprintf("it is there with amount %s, but %s on record", f.Amount, r.Amount)
	case Elsewhere:
		return "it is not there under its key, but " + f.Elsewhere
	}
	if r.OpenUntil != nil {
		return "it is not there, and can still take effect until " + r.OpenUntil.In(c.zone).Format("Mon 2006-01-02 15:04:05 MST")
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

// Difference is an entry on which record and vendor do not agree or, if it is
// undecided, on which the record does not say what the vendor should have.
type Difference struct {
	VoucherID string                 `json:"voucherId"`
	EntryID   string                 `json:"entryId"`
	State     statement.State        `json:"state"` // on record; "" if it is not there
	Agrees    Agreement              `json:"agrees"`
	Says      string                 `json:"says"`
	Found     *adapters.LookupResult `json:"found,omitempty"`

	// What Says is made of, for those who say it otherwise.
	Match     Match      `json:"-"`
	Amount    string     `json:"-"` // on record, or in the source; decimal
	Currency  string     `json:"-"`
	OpenUntil *time.Time `json:"-"` // until then it can take effect; nil if it cannot
}

// comparison compares the record with a vendor's books.
type comparison struct {
	strict      bool // the record may have lost what was exported: the vendor must not have more
	adopts      bool // what the vendor has more is to be recorded
	counts      map[recordGroup]map[Match]int
	differences []Difference
	zone        *time.Location
	keep        int // most differences that are kept; 0 is all
	more        int // differences that were not kept
	adoptions   []runlog.Adoption
}

// add compares an entry.
func (c *comparison) add(r runlog.EntryRecord, f adapters.LookupResult) {
	g, m := groupOf(r), matchOf(r, f)
	if c.counts == nil {
		c.counts = map[recordGroup]map[Match]int{groupExported: {}, groupOpen: {}, groupNotExported: {}}
	}
	c.counts[g][m]++
	switch {
	case g == groupExported && (m == Exact || m == Elsewhere): // an exported entry is usually posted in the end
		return
	case g == groupNotExported && m == NotThere:
		return
	}
	d := Difference{VoucherID: r.VoucherID, EntryID: r.EntryID, State: statement.StateOf(r.State), Agrees: Disagrees, Says: c.describe(m, r, f),
		Match: m, Amount: r.Amount, Currency: r.Currency, OpenUntil: r.OpenUntil}
	if g == groupOpen && (m == NotThere || !c.strict && (m == Exact || m == Elsewhere)) {
		d.Agrees = Undecided
	}
	if f != (adapters.LookupResult{}) {
		d.Found = &f
	}
	if c.adopts && g != groupExported && m != NotThere {
		a := runlog.Adoption{EntryRecord: r, Reference: f.Reference}
		if m == OtherAmount || m == Elsewhere {
			a.Doubt = d.Says
		}
		c.adoptions = append(c.adoptions, a)
		if m == Exact {
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
func (c *comparison) checks() []Check {
	n := c.counts[groupExported]
	evidence := evidenceOf(n, "missing")
	if n[Elsewhere] > 0 {
		evidence += ", such as posted lines, whose amounts are not compared"
	}
	check := func(kind Kind, ok bool, evidence string) Check {
		made := newCheck(kind, ok, "%s", evidence)
		made.Found = n
		return made
	}
	all := []Check{check(AtVendor, n[NotThere]+n[Duplicate]+n[OtherAmount] == 0, evidence)}
	if n = c.counts[groupNotExported]; len(n) > 0 {
		ok := n[Duplicate]+n[OtherAmount]+n[Elsewhere] == 0 && (n[Exact] == 0 || c.adopts)
		all = append(all, check(NotExported, ok, "planned, refused or not on record: "+evidenceOf(n, "not there")))
	}
	if n = c.counts[groupOpen]; len(n) > 0 {
		ok := n[Duplicate]+n[OtherAmount] == 0 && (!c.strict || n[Elsewhere] == 0 && (n[Exact] == 0 || c.adopts))
		open := check(OpenOutcome, ok, "sent or unknown: "+evidenceOf(n, "not there"))
		if ok && (n[NotThere] > 0 || !c.strict) {
			open.Agrees = Undecided // the record does not say what should be there
		}
		all = append(all, open)
	}
	return all
}

// evidenceOf is the count of each match.
func evidenceOf(n map[Match]int, none string) string {
	total := 0
	for _, k := range n {
		total += k
	}
	s := fmt.Sprintf("%d of %d are there, %d %s, %d more than once, %d with another amount",
		n[Exact]+n[Duplicate]+n[OtherAmount], total, n[NotThere], none, n[Duplicate], n[OtherAmount])
	if n[Elsewhere] > 0 {
		s += fmt.Sprintf(", %d perhaps elsewhere", n[Elsewhere])
	}
	return s
}
