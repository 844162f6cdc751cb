package odata

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// perLookUp is how many values one filter asks for. It keeps the address well
// under 2,000 characters.
const perLookUp = 20

// LookUps are the requests that ask a collection for the records whose column
// has one of the values. selected are the columns that are wanted.
func LookUps(path, column, selected string, values []string) []Request {
	var out []Request
	for some := range slices.Chunk(values, perLookUp) {
		terms := make([]string, len(some))
		for i, v := range some {
			terms[i] = column + " eq '" + strings.ReplaceAll(v, "'", "''") + "'"
		}
		// A blank is %20: not every parser of a batch takes + for one.
		filter := strings.ReplaceAll(url.QueryEscape(strings.Join(terms, " or ")), "+", "%20")
		out = append(out, Request{Method: http.MethodGet, Path: path + "?$select=" + selected + "&$filter=" + filter})
	}
	return out
}

// Record is a record of a collection, by column.
type Record map[string]json.RawMessage

// Text returns a column's text; it is empty if the record has none.
func (r Record) Text(column string) string {
	var s string
	_ = json.Unmarshal(r[column], &s)
	return s
}

// Records reads the answer to one of [LookUps]. An answer that is only the
// first page is an error: what is on the next one would seem to be missing.
func Records(body []byte) ([]Record, error) {
	var list struct {
		Value *[]Record `json:"value"`
		Next  string    `json:"@odata.nextLink"`
	}
	if json.Unmarshal(adapters.JSON(body), &list) != nil || list.Value == nil {
		return nil, errors.New("the look-up's answer is not a list of records")
	}
	if list.Next != "" {
		return nil, errors.New("the look-up's answer has more than one page; so many records cannot be meant")
	}
	return *list.Value, nil
}

// Whole is the verdict on a batch that was asked for n answers. One that was
// accepted and has fewer says nothing of the rest; neither does one that was
// refused where the parts in it got nothing done.
func Whole(v classify.Verdict, op classify.Op, n int) classify.Verdict {
	switch {
	case len(v.Parts) == n:
		return v
	case v.Class == classify.Success:
		short := adapters.Fault(classify.IncompleteResponse, "body:batch-short", fmt.Sprintf("the answer to a batch of %d has %d parts", n, len(v.Parts)))
		short.HTTPStatus, short.Parts = v.HTTPStatus, v.Parts
		if op == classify.Write {
			short = short.WithEffect(classify.Open, false)
		}
		return short
	case v.Effect == classify.None && len(v.Parts) > 0:
		return v.WithEffect(classify.Open, true)
	}
	return v
}

// Answered makes the answer to a look-up.
func Answered(status int, found map[string]adapters.Found) (adapters.Response, classify.Verdict) {
	body, err := json.Marshal(found)
	if err != nil {
		return adapters.Response{}, adapters.Fault(classify.Internal, "response:body", err.Error())
	}
	return adapters.Response{Status: status, Body: body}, classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: fmt.Sprintf("status:%d", status), HTTPStatus: status}
}

// noLateFaults is the answer of a vendor that refuses at once or not at all:
// nobody is called.
func noLateFaults() (adapters.Response, classify.Verdict) {
	return adapters.Response{Body: json.RawMessage("[]")}, classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "faults:none"}
}

// Operations are what an adapter does of its own.
type Operations struct {
	Ping   Request // the cheapest one
	Call   func(Request) (adapters.Response, classify.Verdict)
	LookUp func(keys []string) (adapters.Response, classify.Verdict)
}

// Do reads the body of an operation and makes it. A batch holds at most
// maxParts requests.
func Do(op adapters.Operation, body []byte, maxParts int, o Operations) (adapters.Response, classify.Verdict) {
	fault := func(err error) (adapters.Response, classify.Verdict) {
		return adapters.Response{}, adapters.Fault(classify.Transformation, "request:body", err.Error())
	}
	switch op {
	case adapters.Ping:
		return o.Call(o.Ping)
	case adapters.LookUp:
		keys, err := adapters.ReadKeys(body)
		if err != nil {
			return fault(err)
		}
		return o.LookUp(keys)
	case adapters.LateFaults:
		if _, err := adapters.ReadSince(body); err != nil {
			return fault(err)
		}
		return noLateFaults()
	}
	r, err := Parse(body, maxParts)
	if err != nil {
		return fault(err)
	}
	return o.Call(r)
}
