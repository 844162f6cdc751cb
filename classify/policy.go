package classify

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// Policy says how often an invocation is tried and how long it may take.
type Policy struct {
	BaseDelay      time.Duration `json:"baseDelay"`      // wait before the first retry
	Coefficient    float64       `json:"coefficient"`    // factor from one wait to the next
	MaxRetries     int           `json:"maxRetries"`     // attempts after the first
	Jitter         float64       `json:"jitter"`         // each wait is multiplied by 1 ± this
	AttemptTimeout time.Duration `json:"attemptTimeout"` // Temporal's StartToClose
	Budget         time.Duration `json:"budget"`         // all attempts and waits together
}

// DefaultPolicy waits 1 s, 2 s and 4 s, each ± 20 %, between four attempts of
// at most 10 s, all within 60 s.
func DefaultPolicy() Policy {
	return Policy{
		BaseDelay: time.Second, Coefficient: 2, MaxRetries: 3, Jitter: 0.20,
		AttemptTimeout: 10 * time.Second, Budget: 60 * time.Second,
	}
}

// WithDefaults returns a copy in which what is zero and cannot mean anything is
// taken from [DefaultPolicy]. No retries and no jitter are meaningful and stay.
func (p Policy) WithDefaults() Policy {
	d := DefaultPolicy()
	p.BaseDelay = cmp.Or(p.BaseDelay, d.BaseDelay)
	p.Coefficient = cmp.Or(p.Coefficient, d.Coefficient)
	p.AttemptTimeout = cmp.Or(p.AttemptTimeout, d.AttemptTimeout)
	p.Budget = cmp.Or(p.Budget, d.Budget)
	return p
}

// Limits of a policy. No invocation may take more than 60 s in all, and no retry
// follows at once: a policy may come from whoever can start a workflow.
const (
	maxRetries = 10
	maxBudget  = 60 * time.Second
	minDelay   = 10 * time.Millisecond
	minAttempt = 100 * time.Millisecond
)

// Validate reports every field that is out of range, each with its value and
// what would be right.
func (p Policy) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(p.BaseDelay >= minDelay && p.BaseDelay <= maxBudget, "baseDelay: %v; want %v to %v", p.BaseDelay, minDelay, maxBudget)
	check(p.Coefficient >= 1 && p.Coefficient <= 10, "coefficient: %v; want 1 to 10", p.Coefficient)
	check(p.MaxRetries >= 0 && p.MaxRetries <= maxRetries, "maxRetries: %d; want 0 to %d", p.MaxRetries, maxRetries)
	check(p.Jitter >= 0 && p.Jitter <= 0.9, "jitter: %v; want 0 to 0.9", p.Jitter)
	check(p.AttemptTimeout >= minAttempt && p.AttemptTimeout <= maxBudget, "attemptTimeout: %v; want %v to %v", p.AttemptTimeout, minAttempt, maxBudget)
	check(p.Budget > 0 && p.Budget <= maxBudget, "budget: %v; want more than 0 and at most %v", p.Budget, maxBudget)
	if len(errs) == 0 {
		check(p.worstCase() <= p.Budget, "budget: %v is less than the worst case of %v (%d attempts of %v and the waits between); lower maxRetries, attemptTimeout or baseDelay",
			p.Budget, p.worstCase().Round(time.Millisecond), p.MaxAttempts(), p.AttemptTimeout)
	}
	return errors.Join(errs...)
}

// MaxAttempts is how often an invocation is tried at most.
func (p Policy) MaxAttempts() int { return p.MaxRetries + 1 }

// worstCase is how long an invocation takes if every attempt times out and
// every wait is drawn at its longest.
func (p Policy) worstCase() time.Duration {
	total := float64(p.MaxAttempts()) * float64(p.AttemptTimeout)
	for slot := 1; slot <= p.MaxRetries; slot++ {
		total += float64(p.Wait(slot)) * (1 + p.Jitter)
	}
	return duration(total)
}

// Wait returns the wait of a retry slot without jitter. Slots count from 1:
// the wait before the first retry.
func (p Policy) Wait(slot int) time.Duration {
	return duration(float64(p.BaseDelay) * math.Pow(p.Coefficient, float64(slot-1)))
}

// NextDelay returns the wait of a retry slot with its jitter, or what the vendor
// asks for if that is longer. The jitter's factor is derived from SHA-256 of
// correlation ID and slot: one computation per slot, the same whoever computes
// it, and different for invocations that failed together.
func (p Policy) NextDelay(correlationID string, slot int, retryAfter time.Duration) time.Duration {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(correlationID), uint64(slot)))
	// 53 bits make a float64 in [0, 1).
	unit := float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
	return max(duration(float64(p.Wait(slot))*(1-p.Jitter+2*p.Jitter*unit)), retryAfter)
}

// duration converts without overflow: a float outside the range of a Duration
// becomes the largest one.
func duration(f float64) time.Duration {
	if !(f < math.MaxInt64) {
		return math.MaxInt64
	}
	return time.Duration(f)
}
