package outlook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Imported says where the entries of an import will go, a line for each month and export:
// "84 entries of October 2026 go with the export of October 2026, by the schedule on
// 3 November 2026 06:30 CET". which is the import of a [runlog.ImportResult]. With several
// integrations that take entries from the default source, each line names its own; if all
// take theirs from other sources, a line says so. There are none if nothing waits. ask may be nil.
func Imported(ctx context.Context, db runlog.Beginner, organization uuid.UUID, which string, ask AskSchedule, now time.Time) ([]string, error) {
	all, list, err := takers(ctx, db, organization)
	if err != nil {
		return nil, err
	}
	var lines []string
	if len(list) == 0 && len(all) > 0 {
		lines = append(lines, fmt.Sprintf("no export takes these entries: %s takes those of %s, and they are corrected there", all[0].Name, all[0].Export.Source))
	}
	for _, in := range list {
		o, err := Load(ctx, db, in, now)
		if err != nil {
			return nil, err
		}
		waiting, err := runlog.CountWaiting(ctx, db, nil, in, runlog.WaitingFilter{Import: which})
		if err != nil {
			return nil, err
		}
		prefix := ""
		if len(list) > 1 {
			prefix = in.Name + ": "
		}
		o.askSchedule(ctx, ask, waiting)
		for _, line := range o.imported(waiting) {
			lines = append(lines, prefix+line)
		}
		if paused := o.Paused(); len(waiting) > 0 && paused != "" {
			lines = append(lines, paused)
		}
	}
	return lines, nil
}

// NotTaken says what of imported entries exports would refuse, a sentence for each integration
// and kind: "an export of xledger-main would refuse vouchers: currency EUR is not taken; …".
// Asked are the integrations that take entries from the default source and are there to export,
// see [integrations.Integration.ChoosesEntries], and named, if that is not uuid.Nil.
func NotTaken(ctx context.Context, db runlog.Beginner, organization, named uuid.UUID, contents integrations.Contents) (list []string, err error) {
	_, takes, err := takers(ctx, db, organization)
	for _, in := range takes {
		if !in.ChoosesEntries() && in.ID != named {
			continue
		}
		for _, what := range in.Export.NotTaken(contents) {
			list = append(list, fmt.Sprintf("an export of %s would refuse vouchers: %s", in.Name, what))
		}
	}
	return list, err
}

// takers are an organization's integrations that can be read, all, and those that take entries
// from the default source.
func takers(ctx context.Context, db runlog.Beginner, organization uuid.UUID) (all, list []integrations.Integration, err error) {
	all, err = runlog.ListIntegrations(ctx, db, organization)
	if some := (*runlog.UnreadableError)(nil); err != nil && !errors.As(err, &some) {
		return nil, nil, err
	}
	list = slices.DeleteFunc(slices.Clone(all), func(in integrations.Integration) bool {
		return cmp.Or(in.Export.Source, integrations.DefaultSource) != integrations.DefaultSource
	})
	return all, list, nil
}

// imported says where entries go, by month.
func (o *Outlook) imported(waiting []runlog.Waiting) (lines []string) {
	for len(waiting) > 0 {
		month := exports.ByMonth.Containing(waiting[0].Date)
		n := slices.IndexFunc(waiting, func(w runlog.Waiting) bool { return exports.ByMonth.Containing(w.Date) != month })
		if n < 0 {
			n = len(waiting)
		}
		for _, g := range o.Going(waiting[:n]) {
			what := fmt.Sprintf("%s of %s", entries(g.Entries), exports.PeriodName(month))
			period := o.periodOf(waiting[0].Date)
			switch {
			case period == g.Period || !g.Start.After(waiting[0].Date):
				lines = append(lines, fmt.Sprintf("%s %s with %s", what, verb(g.Entries, "goes", "go"), g.Words))
			case o.isTaken(period):
				lines = append(lines, fmt.Sprintf("%s came late: %s has its export, so %s with %s", what, exports.PeriodName(period),
					verb(g.Entries, "it goes", "they go"), g.Words))
			default:
				lines = append(lines, fmt.Sprintf("%s came late, and %s with %s", what, verb(g.Entries, "goes", "go"), g.Words))
			}
		}
		waiting = waiting[n:]
	}
	return lines
}

// periodOf is the period of the usual kind that has a date.
func (o *Outlook) periodOf(date time.Time) string { return o.kind().Containing(date) }

// isTaken reports whether a period has its export.
func (o *Outlook) isTaken(period string) bool {
	return slices.ContainsFunc(o.claims, func(c exports.Claim) bool { return c.Period == period && c.HasPeriod() })
}
