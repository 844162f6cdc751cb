package exports

// DrawResult is what came of [DrawVoucher].
type DrawResult struct {
	Moved bool `json:"moved,omitempty"` // the voucher has a chunk of its own
	Alone bool `json:"alone,omitempty"` // it had that before: it is the chunk's only one
}

// Split is how a refused chunk is halved.
type Split struct {
	Chunk  int    `json:"chunk"`
	Into   int    `json:"into"` // the number of the upper half
	Reason string `json:"reason,omitempty"`
	Keep   bool   `json:"keep,omitempty"` // an only voucher is not rejected: it was not refused alone
}

// Draw is how one voucher of a chunk gets a chunk of its own.
type Draw struct {
	Chunk int     `json:"chunk"`
	Into  int     `json:"into"`
	Place float64 `json:"place"` // in the chunk, from 0 to less than 1
}

// Fit asks for smaller chunks.
type Fit struct {
	Size   int   `json:"size"`             // most entries in a chunk from now on
	Chunk  int   `json:"chunk,omitempty"`  // is halved; 0 if none is
	Into   int   `json:"into"`             // the number of its upper half; what is made smaller comes after it
	From   int   `json:"from"`             // the chunks that are still to be made, as they are numbered: from
	To     int   `json:"to"`               // and to
	Except []int `json:"except,omitempty"` // of these, those that are left alone
}

// FitResult is what came of a [Fit].
type FitResult struct {
	Halved bool  `json:"halved"` // the chunk; false if it is one voucher
	Last   int   `json:"last"`   // the number of the last chunk; that of Into if no others were made smaller
	Kept   []int `json:"kept"`   // chunks from From to To that stay as they are, since something of them is open
}
