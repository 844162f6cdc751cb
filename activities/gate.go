package activities

import (
	"cmp"
	"fmt"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
)

// Rules of attempts that made no call, and of those that are not repeated.
const (
	RuleQuota   = "quota:limit"  // no call: the month's limit is reached
	RuleBreaker = "breaker:open" // no call: the last calls to the vendor all failed
	RuleBudget  = "budget:empty" // not repeated: too many attempts fail

	// RuleSettled is of a success that made no call: the chunk was settled before.
	RuleSettled = "export:settled"
)

// purposes of operations that are not attempts.
var purposes = map[adapters.Operation]limits.Purpose{adapters.Lookup: limits.Lookup, adapters.Verify: limits.Lookup}

// urgent operations are made even when the month's requests are used up: a period that
// is not exported in time is worse than a bill.
var urgent = map[adapters.Operation]bool{adapters.Export: true}

// meter lets the connection count what it sends, and refuses it if the
// integration's quota has no room for it.
func (a *Activities) meter(in Invocation, spec integrations.Integration, conn *adapters.Conn) *classify.Verdict {
	if conn.Purpose == "" {
		conn.Purpose = cmp.Or(in.Purpose, purposes[in.Operation])
	}
	if a.options.Gate == nil {
		return nil
	}
	made := conn.Count
	conn.Count = func(p limits.Purpose) {
		made(p)
		a.options.Gate.Ledger.Count(in.OrganizationID, in.IntegrationID, p, time.Now())
	}
	if a.allowed(spec, conn.Purpose, urgent[in.Operation]) {
		return nil
	}
	v := classify.NewVerdict(classify.QuotaSpent, RuleQuota, fmt.Sprintf(
		"the integration's limit of %d requests in %s is used up and no call was made; raise limits.monthlyRequests in its file, or wait for the next month (UTC)",
		spec.Limits.MonthlyRequests, limits.Month(time.Now())))
	return &v
}

// allowed says whether an integration's quota has room for a request. Probes
// stop at the warning, before anything else does.
func (a *Activities) allowed(spec integrations.Integration, p limits.Purpose, urgent bool) bool {
	q := spec.Limits.Quota()
	return q.Monthly == 0 || q.Allows(p, urgent, a.options.Gate.Ledger.Used(spec.OrganizationID, spec.ID, q, time.Now()))
}

// affords says whether the organization may retry at this host. An attempt
// that made no call has put no load on the vendor: its retry is free. So is that
// of a write of which something is open: it waits for its time first.
func (a *Activities) affords(v classify.Verdict, host limits.Host) bool {
	return a.options.Gate == nil || v.Kind == classify.BreakerOpen || v.Kind == classify.Dependency || v.Kind == classify.Unsettled ||
		a.options.Gate.Budget.Retry(host, v.Class == classify.Timeout)
}

// spent is what an invocation's attempts and the waits between them took. In a
// queue of its own, this and not the clock counts against the budget: the time
// in the queue is not the invocation's.
func (t Trail) spent(longest time.Duration) (total time.Duration) {
	for _, at := range t {
		total += min(at.EndedAt.Sub(at.StartedAt), longest) + at.Delay
	}
	return total
}
