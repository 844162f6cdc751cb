package adaptertest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// mistake is what an adapter does wrong.
type mistake string

// toy is an adapter for the toy vendor, with a mistake or without one.
type toy struct {
	mistake
	*memory
}

// memory is what an adapter should not have between attempts.
type memory struct {
	mu     sync.Mutex
	body   []byte
	failed map[string]bool // keys of writes that failed
}

func newToy(m mistake) toy { return toy{m, &memory{failed: make(map[string]bool)}} }

// toyDescriptor describes the toy vendor.
var toyDescriptor = adapters.Vendor{
	Name: "toy", Title: "Toy", Hosts: []string{"toy.example"}, Credentials: []string{"password"},
	Codes: classify.Table{Name: "toy", Dialect: classify.OData, Codes: map[string]classify.Rule{
		"slow_down": {Kind: classify.RateLimited, Wait: time.Second, Effect: classify.None},
		"busy":      {Kind: classify.RateLimited},
	}},
	Export:   adapters.ExportTerms{Entries: 200, Default: 100},
	InFlight: time.Minute,
}

func (a toy) Vendor() adapters.Vendor {
	v := toyDescriptor
	switch a.mistake {
	case "does not know the code of throttling":
		v.Codes.Codes = map[string]classify.Rule{"slow_down": v.Codes.Codes["slow_down"]}
	case "says that nothing can arrive late":
		v.InFlight = 0
	}
	return v
}

// toyRequest is the body of a call.
type toyRequest struct {
	Status bool      `json:"status,omitempty"`
	Note   string    `json:"note,omitempty"`
	Lines  []toyLine `json:"lines,omitempty"`
}

func (a toy) read(body []byte) (r toyRequest, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, fmt.Errorf("body: %w", err)
	}
	if _, err := d.Token(); err != io.EOF && a.mistake != "passes over what follows a request" {
		return r, errors.New("body: something follows the request")
	}
	if n := len(r.Lines); !r.Status && r.Note == "" && n == 0 || n > 200 {
		return r, errors.New("body: want status, a note or 1 to 200 lines")
	}
	return r, nil
}

func (a toy) Describe(op adapters.Operation, body []byte) (adapters.Description, error) {
	switch op {
	case adapters.Ping:
		return adapters.Description{Guard: adapters.ReadOnly, Summary: "status"}, nil
	case adapters.Lookup:
		sought, err := adapters.ParseLookup(body)
		return adapters.Description{Guard: adapters.ReadOnly, Summary: fmt.Sprintf("search, %d keys", len(sought))}, err
	}
	r, err := a.read(body)
	switch {
	case err != nil:
		return adapters.Description{}, err
	case r.Status:
		return adapters.Description{Guard: adapters.ReadOnly, Summary: "status"}, nil
	case r.Note != "":
		if a.mistake == "takes a note for a read" {
			return adapters.Description{Guard: adapters.ReadOnly, Summary: "note"}, nil
		}
		return adapters.Description{Guard: adapters.Unsafe, Summary: "note"}, nil
	}
	p := adapters.Description{Guard: adapters.Readback, Summary: fmt.Sprintf("%d lines", len(r.Lines))}
	for _, l := range r.Lines {
		p.Lookup = append(p.Lookup, adapters.LookupKey{Key: l.Key, Voucher: l.Voucher, Amount: l.Amount})
	}
	if a.mistake == "says idempotent" {
		p = adapters.Description{Guard: adapters.Idempotent, Summary: p.Summary}
	}
	return p, nil
}

func (a toy) Do(ctx context.Context, c *adapters.Conn, op adapters.Operation, body []byte) (adapters.Response, classify.Verdict) {
	p, err := a.Describe(op, body)
	if err != nil || op != adapters.Ping && op != adapters.Call {
		return adapters.Response{}, classify.NewVerdict(classify.Transformation, "request:body", fmt.Sprint("not something to send: ", err))
	}
	method, at := http.MethodGet, "status"
	var r toyRequest
	if op == adapters.Call {
		r, _ = a.read(body)
	}
	switch {
	case r.Note != "":
		method, at = http.MethodPost, "notes"
	case r.Lines != nil:
		method, at = http.MethodPost, "lines"
	}
	if method == http.MethodGet {
		body = nil
	}
	switch a.mistake {
	case "shares what belongs to one attempt":
		body = a.share(body)
	case "sends after its context has ended":
		if ctx.Err() != nil {
			ctx = context.WithoutCancel(ctx)
		}
	case "leaves a goroutine behind":
		go time.Sleep(20 * time.Second)
	}
	answer, v := a.send(ctx, c, p.Guard.Op(), method, at, body)
	if v.Kind == classify.Network && v.Effect == classify.Open && a.mistake == "resends after a lost answer" {
		answer, v = a.send(ctx, c, p.Guard.Op(), method, at, body)
	}
	if v.Class == classify.Success && r.Lines != nil {
		if stored := toyStored(answer.Body); len(stored) != len(r.Lines) && a.mistake != "takes a part for all" {
			v = classify.NewVerdict(classify.IncompleteResponse, "body:stored", "the answer does not name each line")
			v.HTTPStatus, v.Effect = answer.Status, classify.Open
		}
	}
	if v.Class == classify.Success {
		out := adapters.ResponseOf(answer)
		if out.Omitted != nil && p.Guard != adapters.ReadOnly && a.mistake == "takes a large answer for a failure" {
			return adapters.Response{}, classify.NewVerdict(classify.PayloadTooLarge, "response:size", "the answer is too large").WithEffect(classify.None, false)
		}
		return out, v
	}
	if v.Kind == classify.Network && a.mistake == "remembers what failed" || v.Kind == classify.AttemptTimeout && a.mistake == "remembers what timed out" {
		a.mu.Lock()
		for _, l := range r.Lines {
			a.failed[l.Key] = true
		}
		a.mu.Unlock()
	}
	if v.Kind == classify.AttemptTimeout && p.Guard != adapters.ReadOnly && a.mistake == "says none after its deadline" {
		v = v.WithEffect(classify.None, false)
	}
	if a.mistake == "cuts what the vendor says" && len(v.Message) > 300 {
		v.Message = v.Message[:300]
	}
	if a.mistake == "forgets the vendor's wait" {
		v.RetryAfter = 0
	}
	if v.HTTPStatus == 500 && p.Guard != adapters.ReadOnly && a.mistake == "says none after HTTP 500" {
		v = v.WithEffect(classify.None, false)
	}
	return adapters.Response{}, v
}

func (m *memory) hasFailed(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed[key]
}

// share gives an attempt what another one may have put in its place.
func (m *memory) share(body []byte) []byte {
	m.mu.Lock()
	m.body = body
	m.mu.Unlock()
	time.Sleep(2 * time.Millisecond)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.body
}

func toyStored(body []byte) []toyLine {
	var a struct{ Stored []toyLine }
	_ = json.Unmarshal(adapters.JSON(body), &a)
	return a.Stored
}
