// Package xledger speaks to Xledger's GraphQL API.
//
// Three things set Xledger apart (docs/vendors.md#xledger-api). Nearly every failure
// comes inside HTTP 200: throttling, validation, refused tokens. The error code
// stands at errors[].code, not in the extensions. And every request is billed,
// so a look-up is made only when an outcome is really unknown.
//
// A call's body is a GraphQL request: {"query": "…", "variables": {…}}.
//
// An export is one addGLImportItems mutation. What Xledger accepted is not yet
// posted: errors that its import finds later are asked for with
// [Adapter.LateErrors].
//
// Documents of our own have their values inline, see literal.go, and name no type.
// What a value must look like is learned through introspection, where the vendor
// allows that: see [Adapter.Verify].
//
// Guards: a document with one operation, a query, is read. addGLImportItems is readback if its inputs come as
// literals or as the one variable and each has a distinct extIdentifier:
// glImportItems can be asked which of them are there. Every other mutation is unsafe.
package xledger

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// Name is the adapter's name in integration files, logs and outcomes.
const Name = "xledger"

// MaxNodes is how many nodes one mutation may carry (docs/vendors.md#xledger-api: mass
// mutations take up to 500).
const MaxNodes = 500

// ping asks for the name of the root type, the cheapest request there is.
var ping = []byte(`{"query":"query { __typename }"}`)

// Vendor describes Xledger.
var Vendor = adapters.Vendor{
	Name: Name, Title: "Xledger",
	Hosts: []string{"www.xledger.net", "demo.xledger.net"},
	Path:  regexp.MustCompile(`^/graphql$`),
	Base:  "https://www.xledger.net/graphql",
	Settings: []adapters.Setting{{
		Name: "amounts", Pattern: regexp.MustCompile("^(" + asText + "|" + asNumber + ")$"),
		Want: "text or number: how amounts are written if the vendor does not show its schema",
	}},
	Credentials: []string{"token"},
	Codes:       Codes,
	Export: adapters.ExportTerms{
		Entries: MaxNodes, Default: MaxNodes,
		Atomic:     true, // a mutation is stored as a whole or not at all
		LateErrors: true,
		// Its answer to a token that has expired is not public, and comes inside HTTP 200
		// perhaps, as that to a wrong header does.
		QuietRefusal: true,
		// docs/vendors.md#xledger-api. The first eight are objects and the last two are texts.
		Dimensions: []string{"glObject1", "glObject2", "glObject3", "glObject4", "glObject5", "project", "taxRule", "company", "invoiceNumber", "paymentReference"},
	},
	Price:    &adapters.Price{Included: 5000, Pence: 1}, // for the United Kingdom (docs/vendors.md#xledger-api)
	InFlight: 2 * time.Minute,                           // an assumption: docs/vendors.md#in-flight
}

// Adapter implements [adapters.Exporter].
type Adapter struct{}

// Vendor implements [adapters.Adapter].
func (Adapter) Vendor() adapters.Vendor { return Vendor }

// Describe implements [adapters.Adapter].
func (Adapter) Describe(op adapters.Operation, body []byte) (adapters.Description, error) {
	switch op {
	case adapters.Ping:
		return adapters.Description{Guard: adapters.ReadOnly, Summary: "query __typename"}, nil
	case adapters.Lookup:
		sought, err := adapters.ParseLookup(body)
		return adapters.Description{Guard: adapters.ReadOnly, Summary: fmt.Sprintf("query glImportItems, %d keys", len(sought))}, err
	}
	q, err := parse(body)
	if err != nil {
		return adapters.Description{}, err
	}
	s := inspect(q.Query)
	what := strings.Join(s.fields, ", ")
	if len(what) > 80 && len(s.fields) > 1 {
		what = fmt.Sprintf("%s and %d more fields", name(s.fields[0]), len(s.fields)-1)
	}
	what = name(what)
	if !s.mutation {
		return adapters.Description{Guard: adapters.ReadOnly, Summary: "query " + what}, nil
	}
	p := adapters.Description{Guard: adapters.Unsafe, Summary: "mutation " + what}
	if s.only == nil || s.only.Name != "addGLImportItems" {
		return p, nil
	}
	ids, ok := identifiers(s, q.Variables)
	if !ok {
		return p, nil
	}
	if len(ids) > MaxNodes {
		return p, fmt.Errorf("inputs: %d nodes; Xledger takes at most %d in one mutation", len(ids), MaxNodes)
	}
	return adapters.Description{Guard: adapters.Readback, Summary: fmt.Sprintf("mutation addGLImportItems, %d items", len(ids)), Lookup: ids,
		Own: asksForEdges(selects(s.only, "edges"))}, nil
}

// asksForEdges says of an import whether its answer names each item.
type asksForEdges bool

// name cuts a name, which is ASCII, to what a line has room for.
func name(s string) string { return s[:min(len(s), 110)] }

// Do implements [adapters.Adapter].
func (x Adapter) Do(ctx context.Context, c *adapters.Conn, op adapters.Operation, body []byte) (adapters.Response, classify.Verdict) {
	p, err := c.Describe(x, op, body)
	if err != nil {
		return adapters.Response{}, classify.NewVerdict(classify.Transformation, "request:body", err.Error())
	}
	switch op {
	case adapters.Ping:
		body = ping
	case adapters.Call:
	default: // a look-up's keys are no GraphQL
		return adapters.Response{}, classify.NewVerdict(classify.Transformation, "request:operation", fmt.Sprintf("%q is not something to send", op))
	}
	a, v := post(ctx, c, p.Guard.Op(), body)
	if v.Class == classify.Success && p.Own == asksForEdges(true) && !namesEach(a.Body, len(p.Lookup)) {
		v = classify.NewVerdict(classify.IncompleteResponse, "body:edges", "the answer does not name each item that was sent: nothing proves that all were stored")
		v.HTTPStatus, v.Effect = a.Status, classify.Open
	}
	if v.Class != classify.Success {
		return adapters.Response{}, v
	}
	return adapters.ResponseOf(a), v
}

// namesEach reports whether the answer to an import that asks for its edges has one
// for each of n items. An import that does not ask is confirmed without.
func namesEach(answer []byte, n int) bool {
	type edge struct{ Node json.RawMessage }
	var a struct {
		Data map[string]struct{ Edges []*edge }
	}
	if json.Unmarshal(adapters.JSON(answer), &a) != nil || len(a.Data) != 1 {
		return false
	}
	for _, field := range a.Data { // under its name or an alias
		return len(field.Edges) == n && !slices.ContainsFunc(field.Edges, func(e *edge) bool { return e == nil || string(e.Node) == "null" })
	}
	return false
}

// post sends one GraphQL request. The header is "token …": Xledger refuses
// "Bearer …" (docs/vendors.md#xledger-api).
func post(ctx context.Context, c *adapters.Conn, op classify.Op, body []byte) (adapters.Answer, classify.Verdict) {
	token, missing := c.Credential("token")
	if missing != nil {
		return adapters.Answer{}, *missing
	}
	return c.Client.Do(ctx, adapters.Request{
		Adapter: Name, Hosts: Vendor.Hosts, Method: http.MethodPost, URL: c.BaseURL, Body: body, Op: op, Codes: Codes, Sent: c.Counter(),
		Header: http.Header{
			"Authorization":    {"token " + token},
			"Content-Type":     {"application/json"},
			"Accept":           {"application/json"},
			"X-Correlation-Id": {c.CorrelationID},
			"User-Agent":       {"ledgerline"},
		},
	})
}
