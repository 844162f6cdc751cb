package workflows

import (
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
)

// queueAllowance is how long an invocation may wait in its integration's own
// queue, all its attempts together. At the lowest rate, one a minute, that is
// 1,440 attempts that went before.
const queueAllowance = 24 * time.Hour

// queueOf is where an invocation's attempts wait for a worker, and how long
// they may. Without one that is the workflow's queue, and waiting counts
// against the budget.
func queueOf(in activities.Invocation) (queue string, allowance time.Duration) {
	if !in.OwnQueue {
		return "", 0
	}
	return activities.OwnQueue(in.IntegrationID), queueAllowance
}

// startQueue is where an invocation's workflow runs. That is its integration's
// own queue too, if it has one: on a server that hands tasks out in order,
// thousands of workflow tasks would otherwise stand before everyone else's.
func startQueue(in activities.Invocation) string {
	if !in.OwnQueue {
		return activities.TaskQueue
	}
	return activities.OwnQueue(in.IntegrationID)
}

// fairly makes the server hand out tasks by organization in turn, so that one
// with thousands of them does not hold up another with a single one. A server
// that does not know fairness keys hands them out in order.
//
// All have the same priority. A higher one would be served strictly first, and
// the calls of one organization could keep the exports of all others from
// starting; within an organization it would gain little, because an integration
// exports one chunk at a time.
func fairly(organization uuid.UUID) temporal.Priority {
	return temporal.Priority{FairnessKey: organization.String()}
}

// reasons explain a failed attempt by its rule, or else by its kind, where more
// is to be said than that the vendor failed.
var reasons = map[string]string{
	activities.RuleBreaker:          "the breaker of this integration is open: the vendor failed every time of late, and one attempt at a time finds out whether it is back",
	activities.RuleBudget:           "the organization's budget for retries at this vendor is empty: too many attempts fail, so that none is repeated for now",
	activities.RuleQuota:            "the month's limit of requests in the integration's file is used up: see starter quota",
	string(classify.RateLimited):    "the vendor throttles: the wait is at least as long as it asks for",
	string(classify.QuotaExhausted): "the vendor says that the paid-for requests are used up",
}

// Reason says why an invocation waits after its last attempt, or was not tried
// again. It is empty where the attempt's own message says it all.
func Reason(last activities.Attempt) string {
	if r, ok := reasons[last.Rule]; ok {
		return r
	}
	return reasons[string(last.Kind)]
}

// waitsFor says why a call that is not running does not run.
func waitsFor(p *workflow.PendingActivityInfo, live Status) string {
	due := live.NextAttemptAt == nil || !live.NextAttemptAt.After(time.Now())
	switch {
	case p.GetState() != enums.PENDING_ACTIVITY_STATE_SCHEDULED:
		return ""
	case due && strings.HasPrefix(p.GetActivityOptions().GetTaskQueue().GetName(), activities.TaskQueue+"/"):
		return "its turn has not come in the integration's own queue, by its requestsPerMinute or concurrentRequests; the latter needs a worker that reaches PostgreSQL"
	case due:
		return "it waits for a worker: all are busy, or none runs"
	}
	return Reason(live.Trail.Last())
}
