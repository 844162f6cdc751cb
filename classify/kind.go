package classify

import (
	"maps"
	"slices"
)

// Kind is the reason of a verdict. It is stored, shown, and the type of the
// Temporal error. What it means stands in one table, below.
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
	Unsettled          Kind = "unsettled"              // asked, and it is too early to say that nothing was done
	Untrusted          Kind = "untrusted_lookup"       // the answer to a look-up proves nothing

	AttemptTimeout Kind = "attempt_timeout" // the attempt's own deadline, or the network's
	RequestTimeout Kind = "request_timeout" // 408, or the vendor's code for giving up
	WorkerLost     Kind = "worker_lost"     // the attempt never reported
	Late           Kind = "out_of_time"     // asking left too little time to send

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
	RequestDocument Kind = "request_document"  // the vendor cannot read the request: not its values, the request itself
	InvalidResponse Kind = "invalid_response"  // JSON, but not what the call answers
	TLS             Kind = "tls"               // certificate or protocol refused
	InvalidRequest  Kind = "invalid_request"   // address, scheme or header that cannot be sent
	Transformation  Kind = "transformation"    // our own validation of the request
	Configuration   Kind = "configuration"     // unknown integration, unusable settings
	Credentials     Kind = "credentials"       // a secret is missing
	Partial         Kind = "partial"           // some parts of a batch took effect
	UnknownOutcome  Kind = "unknown_outcome"   // a write that may have happened and is not sent again
	Paused          Kind = "paused"            // the integration was paused by someone: nobody is called
	NotOwner        Kind = "not_owner"         // another run owns the export, or another call has taken the place of this one
	ClaimConflict   Kind = "claim_conflict"    // the correlation ID was used for another request
	Cancelled       Kind = "cancelled"         // the caller gave up
	Internal        Kind = "internal"          // a defect of ours
)

// Signal is what a kind says of an integration's health; package health acts on
// it.
type Signal string

// The signals.
const (
	SignalSuccess   Signal = "success"   // accepted
	SignalAnswer    Signal = "answer"    // the vendor works and says no to what was asked: a sign of life
	SignalFailure   Signal = "failure"   // no answer, or one of trouble
	SignalRefused   Signal = "refused"   // it says no to who asked; only a person can fix that
	SignalThrottled Signal = "throttled" // it is asked too often, or credits are used up
	SignalNothing   Signal = "nothing"   // an error of ours, or the vendor was not asked
)

// circuit is what a kind does to the circuit breaker of a vendor that answered.
type circuit int

const (
	ignored circuit = iota // it has waits of its own, or says nothing of the vendor
	there                  // an answer, also one that says no: the vendor is there
	fails                  // a failure of the vendor or of the way to it
)

// trait is what else a kind means to a run that exports entries.
type trait int

const (
	content trait = 1 + iota // a no to what was sent, and not to who sent it
	caller                   // a no to who sent it, or a defect of ours: it says nothing of what was sent
	passes                   // permanent for an invocation, and passes by itself: a run waits
)

// meanings is all that a kind means. A kind that is not in it is permanent, so
// that nothing is tried again by oversight.
var meanings = map[Kind]struct {
	class   Class
	circuit circuit
	signal  Signal
	trait   trait
}{
	OK: {Success, there, SignalSuccess, 0},

	RateLimited:        {Transient, ignored, SignalThrottled, 0},
	Unavailable:        {Transient, fails, SignalFailure, 0},
	BadGateway:         {Transient, fails, SignalFailure, 0},
	GatewayTimeout:     {Transient, fails, SignalFailure, 0},
	TooEarly:           {Transient, there, SignalFailure, 0},
	ServerError:        {Transient, fails, SignalFailure, 0},
	DNS:                {Transient, fails, SignalFailure, 0},
	Network:            {Transient, fails, SignalFailure, 0},
	IncompleteResponse: {Transient, fails, SignalFailure, 0},
	Dependency:         {Transient, ignored, SignalNothing, 0},
	BreakerOpen:        {Transient, ignored, SignalNothing, 0},
	Unsettled:          {Transient, ignored, SignalNothing, 0},
	Untrusted:          {Transient, ignored, SignalNothing, 0},

	AttemptTimeout: {Timeout, fails, SignalFailure, 0},
	RequestTimeout: {Timeout, fails, SignalFailure, 0},
	WorkerLost:     {Timeout, ignored, SignalNothing, 0},
	Late:           {Timeout, ignored, SignalNothing, 0},

	BadRequest:      {Permanent, there, SignalAnswer, content},
	Unauthorized:    {Permanent, there, SignalRefused, caller},
	Forbidden:       {Permanent, there, SignalRefused, caller},
	NotFound:        {Permanent, there, SignalAnswer, 0},
	Conflict:        {Permanent, there, SignalAnswer, 0},
	Unprocessable:   {Permanent, there, SignalAnswer, content},
	PayloadTooLarge: {Permanent, there, SignalNothing, 0},
	ClientError:     {Permanent, there, SignalAnswer, 0},
	Redirect:        {Permanent, there, SignalAnswer, 0},
	Unsupported:     {Permanent, there, SignalAnswer, 0},
	Business:        {Permanent, there, SignalAnswer, content},
	Duplicate:       {Permanent, there, SignalAnswer, content},
	QuotaExhausted:  {Permanent, there, SignalThrottled, passes},
	QuotaSpent:      {Permanent, ignored, SignalNothing, caller},
	RequestDocument: {Permanent, there, SignalAnswer, content},
	InvalidResponse: {Permanent, there, SignalAnswer, 0},
	TLS:             {Permanent, there, SignalFailure, 0},
	InvalidRequest:  {Permanent, there, SignalNothing, 0},
	Transformation:  {Permanent, there, SignalNothing, content},
	Configuration:   {Permanent, there, SignalNothing, caller},
	Credentials:     {Permanent, there, SignalRefused, caller},
	Partial:         {Permanent, there, SignalAnswer, 0},
	UnknownOutcome:  {Permanent, ignored, SignalFailure, 0},
	Paused:          {Permanent, ignored, SignalNothing, passes},
	NotOwner:        {Permanent, ignored, SignalNothing, 0},
	ClaimConflict:   {Permanent, ignored, SignalNothing, 0},
	Cancelled:       {Permanent, there, SignalNothing, 0},
	Internal:        {Permanent, there, SignalNothing, caller},
}

// Class returns the class of a kind; an unknown kind is [Permanent].
func (k Kind) Class() Class {
	if m, ok := meanings[k]; ok {
		return m.class
	}
	return Permanent
}

// Signal returns what a kind says of health when it is the outcome of a call; a
// kind that is not known says nothing.
func (k Kind) Signal() Signal {
	if m, ok := meanings[k]; ok {
		return m.signal
	}
	return SignalNothing
}

// Breaks reports whether a kind counts as a failure of the vendor for its
// circuit breaker.
func (k Kind) Breaks() bool { return meanings[k].circuit == fails }

// Closes reports whether an answer of a kind shows a circuit breaker that the
// vendor is there. Without an HTTP status there was no answer.
func (k Kind) Closes() bool { return meanings[k].circuit == there }

// RefusesContent reports whether a kind is a no to what was sent, and not to
// who sent it: of a chunk of an export, that one of its vouchers is refused.
func (k Kind) RefusesContent() bool { return meanings[k].trait == content }

// RefusesCaller reports whether a kind says nothing of what was sent, because it
// is a no to who sent it or an error on our side: another request would fare the
// same.
func (k Kind) RefusesCaller() bool { return meanings[k].trait == caller }

// Passes reports whether a permanent failure passes by itself: it is permanent
// for an invocation, and a run waits.
func (k Kind) Passes() bool { return meanings[k].trait == passes }

// kinds are all of them, sorted once: workflows ask for them, and the order of a
// map would be another one each time.
var kinds = slices.Sorted(maps.Keys(meanings))

// Kinds returns every kind, sorted.
func Kinds() []Kind { return slices.Clone(kinds) }

// NonRetryable returns the kinds that no retry can help, sorted: exactly the
// NonRetryableErrorTypes of the activity's RetryPolicy.
func NonRetryable() []string {
	var types []string
	for _, k := range kinds {
		if k.Class() == Permanent {
			types = append(types, string(k))
		}
	}
	return types
}
