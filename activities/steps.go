package activities

// Steps of a [Chunk].
const (
	SendStep       = ""            // ask for what is open, then send what is left
	AskStep        = "ask"         // ask for what is open and send nothing
	PingStep       = "ping"        // ask for nothing, to see whether the vendor takes any request; the chunk is 0
	VerifyStep     = "verify"      // check the contract with the vendor; the chunk is 0
	LateErrorsStep = "late-errors" // ask what the vendor found faulty of late; the chunk is 0
)

// PlanResult is the answer of [Activities.PlanExport].
type PlanResult struct {
	Chunks     int  `json:"chunks"`     // the number of the last one
	LateErrors bool `json:"lateErrors"` // the vendor finds some errors only later

	Verify        bool `json:"verify,omitempty"`        // the contract with the vendor has to be checked first
	Size          int  `json:"size,omitempty"`          // most entries in a chunk
	Full          int  `json:"full,omitempty"`          // most entries in a chunk by the file and the vendor; 0 in plans of old, whose chunks stay as they are
	Ping          bool `json:"ping,omitempty"`          // a refused token looks like a refused voucher
	Isolate       int  `json:"isolate,omitempty"`       // requests that finding refused vouchers may cost
	EqualRefusals int  `json:"equalRefusals,omitempty"` // so many vouchers refused for one reason end a run that has had nothing accepted; 0 in plans of old
}
