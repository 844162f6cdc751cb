// Package limits keeps a worker from costing a vendor, or an organization,
// more than was agreed. Three small state machines stand between an attempt
// and the vendor:
//
//	Ledger    counts every request by organization, integration, month and
//	          purpose, and knows how much of the month's quota is used
//	Budget    bounds the retries of an organization at a vendor's host, so that
//	          an outage cannot multiply the load
//	Breakers  circuit breakers: stop calling a vendor that fails every time, and
//	          let one attempt through after a while to see whether it is back
//
// Each holds what one worker process has seen. The ledger's counts are handed
// to the database in batches that can be repeated without harm, and come back
// as the totals of all workers; budget and circuit breakers are never shared:
// each process bounds what it does itself.
//
// The package is pure: no I/O and no clock; the time is always an argument.
// A request of one integration never waits for another's.
package limits

// Gate is the three together, as one worker process has them. The zero value
// is ready for use.
type Gate struct {
	Ledger   Ledger
	Budget   Budget
	Breakers Breakers
}

// Purpose says what a request to a vendor was for.
type Purpose string

// The purposes. A request has the purpose of what it was made for, except that
// look-ups after a lost answer and token requests are counted as such.
const (
	Attempt  Purpose = "attempt"  // calls and chunks of exports
	Readback Purpose = "readback" // what became of a write whose answer was lost
	Probe    Purpose = "probe"    // whether the vendor is there
	Token    Purpose = "token"    // an access token
	Lookup   Purpose = "lookup"   // proving an export, and errors the vendor found later
	WarmUp   Purpose = "warmup"   // before a scheduled run
)

// Purposes are all purposes, in the order in which they are shown.
func Purposes() []Purpose { return []Purpose{Attempt, Readback, Lookup, Probe, WarmUp, Token} }
