package exports

// TickResult is what came of a tick, a time at which a schedule should have
// started an export.
type TickResult string

// The results of a tick.
const (
	TickOnTime  TickResult = "on time" // the period's export started within the drift threshold
	TickEarlier TickResult = "earlier" // it had been exported before, by hand or by an earlier firing
	TickLate    TickResult = "late"
	TickMissed  TickResult = "missed"  // nothing had started when the threshold passed
	TickSkipped TickResult = "skipped" // as the schedule's overlap rule says: a run was still going
	TickPaused  TickResult = "paused"  // the schedule was paused
)

// TickResults are all of them, as the database's CHECK constraint has them.
var TickResults = []TickResult{TickOnTime, TickEarlier, TickLate, TickMissed, TickSkipped, TickPaused}

// InTime reports whether the period was exported by the time at which people
// expect it.
func (r TickResult) InTime() bool { return r == TickOnTime || r == TickEarlier }
