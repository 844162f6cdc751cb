package engine

import (
	"context"
	"errors"
	"reflect"

	"github.com/google/uuid"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// ScheduleID is the ID of an integration's Temporal Schedule.
func ScheduleID(organization, integration uuid.UUID) string {
	return "export/" + organization.String() + "/" + integration.String()
}

// ApplySchedule makes an integration's Temporal Schedule what its file says and
// returns what it did, or with dryRun would do: created, updated, unchanged,
// removed if the file has none any more, or "" if it never had one. What was
// changed by hand in Temporal is set right. A schedule of a paused integration
// is paused, with the note paused, also one that is new; with "" whether it is
// paused stays as it is.
func ApplySchedule(ctx context.Context, c client.Client, in integrations.Integration, paused string, dryRun bool) (action string, err error) {
	if in.Schedule == nil {
		return RemoveSchedule(ctx, c, in.OrganizationID, in.ID, dryRun)
	}
	spec, err := specOf(*in.Schedule)
	if err != nil {
		return "", err
	}
	want := client.Schedule{Spec: &spec, Action: actionOf(in), Policy: policyOf(*in.Schedule)}
	handle := c.ScheduleClient().GetHandle(ctx, ScheduleID(in.OrganizationID, in.ID))
	found, err := handle.Describe(ctx)
	var none *serviceerror.NotFound
	switch {
	case errors.As(err, &none):
		if dryRun {
			return "created", nil
		}
		_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
			ID: ScheduleID(in.OrganizationID, in.ID), Spec: spec, Action: want.Action, Overlap: want.Policy.Overlap, CatchupWindow: want.Policy.CatchupWindow,
			Paused: paused != "", Note: paused,
		})
		return "created", err
	case err != nil:
		return "", err
	case sameSchedule(found.Schedule, want) && (paused == "" || found.Schedule.State != nil && found.Schedule.State.Paused):
		return "unchanged", nil
	case dryRun:
		return "updated", nil
	}
	return "updated", handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		s := want
		s.State = &client.ScheduleState{}
		if state := u.Description.Schedule.State; state != nil {
			s.State.Paused, s.State.Note = state.Paused, state.Note
		}
		if paused != "" && !s.State.Paused {
			s.State.Paused, s.State.Note = true, paused
		}
		return &client.ScheduleUpdate{Schedule: &s}, nil
	}})
}

// RemoveSchedule deletes an integration's Temporal Schedule and returns
// removed, or "" if there was none. Runs that it has started go on.
func RemoveSchedule(ctx context.Context, c client.Client, organization, integration uuid.UUID, dryRun bool) (action string, err error) {
	handle := c.ScheduleClient().GetHandle(ctx, ScheduleID(organization, integration))
	if dryRun {
		_, err = handle.Describe(ctx)
	} else {
		err = handle.Delete(ctx)
	}
	var none *serviceerror.NotFound
	switch {
	case errors.As(err, &none):
		return "", nil
	case err != nil:
		return "", err
	}
	return "removed", nil
}

func actionOf(in integrations.Integration) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID: ScheduleID(in.OrganizationID, in.ID), Workflow: workflows.SyncName, Args: []any{syncInput(in)}, TaskQueue: activities.TaskQueue, Priority: workflows.Fairly(in.OrganizationID),
		StaticSummary:         in.Adapter + " export, " + in.Schedule.String(),
		TypedSearchAttributes: workflows.Attributes(in.OrganizationID, in.ID, in.Adapter),
	}
}

// overlaps are the rules of a file in Temporal's terms.
var overlaps = map[string]enums.ScheduleOverlapPolicy{
	"buffer_all": enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	"buffer_one": enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	"skip":       enums.SCHEDULE_OVERLAP_POLICY_SKIP,
}

func policyOf(s integrations.Schedule) *client.SchedulePolicies {
	return &client.SchedulePolicies{Overlap: overlaps[s.OverlapRule()], CatchupWindow: s.CatchUpWindow()}
}

// sameSchedule compares a schedule that Temporal has with what it should be, in
// all but its state of being paused.
func sameSchedule(is, want client.Schedule) bool {
	return sameAction(is.Action, want.Action.(*client.ScheduleWorkflowAction)) && sameSpec(is.Spec, *want.Spec) &&
		is.Policy != nil && *is.Policy == *want.Policy && (is.State == nil || !is.State.LimitedActions)
}

// sameAction compares what a schedule starts. Anything that Ledgerline did not
// make is another action, whatever it is.
func sameAction(action client.ScheduleAction, want *client.ScheduleWorkflowAction) bool {
	a, ok := action.(*client.ScheduleWorkflowAction)
	if !ok || a == nil || len(a.Args) != 1 || a.ID != want.ID || a.Workflow != want.Workflow || a.TaskQueue != want.TaskQueue ||
		a.WorkflowExecutionTimeout != 0 || a.WorkflowRunTimeout != 0 || a.RetryPolicy != nil {
		return false
	}
	payload, ok := a.Args[0].(*common.Payload)
	if !ok {
		return false
	}
	var is workflows.SyncInput
	return converter.GetDefaultDataConverter().FromPayload(payload, &is) == nil && reflect.DeepEqual(is, want.Args[0])
}

// RunClosed reports whether the run of a pending export no longer runs. One
// that has continued as new does, under the same workflow ID.
func RunClosed(ctx context.Context, c client.Client, e exports.Export) (bool, error) {
	d, err := c.DescribeWorkflowExecution(ctx, e.WorkflowID, "")
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return true, nil
	}
	return err == nil && d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING, err
}

// SchedulePaused asks Temporal whether an integration's schedule is paused.
func SchedulePaused(ctx context.Context, c client.Client, organization, integration uuid.UUID) (bool, error) {
	d, err := c.ScheduleClient().GetHandle(ctx, ScheduleID(organization, integration)).Describe(ctx)
	if err != nil {
		return false, err
	}
	return d.Schedule.State != nil && d.Schedule.State.Paused, nil
}
