package exports

import (
	"time"

	"github.com/ledgerline/ledgerline/classify"
)

// Plan is how an export is sent, as it was planned.
type Plan struct {
	Chunks     int  `json:"chunks"`     // the number of the last one; they count from 1
	LateErrors bool `json:"lateErrors"` // the vendor reports some errors only later

	Verify        bool `json:"verify,omitempty"`        // the contract with the vendor has to be checked first
	Size          int  `json:"size,omitempty"`          // most entries in a chunk
	Full          int  `json:"full,omitempty"`          // most entries in a chunk by the file and the vendor
	Ping          bool `json:"ping,omitempty"`          // a refused token looks like a refused voucher
	Isolate       int  `json:"isolate,omitempty"`       // requests that finding refused vouchers may cost
	EqualRefusals int  `json:"equalRefusals,omitempty"` // so many vouchers refused for one reason end a run that has had nothing accepted
}

// Step is what an invocation of an export does.
type Step string

// The steps. Those without a chunk have chunk 0.
const (
	SendStep       Step = ""            // ask for what is open, then send what is left
	AskStep        Step = "ask"         // ask for what is open and send nothing
	PingStep       Step = "ping"        // no chunk: request nothing, to see whether the vendor takes any request
	VerifyStep     Step = "verify"      // no chunk: check the contract with the vendor
	LateErrorsStep Step = "late-errors" // no chunk: ask which errors the vendor reports of late
)

// Arrangement is what is done with a chunk's entries in the database, with no request
// to the vendor.
type Arrangement string

// The arrangements. The zero one is none: an item without it is an invocation.
const (
	DoHalve Arrangement = "halve" // the chunk is halved, or its only voucher is rejected; see [Split]
	DoDraw  Arrangement = "draw"  // one voucher of the chunk gets a chunk of its own; see [Draw]
	DoFit   Arrangement = "fit"   // the chunks that are still to be made become smaller; see [Fit]
)

// Item is a chunk that is to be made, and why.
type Item struct {
	Chunk int  `json:"chunk"`
	Step  Step `json:"step,omitempty"`
	// Then is what follows if nothing of the chunk is at the vendor, after an
	// [AskStep]: "" to send it, or halve, shrink or fail.
	Then   action        `json:"then,omitempty"`
	Reason string        `json:"reason,omitempty"` // why it was refused
	Code   classify.Kind `json:"code,omitempty"`
	Tries  int           `json:"tries,omitempty"` // invocations that failed
	Until  time.Time     `json:"until,omitzero"`  // it waits until then

	// Isolates: it serves to find the vouchers that the vendor refuses.
	Isolates bool `json:"isolates,omitempty"`
	// Explained: a voucher that was drawn from the refused chunk was refused too, which
	// may be why the chunk was.
	Explained bool `json:"explained,omitempty"`
	DrawnFrom int  `json:"drawnFrom,omitempty"` // of a drawn voucher: the chunk that it was in

	Do       Arrangement `json:"do,omitempty"`       // in place of an invocation
	Place    float64     `json:"place,omitempty"`    // of draw: where in the chunk, from 0 to less than 1
	OnlyThis bool        `json:"onlyThis,omitempty"` // of fit: the chunks that are still to be made stay as they are
}

// isFirst reports whether an item comes before what has waited: a question about the
// vendor itself, or a voucher that is tried alone.
func (i Item) isFirst() bool {
	return i.DrawnFrom > 0 || i.Do == DoDraw || i.Step == VerifyStep || i.Step == PingStep
}
