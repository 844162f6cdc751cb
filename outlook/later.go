package outlook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// Later are the entries that are dated in a period, came after its export had its plan, and
// were taken by no export yet. What the period has come to does not count them.
type Later struct {
	Going []Going  `json:"going"`          // by the export that will take them
	Words []string `json:"inWords"`        // a line for each, and that the integration is paused
	Note  string   `json:"note,omitempty"` // why it cannot be said whether there are any
}

// CameLater says which entries of a chain's period came later, and where they will go:
// "besides, 2 entries dated in October 2026 came later: they go with the export of November
// 2026, by the schedule on 3 December 2026 06:30 CET". There are none of a period that has no
// plan, which still takes them, of an adoption, and once the integration is removed. That the
// integration or the source cannot be read is a note. ask can be nil.
func CameLater(ctx context.Context, db runlog.Beginner, sources *runlog.Sources, c exports.Chain, ask AskSchedule, now time.Time) (Later, error) {
	later := Later{Going: []Going{}, Words: []string{}}
	first := c.First()
	if !c.Planned || first.Trigger == exports.ByAdopting {
		return later, nil
	}
	in, err := runlog.LoadIntegration(ctx, db, first.OrganizationID, first.IntegrationID)
	if errors.Is(err, runlog.ErrNotFound) {
		return later, nil
	}
	var waiting []runlog.Waiting
	if err == nil {
		waiting, err = runlog.CountWaiting(ctx, db, sources, in, runlog.WaitingFilter{Before: first.PeriodEnd})
	}
	if err != nil {
		later.Note = fmt.Sprintf("whether entries of %s came later cannot be said now: %v", exports.PeriodName(first.Period), err)
		return later, nil
	}
	o, err := Load(ctx, db, in, now)
	if err != nil {
		return later, err
	}
	within := slices.DeleteFunc(waiting, func(w runlog.Waiting) bool {
		return w.Date.Before(first.PeriodStart) || !w.Date.Before(first.PeriodEnd)
	})
	o.askSchedule(ctx, ask, within)
	return o.later(first, within), nil
}

// later says where the entries go that wait and are dated in the period of an export.
func (o *Outlook) later(e exports.Export, within []runlog.Waiting) Later {
	later := Later{Going: o.Going(within), Words: []string{}}
	for _, g := range later.Going {
		later.Words = append(later.Words, fmt.Sprintf("besides, %s dated in %s came later: %s with %s",
			entries(g.Entries), exports.PeriodName(e.Period), verb(g.Entries, "it goes", "they go"), g.Words))
	}
	if len(later.Going) > 0 && o.Paused() != "" {
		later.Words = append(later.Words, o.Paused())
	}
	return later
}
