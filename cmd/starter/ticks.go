package main

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/watcher"
)

func (a *app) ticks() *cobra.Command {
	root := &cobra.Command{Use: "ticks", Short: "What schedules should have done, and what they did"}
	var org, since string
	c := &cobra.Command{
		Use: "list --org NAME", Short: "List when schedules should have fired, and the result: on time, earlier, late, missed, skipped, paused", Args: noArgs,
		Long: `Lists when each schedule should have fired and the result, as the workers have
recorded it. What no worker has recorded yet is worked out now and marked "not
recorded". It needs the database and not Temporal.`,
		RunE: a.onOrganization(&org, func(s *session) error {
			from, err := parseSince(since)
			if err != nil {
				return err
			}
			list, err := ticksOf(s.command.Context(), s.db, s.organization, time.Now(), from)
			if err != nil {
				return err
			}
			if len(list) == 0 && a.output != outputJSON {
				return s.say("no schedule of organization %s should have fired since %s; starter schedules list shows the next firings", s.org, local(from.Local()))
			}
			return a.print(s.command.OutOrStdout(), list, tickTable(list))
		}),
	}
	organizationFlag(c, &org)
	sinceFlag(c, &since, "31d")
	root.AddCommand(c)
	return root
}

func tickTable(list []tickReport) [][]string {
	rows := [][]string{{"EXPECTED", "INTEGRATION", "PERIOD", "RESULT", "EXPORT", "NOTE"}}
	for _, t := range list {
		result, export, note := string(t.Result), "", ""
		if t.late > 0 {
			result += " by " + strconv.Itoa(int(t.late.Round(time.Minute).Minutes())) + " min"
		}
		if t.ExportID != nil {
			export = exports.Short(*t.ExportID)
		}
		if !t.Recorded {
			note = "not recorded"
		}
		rows = append(rows, []string{local(t.ExpectedAt), t.Name, t.Period, result, dash(export), dash(note)})
	}
	return rows
}

// tickReport is an expected firing of a schedule and its result.
type tickReport struct {
	IntegrationID uuid.UUID          `json:"integrationId"`
	Name          string             `json:"integration"`
	ExpectedAt    time.Time          `json:"expectedAt"`
	Period        string             `json:"period"`
	Result        exports.TickResult `json:"result"`
	LateBy        string             `json:"lateBy,omitempty"` // such as "5m0s"
	ExportID      *uuid.UUID         `json:"exportId,omitempty"`
	Recorded      bool               `json:"recorded"` // by a worker

	late time.Duration
}

// tickReportOf is the report of a tick of a schedule, in whose zone the time is.
func tickReportOf(t runlog.Tick, s runlog.ScheduledIntegration, recorded bool) tickReport {
	r := tickReport{
		IntegrationID: t.IntegrationID, Name: s.Name, ExpectedAt: s.Schedule.Local(t.ExpectedAt), Period: t.Period, Result: t.Result, ExportID: t.ExportID,
		Recorded: recorded, late: t.LateBy,
	}
	if r.Result == "" {
		r.Result = "due"
	}
	if t.LateBy > 0 {
		r.LateBy = t.LateBy.Round(time.Second).String()
	}
	return r
}

// ticksOf lists the ticks of an organization's schedules since a time, by time within each.
func ticksOf(ctx context.Context, db runlog.Beginner, organization uuid.UUID, now, since time.Time) ([]tickReport, error) {
	schedules, err := runlog.ListScheduledIntegrations(ctx, db, organization)
	if err != nil {
		return nil, err
	}
	recorded, err := runlog.ListTicks(ctx, db, organization, since, now)
	if err != nil {
		return nil, err
	}
	list := []tickReport{}
	for _, s := range schedules {
		known := make(map[int64]bool)
		for _, t := range recorded {
			if t.IntegrationID == s.ID {
				known[t.ExpectedAt.Unix()] = true
				list = append(list, tickReportOf(t, s, true))
			}
		}
		from := watcher.Since(s, now)
		if since.After(from) {
			from = since
		}
		for _, at := range s.Schedule.FiringsBetween(from, now) {
			if known[at.Unix()] {
				continue
			}
			t, err := watcher.Look(ctx, db, organization, s, at, now, nil)
			if err != nil {
				return nil, err
			}
			list = append(list, tickReportOf(t, s, false))
		}
	}
	return list, nil
}
