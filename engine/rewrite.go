package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/workflows"
)

// RewriteSchedules stores each of the namespace's schedules of exports again as it is, so that
// what it starts is encrypted with the client's present key, and returns how many there are.
func RewriteSchedules(ctx context.Context, c client.Client) (n int, err error) {
	list, err := c.ScheduleClient().List(ctx, client.ScheduleListOptions{})
	if err != nil {
		return 0, err
	}
	for list.HasNext() {
		s, err := list.Next()
		if err != nil {
			return n, err
		}
		if name := s.WorkflowType.Name; name != "" && name != workflows.SyncName {
			continue // another program's, which has no such key
		}
		same := func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			if a, ok := u.Description.Schedule.Action.(*client.ScheduleWorkflowAction); !ok || a.Workflow != workflows.SyncName {
				return nil, temporal.ErrSkipScheduleUpdate
			}
			n++
			return &client.ScheduleUpdate{Schedule: &u.Description.Schedule}, nil
		}
		handle := c.ScheduleClient().GetHandle(ctx, s.ID)
		var gone *serviceerror.NotFound // since it was listed
		if err := handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: same}); err != nil && !errors.As(err, &gone) {
			return n, fmt.Errorf("%s: %w", s.ID, err)
		}
	}
	return n, nil
}

// CountStartedBefore counts the runs of Ledgerline's workflows that Temporal still has, running
// or closed, which were started before a time. What was started in the last second may be
// missing.
func CountStartedBefore(ctx context.Context, c client.Client, t time.Time) (int64, error) {
	found, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: fmt.Sprintf("StartTime < '%s' AND WorkflowType IN ('%s')", t.UTC().Format(time.RFC3339Nano), strings.Join(workflows.Types(), "', '")),
	})
	return found.GetCount(), err
}
