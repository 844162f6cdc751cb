package watcher

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/exports"
)

// How often a worker asks Temporal about the run of each pending export: every askEvery,
// and so rarely that it asks once in askPace on average, however many are pending. With a
// thousand, that is 3 times a second; with ten thousand, 5 times a second, each export
// about every half hour. Every worker asks, each at other times: a run that is gone is
// noticed by the first of them.
const (
	askEvery = 5 * time.Minute
	askPace  = 200 * time.Millisecond
)

// Runs remembers what Temporal has said about the runs of pending exports, and when to ask
// again. It is for the passes of one [Watcher], one after the other.
type Runs struct {
	ask   func(ctx context.Context, e exports.Export) (gone bool, err error)
	known map[uuid.UUID]*answer // by run: one that takes an export over has not been asked about
	away  bool                  // Temporal did not answer in this pass, so it is not asked about others either
}

type answer struct {
	gone bool      // false also if there was none yet
	due  time.Time // when to ask again
	seen bool      // the export is still pending, as of this pass
}

// NewRuns returns a memory of what ask says: whether the run of a pending export no
// longer exists.
func NewRuns(ask func(ctx context.Context, e exports.Export) (gone bool, err error)) *Runs {
	return &Runs{ask: ask, known: make(map[uuid.UUID]*answer)}
}

// gone reports whether the run of an export no longer exists, by the last answer; no, if
// there was none. It asks if that is due, or must.
func (r *Runs) gone(ctx context.Context, e exports.Export, now time.Time, must bool) bool {
	if r == nil {
		return false
	}
	a := r.known[e.RunID]
	if a == nil { // not at once, or a worker that starts would ask about all of them
		a = &answer{due: now.Add(rand.N(r.pause()))}
		r.known[e.RunID] = a
	}
	a.seen = true
	if r.away || !must && now.Before(a.due) {
		return a.gone
	}
	gone, err := r.ask(ctx, e)
	if r.away = err != nil; !r.away {
		pause := r.pause()
		a.gone, a.due = gone, now.Add(pause*3/4+rand.N(pause/2))
	}
	return a.gone
}

// pause is how long an answer holds, on average.
func (r *Runs) pause() time.Duration {
	return max(askEvery, time.Duration(len(r.known))*askPace)
}

// endPass forgets what is no longer pending.
func (r *Runs) endPass() {
	if r == nil {
		return
	}
	r.away = false
	for run, a := range r.known {
		if !a.seen {
			delete(r.known, run)
		}
		a.seen = false
	}
}
