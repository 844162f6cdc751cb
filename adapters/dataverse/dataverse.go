// Package dataverse speaks to the Dataverse Web API (OData v4).
//
// A call's body is a raw request or a batch, see package odata. A batch is
// sent as multipart/mixed: with "atomic" as one change set, in which all parts
// happen or none; without it part by part, with "continueOnError" also past a
// failed one (docs/vendors.md#sources).
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

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
)

// Name is the adapter's name in integration files, logs and outcomes.
const Name = "dataverse"

// MaxBatch is how many requests one $batch may hold (docs/vendors.md#sources).
const MaxBatch = 1000

// Adapter implements [adapters.Exporter].
type Adapter struct{ send odata.Sender }

// New returns an adapter that takes its tokens from the given cache.
func New(tokens *entra.Tokens) Adapter {
	return Adapter{odata.Sender{Tokens: tokens, Codes: Codes, Scope: scope}}
}

// scope is the resource of an environment: its own host.
func scope(base *url.URL) string { return base.Scheme + "://" + base.Host + "/.default" }

// Codes returns Dataverse's code table.
func (Adapter) Codes() classify.Table { return Codes }

// Plan implements [adapters.Adapter].
func (Adapter) Plan(op adapters.Operation, body []byte) (adapters.Plan, error) {
	switch op {
	case adapters.Ping:
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: "GET WhoAmI"}, nil
	case adapters.LookUp:
		keys, err := adapters.ReadKeys(body)
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: fmt.Sprintf("GET rows, %d keys", len(keys))}, err
	case adapters.LateFaults:
		_, err := adapters.ReadSince(body)
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: "no call: there are none"}, err
	}
	r, err := odata.Parse(body, MaxBatch)
	if err != nil {
		return adapters.Plan{}, err
	}
	return adapters.Plan{Guard: guard(r), Summary: r.Summary()}, nil
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
	return odata.Do(op, body, MaxBatch, odata.Operations{
		Ping:   odata.Request{Method: http.MethodGet, Path: "WhoAmI"},
		Call:   func(r odata.Request) (adapters.Response, classify.Verdict) { return d.call(ctx, c, r) },
		LookUp: func(keys []string) (adapters.Response, classify.Verdict) { return d.lookUp(ctx, c, keys) },
	})
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
	v = odata.Whole(v, g.Op(), len(r.Requests))
	switch {
	case !r.Atomic:
		v = odata.Partial(v)
	case g == adapters.Idempotent && v.Class != classify.Success && len(v.Parts) > 0 && v.Refused():
		v = v.WithEffect(classify.None, false) // a change set of which a part is refused is undone (docs/vendors.md#effects)
	}
	return odata.Respond(a, v)
}
