package outlook

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Exported says that a period has its export, how that stands, and where the entries go
// that came later: "October 2026 has its export, complete since 3 November 2026 06:31 CET;
// 12 entries that came later go with the export of November 2026, by the schedule on
// 3 December 2026 06:30 CET". The entries are counted in their source.
func Exported(ctx context.Context, db runlog.Beginner, sources *runlog.Sources, in integrations.Integration, e exports.Export, now time.Time) (string, []Going, error) {
	o, err := Load(ctx, db, in, now)
	if err != nil {
		return "", nil, err
	}
	waiting, err := runlog.CountWaiting(ctx, db, sources, in, runlog.WaitingFilter{Before: e.PeriodEnd})
	if err != nil {
		return o.state(e), nil, err
	}
	going := o.Going(waiting)
	parts := []string{o.state(e)}
	for _, g := range going {
		parts = append(parts, fmt.Sprintf("%s that came later %s with %s", entries(g.Entries), verb(g.Entries, "goes", "go"), g.Words))
	}
	if len(going) == 0 {
		parts = append(parts, "nothing has come since")
	}
	return strings.Join(parts, "; "), going, nil
}

// state says that a period has its export, and how that stands.
func (o *Outlook) state(e exports.Export) string {
	period := exports.PeriodName(e.Period)
	since := ""
	if e.FinishedAt != nil {
		since = " since " + o.Time(*e.FinishedAt)
	}
	switch {
	case e.Status == exports.Pending:
		return fmt.Sprintf("%s is being exported, since %s", period, o.Time(e.StartedAt))
	case e.Status == exports.Failed:
		failed := fmt.Sprintf("%s has its export, failed%s", period, since)
		if e.ErrorMessage != "" {
			failed += ": " + e.ErrorMessage
		}
		return fmt.Sprintf("%s; to send what it left: starter exports retry %s", failed, e.Reference(o.Integration.Name))
	}
	return fmt.Sprintf("%s has its export, complete%s", period, since)
}
