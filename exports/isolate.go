package exports

import (
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"slices"
	"strings"

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
	Accepted   bool   `json:"accepted,omitempty"`  // the vendor has something of this run
	Trusted    bool   `json:"trusted,omitempty"`   // that, or enough was tried: a voucher that is refused alone is rejected
	Verified   bool   `json:"verified,omitempty"`  // the contract with the vendor was checked by this run
	Held       []Item `json:"held,omitempty"`      // refused chunks that are not halved yet
	Suspects   []Item `json:"suspects,omitempty"`  // chunks of one voucher that were refused, and are not rejected yet
	Draws      int    `json:"draws,omitempty"`     // places that were drawn from
	Tried      []int  `json:"tried,omitempty"`     // planned chunks that were made before their turn
	LeftOver   int    `json:"leftOver,omitempty"`  // chunks that stay as they are
	LeftReason Item   `json:"leftReason,omitzero"` // the reason of the first of them
}

// queueRejections queues the rejection of vouchers that were refused alone, once the
// vendor has taken something since, or a request that asks for nothing.
func (p *Progress) queueRejections() {
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

// blameless reports whether a chunk was refused for a reason that is not its vouchers':
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
		p.queueVerify()
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
	p.queueRejections()
}

// suspect notes a voucher that was refused alone. It returns true if so many were
// refused for the same reason that the run has to end. At a vendor whose refusal of a
// token looks the same, so many refusals in a row lead to a request that asks for
// nothing.
func (p *Progress) suspect(item Item) (over bool) {
	p.Suspects = append(p.Suspects, Item{Chunk: item.Chunk, Reason: item.Reason, Code: item.Code})
	if p.Trusted {
		if len(p.Suspects) >= p.Plan.EqualRefusals {
			p.queuePing()
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
		"%d vouchers from all over the plan were refused for the same reason, and nothing was accepted, so none of them is recorded as refused: %s", same, item.Reason))
	return true
}

// queuePing queues a request that asks for nothing, if there is none.
func (p *Progress) queuePing() {
	if !slices.ContainsFunc(p.Queue, func(i Item) bool { return i.Step == PingStep }) {
		p.Queue = append(p.Queue, Item{Step: PingStep})
	}
}

// queueDraw queues the next voucher that is tried alone, from another part of the plan:
// halves, quarters, eighths and so on of what is still to be made. It waits for the one
// that is being tried. The search is over when there is none left, or when so many were
// refused for different reasons.
func (p *Progress) queueDraw() {
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

// variable is what may be another in each message about the same: GUIDs, quoted
// text, numbers with their separators.
var variable = regexp.MustCompile(`[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}` +
	`|"[^"]*"|'[^']*'|` + "`[^`]*`" + `|«[^»]*»|“[^”]*”|‘[^’]*’` +
	`|[0-9](?:[0-9.,:\x{a0}\x{202f} -]*[0-9])?`)

// mask is a message without what may be another in each about the same.
func mask(message string) string {
	return strings.TrimSpace(variable.ReplaceAllString(message, "#"))
}
