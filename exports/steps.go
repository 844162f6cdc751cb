// Package exports holds what an export is and what its run does next.
//
// An [Export] is one period of an integration, and its row in the audit record. The
// run that owns it sends its entries in chunks. [Progress] is how far that run is: a
// pure state machine, which the workflow Sync runs again from its history and which
// tests run without Temporal.
//
//	Begin ──► Take an item ──► the caller makes it ──► Follow its Result ──┐
//	             ▲                                                         │
//	             └──────────── Halved, Drawn, Fitted ◄── FollowUp ◄────────┘
//	                                                        │ Over
//	                                                        ▼
//	                                                     Finish
//
// What follows from a [Result] is one function that changes nothing: nothing is halved
// or rejected before it is proved that none of it is at the vendor, and a refusal that
// is not about vouchers ends the run with its entries as they are.
//
// The package is pure: no I/O, no clock, no Temporal. Entries are never part of it,
// only the numbers of their chunks.
package exports

// Step is what an invocation of an export does.
type Step string

// The steps.
const (
	SendStep       Step = ""            // ask for what is open, then send what is left
	AskStep        Step = "ask"         // ask for what is open and send nothing
	PingStep       Step = "ping"        // ask for nothing, to see whether the vendor takes any request; the chunk is 0
	VerifyStep     Step = "verify"      // check the contract with the vendor; the chunk is 0
	LateErrorsStep Step = "late-errors" // ask what the vendor found faulty of late; the chunk is 0
)

// Plan is how an export is sent, as it was planned.
type Plan struct {
	Chunks     int  `json:"chunks"`     // the number of the last one
	LateErrors bool `json:"lateErrors"` // the vendor finds some errors only later

	Verify        bool `json:"verify,omitempty"`        // the contract with the vendor has to be checked first
	Size          int  `json:"size,omitempty"`          // most entries in a chunk
	Full          int  `json:"full,omitempty"`          // most entries in a chunk by the file and the vendor; 0 in plans of old, whose chunks stay as they are
	Ping          bool `json:"ping,omitempty"`          // a refused token looks like a refused voucher
	Isolate       int  `json:"isolate,omitempty"`       // requests that finding refused vouchers may cost
	EqualRefusals int  `json:"equalRefusals,omitempty"` // so many vouchers refused for one reason end a run that has had nothing accepted; 0 in plans of old
}
