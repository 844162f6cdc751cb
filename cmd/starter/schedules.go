package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// applySchedules brings the Temporal Schedules in line with a file that was
// stored, and says what it did and when each fires next, with its period.
func (a *app) applySchedules(c *cobra.Command, list []integrations.Integration, dryRun bool) error {
	words := c.ErrOrStderr()
	any := false
	for _, in := range list {
		any = any || in.Schedule != nil
	}
	if !any {
		return nil
	}
	temporal, _, err := a.temporal(c.Context())
	if err != nil {
		return fmt.Errorf("the integrations are stored, their schedules are not: %w", err)
	}
	defer temporal.Close()
	for _, in := range list {
		action, err := workflows.ApplySchedule(c.Context(), temporal, in, dryRun)
		if err != nil {
			return fmt.Errorf("schedule of %s: %w; apply the file again", in.Name, err)
		}
		if action == "" {
			continue
		}
		fmt.Fprintf(words, "schedule %s: %s, %s\n", in.Name, action, in.Schedule)
		if dryRun {
			continue
		}
		if s, err := workflows.DescribeSchedule(c.Context(), temporal, in); err == nil {
			firings(words, in, s.Next)
		}
	}
	return nil
}

// firings prints the next five firings in local time with their periods.
func firings(w io.Writer, in integrations.Integration, next []time.Time) {
	zone, err := time.LoadLocation(in.Schedule.TimeZone)
	if err != nil {
		return
	}
	for _, at := range next[:min(5, len(next))] {
		period, _ := in.Schedule.Period(at)
		fmt.Fprintf(w, "  %s exports %s\n", at.In(zone).Format("Mon 2006-01-02 15:04 MST"), period)
	}
}

func (a *app) schedules() *cobra.Command {
	c := &cobra.Command{Use: "schedules", Short: "When exports run by themselves"}
	c.AddCommand(a.schedulesList(),
		a.scheduleDo("pause", "Stop an integration's scheduled exports", func(c *cobra.Command, h client.ScheduleHandle, note string) error {
			return h.Pause(c.Context(), client.SchedulePauseOptions{Note: note})
		}),
		a.scheduleDo("resume", "Go on with an integration's scheduled exports", func(c *cobra.Command, h client.ScheduleHandle, note string) error {
			return h.Unpause(c.Context(), client.ScheduleUnpauseOptions{Note: note})
		}),
		a.scheduleDo("trigger", "Export now the period that is due", func(c *cobra.Command, h client.ScheduleHandle, _ string) error {
			return h.Trigger(c.Context(), client.ScheduleTriggerOptions{})
		}),
		a.schedulesBackfill())
	return c
}

func (a *app) schedulesList() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "list --org UUID", Short: "An organization's schedules and when they fire next", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := runlog.Integrations(c.Context(), pool, organization)
			if err != nil {
				return err
			}
			temporal, _, err := a.temporal(c.Context())
			if err != nil {
				return err
			}
			defer temporal.Close()
			states := []workflows.ScheduleState{}
			var faults []error
			for _, in := range list {
				if in.Schedule == nil {
					continue
				}
				s, err := workflows.DescribeSchedule(c.Context(), temporal, in)
				if err != nil {
					faults = append(faults, err)
					continue
				}
				states = append(states, s)
			}
			if a.output == "json" {
				return errors.Join(append(faults, printJSON(c.OutOrStdout(), states))...)
			}
			rows := [][]string{{"NAME", "SCHEDULE", "STATE", "LAST", "NEXT", "NOTE"}}
			for _, s := range states {
				state, last, next := "active", "", ""
				if s.Paused {
					state = "paused"
				}
				if s.Last != nil {
					last = s.Last.UTC().Format(time.RFC3339)
				}
				if len(s.Next) > 0 {
					next = s.Next[0].UTC().Format(time.RFC3339)
				}
				rows = append(rows, []string{s.Name, s.Schedule, state, dash(last), dash(next), dash(s.Note)})
			}
			return errors.Join(append(faults, table(c.OutOrStdout(), rows))...)
		},
	}
	organizationFlag(c, &org)
	return c
}

// scheduleDo is a command that does something to one schedule.
func (a *app) scheduleDo(name, short string, do func(*cobra.Command, client.ScheduleHandle, string) error) *cobra.Command {
	var org, integration, reason string
	c := &cobra.Command{
		Use: name + " --org UUID --integration NAME", Short: short, Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSchedule(c, org, integration, func(h client.ScheduleHandle) error {
				if err := do(c, h, whoami()+": "+reason); err != nil {
					return err
				}
				fmt.Fprintf(c.ErrOrStderr(), "%s: done\n", name)
				return nil
			})
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "`name` or UUID of the integration")
	if name != "trigger" {
		c.Flags().StringVar(&reason, "reason", "", "why, for those who look later")
	}
	return c
}

func (a *app) onSchedule(c *cobra.Command, org, integration string, do func(client.ScheduleHandle) error) error {
	organization, pool, err := a.organization(c, org)
	if err != nil {
		return err
	}
	defer pool.Close()
	in, err := find(c.Context(), pool, organization, integration)
	if err != nil {
		return err
	}
	temporal, _, err := a.temporal(c.Context())
	if err != nil {
		return err
	}
	defer temporal.Close()
	if _, err := workflows.DescribeSchedule(c.Context(), temporal, in); err != nil {
		return err
	}
	return do(temporal.ScheduleClient().GetHandle(c.Context(), workflows.ScheduleID(in.OrganizationID, in.ID)))
}

func (a *app) schedulesBackfill() *cobra.Command {
	var org, integration, from, to string
	c := &cobra.Command{
		Use: "backfill --org UUID --integration NAME --from DATE --to DATE", Short: "Run what a schedule would have run; what was exported stays exported once", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			start, err := time.Parse(time.DateOnly, from)
			if err != nil {
				return usage("--from %q: want a date such as 2026-10-01", from)
			}
			end, err := time.Parse(time.DateOnly, to)
			if err != nil || !end.After(start) {
				return usage("--to %q: want a date after --from such as 2026-11-01", to)
			}
			return a.onSchedule(c, org, integration, func(h client.ScheduleHandle) error {
				return h.Backfill(c.Context(), client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{{Start: start, End: end, Overlap: enums.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL}}})
			})
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "`name` or UUID of the integration")
	c.Flags().StringVar(&from, "from", "", "first `date`, UTC")
	c.Flags().StringVar(&to, "to", "", "`date` before which it ends, UTC")
	return c
}
