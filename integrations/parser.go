package integrations

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/plain"
)

// Of what is wrong with a file, at most this is reported: a hostile one of 1 MB
// made 57 MB of messages.
const (
	maxErrors   = 50
	maxErrorLen = 400 // characters of one
)

// parser collects errors. It reads nodes itself, since a decoder would stop at
// the first one and forget where it was.
type parser struct {
	name    string
	options Options
	errs    []fileError // the first maxErrors
	wrong   int         // all
	ids     map[uuid.UUID]bool

	channels map[uuid.UUID][]Channel

	organizations []Organization // that have names
	named         map[uuid.UUID]Organization
	shorts        map[string]uuid.UUID
}

type fileError struct {
	line, column int
	text         string
}

func (p *parser) errorf(at *yaml.Node, field, format string, args ...any) {
	if p.wrong++; p.wrong <= maxErrors {
		text := plain.Clip(field, maxErrorLen/4) + ": " + fmt.Sprintf(format, args...)
		p.errs = append(p.errs, fileError{at.Line, at.Column, plain.Line(plain.Clip(text, maxErrorLen))})
	}
}

// report joins the errors in the order of the file.
func (p *parser) report() error {
	slices.SortStableFunc(p.errs, func(a, b fileError) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column), strings.Compare(a.text, b.text))
	})
	all := make([]error, len(p.errs))
	for i, f := range p.errs {
		all[i] = fmt.Errorf("%s:%d:%d: %s", p.name, f.line, f.column, f.text)
	}
	if more := p.wrong - len(p.errs); more > 0 {
		all = append(all, fmt.Errorf("%s: and %d more", p.name, more))
	}
	return errors.Join(all...)
}

// fields reads a mapping whose keys must be among known, and returns its values.
func (p *parser) fields(n *yaml.Node, at string, known ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		p.errorf(n, at, "%s; want a mapping with %s", kindOf(n), strings.Join(known, ", "))
		return nil
	}
	out := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := join(at, key.Value)
		switch {
		case !slices.Contains(known, key.Value):
			p.errorf(key, field, "unknown field%s; known are %s", didYouMean(key.Value, known), strings.Join(known, ", "))
		case out[key.Value] != nil:
			p.errorf(key, field, "duplicate field (first on line %d); write it once", out[key.Value].Line)
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			p.errorf(value, field, "anchors and aliases are not supported; write the value out")
		default:
			out[key.Value] = value
		}
	}
	return out
}

// text reads a scalar, in which everything shows. It reports one that is missing
// if required.
func (p *parser) text(parent *yaml.Node, m map[string]*yaml.Node, at, name string, required bool) (string, *yaml.Node) {
	n, ok := m[name]
	if !ok {
		if required && m != nil {
			p.errorf(parent, join(at, name), "missing; add it")
		}
		return "", nil
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.errorf(n, join(at, name), "%s; want a text", kindOf(n))
		return "", nil
	}
	if err := plain.Seen(n.Value); err != nil {
		p.errorf(n, join(at, name), "%v; want it without", err)
		return "", nil
	}
	return n.Value, n
}

func (p *parser) uuid(parent *yaml.Node, m map[string]*yaml.Node, at, name string) (uuid.UUID, *yaml.Node) {
	s, n := p.text(parent, m, at, name, true)
	if n == nil {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(s)
	if err != nil || len(s) != 36 || id == uuid.Nil {
		p.errorf(n, join(at, name), "%q is not a UUID; want the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", clip(s))
		return uuid.Nil, nil
	}
	return id, n
}

func (p *parser) document(n *yaml.Node) []Integration {
	m := p.fields(n, "", "organization", "integrations", "notifications")
	org := p.organization(n, m)
	if list, ok := m["notifications"]; ok {
		p.notifications(list, org)
	}
	list, ok := m["integrations"]
	if !ok {
		if m != nil {
			p.errorf(n, "integrations", "missing; want a list with at least one integration")
		}
		return nil
	}
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		p.errorf(list, "integrations", "%s; want a list with at least one integration", kindOf(list))
		return nil
	}
	names := make(map[string]bool)
	var out []Integration
	for i, item := range list.Content {
		out = append(out, p.integration(item, fmt.Sprintf("integrations[%d]", i), org, names))
	}
	return out
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		return "an empty list"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	}
	return "a single value"
}

// clip keeps a wrong value short in a message.
func clip(s string) string {
	return plain.Clip(s, 40)
}

// didYouMean names a known word that differs by case or by at most two letters.
func didYouMean(word string, known []string) string {
	for _, k := range known {
		if strings.EqualFold(word, k) || distance(strings.ToLower(word), strings.ToLower(k)) <= 2 {
			return fmt.Sprintf(" (did you mean %s?)", k)
		}
	}
	return ""
}

// distance is the number of letters to insert, drop or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
