package dataverse

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
)

var _ adapters.Exporter = Adapter{}

// limits: a change set happens as a whole or not at all. It could hold 1,000
// rows, but then [adapters.MaxRequest] would leave a row 1,048 bytes, of which
// the batch format takes about 500; with 500 rows there is room for long texts
// and dimensions. The default keeps an attempt of 10 s far from its end.
var limits = adapters.Limits{Entries: 500, Default: 100, Atomic: true, Settings: []string{"table", "prefix"}}

// Limits implements [adapters.Exporter].
func (Adapter) Limits() adapters.Limits { return limits }

// The columns of a row, after the prefix; dimensions come on top of them.
const keyColumn = "key"

var columns = []string{keyColumn, "voucher", "date", "account", "amount", "currency", "text"}

var validColumn = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// ExportBody implements [adapters.Exporter] with an upsert for each entry, all
// in one change set. The key is the row's alternate key and stands only in the
// address, from which Dataverse takes it. The amount is a JSON number with the
// digits of the entry.
func (Adapter) ExportBody(settings map[string]string, entries []adapters.Entry) ([]byte, error) {
	faults := []error{adapters.NeedSettings(settings, limits.Settings...), limits.Check(entries)}
	for i, e := range entries {
		for field := range e.Dimensions {
			if !validColumn.MatchString(field) || slices.Contains(columns, field) {
				faults = append(faults, fmt.Errorf(
					"entries[%d].dimensions: %q cannot be a column; want lower-case letters, digits and underscores, and none of %s", i, field, strings.Join(columns, ", ")))
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	prefix := settings["prefix"]
	r := odata.Request{Atomic: true}
	for _, e := range entries {
		row := map[string]any{
			prefix + "voucher": e.Voucher, prefix + "date": e.Date.Format(time.DateOnly), prefix + "account": e.Account,
			prefix + "amount": json.Number(e.Amount), prefix + "currency": e.Currency, prefix + "text": e.Text,
		}
		for field, value := range e.Dimensions {
			row[prefix+field] = value
		}
		body, err := json.Marshal(row)
		if err != nil {
			return nil, err
		}
		r.Requests = append(r.Requests, odata.Request{
			Method: http.MethodPatch, Path: fmt.Sprintf("%s(%s%s='%s')", settings["table"], prefix, keyColumn, e.Key), Body: body,
		})
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	batch, _ := render(r)
	return body, adapters.CheckSize(len(batch))
}

// References implements [adapters.Exporter] with the GUID of each row: a part
// of the answer names its request by Content-ID and the row by OData-EntityId.
func (Adapter) References(entries []adapters.Entry, answer adapters.Response) map[string]string {
	out := make(map[string]string, len(entries))
	var text string
	if json.Unmarshal(answer.Body, &text) != nil { // multipart comes as a JSON string
		return out
	}
	for n, id := range entityIDs(text) {
		if n >= 1 && n <= len(entries) {
			out[entries[n-1].Key] = id
		}
	}
	return out
}

// entityIDs returns the GUIDs in the answer to a change set, by Content-ID.
func entityIDs(answer string) map[int]string {
	out := make(map[int]string)
	content := 0
	for line := range strings.Lines(answer) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.HasPrefix(line, "--"): // a new part
			content = 0
		case strings.EqualFold(name, "Content-ID"):
			content, _ = strconv.Atoi(value)
		case strings.EqualFold(name, "OData-EntityId") && content > 0:
			open := strings.LastIndexByte(value, '(')
			if id, ok := strings.CutSuffix(value[open+1:], ")"); ok && guid.MatchString(id) {
				out[content] = id
			}
		}
	}
	return out
}

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
