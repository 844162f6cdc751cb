package attention

import (
	"context"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/watcher"
)

// ticks finds the times of schedules of which nothing was done, and exports that began late
// and have not ended. What a missed export would have taken, a later one may have.
func (v *view) ticks(ctx context.Context, db runlog.Beginner) error {
	missed, err := runlog.ListMissedTicks(ctx, db, v.organization)
	if err != nil {
		return err
	}
	for _, t := range missed {
		_, end, err := exports.ParsePeriod(t.Period)
		if err == nil && t.TakenTo != nil && !t.TakenTo.Before(end) {
			continue
		}
		at := t.ExpectedAt.UTC()
		v.add(Item{Kind: Missed, Key: key(Missed, t.IntegrationID, at), Since: at, IntegrationID: t.IntegrationID, Period: t.Period, ScheduledAt: &at})
	}
	late, err := runlog.ListLateTicks(ctx, db, v.organization)
	for _, t := range late {
		at := t.ExpectedAt.UTC()
		v.add(Item{Kind: Late, Key: key(Late, t.IntegrationID, at), Since: at.Add(t.LateBy), IntegrationID: t.IntegrationID, Period: t.Period, ScheduledAt: &at, ExportID: t.ExportID})
	}
	return err
}

// kindOf is the kind of an item of entries.
var kindOf = map[runlog.Trouble]Kind{
	runlog.TroubleRefused: Refused, runlog.TroubleUnknown: Unknown, runlog.TroubleInFlight: InFlight, runlog.TroubleLateError: LateError,
}

// entries finds the entries that were refused and the like, an item for each chain.
func (v *view) entries(ctx context.Context, db runlog.Beginner) error {
	own, err := runlog.ListEntryTrouble(ctx, db, v.organization)
	if err != nil {
		return err
	}
	for _, t := range own {
		i := entryItem(t, kindOf[t.Trouble])
		if i.Kind == LateError { // nothing says when one was found, but there are only ever more
			i.Key = key(LateError, t.ExportID, t.Count.Entries)
		}
		v.add(i)
	}
	elsewhere, err := runlog.ListTroubleElsewhere(ctx, db, v.organization)
	for _, t := range elsewhere {
		i := entryItem(t, Elsewhere)
		i.With, i.Key = t.With, key(Elsewhere, t.ExportID.String()+"/"+t.With+"/"+string(t.Trouble), t.Since)
		v.add(i)
	}
	return err
}

func entryItem(t runlog.EntryTrouble, k Kind) Item {
	return Item{
		Kind: k, Key: key(k, t.ExportID, t.Since), Since: t.Since, IntegrationID: t.IntegrationID, Period: t.Period, ExportID: &t.ExportID, Count: t.Count, Until: t.Until,
	}
}

// failed finds the exports that failed and have something left.
func (v *view) failed(ctx context.Context, db runlog.Beginner) error {
	list, err := runlog.ListFailedExports(ctx, db, v.organization)
	for _, f := range list {
		v.add(Item{
			Kind: Failed, Key: key(Failed, f.ExportID, f.FinishedAt), Since: f.FinishedAt, IntegrationID: f.IntegrationID, Period: f.Period, ExportID: &f.First,
			ScheduledAt: f.ScheduledAt, Count: f.Left, ErrorKind: f.ErrorKind, Message: f.Message,
		})
	}
	return err
}

// loadPending reads the exports that are pending for so long that their runs are asked about.
func (v *view) loadPending(ctx context.Context, db runlog.Beginner) (err error) {
	v.exports, err = runlog.ListPendingExports(ctx, db, v.organization, v.now.Add(-watcher.Restless))
	return err
}

// pending finds the exports that are pending for too long, and those whose runs no longer
// exist.
func (v *view) pending(seen answers) {
	overdue := make(map[string]runlog.OpenIncident)
	for _, i := range v.incidentsOf(notify.ExportOverdue) {
		overdue[i.Subject] = i
	}
	for _, e := range v.exports {
		incident, known := overdue[e.ID.String()]
		w := notify.Waiting{}
		if incident.Facts.Waiting != nil {
			w = *incident.Facts.Waiting
		}
		i := Item{Kind: Overdue, Since: incident.OpenedAt, Waiting: w}
		switch dead := w.For == notify.ForRun; {
		case seen.dead != nil && seen.dead[e.RunID], seen.dead == nil && dead:
			i.Kind, i.Since, i.Waiting = Dead, e.StartedAt, notify.Waiting{For: notify.ForRun}
		case !known:
			continue
		case dead: // somebody has resumed it
			i.Waiting = notify.Waiting{For: notify.ForProgress}
		}
		i.Key, i.IntegrationID, i.Period, i.ExportID, i.ScheduledAt = key(i.Kind, e.ID, e.RunID), e.IntegrationID, e.Period, &e.ID, e.ScheduledAt
		if i.Kind == Overdue {
			i.Key, i.Until, i.ErrorKind = key(i.Kind, e.ID, i.Since), e.DeferredUntil, e.DeferredFor
		}
		v.add(i)
	}
}
