package integrations

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/plain"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

// Options are the switches of [Parse].
type Options struct {
	// DevHosts are "host:port" pairs that may be called over plain http, for
	// development against the sandbox.
	DevHosts []string
}

// Parse is [ParseFile] for those who need the integrations only.
func Parse(name string, src []byte, o Options) ([]Integration, error) {
	f, err := ParseFile(name, src, o)
	return f.Integrations, err
}

// File is what stands in an integration file.
type File struct {
	Integrations []Integration
	// Channels are where organizations are told of trouble. An organization
	// without an entry has no notifications section, and keeps the channels it
	// has; an empty list is none.
	Channels map[uuid.UUID][]Channel
}

// ParseFile reads integration files: YAML, one organization a document. name
// is the file's, for messages. The error joins the faults, each as
// "name:line:column: field: what is wrong; want what is right" on one line: the
// first [maxFaults], clipped, and how many more there are.
func ParseFile(name string, src []byte, o Options) (File, error) {
	name = plain.Line(name)
	if len(src) > maxFile {
		return File{}, fmt.Errorf("%s: %d bytes; want at most %d", name, len(src), maxFile)
	}
	p := &parser{name: name, options: o, ids: make(map[uuid.UUID]bool), channels: make(map[uuid.UUID][]Channel)}
	out := File{Channels: p.channels}
	docs := yaml.NewDecoder(bytes.NewReader(src))
	for n := 0; ; n++ {
		var doc yaml.Node
		err := docs.Decode(&doc)
		if errors.Is(err, io.EOF) {
			if n == 0 {
				return File{}, fmt.Errorf("%s:1:1: the file is empty; want organization and integrations", name)
			}
			break
		}
		if err != nil {
			return File{}, fmt.Errorf("%s: %s", name, plain.Line(plain.Clip(strings.TrimPrefix(err.Error(), "yaml: "), maxFault)))
		}
		out.Integrations = append(out.Integrations, p.document(doc.Content[0])...)
	}
	if p.wrong > 0 {
		return File{}, p.report()
	}
	return out, nil
}

// Of what is wrong with a file, at most this is reported: a hostile one of 1 MB
// made 57 MB of messages.
const (
	maxFaults = 50
	maxFault  = 400 // characters of one
)

// parser collects faults. It reads nodes itself, since a decoder would stop at
// the first fault and forget where it was.
type parser struct {
	name    string
	options Options
	faults  []fault // the first maxFaults
	wrong   int     // all
	ids     map[uuid.UUID]bool

	channels map[uuid.UUID][]Channel
}

type fault struct {
	line, column int
	text         string
}

func (p *parser) fault(at *yaml.Node, field, format string, args ...any) {
	if p.wrong++; p.wrong <= maxFaults {
		text := plain.Clip(field, maxFault/4) + ": " + fmt.Sprintf(format, args...)
		p.faults = append(p.faults, fault{at.Line, at.Column, plain.Line(plain.Clip(text, maxFault))})
	}
}

// report joins the faults in the order of the file.
func (p *parser) report() error {
	slices.SortStableFunc(p.faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column), strings.Compare(a.text, b.text))
	})
	all := make([]error, len(p.faults))
	for i, f := range p.faults {
		all[i] = fmt.Errorf("%s:%d:%d: %s", p.name, f.line, f.column, f.text)
	}
	if more := p.wrong - len(p.faults); more > 0 {
		all = append(all, fmt.Errorf("%s: and %d more", p.name, more))
	}
	return errors.Join(all...)
}

// fields reads a mapping whose keys must be among known, and returns its values.
func (p *parser) fields(n *yaml.Node, at string, known ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		p.fault(n, at, "%s; want a mapping with %s", kindOf(n), strings.Join(known, ", "))
		return nil
	}
	out := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := join(at, key.Value)
		switch {
		case !slices.Contains(known, key.Value):
			p.fault(key, field, "unknown field%s; known are %s", didYouMean(key.Value, known), strings.Join(known, ", "))
		case out[key.Value] != nil:
			p.fault(key, field, "stands here twice; the first is in line %d", out[key.Value].Line)
		case value.Kind == yaml.AliasNode || value.Anchor != "":
			p.fault(value, field, "anchors and aliases are not supported; write the value out")
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
			p.fault(parent, join(at, name), "missing")
		}
		return "", nil
	}
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		p.fault(n, join(at, name), "%s; want a text", kindOf(n))
		return "", nil
	}
	if err := plain.Seen(n.Value); err != nil {
		p.fault(n, join(at, name), "%v; want it without", err)
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
		p.fault(n, join(at, name), "%q is not a UUID; want the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", clip(s))
		return uuid.Nil, nil
	}
	return id, n
}

func (p *parser) document(n *yaml.Node) []Integration {
	m := p.fields(n, "", "organization", "integrations", "notifications")
	org, _ := p.uuid(n, m, "", "organization")
	if list, ok := m["notifications"]; ok {
		p.notifications(list, org)
	}
	list, ok := m["integrations"]
	if !ok {
		if m != nil {
			p.fault(n, "integrations", "missing")
		}
		return nil
	}
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		p.fault(list, "integrations", "%s; want a list with at least one integration", kindOf(list))
		return nil
	}
	names := make(map[string]bool)
	var out []Integration
	for i, item := range list.Content {
		out = append(out, p.integration(item, fmt.Sprintf("integrations[%d]", i), org, names))
	}
	return out
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (p *parser) integration(n *yaml.Node, at string, org uuid.UUID, names map[string]bool) Integration {
	m := p.fields(n, at, "id", "name", "adapter", "baseURL", "inFlight", "settings", "credentials", "retry", "schedule", "export", "limits", "health")
	in := Integration{OrganizationID: org}
	var node *yaml.Node

	if in.ID, node = p.uuid(n, m, at, "id"); node != nil {
		if p.ids[in.ID] {
			p.fault(node, at+".id", "%s stands here twice", in.ID)
		}
		p.ids[in.ID] = true
	}
	if in.Name, node = p.text(n, m, at, "name", true); node != nil {
		if !validName.MatchString(in.Name) {
			p.fault(node, at+".name", "%q; want 1 to 63 lower-case letters, digits and dashes", clip(in.Name))
		} else if names[in.Name] {
			p.fault(node, at+".name", "%q stands here twice", in.Name)
		}
		names[in.Name] = true
	}
	in.Adapter, node = p.text(n, m, at, "adapter", true)
	vendor, known := vendors.Lookup(in.Adapter)
	if node != nil && !known {
		names := vendors.Names()
		p.fault(node, at+".adapter", "%q%s; want %s", clip(in.Adapter), didYouMean(in.Adapter, names), strings.Join(names, ", "))
		return in // what follows depends on it
	}
	if in.BaseURL, node = p.text(n, m, at, "baseURL", true); node != nil {
		p.address(node, at+".baseURL", in.Adapter, vendor.Hosts, in.BaseURL)
	}
	in.InFlight = p.inFlight(n, m, at)
	in.Settings = p.settings(n, m, at, vendor)
	in.Credentials = p.credentials(n, m, at, vendor)
	in.Policy = classify.DefaultPolicy()
	if retry, ok := m["retry"]; ok {
		in.Policy = p.policy(retry, at+".retry")
	}
	if limits, ok := m["limits"]; ok {
		in.Limits = p.limits(limits, at+".limits")
	}
	if schedule, ok := m["schedule"]; ok {
		in.Schedule = p.schedule(schedule, at+".schedule")
	}
	if export, ok := m["export"]; ok {
		in.Export = p.export(export, at+".export", vendor)
	}
	if watch, ok := m["health"]; ok {
		in.Health = p.health(watch, at+".health")
	}
	return in
}

// maxInFlight is the longest time that a request is taken to be able to take
// effect after its deadline; the message below says it too.
const maxInFlight = time.Hour

// inFlight reads how long a request can take effect after its deadline.
func (p *parser) inFlight(parent *yaml.Node, m map[string]*yaml.Node, at string) *time.Duration {
	value, node := p.text(parent, m, at, "inFlight", false)
	if node == nil {
		return nil
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxInFlight {
		p.fault(node, at+".inFlight", "%q; want a duration from 0s to 1h, such as 2m", clip(value))
		return nil
	}
	return &d
}

// address checks a URL that will be called.
func (p *parser) address(n *yaml.Node, field, adapter string, hosts []string, raw string) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		// The parse error would repeat the address, which may hold a password.
		p.fault(n, field, "not a valid address; want https://host/path")
	case u.RawQuery != "" || u.ForceQuery:
		p.fault(n, field, "has a query (?…); want https://host/path")
	case u.Host != strings.ToLower(u.Host):
		p.fault(n, field, "host %q; want lower case", u.Host)
	default:
		if err := adapters.CheckURL(adapter, hosts, u, p.options.DevHosts); err != nil {
			p.fault(n, field, "%v", err)
		}
	}
}

func (p *parser) settings(parent *yaml.Node, m map[string]*yaml.Node, at string, v adapters.Vendor) map[string]string {
	n, ok := m["settings"]
	if !ok {
		n = &yaml.Node{Kind: yaml.MappingNode, Line: parent.Line, Column: parent.Column}
	}
	if len(v.Settings) == 0 {
		if len(n.Content) > 0 {
			p.fault(n, at+".settings", "adapter %s has no settings", v.Name)
		}
		return nil
	}
	var known []string
	for _, s := range v.Settings {
		known = append(known, s.Name)
	}
	out := make(map[string]string)
	fields := p.fields(n, at+".settings", known...)
	for _, s := range v.Settings {
		value, node := p.text(n, fields, at+".settings", s.Name, s.Required)
		if node == nil {
			continue
		}
		if value == "" || len(value) > 256 || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			p.fault(node, at+".settings."+s.Name, "want a text of 1 to 256 characters without blanks")
		} else if err := s.Check(value); err != nil {
			p.fault(node, at+".settings."+s.Name, "%q; want %v", clip(value), err)
		}
		if s.Hosts != nil {
			p.address(node, at+".settings."+s.Name, "entra", s.Hosts, value)
		}
		out[s.Name] = value
	}
	return out
}

func (p *parser) credentials(parent *yaml.Node, m map[string]*yaml.Node, at string, v adapters.Vendor) map[string]Ref {
	n, ok := m["credentials"]
	if !ok {
		if m != nil {
			p.fault(parent, at+".credentials", "missing; want %s: env:NAME or file:NAME", strings.Join(v.Credentials, ", "))
		}
		return nil
	}
	out := make(map[string]Ref)
	fields := p.fields(n, at+".credentials", v.Credentials...)
	for _, name := range v.Credentials {
		value, node := p.text(n, fields, at+".credentials", name, true)
		if node == nil {
			continue
		}
		if err := Ref(value).Validate(); err != nil {
			p.fault(node, at+".credentials."+name, "%v", err)
		}
		out[name] = Ref(value)
	}
	return out
}

// policy reads the overrides of the default policy.
func (p *parser) policy(n *yaml.Node, at string) classify.Policy {
	policy := classify.DefaultPolicy()
	m := p.fields(n, at, "baseDelay", "coefficient", "maxRetries", "jitter", "attemptTimeout", "budget")
	before := p.wrong
	for name, into := range map[string]*time.Duration{"baseDelay": &policy.BaseDelay, "attemptTimeout": &policy.AttemptTimeout, "budget": &policy.Budget} {
		if value, node := p.text(n, m, at, name, false); node != nil {
			d, err := time.ParseDuration(value)
			if err != nil {
				p.fault(node, at+"."+name, "%q is not a duration; want a number with a unit, such as 1s or 500ms", clip(value))
			}
			*into = d
		}
	}
	for name, into := range map[string]any{"coefficient": &policy.Coefficient, "jitter": &policy.Jitter, "maxRetries": &policy.MaxRetries} {
		if node, ok := m[name]; ok {
			if err := node.Decode(into); err != nil {
				p.fault(node, at+"."+name, "%q is not a number", clip(node.Value))
			}
		}
	}
	if p.wrong > before {
		return policy
	}
	if err := policy.Validate(); err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			field, rest, _ := strings.Cut(line, ": ")
			at, node := at+"."+field, n
			if own, ok := m[field]; ok {
				node = own
			}
			p.fault(node, at, "%s", rest)
		}
	}
	return policy
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
