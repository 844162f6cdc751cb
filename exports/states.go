package exports

// Status is how far an export is. It never goes back.
type Status string

// The statuses of an export.
const (
	Pending  Status = "pending"
	Complete Status = "complete" // nothing is left and nothing is open; entries may be rejected
	Failed   Status = "failed"
)

// Trigger is what started an export.
type Trigger string

// The triggers.
const (
	BySchedule Trigger = "schedule"
	ByHand     Trigger = "manual"
	ByBackfill Trigger = "backfill"
	ByRetry    Trigger = "retry" // of what another export left unsent, rejected or unknown
	ByAdopting Trigger = "adopt" // nothing is sent: entries that the vendor has are taken into the record
)

// EntryState is what the record says about an entry.
type EntryState string

// The states of an entry.
const (
	Planned  EntryState = "planned"  // to be sent; nothing of it is at the vendor
	Sent     EntryState = "sent"     // sent, and its effect is open
	Exported EntryState = "exported" // at the vendor; final
	Rejected EntryState = "rejected" // refused, and not at the vendor
	Unknown  EntryState = "unknown"  // sent, and only a person can say what became of it
)

// Every value of each type, as the database's CHECK constraints have them.
var (
	Statuses    = []Status{Pending, Complete, Failed}
	Triggers    = []Trigger{BySchedule, ByHand, ByBackfill, ByRetry, ByAdopting}
	EntryStates = []EntryState{Planned, Sent, Exported, Rejected, Unknown}
)
