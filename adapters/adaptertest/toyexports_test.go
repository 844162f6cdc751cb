package adaptertest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

func (a toy) Find(ctx context.Context, c *adapters.Conn, sought []adapters.LookupKey) (map[string]adapters.LookupResult, classify.Verdict) {
	if a.mistake != "counts a known record in each request" || len(sought) == 0 {
		return a.find(ctx, c, sought)
	}
	all := make(map[string]adapters.LookupResult)
	for _, group := range adapters.SplitLookup(sought, 600) {
		found, v := a.find(ctx, c, group)
		if v.Class != classify.Success {
			return nil, v
		}
		for key, f := range found {
			f.Count += all[key].Count
			all[key] = f
		}
	}
	return all, classify.Verdict{Class: classify.Success, Kind: classify.OK}
}

func (a toy) find(ctx context.Context, c *adapters.Conn, sought []adapters.LookupKey) (map[string]adapters.LookupResult, classify.Verdict) {
	asked, keys := make(map[string]bool), make([]string, len(sought))
	for i, s := range sought {
		asked[s.Key], keys[i] = true, s.Key
	}
	found, v := make(map[string]adapters.LookupResult), classify.Verdict{Class: classify.Success, Kind: classify.OK}
	for after := 0; len(keys) > 0; {
		body, _ := json.Marshal(map[string]any{"keys": keys, "after": after})
		var answer adapters.Answer
		if answer, v = a.send(ctx, c, classify.Read, http.MethodPost, "search", body); v.Class != classify.Success {
			if after > 0 && a.mistake == "takes a page that does not come for the end" {
				return found, classify.Verdict{Class: classify.Success, Kind: classify.OK}
			}
			if v.Kind == classify.NotFound && after == 0 && a.mistake == "takes HTTP 404 for no records" {
				return nil, classify.Verdict{Class: classify.Success, Kind: classify.OK}
			}
			return nil, adapters.LookupVerdict(v)
		}
		var page struct {
			Lines *[]toyLine
			Next  *int
		}
		if json.Unmarshal(adapters.JSON(answer.Body), &page) != nil || page.Lines == nil || page.Next == nil {
			return nil, classify.NewVerdict(classify.Untrusted, "search", "the answer is no page")
		}
		for _, l := range *page.Lines {
			if !asked[l.Key] {
				if a.mistake == "trusts an answer whose filter was ignored" {
					continue
				}
				return nil, classify.NewVerdict(classify.Untrusted, "search", "the answer has a line that was not asked for")
			}
			if a.hasFailed(l.Key) {
				continue
			}
			f := found[l.Key]
			f.Count++
			f.Reference, f.Amount = cmp.Or(f.Reference, strconv.Itoa(l.ID)), l.Amount
			found[l.Key] = f
		}
		if *page.Next == 0 || a.mistake == "reads the first page only" {
			break
		}
		if *page.Next <= after {
			return nil, classify.NewVerdict(classify.Untrusted, "search", "the pages do not come to an end")
		}
		after = *page.Next
	}
	return found, v
}

func (a toy) ExportBody(_ adapters.Form, entries []adapters.Entry) ([]byte, error) {
	if err := toyDescriptor.Export.Check(entries); err != nil {
		return nil, err
	}
	var r toyRequest
	for _, e := range entries {
		amount := e.Amount
		if a.mistake == "makes an amount a float" {
			f, _ := strconv.ParseFloat(e.Amount, 64)
			amount = strconv.FormatFloat(f, 'f', 2, 64)
		}
		if a.mistake == "writes dimensions in the order of a map" {
			for field, value := range e.Dimensions {
				e.Text += " " + field + "=" + value
			}
		}
		r.Lines = append(r.Lines, toyLine{Key: e.Key, Voucher: e.Voucher, Account: e.Account, Amount: amount, Text: e.Text, Date: e.Date.Format(time.DateOnly)})
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return body, adapters.CheckSize(len(body))
}

func (a toy) References(entries []adapters.Entry, answer adapters.Response) map[string]string {
	out := make(map[string]string)
	for _, l := range toyStored(answer.Body) {
		if slices.ContainsFunc(entries, func(e adapters.Entry) bool { return e.Key == l.Key }) {
			out[l.Key] = strconv.Itoa(l.ID)
		}
	}
	return out
}

func (a toy) LateErrors(ctx context.Context, c *adapters.Conn, _ time.Time) ([]adapters.LateError, classify.Verdict) {
	if a.mistake == "asks for late errors all the same" {
		a.send(ctx, c, classify.Read, http.MethodGet, "status", nil)
	}
	return nil, classify.Verdict{Class: classify.Success, Kind: classify.OK}
}

func (a toy) Verify(ctx context.Context, c *adapters.Conn, _ adapters.Requirements) (adapters.Contract, classify.Verdict) {
	var contract adapters.Contract
	if a.mistake == "verifies by writing" {
		a.send(ctx, c, classify.Write, http.MethodPost, "notes", []byte(`{"note":"does this work?"}`))
	}
	_, v := a.send(ctx, c, classify.Read, http.MethodGet, "status", nil)
	switch {
	case v.Class == classify.Success:
		contract.Add("token", adapters.Checked, "accepted", "")
	case v.Kind == classify.Unauthorized || v.Kind == classify.Forbidden:
		if a.mistake == "verifies as if the token were accepted" {
			contract.Add("token", adapters.Differs, "refused", "renew the password")
		} else {
			contract.Refuse(v, "token", "refused", "renew the password")
		}
		v = classify.Verdict{Class: classify.Success, Kind: classify.OK}
	default:
		return adapters.Contract{}, v
	}
	contract.Add("lines", adapters.Assumed, "the vendor does not say", "")
	return contract, v
}
