package odata

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// PerLookup is how many values one filter asks for. It keeps the address well
// under 2,000 characters.
const PerLookup = 20

// SplitLookup returns the groups of a question of which each takes one of [LookupRequests].
func SplitLookup(sought []adapters.LookupKey) [][]adapters.LookupKey {
	return adapters.SplitLookup(sought, PerLookup)
}

// LookupRequests are the requests that ask a collection for the records whose column
// has one of the values of a group. selected are the columns that are wanted. The
// vendor is asked to count them, so that an answer that lacks some shows.
func LookupRequests(path, column, selected string, groups [][]string) []Request {
	var out []Request
	for _, some := range groups {
		terms := make([]string, len(some))
		for i, v := range some {
			terms[i] = column + " eq '" + strings.ReplaceAll(v, "'", "''") + "'"
		}
		// A blank is %20: not every parser of a batch takes + for one.
		filter := strings.ReplaceAll(url.QueryEscape(strings.Join(terms, " or ")), "+", "%20")
		out = append(out, Request{Method: http.MethodGet, Path: path + "?$count=true&$select=" + selected + "&$filter=" + filter})
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

// Amount is a column's number as it is written; it is empty if the record has
// none.
func (r Record) Amount(column string) string {
	var n json.Number
	_ = json.Unmarshal(r[column], &n)
	return string(n)
}

// page is one page of the answer to one of [LookupRequests].
type page struct {
	Value *[]Record    `json:"value"`
	Count *json.Number `json:"@odata.count"` // of all pages
	Next  string       `json:"@odata.nextLink"`
}

// maxPages bounds how many pages of a look-up are followed.
const maxPages = 100

// Records reads the answers to [LookupRequests], one for each request, and follows each
// to its last page. What is missing from an answer would seem not to be there, so
// a page that cannot be read or does not come, a link that leads elsewhere and a
// count that does not agree are all [classify.Untrusted], or the error that kept
// the page away.
func (s Sender) Records(ctx context.Context, c *adapters.Conn, h http.Header, answers [][]byte) ([][]Record, classify.Verdict) {
	out := make([][]Record, len(answers))
	ok := classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "status:2xx", HTTPStatus: http.StatusOK}
	for i, body := range answers {
		var count *json.Number
		for n := 1; ; n++ {
			var p page
			if json.Unmarshal(adapters.JSON(body), &p) != nil || p.Value == nil {
				return nil, Untrusted("the look-up's answer is not a list of records")
			}
			out[i] = append(out[i], *p.Value...)
			if p.Count != nil {
				count = p.Count
			}
			if p.Next == "" {
				break
			}
			if n == maxPages {
				return nil, Untrusted(fmt.Sprintf("the look-up's answer has more than %d pages", maxPages))
			}
			next, err := nextPage(c.BaseURL, p.Next)
			if err != nil {
				return nil, Untrusted("the look-up's next page cannot be asked for: " + err.Error())
			}
			a, v := s.send(ctx, c, classify.Read, http.MethodGet, next, h, nil)
			if v.Class != classify.Success {
				return nil, adapters.LookupVerdict(v)
			}
			body = a.Body
		}
		if count != nil && string(*count) != strconv.Itoa(len(out[i])) {
			return nil, Untrusted(fmt.Sprintf("the look-up's answer has %d records and says that there are %s", len(out[i]), *count))
		}
	}
	return out, ok
}

// nextPage returns where the link to a next page leads. It is followed as it is,
// since what is in it is the vendor's own affair (OData v4.01, part 1,
// §11.2.6.7), but only to the host that gave it: whoever is asked gets the token.
func nextPage(base *url.URL, link string) (*url.URL, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, errors.New("the link is not an address")
	}
	u = resolve(base, "x").ResolveReference(u) // a relative link is relative to the service root
	if u.Scheme != base.Scheme || !strings.EqualFold(u.Hostname(), base.Hostname()) || port(u) != port(base) || u.User != nil || u.Fragment != "" {
		return nil, errors.New("the link leads to another host")
	}
	u.Host = base.Host
	return u, nil
}

// port is an address's port, also if it does not name one.
func port(u *url.URL) string {
	return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
}

// Untrusted is the verdict on an answer to a look-up that proves nothing.
func Untrusted(message string) classify.Verdict {
	return classify.NewVerdict(classify.Untrusted, "lookup:answer", message)
}

// UnrequestedRecord is the verdict on an answer that holds what was not asked for: its
// filter was passed over, and then nothing of it can be trusted.
func UnrequestedRecord() classify.Verdict {
	return Untrusted("the look-up answered with a record that was not asked for; its filter was passed over")
}

// WholeBatch is the verdict on a batch that was asked for n answers. One that was
// accepted and has fewer says nothing of the rest; neither does one that was
// refused where the parts in it got nothing done.
func WholeBatch(v classify.Verdict, op classify.Op, n int) classify.Verdict {
	switch {
	case len(v.Parts) == n:
		return v
	case v.Class == classify.Success:
		short := classify.NewVerdict(classify.IncompleteResponse, "body:batch-short", fmt.Sprintf("the answer to a batch of %d has %d parts", n, len(v.Parts)))
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

// Do reads the body of a ping or a call and makes it. A batch holds at most
// maxParts requests.
func Do(op adapters.Operation, body []byte, maxParts int, ping Request, call func(Request) (adapters.Response, classify.Verdict)) (adapters.Response, classify.Verdict) {
	switch op {
	case adapters.Ping:
		return call(ping)
	case adapters.Call:
	default:
		return adapters.Response{}, classify.NewVerdict(classify.Transformation, "request:operation", fmt.Sprintf("%q is not something to send", op))
	}
	r, err := Parse(body, maxParts)
	if err != nil {
		return adapters.Response{}, classify.NewVerdict(classify.Transformation, "request:body", err.Error())
	}
	return call(r)
}
