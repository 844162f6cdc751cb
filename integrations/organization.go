package integrations

import (
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/internal/lazy"
	"github.com/ledgerline/ledgerline/plain"
)

// Organization is an organization and its names, if its file has any.
type Organization struct {
	ID    uuid.UUID `json:"organizationId"`
	Name  string    `json:"name,omitempty"`  // Norsk Eksempel AS
	Short string    `json:"short,omitempty"` // eksempel: unique in a database
}

// String is the short name, or the UUID of an organization without one.
func (o Organization) String() string {
	if o.Short != "" {
		return o.Short
	}
	return o.ID.String()
}

var uuidWithoutDashes = lazy.Regexp(`^[0-9a-f]{32}$`)

// IsShortName reports whether a text can be the short name of an organization: 1 to 63
// lower-case letters, digits and dashes, and no UUID.
func IsShortName(s string) bool {
	return validName().MatchString(s) && !uuidWithoutDashes().MatchString(strings.ReplaceAll(s, "-", ""))
}

// maxOrganizationName is the most characters of an organization's name.
const maxOrganizationName = 200

// organization reads whose document it is: a UUID, or a mapping with names.
func (p *parser) organization(doc *yaml.Node, m map[string]*yaml.Node) uuid.UUID {
	n := m["organization"]
	if n == nil || n.Kind != yaml.MappingNode {
		id, _ := p.uuid(doc, m, "", "organization")
		return id
	}
	const at = "organization"
	fields := p.fields(n, at, "id", "name", "short")
	var o Organization
	o.ID, _ = p.uuid(n, fields, at, "id")
	var node *yaml.Node
	if o.Name, node = p.text(n, fields, at, "name", true); node != nil {
		o.Name = plain.Trim(o.Name)
		if n := utf8.RuneCountInString(o.Name); n == 0 || n > maxOrganizationName {
			p.errorf(node, at+".name", "%d characters; want 1 to %d", n, maxOrganizationName)
		}
	}
	if o.Short, node = p.text(n, fields, at, "short", true); node != nil {
		switch {
		case !IsShortName(o.Short):
			p.errorf(node, at+".short", "%q; want 1 to 63 lower-case letters, digits and dashes, and no UUID", clip(o.Short))
		case p.shorts[o.Short] != uuid.Nil && p.shorts[o.Short] != o.ID:
			p.errorf(node, at+".short", "duplicate short name %q; organization %s has it; choose another", o.Short, p.shorts[o.Short])
		}
		p.shorts[o.Short] = o.ID
	}
	if o.ID == uuid.Nil {
		return o.ID
	}
	if before, ok := p.named[o.ID]; ok && before != o {
		p.errorf(n, at, "organization %s has other names above; write them once", o.ID)
	} else if !ok {
		p.organizations = append(p.organizations, o)
		p.named[o.ID] = o
	}
	return o.ID
}
