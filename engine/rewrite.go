package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/workflows"
)

// RewriteSchedules stores each of the namespace's schedules of exports again as it is, so that
// what it starts is encrypted with the client's present key, and returns how many there are.
// It leaves those of other programs in the namespace alone, which could not read them then.
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
		if !isScheduleID(s.ID) {
			continue
		}
		same := func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			return &client.ScheduleUpdate{Schedule: &u.Description.Schedule}, nil
		}
		handle := c.ScheduleClient().GetHandle(ctx, s.ID)
		if err := handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: same}); err != nil {
			return n, fmt.Errorf("%s: %w", s.ID, err)
		}
		n++
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
