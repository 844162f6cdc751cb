package activities

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/redact"
)

// The input of a workflow is written by whoever reaches Temporal, who need not be
// an operator. So each workflow checks its own input before it does anything, and
// [Activities.Call] checks it once more: what is not valid is refused, as a result,
// and nothing is sent. What an input may name is looked up in its organization's
// own rows; what the integration has stored beats what the input says of it.

// Longest texts of an input, in bytes. Temporal takes summaries of up to 400.
const (
	maxSummary = 390
	maxActor   = 500
)

// OtherAdapter is what metrics, logs and outcomes call an adapter that there is not.
const OtherAdapter = "other"

// AdapterLabel is an adapter's name if there is one, and else [OtherAdapter], so
// that an input cannot make a metric's labels.
func AdapterLabel(name string) string {
	if _, ok := vendors.Lookup(name); !ok {
		return OtherAdapter
	}
	return name
}

// CheckLine says why a text of an input is not one line of at most so many bytes,
// or nil.
func CheckLine(name, s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("%s: %d bytes; want at most %d", name, len(s), most)
	}
	if err := plain.Seen(s); err != nil {
		return fmt.Errorf("%s: %w; want one line of text", name, err)
	}
	return nil
}

// CheckTarget says why an input does not name an integration, or nil.
func CheckTarget(organization, integration uuid.UUID) error {
	if organization == uuid.Nil || integration == uuid.Nil {
		return fmt.Errorf("organizationId and integrationId: want UUIDs")
	}
	return nil
}

// checkPurpose: a purpose that the table of counts does not know would keep the
// counts of all integrations out.
func checkPurpose(p limits.Purpose) error {
	if p == "" || slices.Contains(limits.Purposes(), p) {
		return nil
	}
	return fmt.Errorf("purpose: %q; want one of %v", redact.Text(string(p)), limits.Purposes())
}
