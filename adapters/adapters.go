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
	"github.com/ledgerline/ledgerline/redact"
)

// Operation is what is asked of an adapter.
type Operation string

// The operations. An export is planned by a run and sent in chunks; it is not
// something that a caller can ask for. A look-up is answered by an [Exporter]
// with [Finder.Find], and the question whether the vendor is as exports need it
// by a [Verifier].
const (
	Ping   Operation = "ping"   // the vendor's cheapest authenticated request
	Call   Operation = "call"   // a raw query or request, as the caller wrote it
	Export Operation = "export" // one chunk of an export
	Verify Operation = "verify" // whether the vendor is as exports need it: a [Contract]
	Lookup Operation = "lookup" // which entries the vendor has: [LookupRequest] to [LookupResult] by key
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

// Description is what a request will do, found without calling anybody.
type Description struct {
	Guard   Guard
	Summary string      // one line without data, such as "addGLImportItems, 2 items"
	Lookup  []LookupKey // with [Readback]: what to ask for to know whether it happened
	Own     any         // what the adapter has read of the request, for its own Do; may be nil
}

// Adapter speaks to one vendor. Implementations are safe for concurrent use.
type Adapter interface {
	// Vendor describes the vendor, the same every time.
	Vendor() Vendor

	// Describe checks a request. Its error is one of the request itself
	// (malformed body, forbidden path): permanent, and no call is made.
	Describe(op Operation, body []byte) (Description, error)

	// Do makes one attempt at a [Ping] or [Call]. The verdict is a success exactly
	// if the vendor accepted the request; then Response holds its answer. It never
	// asks first whether the request has happened already: its caller does.
	Do(ctx context.Context, c *Conn, op Operation, body []byte) (Response, classify.Verdict)
}

// Finder is an [Adapter] that can be asked whether a write has happened.
type Finder interface {
	Adapter

	// Find asks which of the sought records the vendor has, at most [MaxKeys]. The
	// answer has an entry for each that is there, by its key as it was sought.
	// Every page is read, and a record that was not asked for is an error: a filter
	// that was passed over would make everything seem to be missing. What proves
	// nothing has the kind [classify.Untrusted].
	Find(ctx context.Context, c *Conn, sought []LookupKey) (map[string]LookupResult, classify.Verdict)
}

// Exporter is a [Finder] that takes accounting entries, and can be asked whether it
// would.
type Exporter interface {
	Finder
	Verifier

	// ExportBody returns the body of the [Call] that sends whole vouchers, in
	// the order of entries. Its guard must not be [Unsafe]: entries are found again
	// by their keys.
	ExportBody(f Form, entries []Entry) ([]byte, error)

	// References returns the vendor's own names of entries that an accepted
	// answer to ExportBody holds, by key. Entries of which the answer says nothing
	// are not in it.
	References(entries []Entry, answer Response) map[string]string

	// LateErrors asks what the vendor found wrong after accepting it, since a
	// time. A vendor that refuses at once or not at all answers with none, and is
	// not called.
	LateErrors(ctx context.Context, c *Conn, since time.Time) ([]LateError, classify.Verdict)
}

// Form is how an integration's entries are written.
type Form struct {
	Settings map[string]string // of the integration
	Learned  map[string]string // see [Contract.Learned]; nil if nothing was learned
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

// LookupRequest is the body of [Lookup]. Vouchers are the vouchers of the keys, in the
// same order, where they are known; they help some vendors to find more. Known
// are those of the keys that are known to be there, see [LookupKey].
type LookupRequest struct {
	Keys     []string `json:"keys"`
	Vouchers []string `json:"vouchers,omitempty"`
	Known    []string `json:"known,omitempty"`
}

// LookupKey is a record to ask for.
type LookupKey struct {
	Key     string // its identity at the vendor
	Voucher string // "" if it is not known
	In      string // the collection, where it is another than the settings' own
	Amount  string // decimal, as it was sent; "" if it is not known
	// Known: it is known to be there. It is asked for in each request that the
	// question takes, and proves that request's answer.
	Known bool
}

// LookupResult is what a vendor has under one key. The answer to [Lookup] is an object
// of these by key; a key that is not at the vendor is not in it.
type LookupResult struct {
	Count     int    `json:"count"`               // more than 1: a duplicate
	Reference string `json:"reference,omitempty"` // the vendor's own name of it
	Amount    string `json:"amount,omitempty"`    // decimal, as the vendor writes it; "" if it does not say
	// Elsewhere: there is no record under the key, but one that may be it, such as
	// a posted line. Only a person can tell. It says what was found.
	Elsewhere string `json:"elsewhere,omitempty"`
}

// LateError is something that a vendor accepted and found wrong later.
type LateError struct {
	Reference string    // the vendor's name of the entry
	Message   string    // not redacted
	At        time.Time // zero if the vendor's time cannot be read
}

// Response is an accepted answer.
type Response struct {
	Status int
	Body   json.RawMessage // JSON; a text answer comes as a JSON string; nil if there was none

	Omitted *Omission // the body, if it was too large to be passed on
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

	Purpose limits.Purpose       // of the requests that follow; "" is an attempt
	Count   func(limits.Purpose) // called for each request that the vendor may bill; may be nil

	secrets   []string
	masker    *redact.Redactor // of them; nil until it is needed
	described *described       // what was described last
}

// described is what an adapter has said of a request.
type described struct {
	op   Operation
	body []byte
	Description
	err error
}

// Describe is [Adapter.Describe] of the connection's adapter. What is asked again of the
// same body, which must not have changed, is not read again: a caller describes a request
// before it is sent, and Do once more. To read an import of 500 items takes some milliseconds.
func (c *Conn) Describe(a Adapter, op Operation, body []byte) (Description, error) {
	same := func(d *described) bool {
		return d.op == op && len(d.body) == len(body) && (len(body) == 0 || &d.body[0] == &body[0])
	}
	if c.described == nil || !same(c.described) {
		d, err := a.Describe(op, body)
		c.described = &described{op, body, d, err}
	}
	return c.described.Description, c.described.err
}

// For sets what the requests that follow are made for, and returns what sets
// it back.
func (c *Conn) For(p limits.Purpose) (back func()) {
	before := c.Purpose
	c.Purpose = p
	return func() { c.Purpose = before }
}

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
		verdict := classify.NewVerdict(classify.Credentials, "credentials."+name,
			fmt.Sprintf("the integration has no credential %q; add it to the integration file as env:NAME or file:/path", name))
		return "", &verdict
	}
	c.AddSecret(v)
	return v, nil
}

// AddSecret notes a secret that came into play in this attempt, such as a token
// that was fetched on the way, so that it can be masked in everything the
// attempt says.
func (c *Conn) AddSecret(secret string) { c.secrets, c.masker = append(c.secrets, secret), nil }

// Masker masks the secrets of this attempt that are known until now.
func (c *Conn) Masker() *redact.Redactor {
	if c.masker == nil {
		c.masker = redact.New(c.Secrets()...)
	}
	return c.masker
}

// Secrets returns every secret of this attempt: the integration's credentials
// and those noted with [Conn.AddSecret].
func (c *Conn) Secrets() []string {
	all := append([]string(nil), c.secrets...)
	for _, s := range c.Credentials {
		all = append(all, s)
	}
	return all
}

// LookupVerdict is the verdict on the answer to a look-up. What is no answer to it
// proves nothing, and the next one may: it becomes [classify.Untrusted].
func LookupVerdict(v classify.Verdict) classify.Verdict {
	if v.Kind == classify.InvalidResponse {
		v.Class, v.Kind = classify.Untrusted.Class(), classify.Untrusted
	}
	return v
}
