package workflows

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// world is a plan with a clock, whose vendor answers as it is given, or as the plan
// says if that is nil.
type world struct {
	*plan
	now    time.Time
	answer func(w *world, item exports.Item, vouchers []int) *activities.Attempt
}

// makes runs a run to its end.
func (w *world) makes(t require.TestingT) *exports.Progress {
	p := &w.progress
	for steps := 0; !p.Over(); steps++ {
		require.Less(t, steps, 200000, "it does not end")
		item, ok, sleep := p.Take(w.now)
		switch {
		case !ok:
			w.now = w.now.Add(sleep)
			continue
		case item.Do != "":
			arrangeBy(w.do, p, item)
			continue
		}
		var result activities.CallResult
		var err error
		var at *activities.Attempt
		if w.answer != nil && item.Chunk > 0 {
			at = w.answer(w, item, w.chunks[item.Chunk])
		}
		if at == nil {
			result, err = w.invoke(item)
		} else {
			w.requests++
			at.Number, at.Requests, at.Vouchers, at.Entries, err = 1, 1, len(w.chunks[item.Chunk]), 2*len(w.chunks[item.Chunk]), nil
			if at.Class != classify.Success {
				err = errors.New(at.Message)
			}
			result = activities.CallResult{Trail: activities.Trail{*at}, Left: at.Entries}
			if at.Effect == classify.Done {
				w.accepted = append(w.accepted, w.chunks[item.Chunk]...)
				delete(w.chunks, item.Chunk)
			}
		}
		f := p.Follow(shown(*p, item, result, err), w.now, 0)
		w.now = w.now.Add(f.Sleep)
		if p.Failed() {
			break
		}
		if f.Split != nil {
			var r activities.SplitResult
			w.do(activities.SplitInput{Split: *f.Split}, &r)
			p.Halved(f.Split, r.Halved)
		}
	}
	p.Finish()
	return p
}

func newWorld(vouchers, size, full int, answer func(w *world, item exports.Item, vouchers []int) *activities.Attempt) *world {
	w := &world{now: time.Unix(1e6, 0), answer: answer}
	w.plan = newPlan(vouchers, size, exports.Plan{Size: size, Full: full, Isolate: 500, EqualRefusals: 16})
	return w
}

// at is an attempt that succeeds.
func (w *world) at(took time.Duration) *activities.Attempt {
	return &activities.Attempt{Class: classify.Success, Kind: classify.OK, Effect: classify.Done, StartedAt: w.now, EndedAt: w.now.Add(took)}
}

// fails is an attempt that leaves its effect open for two minutes, and in between the
// vendor answers questions: nothing is there.
func (w *world) fails(item exports.Item, class classify.Class, kind classify.Kind) *activities.Attempt {
	a := w.at(time.Second)
	if item.Step == exports.AskStep {
		a.Effect, a.Found, a.LookUps = "", classify.None, 1
		return a
	}
	a.Class, a.Kind, a.Effect, a.Message, a.OpenUntil = class, kind, classify.Open, "no", a.EndedAt.Add(2*time.Minute)
	return a
}

// A refusal that proves nothing has each chunk wait until it can be asked about. In
// whichever order that comes, nothing is rejected if nothing was accepted.
func TestRefusalsThatWait(t *testing.T) {
	for _, chunks := range []int{1, 17, 18, 20, 31, 32, 33, 40, 66, 400} {
		for _, size := range []int{2, 20, 200} {
			w := newWorld(chunks*size/2, size, size, func(w *world, item exports.Item, v []int) *activities.Attempt {
				if len(v) == 0 {
					return nil
				}
				return w.fails(item, classify.Permanent, classify.BadRequest)
			})
			p := w.makes(t)
			if chunks*size/2 >= 16 {
				require.Empty(t, w.rejected, "%d chunks of %d", chunks, size)
				require.Contains(t, p.Export.ErrorMessage, "16 vouchers from all over the plan")
				require.LessOrEqual(t, w.requests, 2*min(chunks, 64)+64, "the rest of the plan is not sent")
			}
		}
	}
}

// A run that may spend little, and has had nothing accepted, leaves all as it is.
func TestSpentBeforeAnythingWasAccepted(t *testing.T) {
	for limit := range 40 {
		w := newWorld(300, 20, 20, nil)
		w.progress.Plan.Isolate = limit
		for v := range 300 {
			w.refused[v] = "the period is closed"
		}
		p := w.makes(t)
		require.Empty(t, w.rejected, limit)
		require.NotEmpty(t, p.Export.ErrorMessage)
	}
}

// What was found there of an earlier run is not accepted by this one.
func TestFoundIsNotAccepted(t *testing.T) {
	w := newWorld(200, 20, 20, func(w *world, item exports.Item, v []int) *activities.Attempt {
		if item.Chunk == 1 && len(v) == 10 {
			a := w.at(time.Second)
			a.Effect, a.Found = "", classify.Done
			delete(w.chunks, 1)
			return a
		}
		return nil
	})
	for v := range 200 {
		w.refused[v] = "the period is closed"
	}
	w.makes(t)
	require.Empty(t, w.rejected)
	require.Less(t, w.requests, 60)
}

// An outage makes requests smaller, and costs no flood of them; what is kept is a
// size that was accepted.
func TestOutages(t *testing.T) {
	for _, minutes := range []int{5, 30, 120} {
		t.Run(fmt.Sprint(minutes), func(t *testing.T) {
			start := time.Unix(1e6, 0)
			w := newWorld(5000, 500, 500, func(w *world, item exports.Item, v []int) *activities.Attempt {
				if len(v) == 0 || w.now.Sub(start) > time.Duration(minutes)*time.Minute {
					return nil
				}
				return w.fails(item, classify.Transient, classify.GatewayTimeout)
			})
			p := w.makes(t)
			require.Len(t, w.accepted, 5000)
			require.Less(t, w.requests, 20+10000/max(p.Export.ChunkSize, 1)+100)
			require.GreaterOrEqual(t, p.Export.ChunkSize, 16)
		})
	}
	w := newWorld(2000, 500, 500, func(w *world, item exports.Item, v []int) *activities.Attempt {
		if len(v) == 0 {
			return nil
		}
		return w.fails(item, classify.Timeout, classify.AttemptTimeout)
	})
	p := w.makes(t)
	require.NotEmpty(t, p.Export.ErrorClass)
	require.Less(t, w.requests, 150)
	require.Zero(t, p.Export.ChunkSize, "nothing was accepted, so nothing is kept")
}

// One small chunk that is slow or gets no answer says nothing of the large ones.
func TestSmallChunksSayNothing(t *testing.T) {
	once := false
	w := newWorld(2001, 500, 500, func(w *world, item exports.Item, v []int) *activities.Attempt {
		if len(v) == 1 {
			return w.at(6 * time.Second)
		}
		return nil
	})
	p := w.makes(t)
	require.Zero(t, p.Export.ChunkSize)

	w = newWorld(20000, 500, 500, func(w *world, item exports.Item, v []int) *activities.Attempt {
		if len(v) == 2 && item.Step == exports.SendStep && !once {
			once = true
			return w.fails(item, classify.Transient, classify.GatewayTimeout)
		}
		return nil
	})
	w.refused[7] = "no such account"
	p = w.makes(t)
	require.Len(t, w.accepted, 19999)
	require.Len(t, w.rejected, 1)
	require.Zero(t, p.Export.ChunkSize)
	require.Less(t, w.requests, 120)
}

// One small chunk that is too large in bytes says nothing of how many entries fit.
func TestOneHeavyChunk(t *testing.T) {
	w := newWorld(20000, 500, 500, func(w *world, item exports.Item, v []int) *activities.Attempt {
		if len(v) > 1 && len(v) < 10 && item.Step == exports.SendStep {
			a := w.at(time.Second)
			a.Class, a.Kind, a.Effect, a.Message = classify.Permanent, classify.PayloadTooLarge, classify.None, "413"
			return a
		}
		return nil
	})
	w.refused[7] = "no such account"
	p := w.makes(t)
	require.Len(t, w.accepted, 19999)
	require.Zero(t, p.Export.ChunkSize)
	require.Less(t, w.requests, 140)
}

// A proxy that takes nothing at all ends the run, and nothing is rejected.
func TestTooLargeForAll(t *testing.T) {
	w := newWorld(10000, 500, 500, nil)
	w.largest = 1
	p := w.makes(t)
	require.Empty(t, w.rejected)
	require.Less(t, w.requests, 100)
	require.Equal(t, classify.PayloadTooLarge, p.Export.ErrorCode)
}

// A token that dies in the middle of a run of a vendor whose refusal of it looks like
// that of a voucher: nobody is rejected for it, whenever it dies.
func TestTokenDies(t *testing.T) {
	for after := range 60 {
		w := newWorld(200, 40, 40, func(w *world, item exports.Item, v []int) *activities.Attempt {
			if w.requests < after || len(v) == 0 {
				return nil
			}
			a := w.at(time.Second)
			a.Class, a.Kind, a.Effect, a.Message = classify.Permanent, classify.Business, classify.None, "not allowed"
			return a
		})
		w.dead = func() bool { return w.requests >= after }
		w.progress.Plan.Ping = true
		w.refused[150] = "no such account"
		p := w.makes(t)
		require.LessOrEqual(t, w.requests-after, 24, "after %d requests", after)
		for v := range w.rejected {
			require.Equal(t, 150, v, "the token died after %d requests", after)
		}
		if len(w.accepted) < 199 {
			require.NotEmpty(t, p.Export.ErrorMessage)
		}
	}
}

// A token that dies while a large chunk is taken apart ends that soon.
func TestTokenDiesInALargeChunk(t *testing.T) {
	w := newWorld(2000, 1000, 1000, func(w *world, item exports.Item, v []int) *activities.Attempt {
		if !item.Isolates || len(v) == 0 {
			return nil
		}
		a := w.at(time.Second)
		a.Class, a.Kind, a.Effect, a.Message = classify.Permanent, classify.Business, classify.None, "not allowed"
		return a
	})
	w.progress.Plan.Ping = true
	w.refused[700] = "no such account" // in the second chunk
	w.dead = func() bool { return w.requests > 8 }
	p := w.makes(t)
	require.Empty(t, w.rejected)
	require.Contains(t, p.Export.ErrorMessage, "the vendor refuses every request")
	require.Less(t, w.requests, 80)
}

// A refused chunk of which it is not known that it is one voucher is never rejected as
// one.
func TestSplitKeeps(t *testing.T) {
	for vouchers, keep := range map[int]bool{0: true, 1: false, 2: true} {
		p := &exports.Progress{Plan: exports.Plan{EqualRefusals: 16, Isolate: 500}, Isolation: exports.Isolation{Trusted: true, Accepted: true}}
		at := activities.Attempt{Number: 1, Class: classify.Permanent, Kind: classify.Business, Effect: classify.None, Vouchers: vouchers}
		r := shown(*p, exports.Item{Chunk: 1}, activities.CallResult{Trail: activities.Trail{at}}, errors.New("no"))
		f := p.Follow(r, time.Now(), 0)
		require.Equal(t, keep, f.Split.Keep, vouchers)
	}
}

// Chunks that are open from an earlier run cannot be drawn from; they are asked for
// first, and do not count as tried.
func TestDrawsAndOpenChunks(t *testing.T) {
	w := newWorld(2000, 20, 20, nil)
	w.undrawable = func(chunk int) bool { return chunk > 1 && chunk <= 200 && !w.made[chunk] }
	for v := range 2000 {
		w.refused[v] = "the period is closed"
	}
	p := w.makes(t)
	require.Empty(t, w.rejected)
	require.Contains(t, p.Export.ErrorMessage, "16 vouchers from all over the plan")
}

// A run of a few vouchers says nothing of the size of chunks, and a pause is no
// failure of a chunk.
func TestWhatSaysNothing(t *testing.T) {
	w := newWorld(1, 50, 500, nil)
	require.Zero(t, w.makes(t).Export.ChunkSize)

	paused := 0
	w = newWorld(20, 50, 50, func(w *world, item exports.Item, v []int) *activities.Attempt {
		a := w.at(time.Second)
		if paused++; paused > 61 {
			return nil
		} else if paused == 61 {
			a.Class, a.Kind, a.Effect, a.Message = classify.Transient, classify.RateLimited, classify.None, "429"
			return a
		}
		a.Class, a.Kind, a.Effect, a.Message = classify.Permanent, classify.Paused, "", "paused"
		return a
	})
	require.Empty(t, w.makes(t).Export.ErrorMessage)
}
