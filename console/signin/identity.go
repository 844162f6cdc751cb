package signin

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/plain"
)

// Identity is who makes a request.
type Identity struct {
	Subject string // at the issuer; it never becomes another person's
	Name    string
	Email   string             // an address or a user name, as the issuer has it; nothing is decided by it
	Roles   map[uuid.UUID]Role // by organization
}

// Role is the identity's role in an organization, and whether it has one.
func (i Identity) Role(organization uuid.UUID) (Role, bool) {
	r, ok := i.Roles[organization]
	return r, ok && r.Allows(Viewer)
}

// Organizations are those in which the identity has a role, in the order of their IDs.
func (i Identity) Organizations() []uuid.UUID {
	return slices.SortedFunc(maps.Keys(i.Roles), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
}

// Actor is how records name the identity: Kari Nordmann <kari@example.com>. The subject
// stands in for what is missing.
func (i Identity) Actor() string {
	name := strings.NewReplacer("<", "", ">", "").Replace(i.Name)
	mark := i.Email
	if mark == "" || mark == i.Name {
		mark = i.Subject
	}
	switch {
	case name == "" || name == mark:
		return mark
	case mark == "":
		return name
	}
	return name + " <" + mark + ">"
}

// shown is a text of the issuer's as it is kept: on one line, without what does not show.
func shown(s string) string {
	return plain.Clip(plain.Line(plain.Clip(plain.Trim(s), maxText)), maxText)
}

// Of what the issuer says of somebody, at most this many characters are kept.
const (
	maxText    = 200
	maxSubject = 255 // as OpenID Connect has it
)
