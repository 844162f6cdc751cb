package dataverse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/lazy"
)

var _ adapters.Exporter = Adapter{}

// The columns of a row, after the prefix; dimensions come on top of them.
const keyColumn = "key"

var columns = []string{keyColumn, "voucher", "date", "account", "amount", "currency", "text"}

var validColumn = lazy.Regexp(`^[a-z][a-z0-9_]{0,63}$`)

// ExportBody implements [adapters.Exporter] with an upsert for each entry, all
// in one change set. The key is the row's alternate key and stands only in the
// address, from which Dataverse takes it. The amount is a JSON number with the
// digits of the entry.
func (Adapter) ExportBody(f adapters.Form, entries []adapters.Entry) ([]byte, error) {
	settings := f.Settings
	errs := []error{Vendor.NeedSettings(settings), Vendor.Export.Check(entries)}
	for i, e := range entries {
		for field := range e.Dimensions {
			if !validColumn().MatchString(field) || slices.Contains(columns, field) {
				errs = append(errs, fmt.Errorf(
					"entries[%d].dimensions: %q cannot be a column; want lower-case letters, digits and underscores, and none of %s", i, field, strings.Join(columns, ", ")))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
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
			if id, ok := strings.CutSuffix(value[open+1:], ")"); ok && guid().MatchString(id) {
				out[content] = id
			}
		}
	}
	return out
}

var guid = lazy.Regexp(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// LateErrors implements [adapters.Exporter]: Dataverse refuses at once or not at
// all.
func (Adapter) LateErrors(context.Context, *adapters.Conn, time.Time) ([]adapters.LateError, classify.Verdict) {
	return nil, classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "late-errors:none"}
}
