package integrations

import (
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/health"
)

// health reads {interval, maxInterval, probes}.
func (p *parser) health(n *yaml.Node, at string) health.Policy {
	var policy health.Policy
	m := p.fields(n, at, "interval", "maxInterval", "probes")
	before := p.wrong
	for name, into := range map[string]*time.Duration{"interval": &policy.Interval, "maxInterval": &policy.MaxInterval} {
		value, node := p.text(n, m, at, name, false)
		if node == nil {
			continue
		}
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			p.errorf(node, at+"."+name, "%q is not a duration; want a number with a unit, such as 15m or 4h", clip(value))
		}
		*into = d
	}
	if value, node := p.text(n, m, at, "probes", false); node != nil {
		if value != "true" && value != "false" {
			p.errorf(node, at+".probes", "%q; want true or false", clip(value))
		}
		policy.NoProbes = value == "false"
	}
	if p.wrong > before {
		return policy
	}
	if err := policy.Validate(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			field, rest, _ := strings.Cut(line, ": ")
			node := n
			if own, ok := m[field]; ok {
				node = own
			}
			p.errorf(node, at+"."+field, "%s", rest)
		}
	}
	return policy
}
