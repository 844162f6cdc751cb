package exports

import "slices"

// Chunks are arranged in the database. Each arrangement has what is asked for, what came
// of it, and two methods of [Progress]: one that makes the former, one that notes the
// latter.

// Split is how a refused chunk is halved.
type Split struct {
	Chunk  int    `json:"chunk"`
	Into   int    `json:"into"` // the number of the upper half
	Reason string `json:"reason,omitempty"`
	Keep   bool   `json:"keep,omitempty"` // an only voucher is not rejected: it was not refused alone
}

// Split is how the chunk of an item is halved.
func (p Progress) Split(item Item) *Split {
	return &Split{Chunk: item.Chunk, Into: p.Last + 1, Reason: item.Reason, Keep: item.Do == DoHalve && item.Isolates}
}

// Halved notes that a chunk was halved, or that its only voucher was rejected.
func (p *Progress) Halved(s *Split, halved bool) {
	if !halved && s.Keep { // its one voucher is tried alone first
		p.Queue = append(p.Queue, Item{Chunk: s.Chunk, Isolates: true})
	}
	if halved {
		p.Last = s.Into
		p.Queue = append(p.Queue, Item{Chunk: s.Into, Isolates: true}, Item{Chunk: s.Chunk, Isolates: true})
	}
}

// Draw is how one voucher of a chunk gets a chunk of its own.
type Draw struct {
	Chunk int     `json:"chunk"`
	Into  int     `json:"into"`
	Place float64 `json:"place"` // in the chunk, from 0 to less than 1
}

// DrawResult is what came of a [Draw]. Both are false if something of the chunk is
// open.
type DrawResult struct {
	Moved bool `json:"moved,omitempty"` // the voucher has a chunk of its own
	Alone bool `json:"alone,omitempty"` // it had that before: it is the chunk's only one
}

// Draw is how a voucher of an item's chunk gets a chunk of its own.
func (p Progress) Draw(item Item) Draw {
	return Draw{Chunk: item.Chunk, Into: p.Last + 1, Place: item.Place}
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

// Fit is how chunks become smaller: one chunk is halved, and those from From to To,
// which are still to be made, get at most Size entries each and new numbers after Into.
type Fit struct {
	Size   int   `json:"size"`             // most entries in a chunk from now on
	Chunk  int   `json:"chunk,omitempty"`  // is halved; 0 if none is
	Into   int   `json:"into"`             // the number of its upper half
	From   int   `json:"from"`             // none become smaller if From is after To
	To     int   `json:"to"`               // the last of them
	Except []int `json:"except,omitempty"` // of these, those that are left alone
}

// FitResult is what came of a [Fit].
type FitResult struct {
	Halved bool  `json:"halved"` // the chunk; false if it is one voucher
	Last   int   `json:"last"`   // the number of the last chunk; that of Into if no others were made smaller
	Kept   []int `json:"kept"`   // chunks from From to To that stay as they are, since something of them is open
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

// Fitted notes that chunks were made smaller.
func (p *Progress) Fitted(f Fit, out FitResult, item Item) {
	for _, chunk := range slices.Backward(out.Kept) {
		p.Queue = append(p.Queue, Item{Chunk: chunk})
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
