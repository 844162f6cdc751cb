package dataverse

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
)

// lookUp answers [adapters.LookUp] by filters on the key column. Up to twenty
// keys take one GET, more take one $batch of GETs. That a key is there twice can
// only be while its alternate key is not active.
func (d Adapter) lookUp(ctx context.Context, c *adapters.Conn, keys []string) (adapters.Response, classify.Verdict) {
	if err := adapters.NeedSettings(c.Settings, limits.Settings...); err != nil {
		return adapters.Response{}, adapters.Fault(classify.Configuration, "settings", err.Error())
	}
	column := c.Settings["prefix"] + keyColumn
	gets := odata.LookUps(c.Settings["table"], column, column, keys)
	lists, a, v := d.ask(ctx, c, gets)
	if v.Class != classify.Success {
		return adapters.Response{}, v
	}
	asked := make(map[string]bool, len(keys))
	for _, k := range keys {
		asked[k] = true
	}
	found := make(map[string]adapters.Found, len(keys))
	for _, list := range lists {
		if err := collect(found, asked, column, list); err != nil {
			return adapters.Response{}, adapters.Fault(classify.InvalidResponse, "lookup:shape", err.Error())
		}
	}
	return odata.Answered(a.Status, found)
}

// ask makes GET requests, as a batch if there are several.
func (d Adapter) ask(ctx context.Context, c *adapters.Conn, gets []odata.Request) ([][]byte, adapters.Answer, classify.Verdict) {
	if len(gets) == 1 {
		a, v := d.send.Send(ctx, c, classify.Read, http.MethodGet, gets[0].Path, nil, nil)
		return [][]byte{a.Body}, a, v
	}
	payload, contentType := render(odata.Request{Requests: gets})
	h := http.Header{"Content-Type": {contentType}, "Accept": {"multipart/mixed"}}
	a, v := d.send.Send(ctx, c, classify.Read, http.MethodPost, "$batch", h, payload)
	if v = odata.Whole(v, classify.Read, len(gets)); v.Class != classify.Success {
		return nil, a, v
	}
	lists, err := bodies(a.Body, a.Header.Get("Content-Type"))
	if err != nil {
		return nil, a, adapters.Fault(classify.InvalidResponse, "lookup:shape", err.Error())
	}
	return lists, a, v
}

// collect counts the rows in an answer. One that was not asked for means that
// the filter was passed over, and then nothing of the answer can be trusted.
func collect(found map[string]adapters.Found, asked map[string]bool, column string, list []byte) error {
	records, err := odata.Records(list)
	if err != nil {
		return err
	}
	for _, r := range records {
		key := strings.ToLower(r.Text(column)) // Dataverse compares without case
		if !asked[key] {
			return errors.New("the look-up answered with a row that was not asked for; its filter was passed over")
		}
		f := found[key]
		if f.Count++; f.Reference == "" {
			f.Reference = primaryKey(r, column)
		}
		found[key] = f
	}
	return nil
}

// primaryKey returns a row's GUID. Its column is named after the table in a way
// that cannot be told from the entity set's name, but it comes with every row:
// of a row of which only the key column was asked for, it is what is left.
func primaryKey(r odata.Record, keyColumn string) string {
	for column := range r {
		if column == keyColumn || strings.Contains(column, "@") {
			continue
		}
		if id := r.Text(column); guid.MatchString(id) {
			return id
		}
	}
	return ""
}
