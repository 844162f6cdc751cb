package adapters

import (
	"context"

	"github.com/ledgerline/ledgerline/classify"
)

// CheckState says what is known of something that Ledgerline assumes of a vendor.
type CheckState string

// The states.
const (
	Checked CheckState = "checked" // the vendor says that it is so
	Differs CheckState = "differs" // the vendor says that it is not so: exports would be refused
	Assumed CheckState = "assumed" // the vendor does not say
)

// Check is one thing that an export needs of a vendor.
type Check struct {
	What   string     `json:"what"` // such as "mutation addGLImportItems"
	State  CheckState `json:"state"`
	Found  string     `json:"found,omitempty"`  // what the vendor says, or why it could not be asked
	Remedy string     `json:"remedy,omitempty"` // what to do about it; "" if nothing
}

// Contract is what a vendor says of what exports need of it.
type Contract struct {
	Checks []Check `json:"checks"`
	// Learned is what exports have to go by, such as whether an amount is a number or
	// a text, by names of the adapter's own. It is kept with the integration.
	Learned map[string]string `json:"learned,omitempty"`
	// Refusal is the first answer that a check differs by; zero if none does, or only by
	// what the vendor says when it answers. Health observes it, and nothing keeps it.
	Refusal classify.Verdict `json:"-" db:"-"`
}

// Add appends a check.
func (c *Contract) Add(what string, state CheckState, found, remedy string) {
	c.Checks = append(c.Checks, Check{what, state, found, remedy})
}

// Refuse appends a check that differs because the vendor gave v for an answer.
func (c *Contract) Refuse(v classify.Verdict, what, found, remedy string) {
	c.Add(what, Differs, found, remedy)
	if c.Refusal.Class == "" {
		c.Refusal = v
	}
}

// Differing returns the checks that differ.
func (c Contract) Differing() (list []Check) {
	for _, check := range c.Checks {
		if check.State == Differs {
			list = append(list, check)
		}
	}
	return list
}

// Requirements is what an integration's exports need besides its settings.
type Requirements struct {
	Dimensions []string // the vendor's fields to which entries' dimensions go, sorted
}

// Verifier is an [Adapter] that checks live what its exports assume of the
// vendor.
type Verifier interface {
	Adapter

	// Verify asks the vendor with requests that change nothing. What the vendor does
	// not show is [Assumed] and no error. A refused token or right is a check that
	// [Differs], added by [Contract.Refuse]. The verdict is a success unless the vendor could not be asked, and a
	// later try may be able to. Without the settings that exports need, only the
	// token is checked.
	Verify(ctx context.Context, c *Conn, w Requirements) (Contract, classify.Verdict)
}
