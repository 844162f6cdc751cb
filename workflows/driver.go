package workflows

import (
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/activities"
)

// Driver takes the steps of a [Sync] without Temporal, for tests that decide
// themselves what happens when and what is lost. What is made next and what
// follows from it is decided by the code that Sync runs. Its owner keeps a
// [Progress] as a run does, runs the activities, and waits.
type Driver struct {
	Input SyncInput
	Now   func() time.Time // the server's clock
}

// FollowUp is what is left to be done after [Driver.Follow].
type FollowUp struct {
	Split   *activities.SplitInput // to be halved; see [Driver.Halved]
	Sleep   time.Duration          // the run waits so long
	Over    bool                   // the run goes to its close
	Reclaim bool                   // the run is not the owner any more
}

// Over reports whether nothing is left to be made.
func (Driver) Over(p Progress) bool { return p.over() }

// Take removes the item that is to be made next. If all that is left has to
// wait, ok is false, and sleep is until the first of it is due.
func (d Driver) Take(p *Progress) (item Item, ok bool, sleep time.Duration) { return p.take(d.Now()) }

// Invocation is the one that makes an item.
func (d Driver) Invocation(p Progress, item Item, correlation uuid.UUID) activities.Invocation {
	return d.Input.invocation(p.Export, item, correlation)
}

// Follow notes what follows from the invocation of an item, which ended with a
// result that has the whole trail, and with an error unless it succeeded.
func (d Driver) Follow(p *Progress, in activities.Invocation, item Item, r activities.CallResult, err error) FollowUp {
	s := seenOf(in, item, outcomeOf(in, r.Trail, activities.HoldResult{}, r.Response, err), r)
	s.deferrals, s.unwelcome, s.run = p.Deferrals, p.Unwelcome, p.isolation()
	f := p.note(s, decide(s), d.Now(), d.Input.DeferBase)
	return FollowUp{Split: f.split, Sleep: f.sleep, Over: !f.goOn && f.err == nil, Reclaim: f.err != nil}
}

// Begin notes that a run has its plan.
func (Driver) Begin(p *Progress) { p.begin() }

// Finish notes what is to be on record of a run that goes to its close.
func (Driver) Finish(p *Progress) { p.finish() }

// Arrange returns the activity of an item that is no invocation, and what notes its
// result.
func (Driver) Arrange(p *Progress, item Item) (name string, arg any, done func(result func(any) error) error) {
	return p.arrangement(item)
}

// HandedOver reports whether a run that continues as new was the owner of its
// export, so that the next one goes on where it stopped. Otherwise that one claims.
func (Driver) HandedOver(p Progress, by uuid.UUID) bool { return p.handedOver(by.String()) }

// Halved notes the answer of [activities.Activities.SplitChunk].
func (Driver) Halved(p *Progress, s *activities.SplitInput, halved bool) { p.halved(s, halved) }

// LostOwnership reports whether an activity's error means that the run has to
// claim its export again.
func (Driver) LostOwnership(err error) bool { return lostOwnership(err) }
