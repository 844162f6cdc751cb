package signin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
)

// Access is who may do what, as the access file says:
//
//	groups:
//	  - group: 6c1f2f7e-8d0f-4b1e-9a55-2f6a3f1f0b11
//	    role: finance
//	    organizations: [eksempel, 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10]
//
// A group may stand there several times, and whoever is in several groups has the highest role of
// each organization. There is no group of everybody and no list of all organizations.
type Access struct {
	Groups []Grant
	name   string // of the file
}

// Grant is a role of a group in some organizations.
type Grant struct {
	Group         string // as the issuer names it: an object ID, or the value of an app role
	Role          Role
	Organizations []string // short names or UUIDs
	at            []place  // of the organizations
}

type place struct{ line, column int }

// Bounds of an access file.
const (
	maxFile   = 1 << 20
	maxErrors = 50
	maxGroup  = 200
)

// ReadAccess reads an access file.
func ReadAccess(path string) (Access, error) {
	f, err := os.Open(path)
	if err != nil {
		return Access{}, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Access{}, err
	}
	return ParseAccess(path, src)
}

// ParseAccess reads an access file. name is the file's, for messages. The error joins all errors, each as
// "name:line:column: field: what is wrong; want what is right".
func ParseAccess(name string, src []byte) (Access, error) {
	name = plain.Line(name)
	if len(src) > maxFile {
		return Access{}, fmt.Errorf("%s: more than %d bytes; want fewer groups", name, maxFile)
	}
	docs := yaml.NewDecoder(bytes.NewReader(src))
	var doc, more yaml.Node
	switch err := docs.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return Access{}, fmt.Errorf("%s:1:1: the file is empty; want groups", name)
	case err != nil:
		return Access{}, fmt.Errorf("%s: this is not YAML: %s", name, short(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	p := &reader{name: name}
	if err := docs.Decode(&more); !errors.Is(err, io.EOF) {
		p.errorf(&doc, "", "there is more after the first document; want one")
	}
	a := Access{name: name, Groups: p.groups(doc.Content[0])}
	if err := p.report(); err != nil {
		return Access{}, err
	}
	return a, nil
}

// reader collects errors.
type reader struct {
	name string
	errs []wrong
	all  int
}

type wrong struct {
	place
	text string
}

func (p *reader) errorf(at *yaml.Node, field, format string, args ...any) {
	if p.all++; p.all > maxErrors {
		return
	}
	text := fmt.Sprintf(format, args...)
	if field != "" {
		text = field + ": " + text
	}
	p.errs = append(p.errs, wrong{place{at.Line, at.Column}, plain.Line(plain.Clip(text, 400))})
}

func (p *reader) report() error {
	slices.SortStableFunc(p.errs, func(a, b wrong) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column)) })
	errs := make([]error, 0, len(p.errs)+1)
	for _, e := range p.errs {
		errs = append(errs, fmt.Errorf("%s:%d:%d: %s", p.name, e.line, e.column, e.text))
	}
	if more := p.all - len(p.errs); more > 0 {
		errs = append(errs, fmt.Errorf("%s: and %d more", p.name, more))
	}
	return errors.Join(errs...)
}

// groups reads the document.
func (p *reader) groups(doc *yaml.Node) (out []Grant) {
	list := p.fields(doc, "", "groups")["groups"]
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		if list == nil {
			list = doc
		}
		p.errorf(list, "groups", "want a list with at least one group")
		return nil
	}
	seen := make(map[string]int)
	for i, n := range list.Content {
		at := fmt.Sprintf("groups[%d]", i)
		m := p.fields(n, at, "group", "role", "organizations")
		if m == nil {
			continue
		}
		g := Grant{Group: groupKey(p.text(n, m["group"], at+".group")), Role: Role(p.text(n, m["role"], at+".role"))}
		if len(g.Group) > maxGroup {
			p.errorf(m["group"], at+".group", "%d bytes; want at most %d", len(g.Group), maxGroup)
		}
		if g.Role != "" && !slices.Contains(Roles, g.Role) {
			p.errorf(m["role"], at+".role", "%q is not a role; want viewer, finance or administrator", plain.Clip(string(g.Role), 40))
		}
		p.organizations(n, m["organizations"], at+".organizations", &g)
		for _, o := range g.Organizations {
			key := g.Group + "\x00" + strings.ToLower(o)
			if line := seen[key]; line > 0 && g.Group != "" {
				p.errorf(n, at, "group %q has a role in %s already (line %d); write it once", plain.Clip(g.Group, 40), o, line)
			}
			seen[key] = n.Line
		}
		out = append(out, g)
	}
	return out
}

// organizations reads the organizations of a group.
func (p *reader) organizations(parent, list *yaml.Node, field string, g *Grant) {
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		if list == nil {
			list = parent
		}
		p.errorf(list, field, "want a list with at least one short name or UUID of an organization")
		return
	}
	for i, n := range list.Content {
		at := fmt.Sprintf("%s[%d]", field, i)
		which := p.text(list, n, at)
		if which == "" {
			continue
		}
		if id, err := uuid.Parse(which); (err != nil || len(which) != 36 || id == uuid.Nil) && !integrations.IsShortName(which) {
			p.errorf(n, at, "%q is neither a short name nor a UUID; name each organization", plain.Clip(which, 40))
			continue
		}
		g.Organizations = append(g.Organizations, which)
		g.at = append(g.at, place{n.Line, n.Column})
	}
}

// fields reads a mapping whose keys must be among known.
func (p *reader) fields(n *yaml.Node, at string, known ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		p.errorf(n, at, "want a mapping with %s", strings.Join(known, ", "))
		return nil
	}
	out := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := strings.TrimPrefix(at+"."+plain.Clip(key.Value, 40), ".")
		switch {
		case !slices.Contains(known, key.Value):
			p.errorf(key, field, "unknown field; known are %s", strings.Join(known, ", "))
		case out[key.Value] != nil:
			p.errorf(key, field, "duplicate field (first on line %d); write it once", out[key.Value].Line)
		default:
			out[key.Value] = value
		}
	}
	return out
}

// text reads a text in which everything shows.
func (p *reader) text(parent, n *yaml.Node, field string) string {
	switch {
	case n == nil:
		p.errorf(parent, field, "missing; add it")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		p.errorf(n, field, "anchors and aliases are not supported; write the value out")
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "":
		p.errorf(n, field, "want a text")
	case plain.Seen(n.Value) != nil:
		p.errorf(n, field, "%v; want it without", plain.Seen(n.Value))
	case strings.TrimSpace(n.Value) != n.Value:
		p.errorf(n, field, "blanks at its beginning or end; want it without")
	default:
		return n.Value
	}
	return ""
}

// groupKey is how groups are compared: object IDs without regard to case, names exactly.
func groupKey(group string) string {
	if id, err := uuid.Parse(group); err == nil && len(group) == 36 {
		return id.String()
	}
	return group
}

// resolve finds the organizations, and returns what each group may do.
func (a Access) resolve(ctx context.Context, find func(context.Context, string) (uuid.UUID, error)) (map[string]map[uuid.UUID]Role, error) {
	grants := make(map[string]map[uuid.UUID]Role)
	found := make(map[string]uuid.UUID)
	var errs []error
	for _, g := range a.Groups {
		if !g.Role.Allows(Viewer) {
			errs = append(errs, fmt.Errorf("group %q: %q is not a role", short(g.Group), short(string(g.Role))))
			continue
		}
		key := groupKey(g.Group)
		if grants[key] == nil {
			grants[key] = make(map[uuid.UUID]Role)
		}
		for i, which := range g.Organizations {
			id, ok := found[which]
			if !ok {
				var err error
				if id, err = find(ctx, which); err != nil {
					at := a.name
					if i < len(g.at) {
						at = fmt.Sprintf("%s:%d:%d", a.name, g.at[i].line, g.at[i].column)
					}
					errs = append(errs, fmt.Errorf("%s: organization %s: %w", at, which, err))
					continue
				}
				found[which] = id
			}
			grants[key][id] = higher(grants[key][id], g.Role)
		}
	}
	return grants, errors.Join(errs...)
}

// roles are what groups may do together.
func (s *SignIn) roles(groups []string) map[uuid.UUID]Role {
	roles := make(map[uuid.UUID]Role)
	for _, g := range groups {
		for organization, role := range s.grants[groupKey(g)] {
			roles[organization] = higher(roles[organization], role)
		}
	}
	return roles
}
