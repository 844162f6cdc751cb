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

// Exported says that a period has its export, what the period has come to, and where the
// entries go that came later: "October 2026 has its export, which ended on 3 November 2026
// 06:31 CET; October 2026 is complete: 84 entries in 21 vouchers, NOK 120,400.00; 12 entries
// that came later go with the export of November 2026, by the schedule on 3 December 2026
// 06:30 CET". The entries are counted in their source.
func Exported(ctx context.Context, db runlog.Beginner, sources *runlog.Sources, in integrations.Integration, e exports.Export, now time.Time) (string, []Going, error) {
	o, err := Load(ctx, db, in, now)
	if err != nil {
		return "", nil, err
	}
	chain, err := runlog.LoadChain(ctx, db, in.OrganizationID, e.ID)
	if err != nil {
		return o.state(e, nil), nil, err
	}
	waiting, err := runlog.CountWaiting(ctx, db, sources, in, runlog.WaitingFilter{Before: e.PeriodEnd})
	if err != nil {
		return o.state(e, &chain), nil, err
	}
	going := o.Going(waiting)
	parts := []string{o.state(e, &chain)}
	for _, g := range going {
		parts = append(parts, fmt.Sprintf("%s that came later %s with %s", entries(g.Entries), verb(g.Entries, "goes", "go"), g.Words))
	}
	if len(going) == 0 {
		parts = append(parts, "nothing has come since")
	}
	return strings.Join(parts, "; "), going, nil
}

// state says that a period has its export and when that ended, and what the period has come
// to with its retries: that a run has ended says nothing of that. chain is that of the export;
// nil if it is not known.
func (o *Outlook) state(e exports.Export, chain *exports.Chain) string {
	period := exports.PeriodName(e.Period)
	if e.Status == exports.Pending {
		return fmt.Sprintf("%s is being exported, since %s", period, o.Time(e.StartedAt))
	}
	says := fmt.Sprintf("%s has its export, which %s", period, o.ended(e))
	if e.Status == exports.Failed && e.ErrorMessage != "" && (chain == nil || chain.State() != exports.ChainFailed) { // else the summary has it
		says += ": " + e.ErrorMessage
	}
	switch {
	case chain != nil:
		return says + "; " + headline(*chain)
	case e.Status == exports.Failed:
		return says + "; to send what it left: starter exports retry " + e.Reference(o.Integration.Name)
	}
	return says
}

// ended says how an export ended, and when.
func (o *Outlook) ended(e exports.Export) string {
	says := "ended"
	if e.Status == exports.Failed {
		says = "failed"
	}
	if e.FinishedAt != nil {
		says += " on " + o.Time(*e.FinishedAt)
	}
	return says
}

// headline is what a period has come to, and what to do, as exports show says it.
func headline(c exports.Chain) string {
	if what, command := c.NextStep(); command != "" {
		return c.Summary() + "; " + what + ": " + command
	}
	return c.Summary()
}
