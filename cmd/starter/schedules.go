package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/plain"
)

func (a *app) schedules() *cobra.Command {
	c := &cobra.Command{Use: "schedules", Short: "List, describe, pause, resume, trigger and backfill schedules"}
	c.AddCommand(a.schedulesList(), a.schedulesDescribe(), a.schedulesPause(), a.schedulesResume(), a.schedulesTrigger(), a.schedulesBackfill())
	return c
}

func (a *app) schedulesList() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "list --org NAME", Short: "List an organization's schedules and when they fire next", Args: noArgs,
		RunE: a.onOrganization(&org, func(s *session) error {
			list, err := s.list()
			if err != nil {
				return err
			}
			if err := s.connect(); err != nil {
				return err
			}
			schedules := []engine.ScheduleStatus{}
			var errs []error
			for _, in := range list {
				if in.Schedule == nil {
					continue
				}
				status, err := engine.DescribeSchedule(s.command.Context(), s.temporal, in)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				schedules = append(schedules, status)
			}
			if len(schedules) == 0 && len(errs) == 0 && a.output != outputJSON {
				return s.say("no integration of organization %s has a schedule; it is set in the integration file: docs/integration-file.md", s.org)
			}
			return errors.Join(append(errs, a.print(s.command.OutOrStdout(), schedules, scheduleTable(schedules)))...)
		}),
	}
	organizationFlag(c, &org)
	return c
}

func scheduleTable(list []engine.ScheduleStatus) [][]string {
	rows := [][]string{{"NAME", "SCHEDULE", "STATE", "LAST", "NEXT", "NOTE"}}
	for _, s := range list {
		last, next := "", ""
		if len(s.Last) > 0 {
			last = local(s.Last[0].At) + ", " + s.Last[0].Period
		}
		if len(s.Next) > 0 && !s.Paused {
			next = local(s.Next[0].At) + ", " + s.Next[0].Period
		}
		rows = append(rows, []string{s.Name, s.Schedule, scheduleState(s), dash(last), dash(next), dash(s.Note)})
	}
	return rows
}

func scheduleState(s engine.ScheduleStatus) string {
	state := "active"
	if s.Paused {
		state = "paused"
	}
	if s.OutOfSync {
		state += ", not as applied"
	}
	return state
}

// scheduleSession is what the commands on one schedule work with.
type scheduleSession struct {
	*session
	handle client.ScheduleHandle
	status engine.ScheduleStatus
}

// scheduleReport is what a command on one schedule prints as JSON: the schedule, or what a
// backfill will run.
type scheduleReport struct {
	*engine.ScheduleStatus
	Firings []engine.Firing `json:"firings,omitempty"`
}

// onSchedule completes a command on one schedule, which exists when do is called.
// With -o json it prints what do returns or, if that is nil, the schedule as it is
// afterwards.
func (a *app) onSchedule(c *cobra.Command, do func(*cobra.Command, scheduleSession) (*scheduleReport, error)) *cobra.Command {
	var org, integration string
	c.RunE = func(c *cobra.Command, _ []string) error {
		opened, err := a.openIntegration(c, org, integration)
		if err != nil {
			return err
		}
		defer opened.close()
		if err := opened.connect(); err != nil {
			return err
		}
		in := opened.integration
		s := scheduleSession{session: opened, handle: opened.temporal.ScheduleClient().GetHandle(c.Context(), engine.ScheduleID(in.OrganizationID, in.ID))}
		if s.status, err = engine.DescribeSchedule(c.Context(), s.temporal, in); err != nil {
			return err
		}
		result, err := do(c, s)
		if err != nil || a.output != outputJSON {
			return err
		}
		if result == nil {
			status, err := engine.DescribeSchedule(c.Context(), s.temporal, in)
			if err != nil {
				return err
			}
			result = &scheduleReport{ScheduleStatus: &status}
		}
		return printJSON(c.OutOrStdout(), result)
	}
	organizationFlag(c, &org)
	integrationObject(c, &integration)
	return c
}

func (a *app) schedulesDescribe() *cobra.Command {
	return a.onSchedule(&cobra.Command{
		Use: "describe NAME --org NAME", Short: "Show a schedule, its last and its next firings",
	}, func(c *cobra.Command, s scheduleSession) (*scheduleReport, error) {
		if a.output == outputJSON {
			return &scheduleReport{ScheduleStatus: &s.status}, nil
		}
		return nil, printSchedule(c.OutOrStdout(), s.status)
	})
}

func printSchedule(w io.Writer, s engine.ScheduleStatus) error {
	err := table(w, [][]string{
		{"Integration", s.Name + " " + s.IntegrationID.String()},
		{"Schedule", s.Schedule},
		{"Temporal ID", s.ScheduleID},
		{"State", scheduleState(s)},
		{"Note", dash(s.Note)},
		{"Time zone", s.TimeZone},
		{"Exports", "the " + string(s.PeriodRule) + " before"},
		{"Overlap", fmt.Sprintf("%s, %d skipped so far", s.Overlap, s.Skipped)},
		{"Catch-up", fmt.Sprintf("%s, %d missed so far", s.CatchUp, s.MissedCatchUp)},
		{"Warm-up", s.WarmUp},
		{"Drift alert", "above " + s.DriftThreshold},
		{"Running", dash(strings.Join(s.Running, ", "))},
	})
	if err != nil {
		return err
	}
	rows := [][]string{{"LAST FIRINGS", "PERIOD", "STARTED", "WORKFLOW", "RUN"}}
	for _, f := range s.Last {
		rows = append(rows, []string{local(f.At), f.Period, localTime(f.StartedAt.In(f.At.Location())), dash(f.WorkflowID), dash(f.RunID)})
	}
	say(w, "")
	if err := table(w, rows); err != nil {
		return err
	}
	say(w, "")
	return firingTable(w, "NEXT FIRINGS", s.Next)
}

func firingTable(w io.Writer, title string, list []engine.Firing) error {
	rows := [][]string{{title, "PERIOD"}}
	for _, f := range list {
		rows = append(rows, []string{local(f.At), f.Period})
	}
	return table(w, rows)
}

// maxReason is the longest --reason, in bytes.
const maxReason = 500

func checkReason(reason string) error {
	if len(reason) > maxReason {
		return usage("--reason: %d bytes; want at most %d", len(reason), maxReason)
	}
	if bad := plain.Text(reason); bad != nil {
		return usage("--reason %w: want it without", bad)
	}
	return nil
}

func (a *app) schedulesPause() *cobra.Command {
	var reason string
	c := a.onSchedule(&cobra.Command{
		Use: "pause NAME --org NAME --reason TEXT", Short: "Stop an integration's scheduled exports",
		Long: `Stops an integration's scheduled exports and nothing else; starter integrations
pause stops its calls too. Who paused it and why is in the schedule's note. Runs that
are missed while it is paused are not made up for by themselves: see starter
schedules backfill.`,
		PreRunE: func(*cobra.Command, []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("--reason is missing: say why, for those who find it paused")
			}
			return checkReason(reason)
		},
	}, func(c *cobra.Command, s scheduleSession) (*scheduleReport, error) {
		if err := s.handle.Pause(c.Context(), client.SchedulePauseOptions{Note: whoami() + ": " + reason}); err != nil {
			return nil, err
		}
		return nil, s.say("schedule of %s: paused", s.integration.Name)
	})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look later")
	return c
}

func (a *app) schedulesResume() *cobra.Command {
	var reason string
	c := a.onSchedule(&cobra.Command{
		Use: "resume NAME --org NAME", Short: "Resume an integration's scheduled exports",
		PreRunE: func(*cobra.Command, []string) error { return checkReason(reason) },
	}, func(c *cobra.Command, s scheduleSession) (*scheduleReport, error) {
		note := strings.TrimSuffix("resumed by "+whoami()+": "+reason, ": ")
		if err := s.handle.Unpause(c.Context(), client.ScheduleUnpauseOptions{Note: note}); err != nil {
			return nil, err
		}
		return nil, s.say("schedule of %s: resumed", s.integration.Name)
	})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look later")
	return c
}

func (a *app) schedulesTrigger() *cobra.Command {
	return a.onSchedule(&cobra.Command{
		Use: "trigger NAME --org NAME", Short: "Export the period that is due now, also while the schedule is paused",
	}, func(c *cobra.Command, s scheduleSession) (*scheduleReport, error) {
		period, err := s.integration.Schedule.Period(time.Now())
		if err != nil {
			return nil, err
		}
		if err := s.handle.Trigger(c.Context(), client.ScheduleTriggerOptions{}); err != nil {
			return nil, err
		}
		return nil, s.say("schedule of %s: triggered for %s; a period that is exported already is not exported again", s.integration.Name, period)
	})
}
