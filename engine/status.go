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

// State is how far an invocation is.
type State string

// The states of an invocation.
const (
	Running   State = "running"   // an attempt is under way, or waits for a worker
	Waiting   State = "waiting"   // for the time of the next attempt
	Recording State = "recording" // the outcome is known, and audit rows are being written; of an export: it is between two calls, or sleeps
	Completed State = "completed"
)

// Status is an invocation as Temporal has it.
type Status struct {
	OrganizationID    uuid.UUID // not of an export
	WorkflowID, RunID string
	State             State
	Trail             activities.Trail // its attempts so far
	NextAttemptAt     *time.Time       // of one that is waiting
	Reason            string           // why it waits, or why nothing more was tried; "" if there is nothing to say
}

// InvocationStatus finds an invocation. Without an organization (uuid.Nil) it is searched
// by its correlation ID, which finds it about a second after its start. The error is a
// [*serviceerror.NotFound] if there is none.
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
	s := Status{OrganizationID: organization, WorkflowID: workflows.InvokeID(organization, correlation), State: Running}
	d, err := c.DescribeWorkflow(ctx, s.WorkflowID, "")
	if err != nil {
		return s, err
	}
	s.RunID = d.WorkflowExecution.RunID
	if activities.Closed(d.Status) {
		s.State = Completed
	}
	if !s.readPending(d.RawResponse.GetPendingActivities()) {
		s.Trail, err = trailInHistory(ctx, c, s.WorkflowID, s.RunID)
		s.Reason = Reason(s.Trail.Last())
	}
	if err == nil && slices.ContainsFunc(s.Trail, func(a activities.Attempt) bool { return a.Effect != "" }) {
		err = s.dropEffectsOfRead(ctx, c)
	}
	return s, err
}

// dropEffectsOfRead takes the effects out of the trail of an invocation that changes
// nothing: an attempt that was lost has an open one, whatever it was.
func (s *Status) dropEffectsOfRead(ctx context.Context, c client.Client) error {
	events := c.GetWorkflowHistory(ctx, s.WorkflowID, s.RunID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
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
	for i := range s.Trail {
		s.Trail[i].Effect, s.Trail[i].Ended, s.Trail[i].OpenUntil = "", false, time.Time{}
	}
	return nil
}

// ExportStatus is the status of the invocation that a run of an export is making, by the
// run's workflow ID. It is [Recording] when the run is between two of them, or sleeps.
func ExportStatus(ctx context.Context, c client.Client, workflowID string) (Status, error) {
	s := Status{WorkflowID: workflowID, State: Recording}
	d, err := c.DescribeWorkflow(ctx, workflowID, "")
	if err != nil {
		return s, err
	}
	s.RunID = d.WorkflowExecution.RunID
	if activities.Closed(d.Status) {
		s.State = Completed
	}
	s.readPending(d.RawResponse.GetPendingActivities())
	return s, nil
}

// readPending fills in what Temporal knows about a call that has not ended, and reports
// whether there is one.
func (s *Status) readPending(list []*workflow.PendingActivityInfo) bool {
	for _, p := range list {
		if p.GetActivityType().GetName() != activities.CallName {
			s.State = Recording
			continue
		}
		s.State = Running
		s.Trail, _ = activities.PendingTrail(p)
		// currentRetryInterval is wrong after timeouts; the schedule time is not.
		if at := p.GetNextAttemptScheduleTime(); p.GetState() == enums.PENDING_ACTIVITY_STATE_SCHEDULED && at != nil && p.GetAttempt() > 1 {
			next := at.AsTime()
			s.State, s.NextAttemptAt = Waiting, &next
		} else if p.GetState() == enums.PENDING_ACTIVITY_STATE_STARTED && len(s.Trail) < int(p.GetAttempt()) {
			s.Trail = s.Trail.Begin(int(p.GetAttempt()), p.GetLastStartedTime().AsTime(), p.GetLastStartedTime().AsTime())
		}
		s.Reason = waitReason(p, *s)
		return true
	}
	return false
}

// organizationOf reads the organization from a workflow's search attributes.
func organizationOf(e *workflow.WorkflowExecutionInfo) (uuid.UUID, error) {
	var id string
	p := e.GetSearchAttributes().GetIndexedFields()[workflows.OrganizationID.GetName()]
	if err := converter.GetDefaultDataConverter().FromPayload(p, &id); err != nil {
		return uuid.Nil, err
	}
	return uuid.Parse(id)
}

// trailInHistory finds the trail of a call that has ended: it is in the input of Mirror,
// or in the result of a call that succeeded at once.
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

// reasons explain a failed attempt by its rule, or else by its kind, where there is more
// to say than that the vendor failed.
var reasons = map[string]string{
	activities.RuleBreaker: "the circuit breaker of this integration is open, because its recent attempts have failed: " +
		"one attempt at a time finds out whether the vendor is back",
	activities.RuleBudget: "the organization's budget for retries at this vendor is empty, because too many attempts fail: " +
		"none is repeated for now",
	activities.RuleQuota:            "the month's limit of requests in the integration's file is used up: see starter quota",
	string(classify.RateLimited):    "the vendor throttles: the wait is at least as long as it asks for",
	string(classify.QuotaExhausted): "the vendor says that the paid-for requests are used up",
}

// Reason says why an invocation waits after its last attempt, or was not tried again. It
// is "" where the attempt's own message says it all.
func Reason(last activities.Attempt) string {
	if r, ok := reasons[last.Rule]; ok {
		return r
	}
	return reasons[string(last.Kind)]
}

// waitReason says why a call that is not running does not run.
func waitReason(p *workflow.PendingActivityInfo, s Status) string {
	due := s.NextAttemptAt == nil || !s.NextAttemptAt.After(time.Now())
	switch {
	case p.GetState() != enums.PENDING_ACTIVITY_STATE_SCHEDULED:
		return ""
	case due && strings.HasPrefix(p.GetActivityOptions().GetTaskQueue().GetName(), activities.TaskQueue+"/"):
		return "its turn in the integration's own queue has not come: its requestsPerMinute or concurrentRequests sets the pace, and the latter needs a worker that reaches PostgreSQL"
	case due:
		return "it waits for a worker: all are busy, or none is running"
	}
	return Reason(s.Trail.Last())
}
