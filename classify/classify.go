// Package classify decides what a failed vendor call means.
//
// Vendors fail in countless ways, but a caller can only do a few things about
// it: try again soon, wait, or stop and tell someone. [Response] and [Err] turn
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
// The package is pure: no I/O, no state, no clock, standard library only.
package classify

import (
	"slices"
	"time"
)

// Class says what a caller can do. It is stored and public.
type Class string

// The classes. Cancellation by the caller is [Permanent] with kind [Cancelled].
const (
	Success   Class = "success"
	Transient Class = "transient" // infrastructure: the same request may succeed soon
	Permanent Class = "permanent" // the same request will fail again
	Timeout   Class = "timeout"   // no answer in time; tried again like Transient
)

// Kind is the reason of a verdict. It is stored, shown, and the type of the
// Temporal error.
type Kind string

// The kinds.
const (
	OK Kind = "ok"

	RateLimited        Kind = "rate_limited"           // 429, or the vendor's throttling code
	Unavailable        Kind = "unavailable"            // 503
	BadGateway         Kind = "bad_gateway"            // 502
	GatewayTimeout     Kind = "gateway_timeout"        // 504
	TooEarly           Kind = "too_early"              // 425
	ServerError        Kind = "server_error"           // any other 5xx
	DNS                Kind = "dns"                    // the name could not be resolved
	Network            Kind = "network"                // refused, reset, cut, HTTP/2 stream error
	IncompleteResponse Kind = "incomplete_response"    // empty, truncated or HTML where JSON is due
	Dependency         Kind = "dependency_unavailable" // something of ours could not be asked
	BreakerOpen        Kind = "breaker_open"           // not called: the vendor failed every time of late

	AttemptTimeout Kind = "attempt_timeout" // the attempt's own deadline, or the network's
	RequestTimeout Kind = "request_timeout" // 408
	WorkerLost     Kind = "worker_lost"     // the attempt never reported

	BadRequest      Kind = "bad_request"       // 400
	Unauthorized    Kind = "unauthorized"      // 401
	Forbidden       Kind = "forbidden"         // 403
	NotFound        Kind = "not_found"         // 404
	Conflict        Kind = "conflict"          // 409, 412
	Unprocessable   Kind = "unprocessable"     // 422
	PayloadTooLarge Kind = "payload_too_large" // 413, or over our own limits
	ClientError     Kind = "client_error"      // any other 4xx
	Redirect        Kind = "redirect"          // 3xx: redirects are not followed
	Unsupported     Kind = "unsupported"       // 501, 505, 511
	Business        Kind = "business"          // an error inside a 2xx answer
	Duplicate       Kind = "duplicate"         // the vendor has the record already
	QuotaExhausted  Kind = "quota_exhausted"   // paid-for credits are used up, says the vendor
	QuotaSpent      Kind = "quota_spent"       // not called: the month's limit in the integration's file is reached
	InvalidResponse Kind = "invalid_response"  // JSON, but not what the call answers
	TLS             Kind = "tls"               // certificate or protocol refused
	InvalidRequest  Kind = "invalid_request"   // address, scheme or header that cannot be sent
	Transformation  Kind = "transformation"    // our own validation of the request
	Configuration   Kind = "configuration"     // unknown integration, unusable settings
	Credentials     Kind = "credentials"       // a secret is missing
	Partial         Kind = "partial"           // some parts of a batch took effect
	UnknownOutcome  Kind = "unknown_outcome"   // a write that may have happened and is not sent again
	Paused          Kind = "paused"            // the integration was paused by someone: nobody is called
	Cancelled       Kind = "cancelled"         // the caller gave up
	Internal        Kind = "internal"          // a defect of ours
)

// byClass is the whole of what may be tried again: a kind that is not in it is
// permanent, so that nothing is retried by oversight.
var byClass = []struct {
	class Class
	kinds []Kind
}{
	{Success, []Kind{OK}},
	{Transient, []Kind{RateLimited, Unavailable, BadGateway, GatewayTimeout, TooEarly, ServerError, DNS, Network, IncompleteResponse, Dependency, BreakerOpen}},
	{Timeout, []Kind{AttemptTimeout, RequestTimeout, WorkerLost}},
	{Permanent, []Kind{
		BadRequest, Unauthorized, Forbidden, NotFound, Conflict, Unprocessable, PayloadTooLarge, ClientError, Redirect, Unsupported,
		Business, Duplicate, QuotaExhausted, QuotaSpent, InvalidResponse, TLS, InvalidRequest, Transformation, Configuration, Credentials,
		Partial, UnknownOutcome, Paused, Cancelled, Internal,
	}},
}

// Class returns the class of a kind; an unknown kind is [Permanent].
func (k Kind) Class() Class {
	for _, c := range byClass {
		if slices.Contains(c.kinds, k) {
			return c.class
		}
	}
	return Permanent
}

// Kinds returns every kind, sorted.
func Kinds() []Kind {
	var kinds []Kind
	for _, c := range byClass {
		kinds = append(kinds, c.kinds...)
	}
	slices.Sort(kinds)
	return kinds
}

// NonRetryable returns the kinds that no retry can help, sorted: exactly the
// NonRetryableErrorTypes of the activity's RetryPolicy.
func NonRetryable() []string {
	var types []string
	for _, k := range Kinds() {
		if k.Class() == Permanent {
			types = append(types, string(k))
		}
	}
	return types
}

// Verdict is what a call meant.
type Verdict struct {
	Class      Class
	Kind       Kind
	Rule       string        // the rule that decided, such as "code:0x80040333" or "status:503"
	HTTPStatus int           // 0 if there was no response
	RetryAfter time.Duration // what the vendor asks for; 0 if nothing
	Unknown    bool          // the vendor may have acted on a write
	Effect     Effect        // of a write; "" if none was sent
	Ended      bool          // of an [Open] effect: the answer proves that the vendor's work has ended, so that asking can close it at once
	Message    string        // the vendor's code and words, or ours; not redacted, and never decides
	Parts      []Verdict     // of a batch, by position; nil otherwise
}

// Retry reports whether trying again can help. A [Partial] or [UnknownOutcome]
// keeps the class of the fault behind it, and must not be tried again.
func (v Verdict) Retry() bool {
	return (v.Class == Transient || v.Class == Timeout) && v.Kind.Class() != Permanent
}

func verdict(k Kind, rule, message string) Verdict {
	return Verdict{Class: k.Class(), Kind: k, Rule: rule, Message: message}
}
