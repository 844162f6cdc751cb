package limits

import (
	"sync"

	"github.com/google/uuid"
)

// The numbers of AWS's standard retry mode (docs/vendors.md#retry): a full bucket pays
// for 100 retries, or for 50 after a timeout.
const (
	Tokens      = 500 // in a full bucket
	RetryCost   = 5
	timeoutCost = 10
	Refund      = 1 // for each success
)

// Host is whose retries share a bucket: an organization at a vendor's host.
type Host struct {
	Organization uuid.UUID
	Name         string // host, and port where it is not the usual one
}

// Budget bounds retries. First attempts are never held back, so that N
// invocations of which S requests succeed make at most
//
//	N + (Tokens + S×Refund) / RetryCost
//
// requests, whatever their policies say. The zero value has full buckets.
type Budget struct {
	mu      sync.Mutex
	missing map[Host]int // tokens that are missing from the bucket; a full one has no entry
}

// Retry takes what a retry costs. It returns false, and takes nothing, if there
// is not enough left.
func (b *Budget) Retry(h Host, timeout bool) bool {
	cost := RetryCost
	if timeout {
		cost = timeoutCost
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.missing[h]+cost > Tokens {
		return false
	}
	if b.missing == nil {
		b.missing = make(map[Host]int)
	}
	b.missing[h] += cost
	return true
}

// Success gives back for a request that succeeded.
func (b *Budget) Success(h Host) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch missing := b.missing[h]; {
	case missing > Refund:
		b.missing[h] = missing - Refund
	case missing > 0:
		delete(b.missing, h)
	}
}
