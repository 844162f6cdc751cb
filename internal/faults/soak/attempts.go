package main

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/history/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/workflows"
)

// runHistory is a run's history.
type runHistory struct {
	workflowID, runID string
	status            enums.WorkflowExecutionStatus
	events            []*history.HistoryEvent
}

// histories reads every run's history.
func (s *soak) histories(ctx context.Context) (all []runHistory, err error) {
	var token []byte
	for {
		page, err := s.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: "WorkflowType = '" + workflows.SyncName + "'", NextPageToken: token})
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetExecutions() {
			h := runHistory{workflowID: e.GetExecution().GetWorkflowId(), runID: e.GetExecution().GetRunId(), status: e.GetStatus()}
			it := s.temporal.GetWorkflowHistory(ctx, h.workflowID, h.runID, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for it.HasNext() {
				event, err := it.Next()
				if err != nil {
					return nil, err
				}
				h.events = append(h.events, event)
			}
			all = append(all, h)
		}
		if token = page.GetNextPageToken(); len(token) == 0 {
			return all, nil
		}
	}
}

// invocation is what a history says of one.
type invocation struct {
	in       activities.Invocation
	run      *runHistory
	attempts int  // 0 if the history does not say
	ok       bool // the last one succeeded
	closed   bool
	end      string // the event that closed it
}

// invocations finds the calls in a history. The number of the last attempt
// stands in the event of its start, which Temporal writes when the call is over.
func (t *runHistory) invocations() (all map[int64]*invocation) {
	all = make(map[int64]*invocation)
	for _, e := range t.events {
		switch a := e.Attributes.(type) {
		case *history.HistoryEvent_ActivityTaskScheduledEventAttributes:
			i := &invocation{run: t}
			if a.ActivityTaskScheduledEventAttributes.GetActivityType().GetName() == activities.CallName &&
				converter.GetDefaultDataConverter().FromPayloads(a.ActivityTaskScheduledEventAttributes.GetInput(), &i.in) == nil {
				all[e.GetEventId()] = i
			}
		case *history.HistoryEvent_ActivityTaskStartedEventAttributes:
			if i := all[a.ActivityTaskStartedEventAttributes.GetScheduledEventId()]; i != nil {
				i.attempts = int(a.ActivityTaskStartedEventAttributes.GetAttempt())
			}
		case *history.HistoryEvent_ActivityTaskCompletedEventAttributes:
			if i := all[a.ActivityTaskCompletedEventAttributes.GetScheduledEventId()]; i != nil {
				i.ok, i.closed = true, true
			}
		case *history.HistoryEvent_ActivityTaskFailedEventAttributes:
			if i := all[a.ActivityTaskFailedEventAttributes.GetScheduledEventId()]; i != nil {
				i.closed, i.end = true, last(e.String(), 300)
			}
		case *history.HistoryEvent_ActivityTaskTimedOutEventAttributes:
			if i := all[a.ActivityTaskTimedOutEventAttributes.GetScheduledEventId()]; i != nil {
				i.closed, i.end = true, last(e.String(), 300)
			}
		}
	}
	return all
}

// logRow is a row of integration_run_logs.
type logRow struct {
	Organization uuid.UUID
	Integration  *uuid.UUID
	Correlation  uuid.UUID
	Attempt      int
	Class, Kind  string
	Total        int
	WorkflowID   string
}

// attempts compares the rows of attempts with the histories and the sandbox's
// log: each failed attempt has its row, once, and there is no other.
func (s *soak) attempts(ctx context.Context, histories []runHistory) error {
	rows, err := rowsOf[logRow](ctx, s, `SELECT organization_id, integration_id, correlation_id, attempt_number, coalesce(error_class, ''), error_kind,
		coalesce(total_attempts, 0), workflow_id FROM ledgerline.integration_run_logs ORDER BY correlation_id, attempt_number, run_started_at`)
	if err != nil {
		return err
	}
	of := make(map[uuid.UUID][]logRow)
	for _, r := range rows {
		of[r.Correlation] = append(of[r.Correlation], r)
	}
	failedAtVendor := make(map[string]int)
	for _, e := range s.stack.Sandbox.Log() {
		if beside(e) {
			continue
		}
		if e.Status == 0 || e.Status >= 400 || strings.HasPrefix(e.Answer, `{"errors"`) {
			failedAtVendor[e.CorrelationID]++
		} else if failedAtVendor[e.CorrelationID] == 0 {
			failedAtVendor[e.CorrelationID] = 0 // known
		}
	}
	known := make(map[uuid.UUID]bool)
	for n := range histories {
		h := &histories[n]
		switch h.status {
		case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW, enums.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		default:
			s.violated("settled: run %s %s is %s: %s", h.workflowID, h.runID, h.status, last(h.events[len(h.events)-1].String(), 400))
		}
		for _, i := range h.invocations() {
			known[i.in.CorrelationID] = true
			s.invocation(i, of[i.in.CorrelationID], failedAtVendor[i.in.CorrelationID.String()])
			delete(failedAtVendor, i.in.CorrelationID.String())
		}
	}
	for id := range failedAtVendor {
		s.violated("phantom: the vendor was asked under correlation %s, which no history knows", id)
	}
	for id, list := range of {
		if !known[id] {
			s.violated("phantom: %d rows of correlation %s, which no history knows", len(list), id)
		}
	}
	return nil
}

// invocation checks the rows of one: numbered 1 to n, all but a last success
// failed, of the right organization, as many as there were attempts.
func (s *soak) invocation(i *invocation, rows []logRow, failedAtVendor int) {
	s.report.attempts += max(i.attempts, len(rows))
	where := "correlation " + i.in.CorrelationID.String() + " of " + i.run.workflowID
	failed := 0
	for n, r := range rows {
		if r.Attempt != n+1 {
			s.violated("attempts in order: %s: row %d is of attempt %d", where, n+1, r.Attempt)
		}
		if r.Class == "" && (n+1 != len(rows) || r.Total != r.Attempt) {
			s.violated("attempts in order: %s: attempt %d of %d succeeded, and others followed", where, r.Attempt, len(rows))
		} else if r.Class != "" {
			failed++
		}
		if r.Organization != i.in.OrganizationID || r.Integration == nil || *r.Integration != i.in.IntegrationID || r.WorkflowID != i.run.workflowID ||
			!strings.Contains(r.WorkflowID, r.Organization.String()) {
			s.violated("organizations apart: %s: row %d is of organization %s, workflow %s", where, n+1, r.Organization, r.WorkflowID)
		}
	}
	s.report.failed += failed
	if i.run.status == enums.WORKFLOW_EXECUTION_STATUS_TERMINATED {
		return // ended by force: what it knew is in its history only
	}
	want := i.attempts
	if i.ok && want == 1 {
		want = 0 // a success at once has no row
	}
	if i.closed && i.attempts > 0 && len(rows) != want {
		s.violated("a row for each attempt: %s: %d attempts, ok %v, ended by %s; %d rows: %+v", where, i.attempts, i.ok, i.end, len(rows), rows)
	}
	if failed < failedAtVendor {
		s.violated("a row for each attempt: %s: the vendor saw %d attempts fail; %d rows say so", where, failedAtVendor, failed)
	}
}
