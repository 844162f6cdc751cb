// Package businesscentral speaks to the Dynamics 365 Business Central API v2.0.
//
// A call's body is a raw request or a batch, see package odata. A batch is
// sent as a JSON $batch of at most 100 operations, with "Isolation: snapshot"
// if it is atomic (docs/vendors.md#sources).
//
// An export adds lines to a general journal, whose company and ID are settings,
// and never posts it: that is for a person to do. The consequence: lines can be
// found again only until then. Who posts the journal while an export of it has
// an open outcome makes its lines seem to be missing, and they would be sent
// again; so nobody posts while a run is pending or has unknown entries.
//
// Guards: GET is read. A POST of journal lines whose externalDocumentNumber is
// set is readback: before it is sent again, the journal is asked which of the
// lines are there, and only the missing ones are sent. PATCH and DELETE with
// If-Match: * are idempotent. Everything else is unsafe, posting a journal
// above all: nothing documents that a repeat of Microsoft.NAV.post is harmless.
package businesscentral

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
)

// Name is the adapter's name in integration files, logs and outcomes.
const Name = "businesscentral"

// MaxBatch is how many operations one $batch may hold (docs/vendors.md#sources).
const MaxBatch = 100

// resource is Business Central's token audience; unlike Dataverse's it does
// not depend on the environment (docs/vendors.md#sources).
const resource = "https://api.businesscentral.dynamics.com/.default"

// Adapter implements [adapters.Exporter].
type Adapter struct{ send odata.Sender }

// New returns an adapter that takes its tokens from the given cache.
func New(tokens *entra.Tokens) Adapter {
	return Adapter{odata.Sender{Tokens: tokens, Codes: Codes, Scope: func(*url.URL) string { return resource }}}
}

// Codes returns Business Central's code table.
func (Adapter) Codes() classify.Table { return Codes }

// Plan implements [adapters.Adapter].
func (Adapter) Plan(op adapters.Operation, body []byte) (adapters.Plan, error) {
	switch op {
	case adapters.Ping:
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: "GET companies"}, nil
	case adapters.LookUp:
		keys, err := adapters.ReadKeys(body)
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: fmt.Sprintf("GET journalLines, %d keys", len(keys))}, err
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
		numbers, distinct := 0, make(map[line]bool)
		for _, part := range r.Requests {
			g = adapters.Weaker(g, guard(part))
			if n := documentNumber(part); n != "" {
				numbers++
				distinct[line{part.Path, n}.folded()] = true
			}
		}
		if g == adapters.Readback && numbers != len(distinct) {
			return adapters.Unsafe // two lines under one number: a look-up could not tell them apart
		}
		return g
	}
	switch {
	case r.Method == http.MethodGet:
		return adapters.ReadOnly
	case documentNumber(r) != "":
		return adapters.Readback
	case r.Method != http.MethodPost && r.Header().Get("If-Match") == "*":
		return adapters.Idempotent
	}
	return adapters.Unsafe
}

// documentNumber is the externalDocumentNumber of a request that makes a journal
// line with one; it is empty for every other request.
func documentNumber(r odata.Request) string {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.Path, "/journalLines") {
		return ""
	}
	var line struct {
		ExternalDocumentNumber string `json:"externalDocumentNumber"`
	}
	if json.Unmarshal(r.Body, &line) != nil {
		return ""
	}
	return line.ExternalDocumentNumber
}

// Do implements [adapters.Adapter].
func (b Adapter) Do(ctx context.Context, c *adapters.Conn, op adapters.Operation, body []byte) (adapters.Response, classify.Verdict) {
	return odata.Do(op, body, MaxBatch, odata.Operations{
		Ping:   odata.Request{Method: http.MethodGet, Path: "companies?$top=1&$select=id"},
		Call:   func(r odata.Request) (adapters.Response, classify.Verdict) { return b.call(ctx, c, r) },
		LookUp: func(keys []string) (adapters.Response, classify.Verdict) { return b.lookUp(ctx, c, keys) },
	})
}

// call sends a raw request. If an earlier attempt may have taken effect and its
// lines can be found, only those that are missing are sent.
func (b Adapter) call(ctx context.Context, c *adapters.Conn, r odata.Request) (adapters.Response, classify.Verdict) {
	g := guard(r)
	var found map[string]adapters.Found
	if c.Uncertain && g == adapters.Readback {
		rest, there, answer, v := b.missing(ctx, c, r)
		if v.Class != classify.Success {
			return adapters.Response{}, v
		}
		found = there
		if rest == nil {
			return adapters.Response{Status: answer.Status, Body: adapters.JSON(answer.Body), ReadBack: true, Found: found}, v
		}
		r = *rest
		c.Uncertain = len(found) > 0 // nothing is there: from now on only this request decides
	}
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
	v = odata.Whole(v, g.Op(), len(r.Requests))
	if !r.Atomic && g != adapters.Readback { // readback sends only what is missing
		v = odata.Partial(v)
	}
	resp, v := odata.Respond(a, v)
	resp.Found = found
	return resp, v
}
