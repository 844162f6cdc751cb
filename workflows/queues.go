package workflows

import (
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
)

// queueAllowance is how long an invocation may wait in its integration's own queue, all its
// attempts together. At the lowest rate, one a minute, 1,440 attempts may be ahead of it.
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

// StartQueue is where an invocation's workflow runs. That is its integration's
// own queue too, if it has one: on a server that hands tasks out in order, thousands of
// workflow tasks would otherwise be ahead of everyone else's.
func StartQueue(in activities.Invocation) string {
	if !in.OwnQueue {
		return activities.TaskQueue
	}
	return activities.OwnQueue(in.IntegrationID)
}

// Fairly makes the server hand out tasks by organization in turn, so that an organization
// with thousands of them does not delay another that has one. A server without fairness
// keys hands them out in order.
//
// All tasks have the same priority. A higher one would be served strictly first, and the
// calls of one organization could keep the exports of all others from starting. Within an
// organization it would gain little, because an integration exports one chunk at a time.
func Fairly(organization uuid.UUID) temporal.Priority {
	return temporal.Priority{FairnessKey: organization.String()}
}
