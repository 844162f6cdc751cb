package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
	"github.com/ledgerline/ledgerline/zones"
)

// maxBackfill is the most firings of one backfill: more than a year of days, and few
// enough for one workflow history.
const maxBackfill = 400

func (a *app) schedulesBackfill() *cobra.Command {
	var from, to string
	c := a.onSchedule(&cobra.Command{
		Use: "backfill NAME --org NAME --from TIME --to TIME", Short: "Make up for the runs that a schedule has missed",
		Long: `Runs what the schedule would have run from --from (inclusive) to --to (exclusive),
one run after the other, and prints the runs first. A time is a date, which is
midnight in the schedule's time zone, or RFC 3339. A period that is exported already
is not exported again.`,
		Example: "  starter schedules backfill --org $ORG --integration xledger-main --from 2026-10-01 --to 2026-11-01",
	}, func(c *cobra.Command, s scheduleSession) (*scheduleReport, error) {
		in := s.integration
		firings, err := backfillFirings(*in.Schedule, from, to, time.Now())
		if err != nil {
			return nil, err
		}
		if a.output != outputJSON {
			if err := firingTable(c.OutOrStdout(), "RUNS", firings); err != nil {
				return nil, err
			}
		}
		runs, err := engine.BackfillRuns(in, firings, whoami())
		if err != nil {
			return nil, err
		}
		backfill := workflows.BackfillInput{Runs: runs}
		_, err = s.temporal.ExecuteWorkflow(c.Context(), engine.BackfillOptions(in, backfill), workflows.BackfillName, backfill)
		if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
			return nil, fmt.Errorf("another backfill of %s is running; see starter exports list, and start this one when that has ended", in.Name)
		}
		if err != nil {
			return nil, err
		}
		s.say("schedule of %s: backfill of %s started, one after the other", in.Name, count(len(runs), "run"))
		return &scheduleReport{Firings: firings}, nil
	})
	c.Flags().StringVar(&from, "from", "", "start `time`, inclusive: 2026-10-01 in the schedule's time zone, or RFC 3339")
	c.Flags().StringVar(&to, "to", "", "end `time`, exclusive")
	return c
}

// backfillFirings returns the firings in [from, to), or a usage error.
func backfillFirings(s integrations.Schedule, from, to string, now time.Time) ([]engine.Firing, error) {
	start, err := timeIn(s.TimeZone, "--from", from)
	if err != nil {
		return nil, err
	}
	end, err := timeIn(s.TimeZone, "--to", to)
	if err != nil {
		return nil, err
	}
	if !end.After(start) {
		return nil, usage("--to %s: want a time after --from %s", to, from)
	}
	if end.After(now) {
		return nil, usage("--to %s is in the future, when the schedule runs by itself; want %s or earlier", to, now.In(end.Location()).Format(time.RFC3339))
	}
	var times []time.Time
	for at := range s.Firings(start) {
		if !at.Before(end) {
			break
		}
		if len(times) == maxBackfill {
			return nil, usage("--from and --to span more than %d runs; want fewer: --to %s has the first %d", maxBackfill, at.Format(time.RFC3339), maxBackfill)
		}
		times = append(times, at)
	}
	if len(times) == 0 {
		return nil, usage("the schedule does not fire from %s to %s: %s", local(start), local(end), s)
	}
	return engine.Firings(s, times), nil
}

// timeIn reads a date, as midnight in a zone, or an RFC 3339 time.
func timeIn(zone, flag, value string) (time.Time, error) {
	z, err := zones.Load(zone)
	if err != nil {
		return time.Time{}, err
	}
	if t, err := time.ParseInLocation(time.DateOnly, value, z); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return t.In(z), nil
	}
	return time.Time{}, usage("%s %q: want a date such as 2026-10-01, in %s, or RFC 3339", flag, value, zone)
}
