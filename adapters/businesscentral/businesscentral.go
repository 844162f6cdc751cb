// Package businesscentral speaks to the Dynamics 365 Business Central API v2.0.
//
// A call's body is a raw request or a batch, see package odata. A batch is
// sent as a JSON $batch of at most 100 operations, with "Isolation: snapshot"
// if it is atomic (docs/vendors.md#businesscentral-api).
//
// An export adds lines to a general journal, whose company and ID are settings,
// and never posts it: that is for a person to do. A posted line has left the
// journal and lost its externalDocumentNumber. So whoever asks for a line asks
// the general ledger for its document number too; a hit there is for a person.
//
// Guards: GET is read. A POST of journal lines whose externalDocumentNumber is
// set is readback: the journal can be asked which of the lines are there. PATCH and DELETE with
// If-Match: * are idempotent. Everything else is unsafe, posting a journal
// above all: nothing documents that a repeat of Microsoft.NAV.post is harmless.
package businesscentral

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
)

// Name is the adapter's name in integration files, logs and outcomes.
const Name = "businesscentral"

// maxBatch is how many operations one $batch may hold (docs/vendors.md#businesscentral-api).
const maxBatch = 100

// resource is Business Central's token audience; unlike Dataverse's it does
// not depend on the environment (docs/vendors.md#businesscentral-permission-sets).
const resource = "https://api.businesscentral.dynamics.com/.default"

// Adapter implements [adapters.Exporter].
type Adapter struct{ send odata.Sender }

// Vendor describes Business Central.
var Vendor = adapters.Vendor{
	Name: Name, Title: "Business Central",
	Hosts:       []string{"api.businesscentral.dynamics.com"},
	Path:        regexp.MustCompile(`^/v2\.0(/[^/]+){1,2}/api/v2\.0$`),
	Base:        "https://api.businesscentral.dynamics.com/v2.0/production/api/v2.0",
	Settings:    adapters.Entra(adapters.GUID("companyId", "the company's GUID"), adapters.GUID("journalId", "the journal's GUID")),
	Credentials: []string{"clientSecret"},
	Codes:       Codes,
	// A batch is sent with "Isolation: snapshot", which rolls all back "unless AL
	// commits" (docs/vendors.md#businesscentral-api). Whether something in a company's own code
	// commits cannot be known from here, so it is not all or nothing.
	Export: adapters.ExportTerms{Entries: maxBatch, Default: maxBatch},
	// It queues a request for up to 8 minutes and runs it for up to 8
	// (docs/vendors.md#in-flight).
	InFlight: 17 * time.Minute,
}

// New returns an adapter that takes its tokens from the given cache.
func New(tokens *entra.Tokens) Adapter {
	return Adapter{odata.Sender{Tokens: tokens, Vendor: Vendor, Scope: func(*url.URL) string { return resource }}}
}

// Vendor implements [adapters.Adapter].
func (Adapter) Vendor() adapters.Vendor { return Vendor }

// Describe implements [adapters.Adapter].
func (Adapter) Describe(op adapters.Operation, body []byte) (adapters.Description, error) {
	switch op {
	case adapters.Ping:
		return adapters.Description{Guard: adapters.ReadOnly, Summary: "GET companies"}, nil
	case adapters.Lookup:
		sought, err := adapters.ParseLookup(body)
		return adapters.Description{Guard: adapters.ReadOnly, Summary: fmt.Sprintf("GET journalLines, %d keys", len(sought))}, err
	}
	r, err := odata.Parse(body, maxBatch)
	if err != nil {
		return adapters.Description{}, err
	}
	p := adapters.Description{Guard: guard(r), Summary: r.Summary()}
	if p.Guard == adapters.Readback {
		p.Lookup = sought(r)
	}
	return p, nil
}

// sought are the lines that a request makes, to be asked for.
func sought(r odata.Request) []adapters.LookupKey {
	requests := r.Requests
	if !r.Batch() {
		requests = []odata.Request{r}
	}
	var out []adapters.LookupKey
	for _, p := range requests {
		if l := lineOf(p); l.ExternalDocumentNumber != "" {
			amount := strings.Trim(string(l.Amount), `"`)
			out = append(out, adapters.LookupKey{Key: l.ExternalDocumentNumber, Voucher: l.DocumentNumber, In: p.Path, Amount: amount})
		}
	}
	return out
}

func guard(r odata.Request) adapters.Guard {
	if r.Batch() {
		g := adapters.ReadOnly
		lines, distinct, others := 0, make(map[string]bool), false
		for _, part := range r.Requests {
			own := guard(part)
			g, others = adapters.Weaker(g, own), others || own == adapters.Idempotent
			if number := lineOf(part).ExternalDocumentNumber; number != "" {
				lines++
				distinct[folded(number)] = true
			}
		}
		// A look-up says nothing of parts that are no lines, and could not tell apart
		// two lines with one number, in whatever journals.
		if g == adapters.Readback && (others || lines != len(distinct)) {
			return adapters.Unsafe
		}
		return g
	}
	switch {
	case r.Method == http.MethodGet:
		return adapters.ReadOnly
	case lineOf(r).ExternalDocumentNumber != "":
		return adapters.Readback
	case r.Method != http.MethodPost && r.Header().Get("If-Match") == "*":
		return adapters.Idempotent
	}
	return adapters.Unsafe
}

// newLine is what a look-up needs of a journal line that a request makes.
type newLine struct {
	ExternalDocumentNumber, DocumentNumber string
	Amount                                 json.RawMessage
}

// lineOf is the line that a request makes. It is zero for every other request, also
// for one in a journal whose general ledger is not known: a line that was posted
// would be missing. The vendor's names have a case, which structs do not know: a
// number under another name is not one that can be asked for.
func lineOf(r odata.Request) (l newLine) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.Path, "/journalLines") || ledger(r.Path) == "" {
		return newLine{}
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(r.Body, &members) != nil || json.Unmarshal(members["externalDocumentNumber"], &l.ExternalDocumentNumber) != nil ||
		folded(l.ExternalDocumentNumber) == "" || strings.ContainsRune(l.ExternalDocumentNumber, utf8.RuneError) {
		return newLine{}
	}
	if number, ok := members["documentNumber"]; ok && json.Unmarshal(number, &l.DocumentNumber) != nil {
		return newLine{}
	}
	l.Amount = members["amount"]
	return l
}

// Do implements [adapters.Adapter].
func (b Adapter) Do(ctx context.Context, c *adapters.Conn, op adapters.Operation, body []byte) (adapters.Response, classify.Verdict) {
	ping := odata.Request{Method: http.MethodGet, Path: "companies?$top=1&$select=id"}
	return odata.Do(op, body, maxBatch, ping, func(r odata.Request) (adapters.Response, classify.Verdict) { return b.call(ctx, c, r) })
}

// call sends a raw request or a batch.
func (b Adapter) call(ctx context.Context, c *adapters.Conn, r odata.Request) (adapters.Response, classify.Verdict) {
	g := guard(r)
	if !r.Batch() {
		return odata.Respond(b.send.Send(ctx, c, g.Op(), r.Method, r.Path, r.Header(), r.Body))
	}
	h := http.Header{}
	if r.Atomic {
		h.Set("Isolation", "snapshot")
	}
	if r.ContinueOnError {
		h.Set("Prefer", "odata.continue-on-error")
	}
	a, v := b.send.Send(ctx, c, g.Op(), http.MethodPost, "$batch", h, render(r))
	v = odata.WholeBatch(v, g.Op(), len(r.Requests))
	if !r.Atomic {
		v = odata.Partial(v)
	}
	return odata.Respond(a, v)
}
