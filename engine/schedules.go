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
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
)

// ScheduleID is the ID of an integration's Temporal Schedule.
func ScheduleID(organization, integration uuid.UUID) string {
	return "export/" + organization.String() + "/" + integration.String()
}

// ScheduleChange is what was done with an integration's Temporal Schedule.
type ScheduleChange string

// The changes of a schedule.
const (
	NoSchedule        ScheduleChange = "" // there was none, and there is none
	ScheduleCreated   ScheduleChange = "created"
	ScheduleUpdated   ScheduleChange = "updated"
	ScheduleUnchanged ScheduleChange = "unchanged"
	ScheduleRemoved   ScheduleChange = "removed"
)

// ApplySchedule makes an integration's Temporal Schedule what its file says, and returns
// what it did, or with dryRun would do. What was changed by hand in Temporal is put
// right. A schedule that the file no longer has is removed.
//
// A pauseNote pauses the schedule, also a new one, and is shown with it. With "", a
// schedule that is paused stays paused.
func ApplySchedule(ctx context.Context, c client.Client, in integrations.Integration, pauseNote string, dryRun bool) (ScheduleChange, error) {
	if in.Schedule == nil {
		return RemoveSchedule(ctx, c, in.OrganizationID, in.ID, dryRun)
	}
	spec, err := specOf(*in.Schedule)
	if err != nil {
		return NoSchedule, err
	}
	want := client.Schedule{Spec: &spec, Action: actionOf(in), Policy: policyOf(*in.Schedule)}
	handle := c.ScheduleClient().GetHandle(ctx, ScheduleID(in.OrganizationID, in.ID))
	found, err := handle.Describe(ctx)
	var none *serviceerror.NotFound
	switch {
	case errors.As(err, &none):
		if dryRun {
			return ScheduleCreated, nil
		}
		_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
			ID: ScheduleID(in.OrganizationID, in.ID), Spec: spec, Action: want.Action, Overlap: want.Policy.Overlap, CatchupWindow: want.Policy.CatchupWindow,
			Paused: pauseNote != "", Note: pauseNote,
		})
		return ScheduleCreated, err
	case err != nil:
		return NoSchedule, err
	case sameSchedule(found.Schedule, want) && (pauseNote == "" || found.Schedule.State != nil && found.Schedule.State.Paused):
		return ScheduleUnchanged, nil
	case dryRun:
		return ScheduleUpdated, nil
	}
	return ScheduleUpdated, handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		s := want
		s.State = &client.ScheduleState{}
		if state := u.Description.Schedule.State; state != nil {
			s.State.Paused, s.State.Note = state.Paused, state.Note
		}
		if pauseNote != "" && !s.State.Paused {
			s.State.Paused, s.State.Note = true, pauseNote
		}
		return &client.ScheduleUpdate{Schedule: &s}, nil
	}})
}

// RemoveSchedule deletes an integration's Temporal Schedule, and returns [ScheduleRemoved]
// or [NoSchedule]. Runs that it has started continue.
func RemoveSchedule(ctx context.Context, c client.Client, organization, integration uuid.UUID, dryRun bool) (ScheduleChange, error) {
	var err error
	handle := c.ScheduleClient().GetHandle(ctx, ScheduleID(organization, integration))
	if dryRun {
		_, err = handle.Describe(ctx)
	} else {
		err = handle.Delete(ctx)
	}
	var none *serviceerror.NotFound
	switch {
	case errors.As(err, &none):
		return NoSchedule, nil
	case err != nil:
		return NoSchedule, err
	}
	return ScheduleRemoved, nil
}

// actionOf is what an integration's schedule starts.
func actionOf(in integrations.Integration) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID: ScheduleID(in.OrganizationID, in.ID), Workflow: workflows.SyncName, Args: []any{syncInput(in)},
		TaskQueue: activities.TaskQueue, Priority: workflows.Fairly(in.OrganizationID),
		StaticSummary:         workflows.Line(in.Name + " export, " + in.Schedule.String()),
		TypedSearchAttributes: workflows.Attributes(in.OrganizationID, in.ID, in.Adapter),
	}
}

// overlaps are the overlap rules of a file in Temporal's terms.
var overlaps = map[integrations.OverlapRule]enums.ScheduleOverlapPolicy{
	integrations.BufferAll: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL,
	integrations.BufferOne: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE,
	integrations.Skip:      enums.SCHEDULE_OVERLAP_POLICY_SKIP,
}

// policyOf is what an integration's schedule does about overlapping and missed firings.
func policyOf(s integrations.Schedule) *client.SchedulePolicies {
	return &client.SchedulePolicies{Overlap: overlaps[s.OverlapRule()], CatchupWindow: s.CatchUpWindow()}
}

// sameSchedule reports whether a schedule that Temporal has is what it should be, paused or
// not.
func sameSchedule(is, want client.Schedule) bool {
	return sameAction(is.Action, want.Action.(*client.ScheduleWorkflowAction)) && sameSpec(is.Spec, *want.Spec) &&
		is.Policy != nil && *is.Policy == *want.Policy && (is.State == nil || !is.State.LimitedActions)
}

// sameAction reports whether a schedule starts what it should. What Ledgerline did not
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

// SchedulePaused reports whether an integration's schedule is paused in Temporal.
func SchedulePaused(ctx context.Context, c client.Client, organization, integration uuid.UUID) (bool, error) {
	d, err := c.ScheduleClient().GetHandle(ctx, ScheduleID(organization, integration)).Describe(ctx)
	if err != nil {
		return false, err
	}
	return d.Schedule.State != nil && d.Schedule.State.Paused, nil
}
