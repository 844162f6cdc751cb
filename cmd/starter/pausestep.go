package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// step is what the steps of pausing and resuming work on.
type step struct {
	app *app
	c   *cobra.Command
	db  runlog.Beginner
	in  integrations.Integration
}

func (s step) say(format string, args ...any) { say(s.c.ErrOrStderr(), format, args...) }

// after does what needs Temporal: the schedule, then the monitor. done says
// what holds already if that fails.
func (s step) after(done string, schedule func(client.Client) error) error {
	temporal, _, err := s.app.temporal(s.c.Context())
	if err == nil {
		defer temporal.Close()
		if s.in.Schedule != nil {
			err = schedule(temporal)
		}
	}
	if err == nil {
		err = engine.RefreshMonitor(s.c.Context(), temporal, s.in.OrganizationID, s.in.ID)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; run the command again", done, err)
	}
	s.say("probes: told")
	return nil
}

func (s step) handle(temporal client.Client) (client.ScheduleHandle, *client.ScheduleDescription, error) {
	h := temporal.ScheduleClient().GetHandle(s.c.Context(), engine.ScheduleID(s.in.OrganizationID, s.in.ID))
	d, err := h.Describe(s.c.Context())
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		s.say("schedule: there is none in Temporal; apply the integration's file again")
		return nil, nil, nil
	}
	return h, d, err
}

func (s step) pauseSchedule(temporal client.Client, note string) error {
	h, d, err := s.handle(temporal)
	if err != nil || h == nil {
		return err
	}
	if state := d.Schedule.State; state != nil && state.Paused {
		s.say("schedule: paused already: %s", state.Note)
		return nil
	}
	s.say("schedule: paused")
	return h.Pause(s.c.Context(), client.SchedulePauseOptions{Note: note})
}

// resumeSchedule leaves a schedule alone that was paused by hand.
func (s step) resumeSchedule(temporal client.Client) error {
	h, d, err := s.handle(temporal)
	if err != nil || h == nil {
		return err
	}
	switch state := d.Schedule.State; {
	case state == nil || !state.Paused:
		s.say("schedule: is not paused")
		return nil
	case !strings.HasPrefix(state.Note, pauseNote):
		s.say("schedule: stays paused, since it was paused by itself: %s; see starter schedules resume", state.Note)
		return nil
	}
	s.say("schedule: resumed")
	return h.Unpause(s.c.Context(), client.ScheduleUnpauseOptions{Note: "integration resumed by " + whoami()})
}
