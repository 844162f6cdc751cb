package exports

// Status is where an export is. It goes one way.
type Status string

// The statuses of an export.
const (
	Pending  Status = "pending"
	Complete Status = "complete" // nothing is left and nothing is open; entries may be rejected
	Failed   Status = "failed"
)

// Trigger is what made an export.
type Trigger string

// The triggers.
const (
	BySchedule Trigger = "schedule"
	ByHand     Trigger = "manual"
	ByBackfill Trigger = "backfill"
	ByRetry    Trigger = "retry" // of what another export did not get done
	ByAdopting Trigger = "adopt" // nothing is sent: entries that the vendor has are taken into the record
)

// EntryState is what the record holds of an entry.
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
