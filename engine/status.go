package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/workflows"
)

// Status is an invocation as Temporal sees it.
type Status struct {
	OrganizationID    uuid.UUID
	WorkflowID, RunID string
	State             string // running, waiting (for the next attempt), recording (audit rows), completed
	Trail             activities.Trail
	NextAttemptAt     *time.Time
	Reason            string // why it waits, or why nothing more was tried; "" if there is nothing to say
}

// InvocationStatus finds an invocation. Without an organization it is searched by its
// correlation ID, which takes a moment after the start. The error is a
// *serviceerror.NotFound if there is none.
func InvocationStatus(ctx context.Context, c client.Client, organization, correlation uuid.UUID) (Status, error) {
	if organization == uuid.Nil {
		found, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: fmt.Sprintf("%s = '%s' AND WorkflowType = '%s'", workflows.CorrelationID.GetName(), correlation, workflows.InvokeName),
		})
		if err != nil {
			return Status{}, err
		}
		if len(found.Executions) == 0 {
			return Status{}, serviceerror.NewNotFound("no invocation " + correlation.String())
		}
		if organization, err = organizationOf(found.Executions[0]); err != nil {
			return Status{}, err
		}
	}
	live := Status{OrganizationID: organization, WorkflowID: workflows.InvokeID(organization, correlation), State: "running"}
	d, err := c.DescribeWorkflowExecution(ctx, live.WorkflowID, "")
	if err != nil {
		return live, err
	}
	live.RunID = d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	if d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		live.State = "completed"
	}
	if !live.pending(d.GetPendingActivities()) {
		live.Trail, err = trailInHistory(ctx, c, live.WorkflowID, live.RunID)
		live.Reason = Reason(live.Trail.Last())
	}
	if err == nil && slices.ContainsFunc(live.Trail, func(a activities.Attempt) bool { return a.Effect != "" }) {
		err = live.withoutWrites(ctx, c)
	}
	return live, err
}

// withoutWrites takes the effects out of the trail of an invocation that can have
// none: an attempt that was lost has an open one, whatever it was.
func (live *Status) withoutWrites(ctx context.Context, c client.Client) error {
	events := c.GetWorkflowHistory(ctx, live.WorkflowID, live.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	if !events.HasNext() {
		return nil
	}
	e, err := events.Next()
	if err != nil {
		return err
	}
	var in activities.Invocation
	if converter.GetDefaultDataConverter().FromPayloads(e.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in) != nil || !in.ChangesNothing() {
		return nil
	}
	for i := range live.Trail {
		live.Trail[i].Effect, live.Trail[i].Ended, live.Trail[i].OpenUntil = "", false, time.Time{}
	}
	return nil
}

// ExportStatus says how the call of a run of an export is doing. The state is
// recording when the run is between two calls, or waits to go on later.
func ExportStatus(ctx context.Context, c client.Client, workflowID string) (Status, error) {
	live := Status{WorkflowID: workflowID, State: "recording"}
	d, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	if err != nil {
		return live, err
	}
	live.RunID = d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
	if d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		live.State = "completed"
	}
	live.pending(d.GetPendingActivities())
	return live, nil
}

// pending fills in what is to be known of a call that is not over, and reports
// whether there is one.
func (live *Status) pending(list []*workflow.PendingActivityInfo) bool {
	for _, p := range list {
		if p.GetActivityType().GetName() != activities.CallName {
			live.State = "recording"
			continue
		}
		live.State = "running"
		live.Trail, _ = activities.PendingTrail(p)
		// currentRetryInterval is wrong after timeouts; the schedule time is not.
		if at := p.GetNextAttemptScheduleTime(); p.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && at != nil && p.GetAttempt() > 1 {
			next := at.AsTime()
			live.State, live.NextAttemptAt = "waiting", &next
		} else if p.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED && len(live.Trail) < int(p.GetAttempt()) {
			live.Trail = live.Trail.Begin(int(p.GetAttempt()), p.GetLastStartedTime().AsTime(), p.GetLastStartedTime().AsTime())
		}
		live.Reason = waitsFor(p, *live)
		return true
	}
	return false
}

func organizationOf(e *workflow.WorkflowExecutionInfo) (uuid.UUID, error) {
	var id string
	p := e.GetSearchAttributes().GetIndexedFields()[workflows.OrganizationID.GetName()]
	if err := converter.GetDefaultDataConverter().FromPayload(p, &id); err != nil {
		return uuid.Nil, err
	}
	return uuid.Parse(id)
}

// trailInHistory finds a finished trail: it is handed to Mirror, or came with
// the result of a call that succeeded at once.
func trailInHistory(ctx context.Context, c client.Client, workflowID, runID string) (activities.Trail, error) {
	decode := converter.GetDefaultDataConverter().FromPayloads
	var trail activities.Trail
	events := c.GetWorkflowHistory(ctx, workflowID, runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, err
		}
		switch a := e.Attributes.(type) {
		case *history.HistoryEvent_ActivityTaskScheduledEventAttributes:
			var f activities.MirrorInput
			if a.ActivityTaskScheduledEventAttributes.GetActivityType().GetName() == activities.MirrorName &&
				decode(a.ActivityTaskScheduledEventAttributes.GetInput(), &f) == nil {
				return f.Trail, nil
			}
		case *history.HistoryEvent_ActivityTaskCompletedEventAttributes:
			var r activities.CallResult
			if decode(a.ActivityTaskCompletedEventAttributes.GetResult(), &r) == nil && len(r.Trail) > 0 {
				trail = r.Trail
			}
		}
	}
	return trail, nil
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
