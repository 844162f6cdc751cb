package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/zones"
)

// ScheduleStatus is an integration's schedule as Temporal has it.
type ScheduleStatus struct {
	IntegrationID  uuid.UUID                `json:"integrationId"`
	Name           string                   `json:"name"`
	ScheduleID     string                   `json:"scheduleId"` // in Temporal
	Schedule       string                   `json:"schedule"`   // for people
	TimeZone       string                   `json:"timeZone"`
	PeriodRule     integrations.PeriodRule  `json:"period"`
	Overlap        integrations.OverlapRule `json:"overlap"`
	CatchUp        string                   `json:"catchUp"` // durations as in the file
	WarmUp         string                   `json:"warmUp"`
	DriftThreshold string                   `json:"driftThreshold"`
	Paused         bool                     `json:"paused"`
	Note           string                   `json:"note,omitempty"`
	OutOfSync      bool                     `json:"outOfSync"` // differs from the file that was applied: changed by hand, or an apply was cut off
	Last           []PastFiring             `json:"last"`      // newest first
	Next           []Firing                 `json:"next"`
	Created        time.Time                `json:"created"`
	Updated        time.Time                `json:"updated,omitzero"`
	Running        []string                 `json:"running"` // workflow IDs
	MissedCatchUp  int                      `json:"missedCatchUp"`
	Skipped        int                      `json:"skippedByOverlap"`
}

// Firing is when a schedule fires, and what it exports then.
type Firing struct {
	At     time.Time `json:"at"` // in the schedule's time zone
	Period string    `json:"period"`
}

// PastFiring is a firing of the past, and the run that it started.
type PastFiring struct {
	Firing
	StartedAt  time.Time `json:"startedAt"`
	WorkflowID string    `json:"workflowId"`
	RunID      string    `json:"runId"`
}

// Firings pairs the times at which a schedule fires with their periods.
func Firings(s integrations.Schedule, times []time.Time) []Firing {
	list := make([]Firing, len(times))
	zone, err := zones.Load(s.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	for i, at := range times {
		period, _ := s.Period(at) // a schedule that was applied has a rule and a zone
		list[i] = Firing{at.In(zone), period}
	}
	return list
}

// shown is how many past and how many future firings are listed.
const shown = 5

// DescribeSchedule returns an integration's schedule as Temporal has it. One that is
// missing, from the file or from Temporal, is an error that says what to do.
func DescribeSchedule(ctx context.Context, c client.Client, in integrations.Integration) (ScheduleStatus, error) {
	if in.Schedule == nil {
		return ScheduleStatus{}, fmt.Errorf("integration %s has no schedule; add one to its file and apply it", in.Name)
	}
	d, err := c.ScheduleClient().GetHandle(ctx, ScheduleID(in.OrganizationID, in.ID)).Describe(ctx)
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return ScheduleStatus{}, fmt.Errorf("schedule of %s: it is not in Temporal; apply its file again", in.Name)
	}
	if err != nil {
		return ScheduleStatus{}, fmt.Errorf("schedule of %s: %w", in.Name, err)
	}
	spec, err := specOf(*in.Schedule)
	if err != nil {
		return ScheduleStatus{}, fmt.Errorf("schedule of %s: %w", in.Name, err)
	}
	s := ScheduleStatus{
		IntegrationID: in.ID, Name: in.Name, ScheduleID: ScheduleID(in.OrganizationID, in.ID), Schedule: in.Schedule.String(), TimeZone: in.Schedule.TimeZone,
		PeriodRule: in.Schedule.Rule(), Overlap: in.Schedule.OverlapRule(), CatchUp: integrations.Short(in.Schedule.CatchUpWindow()),
		WarmUp: integrations.Short(in.Schedule.WarmUpLead()), DriftThreshold: integrations.Short(in.Schedule.DriftThresholdOrDefault()),
		OutOfSync: !sameSchedule(d.Schedule, client.Schedule{Spec: &spec, Action: actionOf(in), Policy: policyOf(*in.Schedule)}),
		Next:      Firings(*in.Schedule, d.Info.NextActionTimes[:min(shown, len(d.Info.NextActionTimes))]), Last: []PastFiring{}, Running: []string{},
		Created: d.Info.CreatedAt, Updated: d.Info.LastUpdateAt,
		MissedCatchUp: d.Info.NumActionsMissedCatchupWindow, Skipped: d.Info.NumActionsSkippedOverlap,
	}
	if d.Schedule.State != nil {
		s.Paused, s.Note = d.Schedule.State.Paused, d.Schedule.State.Note
	}
	for _, w := range d.Info.RunningWorkflows {
		s.Running = append(s.Running, w.WorkflowID)
	}
	for i := len(d.Info.RecentActions) - 1; i >= 0 && len(s.Last) < shown; i-- {
		a := d.Info.RecentActions[i]
		fired := PastFiring{Firing: Firings(*in.Schedule, []time.Time{a.ScheduleTime})[0], StartedAt: a.ActualTime}
		if w := a.StartWorkflowResult; w != nil {
			fired.WorkflowID, fired.RunID = w.WorkflowID, w.FirstExecutionRunID
		}
		s.Last = append(s.Last, fired)
	}
	return s, nil
}
