// Package xledger speaks to Xledger's GraphQL API.
//
// Three things set Xledger apart (docs/vendors.md#sources). Nearly every failure
// comes inside HTTP 200: throttling, validation, refused tokens. The error code
// stands at errors[].code, not in the extensions. And every request is billed,
// so a look-up is made only when an outcome is really unknown.
//
// A call's body is a GraphQL request: {"query": "…", "variables": {…}}.
//
// An export is one addGLImportItems mutation. What Xledger accepted is not yet
// posted: faults that its import finds later are asked for with
// [adapters.LateFaults].
//
// Guards: a query is read. addGLImportItems is readback if its inputs come as
// the one variable and each has a distinct extIdentifier; before it is sent
// again, glImportItems is asked which of them are there. Every other mutation
// is unsafe.
package xledger

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// Name is the adapter's name in integration files, logs and outcomes.
const Name = "xledger"

// MaxNodes is how many nodes one mutation may carry (docs/vendors.md#sources: mass
// mutations take up to 500).
const MaxNodes = 500

// ping asks for the name of the root type, the cheapest request there is.
var ping = []byte(`{"query":"query { __typename }"}`)

// Adapter implements [adapters.Exporter].
type Adapter struct{}

// Codes returns Xledger's code table.
func (Adapter) Codes() classify.Table { return Codes }

// Plan implements [adapters.Adapter].
func (Adapter) Plan(op adapters.Operation, body []byte) (adapters.Plan, error) {
	p, _, err := plan(op, body)
	return p, err
}

// plan also returns the identifiers to look up: those that a look-up is for, or
// those of a mutation whose guard is readback.
func plan(op adapters.Operation, body []byte) (adapters.Plan, []string, error) {
	switch op {
	case adapters.Ping:
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: "query __typename"}, nil, nil
	case adapters.LookUp:
		keys, err := adapters.ReadKeys(body)
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: fmt.Sprintf("query glImportItems, %d keys", len(keys))}, keys, err
	case adapters.LateFaults:
		_, err := adapters.ReadSince(body)
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: "query glImportItemErrors"}, nil, err
	}
	q, err := parse(body)
	if err != nil {
		return adapters.Plan{}, nil, err
	}
	s := inspect(q.Query)
	what := strings.Join(s.fields, ", ")
	if len(what) > 80 {
		what = fmt.Sprintf("%s and %d more fields", s.fields[0], len(s.fields)-1)
	}
	if !s.mutation {
		return adapters.Plan{Guard: adapters.ReadOnly, Summary: "query " + what}, nil, nil
	}
	p := adapters.Plan{Guard: adapters.Unsafe, Summary: "mutation " + what}
	if len(s.fields) != 1 || s.fields[0] != "addGLImportItems" {
		return p, nil, nil
	}
	ids, ok := identifiers(q.Variables)
	if !ok {
		return p, nil, nil
	}
	if len(ids) > MaxNodes {
		return p, nil, fmt.Errorf("variables: %d nodes; Xledger takes at most %d in one mutation", len(ids), MaxNodes)
	}
	return adapters.Plan{Guard: adapters.Readback, Summary: fmt.Sprintf("mutation addGLImportItems, %d items", len(ids))}, ids, nil
}

// Do implements [adapters.Adapter].
func (Adapter) Do(ctx context.Context, c *adapters.Conn, op adapters.Operation, body []byte) (adapters.Response, classify.Verdict) {
	p, ids, err := plan(op, body)
	if err != nil {
		return adapters.Response{}, adapters.Fault(classify.Transformation, "request:body", err.Error())
	}
	switch op {
	case adapters.Ping:
		body = ping
	case adapters.LookUp:
		found, a, v := lookUp(ctx, c, ids)
		if v.Class != classify.Success {
			return adapters.Response{}, v
		}
		return respond(a, found)
	case adapters.LateFaults:
		since, _ := adapters.ReadSince(body) // plan has read it
		return lateFaults(ctx, c, since)
	}
	if c.Uncertain && p.Guard == adapters.Readback {
		back := c.ReadBack()
		found, a, v := lookUp(ctx, c, ids)
		back()
		switch {
		case v.Class != classify.Success:
			return adapters.Response{}, v
		case len(found) == len(ids):
			r := adapters.Accepted(a)
			r.ReadBack, r.Found = true, found
			return r, v
		case len(found) > 0:
			// A mutation is all or nothing, so this is not ours to mend.
			v = adapters.UnknownOutcome(v, fmt.Sprintf(
				"%d of %d items are at Xledger after an attempt without an answer; nothing more was sent", len(found), len(ids)))
			v.Class, v.Rule = classify.Permanent, "readback:partial"
			return adapters.Response{}, v
		}
		c.Uncertain = false
	}
	a, v := post(ctx, c, p.Guard.Op(), body)
	if v.Class != classify.Success {
		return adapters.Response{}, v
	}
	return adapters.Accepted(a), v
}

// post sends one GraphQL request. The header is "token …": Xledger refuses
// "Bearer …" (docs/vendors.md#sources).
func post(ctx context.Context, c *adapters.Conn, op classify.Op, body []byte) (adapters.Answer, classify.Verdict) {
	token, missing := c.Credential("token")
	if missing != nil {
		return adapters.Answer{}, *missing
	}
	return c.Client.Do(ctx, adapters.Request{
		Adapter: c.Adapter, Method: http.MethodPost, URL: c.BaseURL, Body: body, Op: op, Codes: Codes, Sent: c.Counter(),
		Header: http.Header{
			"Authorization":    {"token " + token},
			"Content-Type":     {"application/json"},
			"Accept":           {"application/json"},
			"X-Correlation-Id": {c.CorrelationID},
			"User-Agent":       {"ledgerline"},
		},
	})
}
