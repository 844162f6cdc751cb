// Package classify decides what a failed vendor call means.
//
// Vendors fail in countless ways, but a caller can only do a few things about
// it: try again soon, wait, or stop and notify someone. [Response] and [Err] turn
// what was seen into a [Verdict]; everyone above acts on the verdict and never
// reads a message.
//
// The decision has an order: a vendor code in the adapter's [Table] beats
// everything, a business error in the body of a 2xx answer beats the status,
// then the status decides, exact entries first. Text never decides.
//
// [Policy] holds how often and how long to try; [Kind] is the reason that is
// stored, shown, and used as Temporal's error type, and [NonRetryable] lists
// the kinds that no retry can help.
//
// Whether a write happened is another question, and its answer another type:
// [Effect]. It is never inferred from the class.
//
// The package is pure: no I/O, no state, no clock, standard library only.
package classify

import "time"

// Class says what a caller can do. It is stored and public.
type Class string

// The classes. Cancellation by the caller is [Permanent] with kind [Cancelled].
const (
	Success   Class = "success"
	Transient Class = "transient" // infrastructure: the same request may succeed soon
	Permanent Class = "permanent" // the same request will fail again
	Timeout   Class = "timeout"   // no answer in time; tried again like Transient
)

// Verdict is what a call meant.
type Verdict struct {
	Class      Class
	Kind       Kind
	Rule       string        // the rule that decided, such as "code:0x80040333" or "status:503"
	HTTPStatus int           // 0 if there was no response
	RetryAfter time.Duration // what the vendor asks for; 0 if nothing
	Effect     Effect        // of a write; "" if none was sent
	Ended      bool          // of an [Open] effect: the answer proves that the vendor's work has ended, so that asking can close it at once
	Message    string        `json:"-"` // the vendor's code and words, or ours; never decides. Neither masked nor cut: a cut could leave part of a secret that no mask finds
	Parts      []Verdict     // of a batch, by position; nil otherwise

	refused   bool // see [Verdict.Refused]
	unhandled bool // see [Verdict.Unhandled]
}

// Retry reports whether trying again can help. A [Partial] or [UnknownOutcome]
// keeps the class of the failure behind it, and must not be tried again.
func (v Verdict) Retry() bool {
	return (v.Class == Transient || v.Class == Timeout) && v.Kind.Class() != Permanent
}

// NewVerdict returns the verdict of a kind, with the rule that decided.
func NewVerdict(k Kind, rule, message string) Verdict {
	return Verdict{Class: k.Class(), Kind: k, Rule: rule, Message: message}
}
