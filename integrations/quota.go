package integrations

import (
	"cmp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/limits"
)

// defaultWarnAt is the percentage of a month's requests at which probes stop
// and someone is notified.
const defaultWarnAt = 80

// RequestLimits bound what an integration asks of its vendor. The zero value bounds
// nothing.
type RequestLimits struct {
	RequestsPerMinute  int   `json:"requestsPerMinute,omitempty"`  // attempts, over all workers; 0 is no limit
	ConcurrentRequests int   `json:"concurrentRequests,omitempty"` // attempts at the same time, over all workers; 0 is no limit
	MonthlyRequests    int64 `json:"monthlyRequests,omitempty"`    // of every kind, in a calendar month, UTC; 0 is no limit
	WarnAt             int   `json:"warnAt,omitempty"`             // percent of the month's requests; 0 is [defaultWarnAt]
	RefuseAt100        bool  `json:"refuseAt100,omitempty"`        // at 100 % only exports continue
}

// OwnQueue says whether attempts wait in a queue of the integration's own.
func (l RequestLimits) OwnQueue() bool { return l.RequestsPerMinute > 0 || l.ConcurrentRequests > 0 }

// Quota is the month's limit.
func (l RequestLimits) Quota() limits.Quota {
	return limits.Quota{Monthly: l.MonthlyRequests, WarnAt: cmp.Or(l.WarnAt, defaultWarnAt), Refuse: l.RefuseAt100}
}

// Bounds of [RequestLimits]. Above the highest, a rate or a concurrency is no limit in
// practice.
const (
	maxPerMinute  = 60_000
	maxConcurrent = 1000
	maxMonthly    = 1_000_000_000
)

// limits reads {requestsPerMinute, concurrentRequests, monthlyRequests, warnAt,
// refuseAt100}.
func (p *parser) limits(n *yaml.Node, at string) (l RequestLimits) {
	m := p.fields(n, at, "requestsPerMinute", "concurrentRequests", "monthlyRequests", "warnAt", "refuseAt100")
	number := func(name string, least, most int64) int64 {
		value, node := p.text(n, m, at, name, false)
		if node == nil {
			return 0
		}
		i, err := strconv.ParseInt(value, 10, 64)
		if err != nil || i < least || i > most {
			p.errorf(node, at+"."+name, "%q; want a whole number from %d to %d", clip(value), least, most)
		}
		return i
	}
	l.RequestsPerMinute = int(number("requestsPerMinute", 1, maxPerMinute))
	l.ConcurrentRequests = int(number("concurrentRequests", 1, maxConcurrent))
	l.MonthlyRequests = number("monthlyRequests", 1, maxMonthly)
	l.WarnAt = int(number("warnAt", 1, limits.Full))
	if node, ok := m["refuseAt100"]; ok && (node.Tag != "!!bool" || node.Decode(&l.RefuseAt100) != nil) {
		p.errorf(node, at+".refuseAt100", "%q; want true or false", clip(node.Value))
	}
	for _, name := range []string{"warnAt", "refuseAt100"} {
		if node, ok := m[name]; ok && m["monthlyRequests"] == nil {
			p.errorf(node, at+"."+name, "there is no limit that it belongs to; add monthlyRequests")
		}
	}
	return l
}
