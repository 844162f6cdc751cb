package exports

import (
	"cmp"
	"time"
)

// Sizes is how large a run's requests are.
type Sizes struct {
	Size int  `json:"size,omitempty"` // most entries in a chunk from now on; 0 is as planned
	Slow bool `json:"slow,omitempty"` // an attempt took more than a quarter of its time
	Fits bool `json:"fits,omitempty"` // a chunk of about this size was accepted
	// Slowed is how long a chunk took for which the size was reduced; negative if the
	// next ones took as long, so that size makes no difference.
	Slowed time.Duration `json:"slowed,omitempty"`
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
		p.queueFit(s.Entries, Item{})
	}
}

// queueFit queues that a chunk which is too much for the vendor is halved, and that those
// after it become smaller. Without a chunk, only these do.
func (p *Progress) queueFit(entries int, item Item) {
	// A chunk that is small beside the others says nothing about them.
	size, present := max(1, (entries+1)/2), cmp.Or(p.Size, p.Plan.Size)
	only := 2*entries <= present || size >= present
	if !only {
		p.Size, p.Fits = size, false
	}
	if item.Chunk == 0 && (only || p.Next > p.Plan.Chunks) {
		return
	}
	p.Queue = append(p.Queue, Item{
		Chunk: item.Chunk, Do: DoFit, OnlyThis: only, Tries: item.Tries,
		Reason: item.Reason, Code: item.Code, Isolates: item.Isolates, DrawnFrom: item.DrawnFrom,
	})
}
