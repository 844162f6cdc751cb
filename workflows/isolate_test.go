package workflows

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// plan is what a database holds of a run, and a vendor's answers to it.
type plan struct {
	chunks     map[int][]int  // vouchers, of two entries each
	refused    map[int]string // vouchers, and why
	largest    int            // most entries in a request; 0 is any
	took       time.Duration  // by a request
	each       bool           // by each of its entries
	code       classify.Kind  // of refusals
	verified   int            // how often the contract was checked
	differs    bool
	dead       func() bool          // the vendor refuses whatever it is asked
	made       map[int]bool         // chunks
	undrawable func(chunk int) bool // something of it is open
	accepted   []int
	rejected   map[int]string
	requests   int
	progress   exports.Progress
}

func newPlan(vouchers, size int, p exports.Plan) *plan {
	x := &plan{chunks: make(map[int][]int), refused: make(map[int]string), rejected: make(map[int]string), made: make(map[int]bool)}
	for v := range vouchers {
		p.Chunks = 1 + v*2/size
		x.chunks[p.Chunks] = append(x.chunks[p.Chunks], v)
	}
	x.progress = exports.Progress{Plan: p, LateErrors: true}
	x.progress.Begin()
	return x
}

// invoke is an invocation of a chunk: it sends it, and asks for it in the next one
// if it was refused.
func (x *plan) invoke(item exports.Item) (activities.CallResult, error) {
	vouchers := x.chunks[item.Chunk]
	at := activities.Attempt{Number: 1, Class: classify.Success, Kind: classify.OK, Vouchers: len(vouchers), Entries: 2 * len(vouchers), StartedAt: time.Unix(0, 0), EndedAt: time.Unix(0, 0).Add(x.took)}
	if x.each {
		at.EndedAt = at.StartedAt.Add(x.took * time.Duration(2*len(vouchers)))
	}
	result := func() activities.CallResult {
		return activities.CallResult{Trail: activities.Trail{at}, Left: 2 * len(vouchers)}
	}
	if item.Step == exports.PingStep && x.dead != nil && x.dead() {
		at.Class, at.Kind, at.Message = classify.Permanent, classify.Business, "not allowed"
		return activities.CallResult{Trail: activities.Trail{at}}, errors.New(at.Message)
	}
	x.made[item.Chunk] = true
	if item.Step == exports.VerifyStep {
		if x.verified++; x.differs {
			at.Class, at.Kind, at.Message = classify.Permanent, classify.Configuration, "the vendor is not as exports need it"
			return activities.CallResult{Trail: activities.Trail{at}}, errors.New(at.Message)
		}
	}
	if len(vouchers) == 0 {
		return activities.CallResult{Trail: activities.Trail{at}}, nil
	}
	x.requests, at.Requests = x.requests+1, 1
	if item.Step == exports.AskStep {
		at.Found, at.LookUps = classify.None, 1
		return result(), nil
	}
	at.Class, at.Effect, at.Ended = classify.Permanent, classify.Open, true
	if x.largest > 0 && 2*len(vouchers) > x.largest {
		at.Kind = classify.PayloadTooLarge
		return result(), errors.New("too large")
	}
	for _, v := range vouchers {
		if why := x.refused[v]; why != "" {
			at.Kind, at.Message = cmp.Or(x.code, classify.Business), fmt.Sprintf("%s: voucher %d", why, v)
			return result(), errors.New(at.Message)
		}
	}
	at.Class, at.Effect, at.Ended = classify.Success, classify.Done, false
	x.accepted = append(x.accepted, vouchers...)
	delete(x.chunks, item.Chunk)
	return result(), nil
}

// do is what the database does.
func (x *plan) do(arg any, into any) {
	half := func(chunk, upper int) bool {
		v := x.chunks[chunk]
		if len(v) < 2 {
			return false
		}
		x.chunks[chunk], x.chunks[upper] = slices.Clone(v[:(len(v)+1)/2]), slices.Clone(v[(len(v)+1)/2:])
		return true
	}
	switch a := arg.(type) {
	case activities.SplitInput:
		split := half(a.Chunk, a.Into)
		if into.(*activities.SplitResult).Halved = split; !split && !a.Keep {
			for _, v := range x.chunks[a.Chunk] {
				x.rejected[v] = a.Reason
			}
			delete(x.chunks, a.Chunk)
		}
	case activities.DrawInput:
		v, d := x.chunks[a.Chunk], into.(*exports.DrawResult)
		if x.undrawable != nil && x.undrawable(a.Chunk) {
			return
		}
		if d.Alone, d.Moved = len(v) == 1, len(v) > 1; d.Moved {
			i := int(a.Place * float64(len(v)))
			x.chunks[a.Into] = []int{v[i]}
			x.chunks[a.Chunk] = slices.Delete(slices.Clone(v), i, i+1)
		}
	case activities.FitInput:
		out := into.(*exports.FitResult)
		out.Halved, out.Last = half(a.Chunk, a.Into), a.Into
		var rest []int
		for c := a.From; c <= a.To; c++ {
			if slices.Contains(a.Except, c) {
				continue
			}
			rest = append(rest, x.chunks[c]...)
			delete(x.chunks, c)
		}
		for some := range slices.Chunk(rest, max(1, a.Size/2)) {
			out.Last++
			x.chunks[out.Last] = some
		}
	}
}

// run makes a run to its end. Nothing has it wait.
func (x *plan) run(t require.TestingT) {
	w := &world{plan: x, now: time.Unix(100, 0)}
	w.makes(t)
	require.Equal(t, time.Unix(100, 0), w.now)
}

// shown is what the invocation of an item has shown.
func shown(p exports.Progress, item exports.Item, called activities.CallResult, err error) exports.Result {
	in := SyncInput{}.Invocation(p.Export, item, uuid.New())
	return ResultOf(in, item, OutcomeOf(in, called, activities.HoldResult{}, err), called)
}

// arrangeBy arranges an item's chunk as Sync does, in what stands for the database.
func arrangeBy(do func(arg, result any), p *exports.Progress, item exports.Item) {
	switch item.Do {
	case exports.DoDraw:
		draw, out := p.Draw(item), exports.DrawResult{}
		do(activities.DrawInput{Draw: draw}, &out)
		p.Drawn(draw, out)
	case exports.DoFit:
		fit, out := p.Fit(item), exports.FitResult{}
		do(activities.FitInput{Fit: fit}, &out)
		p.Fitted(fit, out, item)
	default:
		split, out := p.Split(item), activities.SplitResult{}
		do(activities.SplitInput{Split: *split}, &out)
		p.Halved(split, out.Halved)
	}
}

func (x *plan) left() (n int) {
	for _, v := range x.chunks {
		n += len(v)
	}
	return n
}

var terms = exports.Plan{Size: 200, Full: 200, Isolate: 500, EqualRefusals: 16}

// 300 vouchers that are all refused for one reason end a run, and none is rejected.
func TestAllRefused(t *testing.T) {
	for _, size := range []int{2, 20, 200, 600} {
		x := newPlan(300, size, terms)
		for v := range 300 {
			x.refused[v] = "the period is closed"
		}
		x.run(t)
		require.Empty(t, x.rejected)
		require.Empty(t, x.accepted)
		require.Equal(t, 300, x.left())
		require.LessOrEqual(t, x.requests, 50, size)
		require.Equal(t, x.requests, x.progress.Export.Requests)
		require.Equal(t, classify.Business, x.progress.Export.ErrorCode)
		require.Contains(t, x.progress.Export.ErrorMessage, "16 vouchers from all over the plan were refused for the same reason, and nothing was accepted, so none of them is recorded as refused: the period is closed")
	}
}

// A few vouchers that are all refused: the contract is checked before anybody is
// blamed. What the vendor could not read is not rejected.
func TestFewRefused(t *testing.T) {
	for _, c := range []struct {
		code     classify.Kind
		differs  bool
		rejected int
	}{{classify.Business, false, 5}, {classify.Business, true, 0}, {classify.RequestDocument, false, 0}, {classify.RequestDocument, true, 0}} {
		x := newPlan(5, 200, terms)
		x.code, x.differs = c.code, c.differs
		for v := range 5 {
			x.refused[v] = "no"
		}
		x.run(t)
		require.Equal(t, 1, x.verified)
		require.Len(t, x.rejected, c.rejected, c)
		require.Equal(t, 5-c.rejected, x.left())
		require.Equal(t, c.rejected == 0, x.progress.Export.ErrorClass != "", c)
	}
}

// The vouchers that are tried come from all over the plan.
func TestDrawnFromAllOver(t *testing.T) {
	x := newPlan(1600, 20, terms)
	for v := range 1600 {
		x.refused[v] = "no"
	}
	x.run(t)
	seen := make(map[int]bool)
	for _, v := range x.chunks {
		if len(v) == 1 {
			seen[v[0]/160] = true // of ten parts
		}
	}
	require.GreaterOrEqual(t, len(seen), 9, seen)
}

// Whatever is refused and for whichever reasons, exactly that is rejected and the
// rest arrives, unless nothing was accepted and 16 were refused alike, or it has
// cost too much.
func TestIsolation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 120).Draw(t, "vouchers")
		x := newPlan(n, 2*rapid.IntRange(1, 60).Draw(t, "vouchers in a chunk"), terms)
		x.progress.Plan.Isolate = rapid.SampledFrom([]int{0, 10, 500, 10000}).Draw(t, "requests")
		x.largest = 2 * rapid.SampledFrom([]int{0, 0, 1, 2, 7}).Draw(t, "vouchers in a request")
		share := rapid.IntRange(0, 10).Draw(t, "refused of ten")
		for v := range n {
			if rapid.IntRange(1, 10).Draw(t, "") <= share {
				x.refused[v] = rapid.SampledFrom([]string{"closed", "closed", "closed", "no such account"}).Draw(t, "why")
			}
		}
		planned := len(x.chunks)
		if x.largest > 0 {
			planned = n // there are more, and smaller ones
		}
		x.run(t)
		e := x.progress.Export
		for _, v := range x.accepted {
			require.Empty(t, x.refused[v])
		}
		for v := range x.rejected {
			require.NotEmpty(t, x.refused[v])
		}
		require.Equal(t, n, len(x.accepted)+len(x.rejected)+x.left(), "none is lost")
		require.LessOrEqual(t, e.Isolating, x.progress.Plan.Isolate+2+planned, "one request and its question may be under way, and each planned chunk that is refused is asked for")
		require.Equal(t, e.ErrorClass != "", x.left() > 0, e.ErrorMessage)
		if x.left() > 0 && len(x.accepted) > 0 {
			require.GreaterOrEqual(t, e.Isolating, x.progress.Plan.Isolate)
		}
		if x.largest > 0 && len(x.accepted) > 1 && e.ErrorClass == "" && n > 8 && len(x.refused) == 0 {
			require.LessOrEqual(t, e.ChunkSize, x.largest*2)
		}
	})
}

// A vendor that takes less makes all chunks smaller; the next run begins there, and
// tries more if that went well.
func TestSizes(t *testing.T) {
	x := newPlan(400, 200, terms)
	x.largest = 60
	x.run(t)
	require.Len(t, x.accepted, 400)
	require.Empty(t, x.rejected)
	require.Equal(t, 50, x.progress.Export.ChunkSize)
	require.LessOrEqual(t, x.requests, 800/50+2*2+6, "each size is refused and asked for once")

	x = newPlan(400, 50, exports.Plan{Size: 50, Full: 200, Isolate: 500, EqualRefusals: 16})
	x.run(t)
	require.Equal(t, 200, x.progress.Export.ChunkSize)

	x = newPlan(400, 50, exports.Plan{Size: 50, Full: 500, Isolate: 500, EqualRefusals: 16})
	x.took = 6 * time.Second // more than half of an attempt's time
	x.run(t)
	require.Len(t, x.accepted, 400)
	require.Equal(t, 50, x.progress.Export.ChunkSize, "smaller ones take as long, so they are of no use")
	require.Less(t, x.requests, 22)

	x = newPlan(400, 50, exports.Plan{Size: 50, Full: 500, Isolate: 500, EqualRefusals: 16})
	x.took = 120 * time.Millisecond // for each entry
	x.each = true
	x.run(t)
	require.Equal(t, 25, x.progress.Export.ChunkSize, "a slow chunk makes the next ones smaller")

	x = newPlan(400, 50, exports.Plan{Size: 50, Full: 500, Isolate: 500, EqualRefusals: 16})
	x.took = 4 * time.Second
	x.run(t)
	require.Zero(t, x.progress.Export.ChunkSize, "it is neither slow nor quick")

	x = newPlan(3, 2, terms)
	x.largest = 1 // not even one voucher fits
	x.run(t)
	require.Empty(t, x.rejected, "nobody is rejected for the size of a request")
	require.Equal(t, 3, x.left())
	require.Contains(t, x.progress.Export.ErrorMessage, "3 chunks were not sent")
}
