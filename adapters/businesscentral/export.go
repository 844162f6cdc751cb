package businesscentral

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/odata"
	"github.com/ledgerline/ledgerline/classify"
)

var _ adapters.Exporter = Adapter{}

// Lengths of fields, in characters.
const (
	maxDocument    = 20
	maxAccount     = 20
	maxDimension   = 20 // code and value alike
	maxDescription = 100
)

// linesPath is the collection that an export writes to.
func linesPath(settings map[string]string) string {
	return "companies(" + settings["companyId"] + ")/journals(" + settings["journalId"] + ")/journalLines"
}

// ExportBody implements [adapters.Exporter] with one POST for each entry, all in
// one batch. externalDocumentNumber is the key by which a line is found again.
// The amount is a JSON number with the digits of the entry. Nothing of a line
// takes a currency: amounts are in that of the company.
func (Adapter) ExportBody(f adapters.Form, entries []adapters.Entry) ([]byte, error) {
	settings := f.Settings
	errs := []error{Vendor.NeedSettings(settings), Vendor.Export.Check(entries)}
	for i, e := range entries {
		if n := len([]rune(e.Account)); n > maxAccount {
			errs = append(errs, fmt.Errorf("entries[%d].account: %d characters; Business Central takes %d", i, n, maxAccount))
		}
		for code, value := range e.Dimensions {
			if len([]rune(code)) > maxDimension || len([]rune(value)) > maxDimension {
				errs = append(errs, fmt.Errorf("entries[%d].dimensions: Business Central takes %d characters for a dimension's code and for its value", i, maxDimension))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	type dimension struct {
		Code      string `json:"code"`
		ValueCode string `json:"valueCode"`
	}
	type journalLine struct {
		AccountNumber          string      `json:"accountNumber"`
		PostingDate            string      `json:"postingDate"`
		DocumentNumber         string      `json:"documentNumber"`
		ExternalDocumentNumber string      `json:"externalDocumentNumber"`
		Amount                 json.Number `json:"amount"`
		Description            string      `json:"description,omitempty"`
		DimensionSetLines      []dimension `json:"dimensionSetLines,omitempty"`
	}
	r := odata.Request{Atomic: true}
	for _, e := range entries {
		l := journalLine{e.Account, e.Date.Format(time.DateOnly), document(e.Voucher), e.Key, json.Number(e.Amount), cut(e.Text, maxDescription), nil}
		for _, code := range slices.Sorted(maps.Keys(e.Dimensions)) {
			if value := e.Dimensions[code]; value != "" {
				l.DimensionSetLines = append(l.DimensionSetLines, dimension{code, value})
			}
		}
		body, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		r.Requests = append(r.Requests, odata.Request{Method: http.MethodPost, Path: linesPath(settings), Body: body})
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return body, adapters.CheckSize(len(render(r)))
}

// document is the document number of a voucher: the voucher's own where it
// fits, else its beginning and 60 bits of its hash. Two of a million vouchers
// with the same beginning share one with a probability under one in a million.
func document(voucher string) string {
	r := []rune(voucher)
	if len(r) <= maxDocument {
		return voucher
	}
	sum := sha256.Sum256([]byte(voucher))
	hash := base32.StdEncoding.EncodeToString(sum[:])[:12]
	return string(r[:maxDocument-len(hash)-1]) + "-" + hash
}

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// References implements [adapters.Exporter] with the ID of each journal line.
func (Adapter) References(entries []adapters.Entry, answer adapters.Response) map[string]string {
	keys := make(map[string]string, len(entries))
	for _, e := range entries {
		keys[strings.ToUpper(e.Key)] = e.Key
	}
	out := make(map[string]string, len(entries))
	bodies, err := parts(answer.Body, maxBatch)
	if err != nil {
		return out
	}
	for _, body := range bodies {
		var created odata.Record
		if json.Unmarshal(body, &created) != nil {
			continue
		}
		if key, ok := keys[strings.ToUpper(created.Text("externalDocumentNumber"))]; ok && created.Text("id") != "" {
			out[key] = created.Text("id")
		}
	}
	return out
}

// LateErrors implements [adapters.Exporter]: Business Central refuses at once or
// not at all.
func (Adapter) LateErrors(context.Context, *adapters.Conn, time.Time) ([]adapters.LateError, classify.Verdict) {
	return nil, classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "late-errors:none"}
}
