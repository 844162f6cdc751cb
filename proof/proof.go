// Package proof compares what is on record of exports with what can be found out otherwise:
// with the entries, counted and hashed again, with the result of the workflow, and with the
// vendor's own books.
//
// The one idea is that a record that is only compared with itself proves nothing. So the
// vendor is asked for every entry, by the key under which it was sent: an exported one must
// be there once, with its amount; one that is planned or refused must not be there; of one
// whose outcome is open it is said what was found. Each look-up also asks for entries that
// are known to be there, the control: one that does not show them proves nothing either.
//
//	Prover.Chain     proves exports that are on record
//	Prover.Period    proves a period from its source, for a database that has lost exports,
//	                 and takes what the vendor has into the record if it is asked to
//
// A look-up is a call like any other: made by a worker, within the limits of the integration,
// and on record with who asked for it. It changes nothing at the vendor. The package prints
// nothing and keeps nothing between two proofs; who shows one, and in which words, is for its
// callers.
package proof

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/statement"
)

// Proof is the result of a proof.
type Proof struct {
	ExportID      *uuid.UUID        `json:"exportId,omitempty"` // the first one of those that were proved
	IntegrationID uuid.UUID         `json:"integrationId"`
	Period        string            `json:"period"`
	Ended         *bool             `json:"ended,omitempty"`   // all of these exports have
	Agrees        *bool             `json:"agrees"`            // nil: that can only be said after the end
	Summary       string            `json:"summary,omitempty"` // if it agrees: what the vendor has, and what it does not have
	Findings      []Check           `json:"findings"`
	Differences   []Difference      `json:"differences"`
	More          int               `json:"moreDifferences,omitempty"` // that are not listed, see [Prover.Keep]
	Export        *statement.Export `json:"export,omitempty"`          // that has what was adopted

	Pending *exports.Export `json:"-"` // the last of these exports that has not ended; nil if all have
}

// Disagrees reports whether something does not agree.
func (p Proof) Disagrees() bool { return p.Agrees != nil && !*p.Agrees }

// conclude says what the checks and the differences come to.
func (p *Proof) conclude(checks []Check, differences []Difference, more int) {
	ok := true
	for _, c := range checks {
		ok = ok && c.Agrees != Disagrees
	}
	if !ok {
		p.Summary = ""
	}
	if ended := p.Ended == nil || *p.Ended; ended || !ok {
		p.Agrees = &ok // else that is not known yet
	}
	p.Findings, p.Differences, p.More = append([]Check{}, checks...), append([]Difference{}, differences...), more
}

// Check is one check of a proof. What names it, with its export if several were proved.
type Check struct {
	What     string    `json:"what"`
	Agrees   Agreement `json:"agrees"`
	Evidence string    `json:"evidence"`

	Kind     Kind          `json:"-"` // what was checked, whichever export it is of
	ExportID *uuid.UUID    `json:"-"` // of which export; nil of a period that is proved from its source
	Found    map[Match]int `json:"-"` // of [AtVendor], [NotExported] and [OpenOutcome]: how many entries were found how
}

// Kind is what is checked.
type Kind string

// The kinds, in the order in which a proof has them.
const (
	HasEnded        Kind = "the export has ended"
	AddUp           Kind = "entries add up"
	ExportedEntries Kind = "exported entries" // audit row and entry table
	Amounts         Kind = "amounts"          // the same
	SHA256          Kind = "SHA-256"          // the same
	WorkflowResult  Kind = "workflow"         // audit row and the workflow's result
	RunLogs         Kind = "run logs"
	Control         Kind = "control"      // whether the look-ups show what is known to be there
	AtVendor        Kind = "vendor"       // entries that are exported
	NotExported     Kind = "not exported" // entries that the vendor must not have
	OpenOutcome     Kind = "open"         // entries of which only the vendor can tell
	Asking          Kind = "asking"       // why the vendor could not be asked for all of them
	Adopted         Kind = "adopted"      // what was taken into the record
)

// Agreement is the result of a check, as a table has it. In JSON it is true, false or null.
type Agreement string

// The results of a check.
const (
	Agrees    Agreement = "yes"
	Disagrees Agreement = "NO"
	Undecided Agreement = "-" // there was nothing to compare with
)

func agreementOf(ok bool) Agreement {
	if ok {
		return Agrees
	}
	return Disagrees
}

// MarshalJSON writes true, false or null.
func (a Agreement) MarshalJSON() ([]byte, error) {
	switch a {
	case Agrees, Disagrees:
		return json.Marshal(a == Agrees)
	}
	return []byte("null"), nil
}

// newCheck is a check that was made.
func newCheck(kind Kind, ok bool, format string, args ...any) Check {
	return Check{What: string(kind), Kind: kind, Agrees: agreementOf(ok), Evidence: fmt.Sprintf(format, args...)}
}

// undecided is a check that could not be made, or proves nothing yet.
func undecided(kind Kind, format string, args ...any) Check {
	c := newCheck(kind, true, format, args...)
	c.Agrees = Undecided
	return c
}

// vendorAgrees reports whether the vendor was asked for everything, and has it.
func vendorAgrees(checks []Check) bool {
	asked := false
	for _, c := range checks {
		if c.Kind == AtVendor {
			if asked = true; c.Agrees != Agrees {
				return false
			}
		}
	}
	return asked
}

// count is a number of things: "1 entry", "2 look-ups".
func count(n int, thing string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(thing, "y"); ok {
			thing = stem + "ie"
		}
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
