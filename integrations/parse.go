package integrations

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/lazy"
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
	Integrations  []Integration
	Organizations []Organization // those for which the file has names
	// Channels are where organizations are notified of trouble. An organization
	// without an entry has no notifications section, and keeps the channels it
	// has; an empty list is none.
	Channels map[uuid.UUID][]Channel
}

// ParseFile reads integration files: YAML, one organization a document. name
// is the file's, for messages. The error joins all of them, each as
// "name:line:column: field: what is wrong; want what is right" on one line: the
// first [maxErrors], clipped, and how many more there are.
func ParseFile(name string, src []byte, o Options) (File, error) {
	name = plain.Line(name)
	if len(src) > maxFile {
		return File{}, fmt.Errorf("%s: %d bytes; want at most %d", name, len(src), maxFile)
	}
	p := &parser{name: name, options: o, ids: make(map[uuid.UUID]bool), channels: make(map[uuid.UUID][]Channel),
		named: make(map[uuid.UUID]Organization), shorts: make(map[string]uuid.UUID)}
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
			return File{}, syntaxError(name, src, err)
		}
		out.Integrations = append(out.Integrations, p.document(doc.Content[0])...)
	}
	if p.wrong > 0 {
		return File{}, p.report()
	}
	out.Organizations = p.organizations
	return out, nil
}

var validName = lazy.Regexp(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (p *parser) integration(n *yaml.Node, at string, org uuid.UUID, names map[string]bool) Integration {
	m := p.fields(n, at, "id", "name", "adapter", "baseURL", "inFlight", "settings", "credentials", "retry", "schedule", "export", "limits", "health")
	in := Integration{OrganizationID: org}
	var node *yaml.Node

	if in.ID, node = p.uuid(n, m, at, "id"); node != nil {
		if p.ids[in.ID] {
			p.errorf(node, at+".id", "duplicate ID %s; make a new UUID for one of the two", in.ID)
		}
		p.ids[in.ID] = true
	}
	if in.Name, node = p.text(n, m, at, "name", true); node != nil {
		if !validName().MatchString(in.Name) {
			p.errorf(node, at+".name", "%q; want 1 to 63 lower-case letters, digits and dashes", clip(in.Name))
		} else if names[in.Name] {
			p.errorf(node, at+".name", "duplicate name %q; give one of the two another", in.Name)
		}
		names[in.Name] = true
	}
	in.Adapter, node = p.text(n, m, at, "adapter", true)
	vendor, known := vendors.Lookup(in.Adapter)
	if node != nil && !known {
		names := vendors.Names()
		p.errorf(node, at+".adapter", "%q%s; want %s", clip(in.Adapter), didYouMean(in.Adapter, names), strings.Join(names, ", "))
		return in // what follows depends on it
	}
	if in.BaseURL, node = p.text(n, m, at, "baseURL", true); node != nil {
		p.address(node, at+".baseURL", in.Adapter, vendor.Hosts, in.BaseURL)
		p.path(node, at+".baseURL", vendor, in.BaseURL)
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
		p.errorf(node, at+".inFlight", "%q; want a duration from 0s to 1h, such as 2m", clip(value))
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
		p.errorf(n, field, "not a valid address; want https://host/path")
	case u.RawQuery != "" || u.ForceQuery:
		p.errorf(n, field, "has a query (?…); want https://host/path")
	case u.Host != strings.ToLower(u.Host):
		p.errorf(n, field, "host %q; want lower case", u.Host)
	default:
		if err := adapters.CheckURL(adapter, hosts, u, p.options.DevHosts); err != nil {
			p.errorf(n, field, "%v", err)
		}
	}
}

// path checks that requests are made below the path that a vendor has; a development host
// may have any.
func (p *parser) path(n *yaml.Node, field string, v adapters.Vendor, raw string) {
	u, err := url.Parse(raw)
	if err != nil || slices.Contains(p.options.DevHosts, u.Host) {
		return
	}
	if err := v.CheckPath(u); err != nil {
		p.errorf(n, field, "%v", err)
	}
}

func (p *parser) settings(parent *yaml.Node, m map[string]*yaml.Node, at string, v adapters.Vendor) map[string]string {
	n, ok := m["settings"]
	if !ok {
		n = &yaml.Node{Kind: yaml.MappingNode, Line: parent.Line, Column: parent.Column}
	}
	if len(v.Settings) == 0 {
		if len(n.Content) > 0 {
			p.errorf(n, at+".settings", "adapter %s has no settings; delete them", v.Name)
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
			p.errorf(node, at+".settings."+s.Name, "want a text of 1 to 256 characters without blanks")
		} else if err := s.Check(value); err != nil {
			p.errorf(node, at+".settings."+s.Name, "%q; want %v", clip(value), err)
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
			p.errorf(parent, at+".credentials", "missing; want %s: env:NAME or file:NAME", strings.Join(v.Credentials, ", "))
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
			p.errorf(node, at+".credentials."+name, "%v", err)
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
				p.errorf(node, at+"."+name, "%q is not a duration; want a number with a unit, such as 1s or 500ms", clip(value))
			}
			*into = d
		}
	}
	for name, into := range map[string]any{"coefficient": &policy.Coefficient, "jitter": &policy.Jitter, "maxRetries": &policy.MaxRetries} {
		if node, ok := m[name]; ok {
			if err := node.Decode(into); err != nil {
				p.errorf(node, at+"."+name, "%q is not a number; want one such as 2 or 1.5", clip(node.Value))
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
			p.errorf(node, at, "%s", rest)
		}
	}
	return policy
}
