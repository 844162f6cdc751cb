package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
)

func (a *app) schedules() *cobra.Command {
	c := &cobra.Command{Use: "schedules", Short: "When exports run by themselves"}
	c.AddCommand(a.schedulesList(), a.schedulesDescribe(), a.schedulesPause(), a.schedulesResume(), a.schedulesTrigger(), a.schedulesBackfill())
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
			list, err := listIntegrations(c, pool, organization)
			if err != nil {
				return err
			}
			temporal, _, err := a.temporal(c.Context())
			if err != nil {
				return err
			}
			defer temporal.Close()
			states := []engine.ScheduleStatus{}
			var faults []error
			for _, in := range list {
				if in.Schedule == nil {
					continue
				}
				s, err := engine.DescribeSchedule(c.Context(), temporal, in)
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
				last, next := "", ""
				if len(s.Last) > 0 {
					last = local(s.Last[0].At)
				}
				if len(s.Next) > 0 {
					next = local(s.Next[0].At)
				}
				rows = append(rows, []string{s.Name, s.Schedule, stateOfSchedule(s), dash(last), dash(next), dash(s.Note)})
			}
			return errors.Join(append(faults, table(c.OutOrStdout(), rows))...)
		},
	}
	organizationFlag(c, &org)
	return c
}

func stateOfSchedule(s engine.ScheduleStatus) string {
	state := "active"
	if s.Paused {
		state = "paused"
	}
	if s.OutOfSync {
		state += ", not as applied"
	}
	return state
}

// schedule is what the commands on one schedule work with.
type schedule struct {
	in       integrations.Integration
	pool     *pgxpool.Pool
	temporal client.Client
	handle   client.ScheduleHandle
	state    engine.ScheduleStatus
}

// onSchedule makes a command on one schedule, which exists when do is called.
// do says on stdout what it did, unless JSON is asked for: then that is the
// schedule's state afterwards, or what do returns.
func (a *app) onSchedule(c *cobra.Command, do func(*cobra.Command, schedule) (any, error)) *cobra.Command {
	var org, integration string
	c.Args = noArgs
	c.RunE = func(c *cobra.Command, _ []string) error {
		organization, pool, err := a.organization(c, org)
		if err != nil {
			return err
		}
		defer pool.Close()
		in, err := findIntegration(c.Context(), pool, organization, integration)
		if err != nil {
			return err
		}
		temporal, _, err := a.temporal(c.Context())
		if err != nil {
			return err
		}
		defer temporal.Close()
		s := schedule{in: in, pool: pool, temporal: temporal, handle: temporal.ScheduleClient().GetHandle(c.Context(), engine.ScheduleID(in.OrganizationID, in.ID))}
		if s.state, err = engine.DescribeSchedule(c.Context(), temporal, in); err != nil {
			return err
		}
		result, err := do(c, s)
		if err != nil || a.output != "json" {
			return err
		}
		if result == nil {
			if result, err = engine.DescribeSchedule(c.Context(), temporal, in); err != nil {
				return err
			}
		}
		return printJSON(c.OutOrStdout(), result)
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "`name` or UUID of the integration")
	return c
}

func (a *app) schedulesDescribe() *cobra.Command {
	return a.onSchedule(&cobra.Command{
		Use: "describe --org UUID --integration NAME", Short: "A schedule, its last and its next firings",
	}, func(c *cobra.Command, s schedule) (any, error) {
		if a.output == "json" {
			return s.state, nil
		}
		return nil, describe(c.OutOrStdout(), s.state)
	})
}

func describe(w io.Writer, s engine.ScheduleStatus) error {
	err := table(w, [][]string{
		{"Integration", s.Name + " " + s.IntegrationID.String()},
		{"Schedule", s.Schedule},
		{"Temporal ID", s.ScheduleID},
		{"State", stateOfSchedule(s)},
		{"Note", dash(s.Note)},
		{"Time zone", s.TimeZone},
		{"Exports", "the " + s.PeriodRule + " before"},
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
		rows = append(rows, []string{local(f.At), f.Period, f.StartedAt.UTC().Format(time.RFC3339), dash(f.WorkflowID), dash(f.RunID)})
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

// maxReason is the longest reason of a pause, in bytes.
const maxReason = 500

func checkReason(reason string) error {
	if len(reason) > maxReason {
		return usage("--reason: %d bytes; want at most %d", len(reason), maxReason)
	}
	if bad := badCharacter(reason); bad != "" {
		return usage("--reason %s: want it without", bad)
	}
	return nil
}

func (a *app) schedulesPause() *cobra.Command {
	var reason string
	c := a.onSchedule(&cobra.Command{
		Use: "pause --org UUID --integration NAME --reason WHY", Short: "Stop an integration's scheduled exports",
		Long: `Stops an integration's scheduled exports and nothing else; starter integrations
pause stops its calls too. Who paused and why is in the schedule's note. What is
due meanwhile is not made up for by itself: see starter schedules backfill.`,
		PreRunE: func(*cobra.Command, []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("--reason is missing: want why, for those who look later")
			}
			return checkReason(reason)
		},
	}, func(c *cobra.Command, s schedule) (any, error) {
		err := s.handle.Pause(c.Context(), client.SchedulePauseOptions{Note: whoami() + ": " + reason})
		if err == nil {
			say(c.ErrOrStderr(), "schedule of %s: paused", s.in.Name)
		}
		return nil, err
	})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look later")
	return c
}

func (a *app) schedulesResume() *cobra.Command {
	var reason string
	c := a.onSchedule(&cobra.Command{
		Use: "resume --org UUID --integration NAME", Short: "Go on with an integration's scheduled exports",
		PreRunE: func(*cobra.Command, []string) error { return checkReason(reason) },
	}, func(c *cobra.Command, s schedule) (any, error) {
		err := s.handle.Unpause(c.Context(), client.ScheduleUnpauseOptions{Note: strings.TrimSuffix("resumed by "+whoami()+": "+reason, ": ")})
		if err == nil {
			say(c.ErrOrStderr(), "schedule of %s: goes on", s.in.Name)
		}
		return nil, err
	})
	c.Flags().StringVar(&reason, "reason", "", "why, for those who look later")
	return c
}

func (a *app) schedulesTrigger() *cobra.Command {
	return a.onSchedule(&cobra.Command{
		Use: "trigger --org UUID --integration NAME", Short: "Export now the period that is due, also while paused",
	}, func(c *cobra.Command, s schedule) (any, error) {
		period, err := s.in.Schedule.Period(time.Now())
		if err != nil {
			return nil, err
		}
		if err := s.handle.Trigger(c.Context(), client.ScheduleTriggerOptions{}); err != nil {
			return nil, err
		}
		say(c.ErrOrStderr(), "schedule of %s: triggered for %s; an export that is there already stays the only one", s.in.Name, period)
		return nil, nil
	})
}
