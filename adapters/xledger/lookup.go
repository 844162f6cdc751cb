package xledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// maxPages bounds how long a connection is followed: each page is billed.
const maxPages = 100

// scalar is a text or a number, as text: IDs come either way.
type scalar string

// UnmarshalJSON implements [json.Unmarshaler].
func (s *scalar) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, (*string)(s))
	}
	var n json.Number
	err := json.Unmarshal(raw, &n) // null leaves it empty
	*s = scalar(n)
	return err
}

// page is one page of a connection.
type page struct {
	nodes  []json.RawMessage
	cursor string // of the last edge
	more   bool
}

// parsePage reads the page of a connection. A connection that is missing or
// null is an error: to take it for an empty one would be to say that nothing
// is there. So is one that does not say whether more follows.
func parsePage(body []byte, field string) (page, error) {
	var a struct {
		Data map[string]*struct {
			Edges *[]struct {
				Cursor scalar          `json:"cursor"`
				Node   json.RawMessage `json:"node"`
			} `json:"edges"`
			PageInfo struct {
				HasNextPage *bool `json:"hasNextPage"`
			} `json:"pageInfo"`
		} `json:"data"`
	}
	if json.Unmarshal(adapters.JSON(body), &a) != nil || a.Data[field] == nil || a.Data[field].Edges == nil || a.Data[field].PageInfo.HasNextPage == nil {
		return page{}, fmt.Errorf("the answer has another shape than %s{edges{cursor node} pageInfo{hasNextPage}}", field)
	}
	p := page{more: *a.Data[field].PageInfo.HasNextPage}
	for _, e := range *a.Data[field].Edges {
		p.nodes, p.cursor = append(p.nodes, e.Node), string(e.Cursor)
	}
	if p.more && p.cursor == "" {
		return page{}, fmt.Errorf("%s says that more follows and gives no cursor", field)
	}
	return p, nil
}

// connection is a question for a connection.
type connection struct {
	field  string
	first  int
	filter object
	node   string // the fields that are wanted of a node
}

// document asks for the page after a cursor, or for the first one.
func (q connection) document(after string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "query{%s(first:%d", q.field, q.first)
	if after != "" {
		b.WriteString(",after:")
		literal(&b, after)
	}
	b.WriteString(",filter:")
	literal(&b, q.filter)
	fmt.Fprintf(&b, "){edges{cursor node{%s}} pageInfo{hasNextPage}}}", q.node)
	return b.String()
}

// pages asks for a connection page after page and hands out its nodes. A cursor
// that comes twice would never end (docs/vendors.md#xledger-api), so it ends the call.
// The answer is the last page's.
func pages(ctx context.Context, c *adapters.Conn, q connection, each func(node json.RawMessage) error) (adapters.Answer, classify.Verdict) {
	field := q.field
	invalid := func(a adapters.Answer, err error) (adapters.Answer, classify.Verdict) {
		v := classify.NewVerdict(classify.Untrusted, "pages:"+field, err.Error())
		v.HTTPStatus = a.Status
		return a, v
	}
	var cursors []string
	for after := ""; ; {
		body, err := request(q.document(after))
		if err != nil {
			return invalid(adapters.Answer{}, err)
		}
		a, v := post(ctx, c, classify.Read, body)
		if v.Class != classify.Success {
			return a, adapters.LookupVerdict(v)
		}
		p, err := parsePage(a.Body, field)
		if err != nil {
			return invalid(a, err)
		}
		if len(p.nodes) > q.first {
			return invalid(a, fmt.Errorf("%s gave %d nodes where at most %d were asked for", field, len(p.nodes), q.first))
		}
		for _, n := range p.nodes {
			if err := each(n); err != nil {
				return invalid(a, err)
			}
		}
		switch {
		case !p.more:
			return a, v
		case slices.Contains(cursors, p.cursor):
			return invalid(a, fmt.Errorf("%s gave a cursor twice; it would never end", field))
		case len(cursors) == maxPages-1:
			return invalid(a, fmt.Errorf("%s has more than %d pages", field, maxPages))
		}
		after = p.cursor
		cursors = append(cursors, after)
	}
}

// items asks for import items by their identifiers. There is room for each of
// them twice: one page does unless somebody sent them more often.
func items(ids []string) connection {
	return connection{"glImportItems", 2 * len(ids), object{{"extIdentifier_in", ids}}, "dbId extIdentifier amount"}
}

// perLookup is how many identifiers one look-up asks for: those of a whole
// mutation, and one that is known to be there. That one only proves something of
// the answer that it is in.
const perLookup = MaxNodes + 2

// Find implements [adapters.Finder] with the import items of an extIdentifier. The
// filter extIdentifier_in is an assumption: the vendor's reference is not public.
func (Adapter) Find(ctx context.Context, c *adapters.Conn, sought []adapters.LookupKey) (map[string]adapters.LookupResult, classify.Verdict) {
	v := classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "lookup:nothing"}
	groups := adapters.SplitLookup(sought, perLookup)
	var answers []map[string]adapters.LookupResult
	for _, some := range groups {
		here := make(map[string]adapters.LookupResult)
		answers = append(answers, here)
		asked := make(map[string]bool, len(some))
		ids := make([]string, len(some))
		for i, one := range some {
			asked[one.Key], ids[i] = true, one.Key
		}
		_, v = pages(ctx, c, items(ids), func(raw json.RawMessage) error {
			var node struct {
				DBID          scalar `json:"dbId"`
				ExtIdentifier string `json:"extIdentifier"`
				Amount        scalar `json:"amount"`
			}
			if json.Unmarshal(raw, &node) != nil {
				return errors.New("an import item has another shape than {dbId extIdentifier amount}")
			}
			if !asked[node.ExtIdentifier] {
				return errors.New("the look-up answered with an item that was not asked for; its filter was passed over")
			}
			f := here[node.ExtIdentifier]
			if f.Count++; f.Reference == "" {
				f.Reference, f.Amount = string(node.DBID), string(node.Amount)
			}
			here[node.ExtIdentifier] = f
			return nil
		})
		if v.Class != classify.Success {
			return nil, v
		}
	}
	found, w, ok := adapters.MergeLookup(groups, answers)
	if !ok {
		return nil, w
	}
	return found, v
}

// errorsSince asks for what the import found since a time.
func errorsSince(at time.Time) connection {
	since := at.Add(-margin).In(vendorTime).Format("2006-01-02T15:04:05")
	return connection{"glImportItemErrors", 500, object{{"createdAt_gte", since}}, "dbId createdAt message errorLevel{code name} transactionDbId"}
}

// vendorTime is Xledger's clock. Its times are in CET and have no zone
// (docs/vendors.md#xledger-api); whether that is one hour before UTC in summer too is not
// known. This reading is never earlier than the other one, so that nothing is
// taken for older than it is.
var vendorTime = time.FixedZone("CET", 60*60)

// margin is how much earlier the vendor is asked for: more than any doubt about
// its clock.
const margin = 24 * time.Hour

// maxErrors bounds what is kept of import errors, in bytes.
const maxErrors = 16 << 20

// LateErrors implements [adapters.Exporter] with glImportItemErrors. Two things
// are assumptions: that createdAt can be filtered like modifiedAt, and that
// transactionDbId is the dbId of the import item, by which [Adapter.References]
// names an entry. Errors of items that are nobody's entry have a reference too;
// who matches them finds nothing.
func (Adapter) LateErrors(ctx context.Context, c *adapters.Conn, since time.Time) ([]adapters.LateError, classify.Verdict) {
	var out []adapters.LateError
	total := 0
	_, v := pages(ctx, c, errorsSince(since), func(raw json.RawMessage) error {
		if total += len(raw); total > maxErrors {
			return fmt.Errorf("more than %d MB of import errors", maxErrors>>20)
		}
		f, isError, err := parseLateError(raw)
		if err == nil && isError { // those from before since too: the vendor's clock is another one, and who asks goes by references
			out = append(out, f)
		}
		return err
	})
	return out, v
}

// harmless are the error levels that are no errors, by code or name. The levels
// are not documented, so every other one is an error, and so is none.
var harmless = []string{"WARNING", "ADVARSEL", "INFO", "INFORMATION", "INFORMASJON"}

func parseLateError(raw []byte) (f adapters.LateError, isError bool, err error) {
	var node struct {
		CreatedAt  scalar `json:"createdAt"`
		Message    string `json:"message"`
		ErrorLevel struct {
			Code scalar `json:"code"`
			Name scalar `json:"name"`
		} `json:"errorLevel"`
		TransactionDBID scalar `json:"transactionDbId"`
	}
	if json.Unmarshal(raw, &node) != nil {
		return f, false, errors.New("an import error has another shape than {createdAt message errorLevel{code name} transactionDbId}")
	}
	isError = !slices.ContainsFunc(harmless, func(level string) bool {
		return strings.EqualFold(level, string(node.ErrorLevel.Code)) || strings.EqualFold(level, string(node.ErrorLevel.Name))
	})
	return adapters.LateError{Reference: string(node.TransactionDBID), Message: node.Message, At: parseTime(string(node.CreatedAt))}, isError, nil
}

// parseTime reads a time with or without a zone. It is zero if s is neither.
func parseTime(s string) time.Time {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t
	}
	for _, layout := range []string{"2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, vendorTime); err == nil {
			return t
		}
	}
	return time.Time{}
}
