package main

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/watcher"
)

func (a *app) ticks() *cobra.Command {
	root := &cobra.Command{Use: "ticks", Short: "What schedules should have done, and did"}
	var org string
	var since time.Duration
	c := &cobra.Command{
		Use: "list --org UUID", Short: "Each time a schedule should have fired: on time, earlier, late, missed, skipped, paused", Args: noArgs,
		Long: `Lists when each schedule should have fired and what came of it, as the workers
have recorded it; what no worker has looked at yet is worked out now and marked
with "not recorded". It needs the database and not Temporal.`,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := ticksOf(c.Context(), pool, organization, time.Now(), since)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), list)
			}
			rows := [][]string{{"EXPECTED", "INTEGRATION", "PERIOD", "RESULT", "EXPORT", "NOTE"}}
			for _, t := range list {
				result, export, note := string(t.Result), "", ""
				if t.LateBy > 0 {
					result += " by " + strconv.Itoa(int(t.LateBy.Round(time.Minute).Minutes())) + " min"
				}
				if t.ExportID != nil {
					export = t.ExportID.String()
				}
				if !t.Recorded {
					note = "not recorded"
				}
				rows = append(rows, []string{t.ExpectedAt.UTC().Format(time.RFC3339), t.Name, t.Period, result, dash(export), dash(note)})
			}
			return table(c.OutOrStdout(), rows)
		},
	}
	organizationFlag(c, &org)
	c.Flags().DurationVar(&since, "since", 31*24*time.Hour, "how far back to look")
	root.AddCommand(c)
	return root
}

// tick is an expected firing and what came of it.
type tick struct {
	runlog.Tick
	Name     string `json:"integration"`
	Recorded bool   `json:"recorded"` // by a worker
}

// ticksOf lists the ticks of an organization's schedules, by time within each.
func ticksOf(ctx context.Context, db runlog.Beginner, organization uuid.UUID, now time.Time, since time.Duration) ([]tick, error) {
	schedules, err := runlog.ListScheduledIntegrations(ctx, db, organization)
	if err != nil {
		return nil, err
	}
	recorded, err := runlog.ListTicks(ctx, db, organization, now.Add(-since), now)
	if err != nil {
		return nil, err
	}
	list := []tick{}
	for _, s := range schedules {
		known := make(map[int64]bool)
		for _, t := range recorded {
			if t.IntegrationID == s.ID {
				known[t.ExpectedAt.Unix()] = true
				list = append(list, tick{t, s.Name, true})
			}
		}
		from := watcher.Since(s, now)
		if start := now.Add(-since); start.After(from) {
			from = start
		}
		for _, at := range s.Schedule.FiringsBetween(from, now) {
			if known[at.Unix()] {
				continue
			}
			t, err := watcher.Look(ctx, db, organization, s, at, now, nil)
			if err != nil {
				return nil, err
			}
			if t.Result == "" {
				t.Result = "due"
			}
			list = append(list, tick{t, s.Name, false})
		}
	}
	return list, nil
}
