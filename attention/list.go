package attention

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// Sources are who is asked. Temporal may be nil.
type Sources struct {
	DB       runlog.Beginner
	Temporal client.Client
}

// List returns what needs a person in an organization, the worst first. now is the time at
// which secrets and months are looked at. DB needs a login that may read what
// ledgerline_reader may.
func List(ctx context.Context, s Sources, organization uuid.UUID, now time.Time) ([]Item, error) {
	v := view{organization: organization, now: now}
	err := runlog.Snapshot(ctx, s.DB, func(db runlog.Beginner) error {
		for _, read := range []func(context.Context, runlog.Beginner) error{
			v.integrations, v.incidents, v.secrets, v.quotas, v.ticks, v.entries, v.failed, v.calls, v.channels, v.workers,
		} {
			if err := read(ctx, db); err != nil {
				return err
			}
		}
		return v.loadPending(ctx, db)
	})
	if err != nil {
		return nil, err
	}
	seen := v.ask(ctx, s.Temporal)
	v.pending(seen)
	v.stuck(seen)
	v.openCalls(seen)
	worstFirst(v.items)
	return v.items, nil
}

// view is an organization while its items are found.
type view struct {
	organization uuid.UUID
	now          time.Time
	items        []Item

	of      map[uuid.UUID]runlog.HealthStatus // by integration; those that were removed are not there
	open    []runlog.OpenIncident
	exports []exports.Export  // that are pending
	asked   []runlog.OpenCall // whose outcome is not on record
}

// add adds an item of an integration. Nobody can do anything about one that was removed.
func (v *view) add(i Item) {
	h, known := v.of[i.IntegrationID]
	if !known && i.IntegrationID != uuid.Nil {
		return
	}
	i.Integration, i.Adapter, i.Since = h.Name, h.Adapter, i.Since.UTC()
	v.items = append(v.items, i)
}

// key names an occurrence: a kind and a subject, and when it began or what else tells it from
// another one.
func key(k Kind, subject any, occurrence any) string {
	if t, ok := occurrence.(time.Time); ok {
		occurrence = t.UTC().Format("20060102T150405.000000Z")
	}
	return fmt.Sprintf("%s/%v/%v", k, subject, occurrence)
}

// incidentsOf are the incidents of a cause that have not ended.
func (v *view) incidentsOf(c notify.Cause) (list []runlog.OpenIncident) {
	for _, i := range v.open {
		if i.Cause == c {
			list = append(list, i)
		}
	}
	return list
}
