package workflows

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/integrations"
)

// ScheduleID is the ID of an integration's Temporal Schedule.
func ScheduleID(organization, integration uuid.UUID) string {
	return "export/" + organization.String() + "/" + integration.String()
}

// catchUp is how far back missed firings are made up for after an outage. Each
// period is exported once, so making up is always right.
const catchUp = 30 * 24 * time.Hour

// ApplySchedule makes an integration's Temporal Schedule what its file says and
// returns what it did: created, updated, unchanged, or "" if the file has none.
// Whether it is paused stays as it is.
func ApplySchedule(ctx context.Context, c client.Client, in integrations.Integration, dryRun bool) (action string, err error) {
	if in.Schedule == nil {
		return "", nil
	}
	want := SyncInput{
		OrganizationID: in.OrganizationID, IntegrationID: in.ID, AdapterName: in.Adapter, Trigger: "schedule", TriggeredBy: "schedule",
		Schedule: in.Schedule, Policy: in.Policy, RequestsPerMinute: in.Limits.RequestsPerMinute,
	}
	handle := c.ScheduleClient().GetHandle(ctx, ScheduleID(in.OrganizationID, in.ID))
	found, err := handle.Describe(ctx)
	var none *serviceerror.NotFound
	switch {
	case errors.As(err, &none):
		if dryRun {
			return "created", nil
		}
		_, err := c.ScheduleClient().Create(ctx, client.ScheduleOptions{
			ID: ScheduleID(in.OrganizationID, in.ID), Spec: specOf(*in.Schedule), Action: actionOf(want),
			Overlap: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL, CatchupWindow: catchUp,
		})
		return "created", err
	case err != nil:
		return "", err
	case sameInput(found.Schedule.Action, want):
		return "unchanged", nil
	case dryRun:
		return "updated", nil
	}
	return "updated", handle.Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(u client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
		s := u.Description.Schedule
		spec := specOf(*in.Schedule)
		s.Spec, s.Action = &spec, actionOf(want)
		return &client.ScheduleUpdate{Schedule: &s}, nil
	}})
}

// specOf is when a schedule fires.
func specOf(s integrations.Schedule) client.ScheduleSpec {
	calendar := client.ScheduleCalendarSpec{
		Hour: []client.ScheduleRange{{Start: s.Hour}}, Minute: []client.ScheduleRange{{Start: s.Minute}}, Comment: s.String(),
	}
	switch s.Every {
	case "weekly":
		calendar.DayOfWeek = []client.ScheduleRange{{Start: s.Day % 7}} // Temporal's Sunday is 0
	case "monthly":
		calendar.DayOfMonth = []client.ScheduleRange{{Start: s.Day}}
	}
	return client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{calendar}, TimeZoneName: s.TimeZone}
}

func actionOf(in SyncInput) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID: ScheduleID(in.OrganizationID, in.IntegrationID), Workflow: SyncName, Args: []any{in}, TaskQueue: activities.TaskQueue, Priority: fairly(in.OrganizationID),
		StaticSummary: in.AdapterName + " export, " + in.Schedule.String(),
		TypedSearchAttributes: temporal.NewSearchAttributes(
			OrganizationID.ValueSet(in.OrganizationID.String()), IntegrationID.ValueSet(in.IntegrationID.String()), AdapterName.ValueSet(in.AdapterName)),
	}
}

// sameInput compares what a schedule starts with what it should start. The
// input holds all that decides, also when it fires.
func sameInput(action client.ScheduleAction, want SyncInput) bool {
	a, ok := action.(*client.ScheduleWorkflowAction)
	if !ok || len(a.Args) != 1 {
		return false
	}
	payload, ok := a.Args[0].(*common.Payload)
	var is SyncInput
	return ok && converter.GetDefaultDataConverter().FromPayload(payload, &is) == nil && reflect.DeepEqual(is, want)
}

// ScheduleState is an integration's schedule as Temporal has it.
type ScheduleState struct {
	IntegrationID uuid.UUID   `json:"integrationId"`
	Name          string      `json:"name"`
	Schedule      string      `json:"schedule"`
	Paused        bool        `json:"paused"`
	Note          string      `json:"note,omitempty"`
	Next          []time.Time `json:"next"`
	Last          *time.Time  `json:"last,omitempty"` // when it last should have fired, and did
	Created       time.Time   `json:"created"`
}

// DescribeSchedule returns the state of an integration's schedule.
func DescribeSchedule(ctx context.Context, c client.Client, in integrations.Integration) (ScheduleState, error) {
	if in.Schedule == nil {
		return ScheduleState{}, fmt.Errorf("integration %s has no schedule; add one to its file and apply it", in.Name)
	}
	d, err := c.ScheduleClient().GetHandle(ctx, ScheduleID(in.OrganizationID, in.ID)).Describe(ctx)
	if err != nil {
		return ScheduleState{}, fmt.Errorf("schedule of %s: %w; apply its file again", in.Name, err)
	}
	s := ScheduleState{IntegrationID: in.ID, Name: in.Name, Schedule: in.Schedule.String(), Next: d.Info.NextActionTimes, Created: d.Info.CreatedAt}
	if d.Schedule.State != nil {
		s.Paused, s.Note = d.Schedule.State.Paused, d.Schedule.State.Note
	}
	if n := len(d.Info.RecentActions); n > 0 {
		s.Last = &d.Info.RecentActions[n-1].ScheduleTime
	}
	return s, nil
}

// SchedulePaused asks Temporal whether an integration's schedule is paused.
func SchedulePaused(ctx context.Context, c client.Client, organization, integration uuid.UUID) (bool, error) {
	d, err := c.ScheduleClient().GetHandle(ctx, ScheduleID(organization, integration)).Describe(ctx)
	if err != nil {
		return false, err
	}
	return d.Schedule.State != nil && d.Schedule.State.Paused, nil
}
