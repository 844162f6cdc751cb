// Package businesscentral speaks to the Dynamics 365 Business Central API v2.0.
//
// A call's body is a raw request or a batch, see package odata. A batch is
// sent as a JSON $batch of at most 100 operations, with "Isolation: snapshot"
// if it is atomic (vendors.md, table C).
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
	"github.com/ledgerline/ledgerline/limits"
)

// Name is the adapter's name in integration files, logs and outcomes.
const Name = "businesscentral"

// MaxBatch is how many operations one $batch may hold (vendors.md C).
const MaxBatch = 100

// resource is Business Central's token audience; unlike Dataverse's it does
// not depend on the environment (vendors.md C).
const resource = "https://api.businesscentral.dynamics.com/.default"

// Adapter implements [adapters.Adapter].
type Adapter struct{ send odata.Sender }

// New returns an adapter that takes its tokens from the given cache.
func New(tokens *entra.Tokens) Adapter {
	return Adapter{odata.Sender{Tokens: tokens, Codes: Codes, Scope: func(*url.URL) string { return resource }}}
}

// Codes returns Business Central's code table.
func (Adapter) Codes() classify.Table { return Codes }

// Plan implements [adapters.Adapter].
func (Adapter) Plan(op adapters.Operation, body []byte) (adapters.Plan, error) {
	if op == adapters.Ping {
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: "GET companies"}, nil
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
		numbers, keys := 0, make(map[string]bool)
		for _, part := range r.Requests {
			g = adapters.Weaker(g, guard(part))
			if k := lineKey(part); k != "" {
				numbers++
				keys[k] = true
			}
		}
		if g == adapters.Readback && numbers != len(keys) {
			return adapters.Unsafe // two lines under one number: a look-up could not tell them apart
		}
		return g
	}
	switch {
	case r.Method == http.MethodGet:
		return adapters.ReadOnly
	case lineKey(r) != "":
		return adapters.Readback
	case r.Method != http.MethodPost && r.Header().Get("If-Match") == "*":
		return adapters.Idempotent
	}
	return adapters.Unsafe
}

// lineKey identifies a journal line that can be found again: its collection
// and its externalDocumentNumber. It is empty for every other request.
func lineKey(r odata.Request) string {
	if n := documentNumber(r); n != "" {
		return r.Path + "\n" + n
	}
	return ""
}

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
	r := odata.Request{Method: http.MethodGet, Path: "companies?$top=1&$select=id"}
	if op != adapters.Ping {
		var err error
		if r, err = odata.Parse(body, MaxBatch); err != nil {
			return adapters.Response{}, adapters.Fault(classify.Transformation, "request:body", err.Error())
		}
	}
	g := guard(r)
	if c.Uncertain && g == adapters.Readback {
		rest, answer, v := b.missing(ctx, c, r)
		if v.Class != classify.Success {
			return adapters.Response{}, v
		}
		if rest == nil {
			return adapters.Response{Status: answer.Status, Body: adapters.JSON(answer.Body), ReadBack: true}, v
		}
		r = *rest
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
	if !r.Atomic && g != adapters.Readback { // readback sends only what is missing
		v = odata.Partial(v)
	}
	if g == adapters.Readback && len(v.Parts) > 0 && v.Retry() {
		v.Unknown = true // some parts are there: ask before the next attempt
	}
	return odata.Respond(a, v)
}

// missing asks the journal which lines of r it has and returns what is left to
// send: nil when nothing is. Its answer is the last look-up's.
func (b Adapter) missing(ctx context.Context, c *adapters.Conn, r odata.Request) (*odata.Request, adapters.Answer, classify.Verdict) {
	defer c.For(limits.Readback)()
	parts := r.Requests
	if !r.Batch() {
		parts = []odata.Request{r}
	}
	wanted := make(map[string][]string) // numbers by collection
	for _, p := range parts {
		if n := documentNumber(p); n != "" {
			wanted[p.Path] = append(wanted[p.Path], n)
		}
	}
	there := make(map[string]bool)
	var last adapters.Answer
	var v classify.Verdict
	for path, numbers := range wanted {
		// Twenty at a time keep the address well under 2,000 characters.
		for len(numbers) > 0 {
			some := numbers[:min(20, len(numbers))]
			numbers = numbers[len(some):]
			last, v = b.send.Send(ctx, c, classify.Read, http.MethodGet, path+"?"+filter(some), nil, nil)
			if v.Class != classify.Success {
				return nil, last, v
			}
			var found struct {
				Value []struct {
					ExternalDocumentNumber string `json:"externalDocumentNumber"`
				} `json:"value"`
			}
			if json.Unmarshal(adapters.JSON(last.Body), &found) != nil {
				return nil, last, adapters.Fault(classify.InvalidResponse, "readback:shape", "the look-up's answer is not a list of journal lines")
			}
			for _, line := range found.Value {
				there[path+"\n"+line.ExternalDocumentNumber] = true
			}
		}
	}
	var left []odata.Request
	for _, p := range parts {
		if k := lineKey(p); k == "" || !there[k] {
			left = append(left, p)
		}
	}
	switch {
	case len(left) == 0:
		return nil, last, v
	case r.Batch():
		r.Requests = left
		return &r, last, v
	}
	return &left[0], last, v
}

// filter is an OData filter for any of the document numbers.
func filter(numbers []string) string {
	terms := make([]string, len(numbers))
	for i, n := range numbers {
		terms[i] = "externalDocumentNumber eq '" + strings.ReplaceAll(n, "'", "''") + "'"
	}
	return url.Values{"$filter": {strings.Join(terms, " or ")}}.Encode()
}

// render writes a batch as JSON. IDs are the parts' positions: answers may
// leave them out, so they are matched by position.
func render(r odata.Request) []byte {
	type operation struct {
		ID      string            `json:"id"`
		Method  string            `json:"method"`
		URL     string            `json:"url"`
		Headers map[string]string `json:"headers,omitempty"`
		Body    json.RawMessage   `json:"body,omitempty"`
	}
	ops := make([]operation, len(r.Requests))
	for i, p := range r.Requests {
		ops[i] = operation{ID: fmt.Sprint(i), Method: p.Method, URL: p.Path, Headers: map[string]string{}, Body: p.Body}
		for k, v := range p.Headers {
			ops[i].Headers[k] = v
		}
		if len(p.Body) > 0 {
			ops[i].Headers["Content-Type"] = "application/json"
		}
	}
	body, _ := json.Marshal(map[string]any{"requests": ops}) // strings and valid JSON: cannot fail
	return body
}
