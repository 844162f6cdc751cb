package workflows

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
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
			Query: fmt.Sprintf("%s = '%s' AND WorkflowType = '%s'", CorrelationID.GetName(), correlation, InvokeName),
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
	live := Status{OrganizationID: organization, WorkflowID: InvokeID(organization, correlation), State: "running"}
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
	if converter.GetDefaultDataConverter().FromPayloads(e.GetWorkflowExecutionStartedEventAttributes().GetInput(), &in) != nil || !readOnly(in) {
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
	p := e.GetSearchAttributes().GetIndexedFields()[OrganizationID.GetName()]
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

// memoSum is the memo's field with the sum of what was asked.
const memoSum = "requestSha256"

// SumOf identifies what an invocation asks, to tell whether a correlation ID is
// used again for something else. Blanks between the members of a body do not count.
func SumOf(in activities.Invocation) string {
	if body, err := json.Marshal(in.Body); err == nil && len(in.Body) > 0 { // as it travels
		in.Body = body
	}
	return sumOf(in)
}

// sumOf is [SumOf] of an invocation as it has arrived.
func sumOf(in activities.Invocation) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %q %s", in.IntegrationID, in.Operation, in.AdapterName, in.Body))
	return hex.EncodeToString(sum[:])
}

// RequestSum returns the [SumOf] that an invocation was started with.
func RequestSum(d *workflowservice.DescribeWorkflowExecutionResponse) (string, bool) {
	var sum string
	p, ok := d.GetWorkflowExecutionInfo().GetMemo().GetFields()[memoSum]
	if !ok || converter.GetDefaultDataConverter().FromPayload(p, &sum) != nil {
		return "", false
	}
	return sum, true
}

// Describe returns the one-line summary of an invocation for the Temporal UI,
// without any of its data.
func Describe(in activities.Invocation) string {
	summary, _ := DescribeRequest(in)
	return summary
}

// DescribeRequest is [Describe], and whether the adapter knows that the request changes
// nothing.
func DescribeRequest(in activities.Invocation) (summary string, readOnly bool) {
	adapter, ok := activities.Adapters()[in.AdapterName]
	if !ok {
		return string(in.Operation), false
	}
	plan, err := adapter.Describe(in.Operation, in.Body)
	if err != nil {
		return string(in.Operation) + " (malformed request)", false
	}
	return strings.Map(func(r rune) rune { // which an invocation's summary cannot hold
		if activities.CheckLine("", string(r), utf8.UTFMax) != nil {
			return -1
		}
		return r
	}, plan.Summary), plan.Guard == adapters.ReadOnly
}
