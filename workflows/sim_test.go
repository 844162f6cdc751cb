package workflows

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// openness is until when the effect of a voucher's last sending is open.
type openness struct {
	until time.Time
	ended bool
}

// sim is a run with everything around it: what the database holds, a vendor with books
// of its own that answers at random, and a clock. It shares nothing with the code that
// decides but the activities' types, and checks at each step what must always hold.
type sim struct {
	t                 *rapid.T
	r                 *rand.Rand
	now               time.Time
	chunks            map[int][]int
	open              map[int]openness
	stored            map[int]bool // at the vendor
	exported          map[int]bool
	rejected          map[int]bool
	refused           map[int]string
	kindOf            map[int]classify.Kind
	alone             map[int]bool // refused alone
	largest           int
	acceptedMax       int  // entries in the largest accepted request of this run
	accepted          bool // by this run
	requests, lookUps int
	verified          bool
	noise             int // percent of sends that go wrong
	style             int
	p                 exports.Progress
	plan              exports.Plan
	log               []string
}

// logf notes a step, for a run that fails.
func (x *sim) logf(f string, a ...any) { x.log = append(x.log, fmt.Sprintf(f, a...)) }
func (x *sim) check(ok bool, f string, a ...any) {
	if !ok {
		x.t.Log(strings.Join(x.log, "\n"))
		x.t.Fatalf(f, a...)
	}
}

// invoke is an invocation of one attempt.
func (x *sim) invoke(item exports.Item) (activities.CallResult, error) {
	at := activities.Attempt{Number: 1, Class: classify.Success, Kind: classify.OK, StartedAt: x.now, EndedAt: x.now.Add(50 * time.Millisecond)}
	left := 0
	res := func() (activities.CallResult, error) {
		x.requests += at.Requests
		x.lookUps += at.LookUps
		x.now = at.EndedAt
		var err error
		if at.Class != classify.Success {
			err = errors.New(at.Message)
		}
		x.logf("   -> %s/%s eff=%s ended=%v found=%s v=%d e=%d left=%d asking=%v", at.Class, at.Kind, at.Effect, at.Ended, at.Found, at.Vouchers, at.Entries, left, at.Asking)
		return activities.CallResult{Trail: activities.Trail{at}, Left: left}, err
	}
	flaky := x.r.Intn(100) < x.noise
	if item.Step == exports.VerifyStep || item.Step == exports.PingStep {
		at.Requests, at.LookUps = 1, 1
		if flaky {
			at.Class, at.Kind, at.Message = classify.Transient, classify.Unavailable, "away"
			return res()
		}
		if item.Step == exports.VerifyStep {
			x.verified = true
		}
		return res()
	}
	if item.Step == exports.LateErrorsStep {
		at.Requests, at.LookUps = 1, 1
		return res()
	}
	vs := x.chunks[item.Chunk]
	if flaky && x.r.Intn(10) == 0 {
		at.Class, at.Kind, at.Message = classify.Permanent, classify.Paused, "paused"
		return res()
	}
	if len(vs) == 0 {
		return res()
	}
	count := func(l []int) { at.Vouchers, at.Entries = len(l), 2*len(l) }
	count(vs)
	remaining := vs
	if slices.ContainsFunc(vs, func(v int) bool { _, ok := x.open[v]; return ok }) {
		at.Requests, at.LookUps = 1, 1
		if flaky && x.r.Intn(2) == 0 {
			at.Asking, at.Class, at.Kind, at.Message = true, classify.Transient, classify.Unavailable, "away"
			return res()
		}
		remaining = nil
		wait := time.Duration(0)
		found := false
		for _, v := range vs {
			o, ok := x.open[v]
			switch {
			case !ok:
				remaining = append(remaining, v)
			case x.stored[v]:
				x.exported[v] = true
				delete(x.open, v)
				found = true
			case !o.ended && x.now.Before(o.until):
				wait = max(wait, o.until.Sub(x.now))
				remaining = append(remaining, v)
			default:
				delete(x.open, v)
				remaining = append(remaining, v)
			}
		}
		x.chunks[item.Chunk] = remaining
		if wait > 0 {
			at.Asking, at.Class, at.Kind, at.Message, at.RetryAfter = true, classify.Transient, classify.Unsettled, "early", wait
			return res()
		}
		at.Found = classify.None
		if found {
			at.Found = classify.Done
			if item.Step == exports.AskStep {
				x.accepted = true
			}
		}
		count(remaining)
	}
	left = len(remaining) * 2
	if item.Step == exports.AskStep || len(remaining) == 0 {
		if item.Step != exports.AskStep {
			left = 0
		}
		return res()
	}
	for _, v := range remaining {
		_, ok := x.open[v]
		x.check(!ok, "voucher %d is sent while open", v)
		x.check(!x.stored[v], "voucher %d is sent twice", v)
		x.check(!x.rejected[v], "voucher %d is sent after rejection", v)
	}
	at.Requests++
	T := at.EndedAt.Add(2 * time.Minute)
	mark := func(ended bool) {
		at.Effect, at.Ended = classify.Open, ended
		if !ended {
			at.OpenUntil = T
		}
		for _, v := range remaining {
			x.open[v] = openness{T, ended}
		}
	}
	if flaky {
		switch x.r.Intn(7) {
		case 0: // throttled
			at.Class, at.Kind, at.Message, at.Effect = classify.Transient, classify.RateLimited, "429", classify.None
			at.RetryAfter = 10 * time.Second
		case 1:
			at.Class, at.Kind, at.Message = classify.Transient, classify.GatewayTimeout, "504"
			mark(false)
		case 2:
			at.Class, at.Kind, at.Message = classify.Timeout, classify.AttemptTimeout, "timeout"
			at.EndedAt = at.StartedAt.Add(10 * time.Second)
			T = at.EndedAt.Add(2 * time.Minute)
			mark(false)
			if x.r.Intn(2) == 0 {
				for _, v := range remaining {
					if x.refused[v] != "" {
						return res()
					}
				}
				for _, v := range remaining {
					x.stored[v] = true
				}
			}
		case 3:
			at.Class, at.Kind, at.Message = classify.Transient, classify.Network, "cut"
			mark(false)
			for _, v := range remaining {
				if x.refused[v] == "" && x.r.Intn(2) == 0 {
					x.stored[v] = true
				}
			}
		case 4:
			at.Class, at.Kind, at.Message = classify.Transient, classify.Unavailable, "503"
			mark(true)
		case 5:
			at.Class, at.Kind, at.Message = classify.Timeout, classify.WorkerLost, "lost"
			at.Vouchers, at.Entries = 0, 0
			at.Requests, at.LookUps = 0, 0
			mark(false)
			at.OpenUntil = time.Time{}
		case 6:
			at.Class, at.Kind, at.Message = classify.Transient, classify.ServerError, "500"
			mark(false)
		}
		return res()
	}
	effect := func() {
		switch x.style {
		case 0:
			at.Effect = classify.None
		case 1:
			mark(true)
		case 2:
			mark(false)
		default:
			switch x.r.Intn(3) {
			case 0:
				at.Effect = classify.None
			case 1:
				mark(true)
			case 2:
				mark(false)
			}
		}
	}
	if x.largest > 0 && 2*len(remaining) > x.largest {
		at.Class, at.Kind, at.Message = classify.Permanent, classify.PayloadTooLarge, "413"
		effect()
		return res()
	}
	for _, v := range remaining {
		if why := x.refused[v]; why != "" {
			at.Class, at.Kind, at.Message = classify.Permanent, x.kindOf[v], fmt.Sprintf("%s: voucher %d", why, v)
			effect()
			if len(remaining) == 1 {
				x.alone[v] = true
			}
			return res()
		}
	}
	at.Effect = classify.Done
	if x.r.Intn(20) == 0 && x.noise > 0 {
		at.EndedAt = at.StartedAt.Add(6 * time.Second)
	}
	for _, v := range remaining {
		x.stored[v], x.exported[v] = true, true
	}
	x.chunks[item.Chunk] = nil
	x.accepted = true
	x.acceptedMax = max(x.acceptedMax, 2*len(remaining))
	return res()
}

// do is what the database does.
func (x *sim) do(arg any, into any) {
	noOpen := func(chunk int) {
		for _, v := range x.chunks[chunk] {
			_, ok := x.open[v]
			x.check(!ok, "chunk %d with open entries is halved (reclaim)", chunk)
		}
	}
	half := func(chunk, upper int) bool {
		v := x.chunks[chunk]
		noOpen(chunk)
		x.check(len(x.chunks[upper]) == 0, "chunk %d is in use", upper)
		if len(v) < 2 {
			return false
		}
		x.chunks[chunk], x.chunks[upper] = slices.Clone(v[:(len(v)+1)/2]), slices.Clone(v[(len(v)+1)/2:])
		return true
	}
	switch a := arg.(type) {
	case activities.SplitInput:
		x.logf("split %d into %d keep=%v", a.Chunk, a.Into, a.Keep)
		split := half(a.Chunk, a.Into)
		if into.(*activities.SplitResult).Halved = split; !split && !a.Keep {
			for _, v := range x.chunks[a.Chunk] {
				x.check(x.alone[v], "voucher %d rejected, never refused alone: %s", v, a.Reason)
				x.check(x.refused[v] != "", "voucher %d rejected and fine", v)
				x.check(x.accepted || x.verified, "voucher %d rejected, nothing accepted, contract not verified", v)
				x.check(x.accepted || x.kindOf[v] != classify.RequestDocument, "voucher %d rejected for a document, nothing accepted", v)
				x.rejected[v] = true
			}
			x.chunks[a.Chunk] = nil
		}
	case activities.DrawInput:
		v, d := x.chunks[a.Chunk], into.(*exports.DrawResult)
		var mov []int
		for _, w := range v {
			if _, ok := x.open[w]; !ok {
				mov = append(mov, w)
			}
		}
		x.check(len(x.chunks[a.Into]) == 0, "draw chunk %d is in use", a.Into)
		d.Alone = len(v) == 1
		if len(v) > 1 && len(mov) > 0 {
			d.Moved = true
			w := mov[int(a.Place*float64(len(mov)))]
			x.chunks[a.Into] = []int{w}
			x.chunks[a.Chunk] = slices.DeleteFunc(slices.Clone(v), func(u int) bool { return u == w })
		}
		x.logf("draw of %d into %d: %+v", a.Chunk, a.Into, *d)
	case activities.FitInput:
		out := into.(*exports.FitResult)
		out.Last = a.Into
		if a.Chunk > 0 {
			out.Halved = half(a.Chunk, a.Into)
		}
		var rest []int
		for c := a.From; c <= a.To; c++ {
			if slices.Contains(a.Except, c) {
				continue
			}
			if slices.ContainsFunc(x.chunks[c], func(v int) bool { _, ok := x.open[v]; return ok }) {
				out.Kept = append(out.Kept, c)
				continue
			}
			rest = append(rest, x.chunks[c]...)
			x.chunks[c] = nil
		}
		for some := range slices.Chunk(rest, max(1, a.Size/2)) {
			out.Last++
			x.check(len(x.chunks[out.Last]) == 0, "fit chunk %d is in use", out.Last)
			x.chunks[out.Last] = slices.Clone(some)
		}
		x.logf("fit %+v: %+v", a.Fit, *out)
	}
}

// reset forgets the run's progress, as another run that takes over does.
func (x *sim) reset() {
	e := x.p.Export
	high := 0
	for c, v := range x.chunks {
		if len(v) > 0 {
			high = max(high, c)
		}
	}
	// exported and rejected ones keep their chunk numbers: the highest ever
	high = max(high, x.p.Last)
	x.plan.Chunks = high
	x.p = exports.Progress{Plan: x.plan, LateErrors: true, Export: exports.Export{Requests: e.Requests, LookUps: e.LookUps, Isolating: e.Isolating}}
	x.p.Begin()
	x.accepted, x.verified, x.acceptedMax = false, false, 0
	x.logf("RESET chunks=%d", high)
}

// run makes a run of n vouchers to its end. can has it continue as new.
func (x *sim) run(n, resets int, can bool) {
	p := &x.p
	bound := 20*n + 1500
	steps := 0
	for !p.Over() {
		steps++
		x.check(steps < 6*bound, "does not end in %d steps; queue=%+v aside=%d held=%d", steps, p.Queue, len(p.Aside), len(p.Held))
		x.check(x.requests < bound, "too many requests: %d for %d", x.requests, n)
		if resets > 0 && x.r.Intn(40) == 0 {
			resets--
			x.reset()
			x.now = x.now.Add(time.Duration(x.r.Intn(300)) * time.Second)
			continue
		}
		if can && x.r.Intn(5) == 0 {
			b, err := json.Marshal(*p)
			x.check(err == nil, "%v", err)
			var q exports.Progress
			x.check(json.Unmarshal(b, &q) == nil, "unmarshal")
			*p = q
		}
		item, ok, sleep := p.Take(x.now)
		if !ok {
			if sleep <= 0 {
				x.check(p.Over(), "spin")
				break
			}
			x.now = x.now.Add(sleep)
			continue
		}
		x.logf("%s item %+v next=%d/%d q=%d aside=%d held=%d susp=%d acc=%v tr=%v", x.now.UTC().Format("15:04:05"), item, p.Next, p.Plan.Chunks, len(p.Queue), len(p.Aside), len(p.Held), len(p.Suspects), p.Accepted, p.Trusted)
		if item.Do != "" {
			arrangeBy(x.do, p, item)
			continue
		}
		if item.Step == exports.LateErrorsStep {
			break
		}
		result, err := x.invoke(item)
		f := p.Follow(shown(*p, item, result, err), x.now, 0)
		x.now = x.now.Add(f.Sleep)
		x.check(p.Accepted == x.accepted || p.Accepted, "accepted is lost")
		x.check(!f.Reclaim, "reclaim")
		if p.Failed() {
			break
		}
		if f.Split != nil {
			var r activities.SplitResult
			x.do(activities.SplitInput{Split: *f.Split}, &r)
			p.Halved(f.Split, r.Halved)
		}
	}
	p.Finish()
	e := p.Export
	x.logf("END %+v", e.ErrorMessage)
	x.check(e.Requests == x.requests && e.LookUps == x.lookUps, "counts: %d %d, made %d %d", e.Requests, e.LookUps, x.requests, x.lookUps)
	left := 0
	for _, v := range x.chunks {
		left += len(v)
	}
	x.check(len(x.exported)+len(x.rejected)+left == n, "lost: %d exported %d rejected %d left", len(x.exported), len(x.rejected), left)
	x.check((left > 0) == (e.ErrorClass != ""), "left %d, error %q %q", left, e.ErrorClass, e.ErrorMessage)
	if e.ErrorClass == "" {
		x.check(len(p.Held)+len(p.Suspects)+len(p.Queue)+len(p.Aside) == 0, "remains %d %d %d %d", len(p.Held), len(p.Suspects), len(p.Queue), len(p.Aside))
	}
	x.check(!x.accepted || !strings.Contains(e.ErrorMessage, "and nothing was accepted"), "%s, though something was", e.ErrorMessage)
}

// simOf draws a plan and its vendor.
func simOf(t *rapid.T, maxN int) *sim {
	n := rapid.IntRange(1, maxN).Draw(t, "n")
	x := &sim{t: t, r: rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))), now: time.Unix(1e6, 0),
		chunks: map[int][]int{}, open: map[int]openness{}, stored: map[int]bool{}, exported: map[int]bool{}, rejected: map[int]bool{}, refused: map[int]string{}, kindOf: map[int]classify.Kind{}, alone: map[int]bool{}}
	size := 2 * rapid.IntRange(1, 40).Draw(t, "size")
	x.plan = exports.Plan{Size: size, Full: rapid.SampledFrom([]int{size, 4 * size}).Draw(t, "full"), Isolate: rapid.SampledFrom([]int{0, 10, 500, 10000}).Draw(t, "isolate"),
		EqualRefusals: rapid.SampledFrom([]int{16, 16, 4}).Draw(t, "equal"), Ping: rapid.Bool().Draw(t, "ping"), Verify: rapid.Bool().Draw(t, "verify")}
	x.largest = 2 * rapid.SampledFrom([]int{0, 0, 1, 3, 9}).Draw(t, "largest")
	x.noise = rapid.SampledFrom([]int{0, 5, 20}).Draw(t, "noise")
	x.style = rapid.IntRange(0, 3).Draw(t, "style")
	share := rapid.SampledFrom([]int{0, 1, 3, 9, 10}).Draw(t, "refused")
	reasons := rapid.SampledFrom([]int{1, 3, 26}).Draw(t, "reasons")
	kinds := rapid.SampledFrom([]int{1, 2}).Draw(t, "kinds")
	for v := range n {
		c := 1 + v*2/size
		x.chunks[c] = append(x.chunks[c], v)
		x.plan.Chunks = c
		if x.r.Intn(10) < share {
			x.refused[v] = "why " + string(rune('a'+x.r.Intn(reasons)))
			x.kindOf[v] = []classify.Kind{classify.Business, classify.RequestDocument}[x.r.Intn(kinds)]
		}
	}
	x.p = exports.Progress{Plan: x.plan, LateErrors: true}
	x.p.Begin()
	// chunks with entries that an earlier run left open
	earlier := rapid.SampledFrom([]int{0, 0, 3, 10}).Draw(t, "earlier")
	for _, vs := range x.chunks {
		if x.r.Intn(10) < earlier {
			for _, v := range vs {
				x.open[v] = openness{until: x.now.Add(time.Duration(x.r.Intn(240)-120) * time.Second), ended: x.r.Intn(4) == 0}
				if x.refused[v] == "" && x.r.Intn(3) == 0 {
					x.stored[v] = true
				}
			}
		}
	}
	return x
}

// Whatever a vendor answers and whenever a run is taken over or continues as new: no
// voucher is sent while something of it is open, none is rejected that was not refused
// alone, none is lost, a run ends as failed exactly if something is left, and it ends.
func TestRunsAgainstAnyVendor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := simOf(t, 150)
		n := 0
		for _, v := range x.chunks {
			n += len(v)
		}
		x.run(n, rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "resets"), rapid.Bool().Draw(t, "can"))
	})
}
