// Package dataverse speaks to the Dataverse Web API (OData v4).
//
// A call's body is a raw request or a batch, see package odata. A batch is
// sent as multipart/mixed: with "atomic" as one change set, in which all parts
// happen or none; without it part by part, with "continueOnError" also past a
// failed one (docs/vendors.md#dataverse-api).
//
// An export upserts rows of a table that the customer has made for it, by an
// alternate key, in one change set. The table's entity set and its publisher's
// prefix are settings.
//
// Guards: GET is read. PATCH and PUT on a key are an upsert, whose repeat has
// no effect: idempotent; so is DELETE. They are unsafe under If-None-Match or
// an If-Match with an ETag, for then a repeat would fail on its own effect.
// POST is unsafe. A batch is what its weakest part is.
package dataverse

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
)

// Name is the adapter's name in integration files, logs and outcomes.
const Name = "dataverse"

// maxBatch is how many requests one $batch may hold (docs/vendors.md#dataverse-api).
const maxBatch = 1000

// Adapter implements [adapters.Exporter].
type Adapter struct{ send odata.Sender }

// Vendor describes Dataverse.
var Vendor = adapters.Vendor{
	Name: Name, Title: "Dataverse",
	Hosts: []string{".dynamics.com"},
	Path:  regexp.MustCompile(`^/api/data/v9\.[0-9]$`),
	Base:  "https://org.crm4.dynamics.com/api/data/v9.2",
	Settings: adapters.Entra(
		adapters.Setting{Name: "table", Pattern: regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`), Want: "an entity set name, such as acme_ledgerlines", ForExport: true},
		adapters.Setting{Name: "prefix", Pattern: regexp.MustCompile(`^[a-z][a-z0-9]{1,7}_$`),
			Want: "a publisher's prefix: 2 to 8 lower-case letters and digits and an underscore, such as acme_", ForExport: true},
	),
	Credentials: []string{"clientSecret"},
	Codes:       Codes,
	// A change set happens as a whole or not at all. It could hold 1,000 rows, but
	// then [adapters.MaxRequest] would leave a row 1,048 bytes, of which the batch
	// format takes about 500; with 500 rows there is room for long texts and
	// dimensions. The default keeps an attempt of 10 s far from its end.
	Export: adapters.ExportTerms{Entries: 500, Default: 100, Atomic: true, Currencies: true},
	// An upsert that is repeated with the same content has no further effect,
	// whenever it arrives; one with another content would replace the newer one
	// (docs/vendors.md#in-flight).
	InFlight: 0, InFlightChanged: 2 * time.Minute,
}

// New returns an adapter that takes its tokens from the given cache.
func New(tokens *entra.Tokens) Adapter {
	return Adapter{odata.Sender{Tokens: tokens, Vendor: Vendor, Scope: scope}}
}

// scope is the resource of an environment: its own host.
func scope(base *url.URL) string { return base.Scheme + "://" + base.Host + "/.default" }

// Vendor implements [adapters.Adapter].
func (Adapter) Vendor() adapters.Vendor { return Vendor }

// Describe implements [adapters.Adapter].
func (Adapter) Describe(op adapters.Operation, body []byte) (adapters.Description, error) {
	switch op {
	case adapters.Ping:
		return adapters.Description{Guard: adapters.ReadOnly, Summary: "GET WhoAmI"}, nil
	case adapters.Lookup:
		sought, err := adapters.ParseLookup(body)
		return adapters.Description{Guard: adapters.ReadOnly, Summary: fmt.Sprintf("GET rows, %d keys", len(sought))}, err
	}
	r, err := odata.Parse(body, maxBatch)
	if err != nil {
		return adapters.Description{}, err
	}
	return adapters.Description{Guard: guard(r), Summary: r.Summary()}, nil
}

func guard(r odata.Request) adapters.Guard {
	if r.Batch() {
		g := adapters.ReadOnly
		for _, part := range r.Requests {
			g = adapters.Weaker(g, guard(part))
		}
		return g
	}
	h := r.Header()
	etag := h.Get("If-Match")
	switch {
	case r.Method == http.MethodGet:
		return adapters.ReadOnly
	case r.Method == http.MethodPost, h.Get("If-None-Match") != "", etag != "" && etag != "*":
		return adapters.Unsafe
	}
	return adapters.Idempotent
}

// Do implements [adapters.Adapter].
func (d Adapter) Do(ctx context.Context, c *adapters.Conn, op adapters.Operation, body []byte) (adapters.Response, classify.Verdict) {
	ping := odata.Request{Method: http.MethodGet, Path: "WhoAmI"}
	return odata.Do(op, body, maxBatch, ping, func(r odata.Request) (adapters.Response, classify.Verdict) { return d.call(ctx, c, r) })
}

// call sends a raw request or a batch.
func (d Adapter) call(ctx context.Context, c *adapters.Conn, r odata.Request) (adapters.Response, classify.Verdict) {
	g := guard(r)
	if !r.Batch() {
		return odata.Respond(d.send.Send(ctx, c, g.Op(), r.Method, r.Path, r.Header(), r.Body))
	}
	payload, contentType := render(r)
	h := http.Header{"Content-Type": {contentType}, "Accept": {"multipart/mixed"}}
	if r.ContinueOnError {
		h.Set("Prefer", "odata.continue-on-error")
	}
	a, v := d.send.Send(ctx, c, g.Op(), http.MethodPost, "$batch", h, payload)
	v = odata.WholeBatch(v, g.Op(), len(r.Requests))
	switch {
	case !r.Atomic:
		v = odata.Partial(v)
	case g == adapters.Idempotent && v.Class != classify.Success && len(v.Parts) > 0 && v.Refused():
		v = v.WithEffect(classify.None, false) // a change set of which a part is refused is undone (docs/vendors.md#effects)
	}
	return odata.Respond(a, v)
}
