package dataverse

import (
	"context"
	"net/http"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
)

// Find implements [adapters.Finder] by filters on the key column. Up to twenty
// keys take one GET, more take one $batch of GETs. That a key is there twice can
// only be while its alternate key is not active.
func (d Adapter) Find(ctx context.Context, c *adapters.Conn, sought []adapters.LookupKey) (map[string]adapters.LookupResult, classify.Verdict) {
	if err := Vendor.NeedSettings(c.Settings); err != nil {
		return nil, classify.NewVerdict(classify.Configuration, "settings", err.Error())
	}
	if len(sought) == 0 {
		return nil, classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "lookup:nothing"}
	}
	column, amount := c.Settings["prefix"]+keyColumn, c.Settings["prefix"]+"amount"
	groups := odata.SplitLookup(sought)
	keys := make([][]string, len(groups))
	asked := make(map[string]bool, len(sought))
	for i, group := range groups {
		for _, s := range group {
			keys[i], asked[s.Key] = append(keys[i], s.Key), true
		}
	}
	bodies, v := d.ask(ctx, c, odata.LookupRequests(c.Settings["table"], column, column+","+amount, keys))
	if v.Class != classify.Success {
		return nil, v
	}
	lists, v := d.send.Records(ctx, c, nil, bodies)
	if v.Class != classify.Success {
		return nil, v
	}
	answers := make([]map[string]adapters.LookupResult, len(lists))
	for i, list := range lists {
		answers[i] = make(map[string]adapters.LookupResult)
		for _, r := range list {
			key := strings.ToLower(r.Text(column)) // Dataverse compares without case
			if !asked[key] {
				return nil, odata.UnrequestedRecord()
			}
			f := answers[i][key]
			if f.Count++; f.Reference == "" {
				f.Reference, f.Amount = primaryKey(r, column), r.Amount(amount)
			}
			answers[i][key] = f
		}
	}
	found, w, ok := adapters.MergeLookup(groups, answers)
	if !ok {
		return nil, w
	}
	return found, v
}

// ask makes GET requests, as a batch if there are several.
func (d Adapter) ask(ctx context.Context, c *adapters.Conn, gets []odata.Request) ([][]byte, classify.Verdict) {
	if len(gets) == 1 {
		a, v := d.send.Send(ctx, c, classify.Read, http.MethodGet, gets[0].Path, nil, nil)
		return [][]byte{a.Body}, adapters.LookupVerdict(v)
	}
	payload, contentType := render(odata.Request{Requests: gets})
	h := http.Header{"Content-Type": {contentType}, "Accept": {"multipart/mixed"}}
	a, v := d.send.Send(ctx, c, classify.Read, http.MethodPost, "$batch", h, payload)
	if v = odata.WholeBatch(v, classify.Read, len(gets)); v.Class != classify.Success {
		return nil, adapters.LookupVerdict(v)
	}
	lists, err := bodies(a.Body, a.Header.Get("Content-Type"))
	if err != nil {
		return nil, classify.NewVerdict(classify.Untrusted, "lookup:answer", err.Error())
	}
	return lists, v
}

// primaryKey returns a row's GUID. Its column is named after the table in a way
// that cannot be told from the entity set's name, but it comes with every row:
// of a row of which only the key column was asked for, it is what is left.
func primaryKey(r odata.Record, keyColumn string) string {
	for column := range r {
		if column == keyColumn || strings.Contains(column, "@") {
			continue
		}
		if id := r.Text(column); guid().MatchString(id) {
			return id
		}
	}
	return ""
}
