// Package adapters is the contract between Ledgerline and the systems it
// calls, and the one HTTP client through which every call goes.
//
// An [Adapter] speaks to one vendor. It makes one attempt at a time and says
// two things about it: what came back, as a [classify.Verdict], and, before
// anything is sent, how a resend would end, as a [Guard]. It never retries,
// never sleeps and never decides how often to try: Temporal does that, and two
// retry loops would multiply each other.
//
// A vendor lives in a sub-package: adapters/xledger, adapters/dataverse,
// adapters/businesscentral. adapters/odata is what the last two share and
// adapters/entra fetches their tokens.
//
// The package refuses to follow redirects, to talk to a host that is not on
// the adapter's list, to connect to an address that is not public, and to read
// more than a bounded number of bytes. See [Client].
package adapters

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

// Operation is what is asked of an adapter.
type Operation string

// The operations. An export is planned by a run and sent in chunks; it is not
// something that a caller can ask for. Every [Exporter] knows the last two.
const (
	Ping   Operation = "ping"   // the vendor's cheapest authenticated request
	Call   Operation = "call"   // a raw query or request, as the caller wrote it
	Export Operation = "export" // one chunk of an export

	LookUp     Operation = "lookup" // which entries the vendor has: [Keys] to [Found] by key
	LateFaults Operation = "faults" // what it found faulty after accepting it: [FaultsSince] to [LateFault]s
)

// Guard says what may be done after an attempt whose outcome is unknown: the
// request was sent and no trustworthy answer came back.
type Guard string

// The guards, from harmless to dangerous.
const (
	ReadOnly   Guard = "read"       // changes nothing: send it again
	Idempotent Guard = "idempotent" // a repeat has no further effect: send it again
	Readback   Guard = "readback"   // ask the vendor what is there first, send only what is missing
	Unsafe     Guard = "unsafe"     // never sent again once bytes have left; a person decides
)

// Weaker returns the more dangerous of two guards; a batch is as safe as its
// weakest part.
func Weaker(a, b Guard) Guard {
	rank := map[Guard]int{ReadOnly: 0, Idempotent: 1, Readback: 2, Unsafe: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// Op is how [classify] looks at a request with this guard.
func (g Guard) Op() classify.Op {
	if g == ReadOnly {
		return classify.Read
	}
	return classify.Write
}

// Plan is what a request will do, found without calling anybody.
type Plan struct {
	Guard   Guard
	Summary string // one line without data, such as "addGLImportItems, 2 items"
}

// Adapter speaks to one vendor. Implementations are safe for concurrent use.
type Adapter interface {
	// Plan checks a request. Its error is a fault of the request itself
	// (malformed body, forbidden path): permanent, and no call is made.
	Plan(op Operation, body []byte) (Plan, error)

	// Do makes one attempt. The verdict is a success exactly if the vendor
	// accepted the request; then Response holds its answer.
	Do(ctx context.Context, c *Conn, op Operation, body []byte) (Response, classify.Verdict)

	// Codes is the vendor's code table, for [classify.Response].
	Codes() classify.Table
}

// Exporter is an [Adapter] that takes accounting entries.
type Exporter interface {
	Adapter

	// Limits says what one request may carry.
	Limits() Limits

	// ExportBody returns the body of the [Call] that sends whole vouchers, in
	// the order of entries. settings are the integration's. Its guard must not
	// be [Unsafe]: entries are found again by their keys.
	ExportBody(settings map[string]string, entries []Entry) ([]byte, error)

	// References returns the vendor's own names of entries that an accepted
	// answer to ExportBody holds, by key, those that a look-up had found included.
	// Entries of which the answer says nothing are not in it.
	References(entries []Entry, answer Response) map[string]string
}

// Limits bound a request of an [Exporter].
type Limits struct {
	Entries int // most entries in a request
	Default int // entries in a request unless the integration says otherwise
	// Atomic: a refused request has stored nothing, so that its entries can be
	// sent again without asking for them first.
	Atomic bool
	// Faults: some are told only later, by [LateFaults].
	Faults bool
	// Settings that an integration must have for exports.
	Settings []string
}

// Entry is one line of a voucher on its way to a vendor.
type Entry struct {
	Key        string // its identity at the vendor, the same for ever: 32 hex digits
	Voucher    string // lines with the same one belong together and sum to zero
	Account    string // the vendor's
	Amount     string // decimal, at most two places; debit is positive
	Currency   string // ISO 4217
	Text       string
	Dimensions map[string]string // values by the vendor's field
	Date       time.Time
}

// Keys is the body of [LookUp].
type Keys struct {
	Keys []string `json:"keys"`
}

// Found is what [LookUp] says of one key, in an answer that is an object by
// key; a key that is not at the vendor is not in it.
type Found struct {
	Count     int    `json:"count"`               // more than 1: it is there twice
	Reference string `json:"reference,omitempty"` // the vendor's own name of it
}

// FaultsSince is the body of [LateFaults].
type FaultsSince struct {
	Since time.Time `json:"since"`
}

// LateFault is something that a vendor accepted and found faulty later. The
// answer to [LateFaults] is a list of them.
type LateFault struct {
	Reference string    `json:"reference"` // the vendor's name of the entry
	Message   string    `json:"message"`
	At        time.Time `json:"at"` // zero if the vendor's time cannot be read
}

// Response is an accepted answer.
type Response struct {
	Status   int
	Body     json.RawMessage // JSON; a text answer comes as a JSON string; nil if there was none
	ReadBack bool            // the effect was found at the vendor and nothing was sent

	// Found is what a look-up before this attempt found, by key; nil if none was
	// made. What is in it was not sent.
	Found map[string]Found
}

// Conn is one integration's connection for one attempt. It is not safe for
// concurrent use.
type Conn struct {
	Client        *Client
	Adapter       string // the name under which hosts are allowed
	BaseURL       *url.URL
	Settings      map[string]string
	Credentials   map[string]string // resolved secrets by name, never logged
	CorrelationID string            // UUID v4, sent in the header that the vendor knows
	// Uncertain: an earlier attempt may have taken effect, so read back first.
	// An adapter that has asked and found nothing sets it to false: from then on
	// only its own request decides.
	Uncertain bool

	Purpose limits.Purpose       // of the requests that follow; "" is an attempt
	Count   func(limits.Purpose) // told of each request that the vendor may bill; may be nil

	secrets []string
}

// For sets what the requests that follow are made for, and returns what sets
// it back.
func (c *Conn) For(p limits.Purpose) (back func()) {
	before := c.Purpose
	c.Purpose = p
	return func() { c.Purpose = before }
}

// ReadBack is [Conn.For] look-ups after an answer that was lost.
func (c *Conn) ReadBack() (back func()) { return c.For(limits.Readback) }

// Counter is [Request.Sent] for a request with the connection's purpose.
func (c *Conn) Counter() func() {
	count, purpose := c.Count, cmp.Or(c.Purpose, limits.Attempt)
	if count == nil {
		return nil
	}
	return func() { count(purpose) }
}

// Credential returns a resolved secret, or a verdict that names what is
// missing. The secret joins those that [Conn.Secrets] reports.
func (c *Conn) Credential(name string) (string, *classify.Verdict) {
	v := c.Credentials[name]
	if v == "" {
		verdict := Fault(classify.Credentials, "credentials."+name,
			fmt.Sprintf("the integration has no credential %q; add it to the integration file as env:NAME or file:/path", name))
		return "", &verdict
	}
	c.Used(v)
	return v, nil
}

// Used notes a secret that came into play in this attempt, such as a token
// that was fetched on the way, so that it can be masked in everything the
// attempt says.
func (c *Conn) Used(secret string) { c.secrets = append(c.secrets, secret) }

// Secrets returns every secret of this attempt: the integration's credentials
// and those noted with [Conn.Used].
func (c *Conn) Secrets() []string {
	all := append([]string(nil), c.secrets...)
	for _, s := range c.Credentials {
		all = append(all, s)
	}
	return all
}

// Fault is a verdict about something on our side of the wire: a request that
// cannot be built, a setting that is missing. No call was made.
func Fault(kind classify.Kind, rule, message string) classify.Verdict {
	return classify.Verdict{Class: kind.Class(), Kind: kind, Rule: rule, Message: message}
}

// UnknownOutcome is the verdict on a write that may have taken effect and must
// not be sent again. The class stays that of the fault that hid the outcome.
func UnknownOutcome(cause classify.Verdict, message string) classify.Verdict {
	cause.Kind = classify.UnknownOutcome
	cause.RetryAfter = 0
	cause.Message = message
	return cause.WithEffect(classify.Open, false)
}
