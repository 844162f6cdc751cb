package exports

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// A vendor that refuses a chunk may refuse one of its vouchers, or all that it will
// ever be sent: a closed period, a document that it cannot read. Halving finds the
// one voucher, and rejects all of them in the other case, for two requests each.
//
//	chunk refused ──► something accepted before? ──yes──► halve, reject the one
//	                          │ no
//	                          ▼
//	          try single vouchers from all over the plan
//	            │                              │
//	       one accepted                 16 refused alike
//	            ▼                              ▼
//	  halve; reject what was refused    end, entries as they are
//
// With fewer vouchers than that, the contract with the vendor is checked before any is
// rejected. Where a refused token looks like a refused voucher, none is rejected before
// the vendor has accepted something since, or a request that asks for nothing.

// Isolation is how far a run is in finding the vouchers that its vendor refuses.
type Isolation struct {
	Accepted   bool   `json:"accepted,omitempty"` // the vendor has something of this run
	Trusted    bool   `json:"trusted,omitempty"`  // that, or enough was tried: a voucher that is refused alone is rejected
	Verified   bool   `json:"verified,omitempty"` // the contract with the vendor was checked by this run
	Held       []Item `json:"held,omitempty"`     // refused chunks that are not halved yet
	Suspects   []Item `json:"suspects,omitempty"` // chunks of one voucher that were refused, and are not rejected yet
	Draws      int    `json:"draws,omitempty"`    // places that were drawn from
	Tried      []int  `json:"tried,omitempty"`    // planned chunks that were made before their turn
	LeftOver   int    `json:"leftOver,omitempty"` // chunks that stay as they are
	LeftReason Item   `json:"leftWhy,omitzero"`   // the reason of the first of them
}

// Sizes is how large a run's requests are.
type Sizes struct {
	Size int  `json:"size,omitempty"` // most entries in a chunk from now on; 0 is as planned
	Slow bool `json:"slow,omitempty"` // an attempt took more than a quarter of its time
	Fits bool `json:"fits,omitempty"` // a chunk of about this size was accepted
	// Slowed is how long a chunk took for which the size was reduced; negative if the
	// next ones took as long, so that size makes no difference.
	Slowed time.Duration `json:"slowed,omitempty"`
}

// Begin notes that a run has its plan. The contract with the vendor comes first, if
// it has to be checked.
func (p *Progress) Begin() {
	p.Next, p.Last, p.Export.Chunks = 1, p.Plan.Chunks, p.Plan.Chunks
	if p.Plan.Verify {
		p.verify()
	}
}

// verify has the contract with the vendor checked next.
func (p *Progress) verify() {
	p.Queue = append(p.Queue, Item{Step: VerifyStep})
}

// conditions is what [decide] needs to know of it.
func (p Progress) conditions() conditions {
	return conditions{
		cautious: p.Plan.EqualRefusals > 0, trusted: p.Trusted, accepted: p.Accepted, pings: p.Plan.Ping, shrinks: p.Plan.Full > 0, sizeProved: p.Size == 0 || p.Fits, floor: p.Plan.Full / 16,
		spent: p.Plan.EqualRefusals > 0 && p.Export.Isolating >= p.Plan.Isolate,
	}
}

// count notes what an invocation has cost and shown.
func (p *Progress) count(s Result) {
	p.Export.Requests += s.Requests
	p.Export.LookUps += s.LookUps
	if s.Item.Isolates {
		p.Export.Isolating += s.Requests
	}
	switch {
	case s.OK && s.Item.Step == VerifyStep:
		p.Verified = true
	case s.OK && s.Item.Step == PingStep:
		p.reject()
	case s.Accepted && !p.Accepted:
		p.Accepted = true
		p.trust()
	case s.Accepted:
		p.reject()
	}
	if s.run.shrinks && s.Item.Step == SendStep && s.OK {
		p.noteSize(s)
	}
}

// noteSize notes what a chunk that was sent says of the size of chunks.
func (p *Progress) noteSize(s Result) {
	present := cmp.Or(p.Size, p.Plan.Size)
	p.Fits = p.Fits || s.Accepted && 2*s.Entries > present
	if s.LookUps > 0 {
		return // the attempt did more than send
	}
	p.Slow = p.Slow || s.Took > s.Timeout/4
	switch {
	case s.Took <= s.Timeout/2 || s.Vouchers < 2 || 2*s.Entries <= present || p.Slowed < 0:
	case p.Slowed > 0 && s.Took > p.Slowed*2/3: // that did not help: as many as before
		p.Slowed, p.Size, p.Fits = -1, p.Plan.Size, true
		if p.Next <= p.Plan.Chunks {
			p.Queue = append(p.Queue, Item{Do: DoFit})
		}
	case s.Entries > s.run.floor:
		p.Slowed = s.Took
		p.shrink(s.Entries, Item{})
	}
}

// reject has the vouchers rejected that were refused alone: the vendor has taken
// something since, or a request that asks for nothing.
func (p *Progress) reject() {
	if !p.Trusted {
		return
	}
	for _, item := range p.Suspects {
		if p.blameless(item) {
			p.leave(item)
			continue
		}
		p.Queue = append(p.Queue, Item{Chunk: item.Chunk, Do: DoHalve, Reason: item.Reason, Code: item.Code})
	}
	p.Suspects = nil
}

// blameless reports whether a chunk was refused for what is not its vouchers' fault:
// its size, or a document that the vendor cannot read, as long as it has read none.
func (p Progress) blameless(item Item) bool {
	return item.Code == classify.PayloadTooLarge || item.Code == classify.RequestDocument && !p.Accepted
}

// trust ends the search for another reason than the vouchers: held chunks are halved,
// and the vouchers that were refused alone are rejected. If nothing was accepted, the
// contract with the vendor is checked before, and what the vendor could not read is
// not rejected. What was too large never is.
func (p *Progress) trust() {
	if !p.Accepted && !p.Verified {
		p.verify()
		return
	}
	p.Trusted = true
	for _, item := range p.Held {
		switch {
		case p.blameless(item):
			p.leave(item)
		case item.Explained:
			p.Queue = append(p.Queue, Item{Chunk: item.Chunk, Isolates: true})
		default:
			p.Queue = append(p.Queue, Item{Chunk: item.Chunk, Do: DoHalve, Reason: item.Reason, Code: item.Code, Isolates: true})
		}
	}
	p.Held = nil
	p.reject()
}

// suspect notes a voucher that was refused alone. It returns true if so many were
// refused for the same reason that the run has to end. Of a vendor whose refusal of a
// token looks the same, it asks for nothing once so many were refused in a row.
func (p *Progress) suspect(item Item) (over bool) {
	p.Suspects = append(p.Suspects, Item{Chunk: item.Chunk, Reason: item.Reason, Code: item.Code})
	if p.Trusted {
		if len(p.Suspects) >= p.Plan.EqualRefusals {
			p.ping()
		}
		return false
	}
	for i := range p.Held {
		p.Held[i].Explained = p.Held[i].Explained || p.Held[i].Chunk == item.DrawnFrom
	}
	same := 0
	for _, s := range p.Suspects {
		// What the vendor cannot read is one reason, whatever it says of it.
		if s.Code == item.Code && (s.Code == classify.RequestDocument || mask(s.Reason) == mask(item.Reason)) {
			same++
		}
	}
	if same < p.Plan.EqualRefusals {
		return false
	}
	p.Fail(classify.Permanent, item.Code, fmt.Sprintf(
		"%d vouchers from all over the plan were refused for the same reason, and nothing was accepted; nothing is rejected: %s", same, item.Reason))
	return true
}

// ping has the vendor asked for nothing next.
func (p *Progress) ping() {
	if !slices.ContainsFunc(p.Queue, func(i Item) bool { return i.Step == PingStep }) {
		p.Queue = append(p.Queue, Item{Step: PingStep})
	}
}

// isFirst reports whether an item comes before what has waited: a question about the
// vendor itself, or a voucher that is tried alone.
func (i Item) isFirst() bool {
	return i.DrawnFrom > 0 || i.Do == DoDraw || i.Step == VerifyStep || i.Step == PingStep
}

// drawNext has the next voucher tried alone, from another part of the plan: halves,
// quarters, eighths and so on of what is still to be made. It waits for the one that
// is being tried. When there is none left, or so many were tried for different
// reasons, the search is over.
func (p *Progress) drawNext() {
	if p.Trusted || slices.ContainsFunc(p.Queue, Item.isFirst) || slices.ContainsFunc(p.Aside, Item.isFirst) {
		return
	}
	if p.conditions().spent {
		for _, item := range slices.Concat(p.Held, p.Suspects) {
			p.leave(item)
		}
		p.Held, p.Suspects = nil, nil
		return
	}
	p.skipTried()
	n := len(p.Held) + max(0, p.Plan.Chunks-p.Next+1)
	switch {
	case n == 0 && len(p.Aside)+len(p.Queue) > 0: // those first
		return
	case n == 0 || len(p.Suspects) >= 2*p.Plan.EqualRefusals:
		p.trust()
		return
	}
	for { // what was tried is not all of it: the next planned chunk was not
		at := float64(bits.Reverse32(uint32(p.Draws))) / (1 << 32) * float64(n)
		p.Draws++
		i := int(at)
		chunk, held := p.Next+i-len(p.Held), i < len(p.Held)
		if held {
			chunk = p.Held[i].Chunk
		}
		if held || !slices.Contains(p.Tried, chunk) {
			p.Queue = append(p.Queue, Item{Chunk: chunk, Do: DoDraw, Place: at - math.Floor(at)})
			return
		}
	}
}

// skipTried passes over planned chunks that were made before their turn.
func (p *Progress) skipTried() {
	for p.Next <= p.Plan.Chunks && slices.Contains(p.Tried, p.Next) {
		p.Next++
	}
}

// Drawn notes what came of drawing a voucher of a chunk.
func (p *Progress) Drawn(asked Draw, d DrawResult) {
	chunk, into := asked.Chunk, asked.Into
	held := slices.IndexFunc(p.Held, func(i Item) bool { return i.Chunk == chunk })
	planned := held < 0
	switch {
	case d.Moved:
		p.Last = into
		p.Queue = append(p.Queue, Item{Chunk: into, Isolates: true, DrawnFrom: chunk})
		return
	case d.Alone:
		p.Queue = append(p.Queue, Item{Chunk: chunk, Isolates: true, DrawnFrom: chunk})
	default: // something of it is open, and is asked for first
		p.Queue = append(p.Queue, Item{Chunk: chunk})
	}
	if planned {
		p.Tried = append(p.Tried, chunk)
	} else {
		p.Held = slices.Delete(p.Held, held, held+1)
	}
}

// leave leaves a chunk's entries as they are.
func (p *Progress) leave(item Item) {
	if p.LeftOver++; p.LeftOver == 1 {
		p.LeftReason = Item{Reason: item.Reason, Code: item.Code}
	}
}

// leaveUnaffordable leaves the chunks that would only serve to find more refused vouchers
// once that has cost as much as it may.
func (p *Progress) leaveUnaffordable() {
	if !p.conditions().spent {
		return
	}
	var rest []Item
	for _, item := range p.Queue {
		if item.Isolates && item.Step == SendStep && item.Do != DoDraw && item.Tries == 0 { // what was sent may have to be asked for
			p.leave(item)
			continue
		}
		rest = append(rest, item)
	}
	p.Queue = rest
}

// Finish notes what is to be on record of a run that goes to its close: what it has
// left, and the size of a request that worked.
func (p *Progress) Finish() {
	if p.LeftOver > 0 && p.Export.ErrorClass == "" {
		code, why := p.LeftReason.Code, p.LeftReason.Reason
		if why == "" {
			code, why = classify.Business, "the vendor refuses some of their vouchers"
		}
		message := fmt.Sprintf("%d chunks were not sent: %s", p.LeftOver, why)
		if p.conditions().spent {
			message = fmt.Sprintf("finding refused vouchers has cost %d requests, and export.isolateRequests allows %d; %s", p.Export.Isolating, p.Plan.Isolate, message)
		}
		p.Fail(classify.Permanent, code, message)
	}
	p.Export.ChunkFull = p.Plan.Full
	switch {
	case p.Size > 0 && p.Fits:
		p.Export.ChunkSize = p.Size
	case p.Size == 0 && p.Fits && !p.Slow && p.Plan.Size < p.Plan.Full: // try more next time
		p.Export.ChunkSize = min(4*p.Plan.Size, p.Plan.Full)
	}
}

// shrink has a chunk halved that is too much for the vendor, and those after it made
// smaller. Without a chunk only these are.
func (p *Progress) shrink(entries int, item Item) {
	// One that is small beside the others says nothing of them.
	size, present := max(1, (entries+1)/2), cmp.Or(p.Size, p.Plan.Size)
	only := 2*entries <= present || size >= present
	if !only {
		p.Size, p.Fits = size, false
	}
	if item.Chunk == 0 && (only || p.Next > p.Plan.Chunks) {
		return
	}
	p.Queue = append(p.Queue, Item{Chunk: item.Chunk, Do: DoFit, OnlyThis: only, Tries: item.Tries, Reason: item.Reason, Code: item.Code, Isolates: item.Isolates, DrawnFrom: item.DrawnFrom})
}

// Split is how a refused chunk is halved.
func (p Progress) Split(item Item) *Split {
	return &Split{Chunk: item.Chunk, Into: p.Last + 1, Reason: item.Reason, Keep: item.Do == DoHalve && item.Isolates}
}

// Fitted notes that chunks were made smaller.
func (p *Progress) Fitted(f Fit, out FitResult, item Item) {
	for i := range out.Kept {
		p.Queue = append(p.Queue, Item{Chunk: out.Kept[len(out.Kept)-1-i]})
	}
	p.Last = max(p.Last, out.Last)
	if f.From <= f.To {
		p.Next, p.Plan.Chunks = f.Into+1, out.Last
	}
	if f.Chunk == 0 {
		return
	}
	if out.Halved {
		p.Queue = append(p.Queue, Item{Chunk: f.Into, Tries: item.Tries, Isolates: item.Isolates})
	}
	p.Queue = append(p.Queue, Item{Chunk: f.Chunk, Tries: item.Tries, Isolates: item.Isolates})
}

// Draw is how a voucher of an item's chunk gets a chunk of its own.
func (p Progress) Draw(item Item) Draw {
	return Draw{Chunk: item.Chunk, Into: p.Last + 1, Place: item.Place}
}

// Fit is how the chunks that are still to be made become smaller, and an item's chunk
// with them.
func (p Progress) Fit(item Item) Fit {
	f := Fit{Size: max(1, p.Size), Chunk: item.Chunk, Into: p.Last + 1, From: p.Next, To: p.Plan.Chunks, Except: p.Tried}
	if item.OnlyThis {
		f.From, f.To = 1, 0
	}
	return f
}

// variable is what may be another in each message about the same: GUIDs, quoted
// text, numbers with their separators.
var variable = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}` +
	`|"[^"]*"|'[^']*'|` + "`[^`]*`" + `|«[^»]*»|“[^”]*”|‘[^’]*’` +
	`|[0-9](?:[0-9.,:\x{a0}\x{202f} -]*[0-9])?`)

// mask is a message without what may be another in each about the same.
func mask(message string) string {
	return strings.TrimSpace(variable.ReplaceAllString(message, "#"))
}
