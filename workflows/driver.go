package workflows

import (
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/exports"
)

// Driver takes the steps of a [Sync] without Temporal, for tests that decide
// themselves what happens when and what is lost. Its owner keeps a [exports.Progress] as a run
// does, runs the activities, and waits; what is made next and what follows from it is
// decided by the code that Sync runs.
type Driver struct{ Input SyncInput }

// Invocation is the one that makes an item.
func (d Driver) Invocation(p exports.Progress, item exports.Item, correlation uuid.UUID) activities.Invocation {
	return d.Input.invocation(p.Export, item, correlation)
}

// Seen is what the invocation of an item has shown, which ended with a result that has
// the whole trail, and with an error unless it succeeded.
func (Driver) Seen(in activities.Invocation, item exports.Item, r activities.CallResult, err error) exports.Result {
	return seenOf(in, item, outcomeOf(in, r.Trail, activities.HoldResult{}, r.Response, err), r)
}

// Arrange returns the activity of an item that is no invocation, and what notes its
// result.
func (Driver) Arrange(p *exports.Progress, item exports.Item) (name string, arg any, done func(result func(any) error) error) {
	return arrangement(p, item)
}

// LostOwnership reports whether an activity's error means that the run has to
// claim its export again.
func (Driver) LostOwnership(err error) bool { return lostOwnership(err) }
