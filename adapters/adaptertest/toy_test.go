package adaptertest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/adaptertest"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

// toyVendor is a small vendor with a language of its own:
//
//	POST /login      {"password": …}             → {"token": …}
//	GET  /v1/status                              → {"ok": true}
//	POST /v1/lines   {"lines": [{"key", …}, …]}  → {"stored": [{"key", "id"}, …]}
//	POST /v1/search  {"keys": […], "after": 7}   → {"lines": [{"key", "id", "amount"}, …], "next": 12}
//	POST /v1/notes   {"note": …}                 → {"id": …}
//
// It stores what it gets, twice if it is sent twice.
type toyVendor struct {
	mu       sync.Mutex
	lines    []toyLine
	notes    int
	token    string
	pageSize int
}

type toyLine struct {
	Key     string `json:"key"`
	ID      int    `json:"id,omitempty"`
	Voucher string `json:"voucher,omitempty"`
	Account string `json:"account,omitempty"`
	Amount  string `json:"amount"`
	Text    string `json:"text,omitempty"`
	Date    string `json:"date,omitempty"`
}

const toyPassword = "correct horse battery"

func startToy(pageSize int) adaptertest.Vendor {
	v := &toyVendor{pageSize: cmp.Or(pageSize, 10000), token: "toy-token-" + rand()}
	return adaptertest.Vendor{Handler: v, Count: v.count, Changes: v.changes}
}

func rand() string { return strconv.FormatInt(time.Now().UnixNano(), 36) }

func (v *toyVendor) count(key string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range v.lines {
		if l.Key == key {
			n++
		}
	}
	return n
}

func (v *toyVendor) changes() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.lines) + v.notes
}

func (v *toyVendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var in struct {
		Password, Note string
		Lines          []toyLine
		Keys           []string
		After          int
	}
	body, _ := io.ReadAll(r.Body)
	if len(body) > 0 && json.Unmarshal(body, &in) != nil {
		toyAnswer(w, 400, toyError("bad_json", "this is no JSON"))
		return
	}
	if r.URL.Path != "/login" && r.Header.Get("Authorization") != "Toy "+v.token {
		toyAnswer(w, 401, toyError("who", "log in first"))
		return
	}
	switch r.URL.Path {
	case "/login":
		if in.Password != toyPassword {
			toyAnswer(w, 401, toyError("who", "wrong password"))
			return
		}
		toyAnswer(w, 200, map[string]string{"token": v.token})
	case "/v1/status":
		toyAnswer(w, 200, map[string]bool{"ok": true})
	case "/v1/lines":
		stored := []toyLine{}
		for _, l := range in.Lines {
			l.ID = len(v.lines) + 1
			v.lines, stored = append(v.lines, l), append(stored, l)
		}
		toyAnswer(w, 200, map[string]any{"stored": stored})
	case "/v1/search":
		list, next := []toyLine{}, 0
		for _, l := range v.lines {
			if l.ID <= in.After || !slices.Contains(in.Keys, l.Key) {
				continue
			}
			if len(list) == v.pageSize {
				next = list[len(list)-1].ID
				break
			}
			list = append(list, l)
		}
		toyAnswer(w, 200, map[string]any{"lines": list, "next": next})
	case "/v1/notes":
		v.notes++
		toyAnswer(w, 200, map[string]int{"id": v.notes})
	default:
		toyAnswer(w, 404, toyError("nothing", "there is nothing here"))
	}
}

func toyAnswer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func toyError(code, message string) map[string]any {
	return map[string]any{"error": map[string]string{"code": code, "message": message}}
}

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
	case adapters.LookUp:
		sought, err := adapters.ReadKeys(body)
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
		p.Sought = append(p.Sought, adapters.Sought{Key: l.Key, Voucher: l.Voucher, Amount: l.Amount})
	}
	if a.mistake == "says idempotent" {
		p = adapters.Description{Guard: adapters.Idempotent, Summary: p.Summary}
	}
	return p, nil
}

func (a toy) Do(ctx context.Context, c *adapters.Conn, op adapters.Operation, body []byte) (adapters.Response, classify.Verdict) {
	p, err := a.Describe(op, body)
	if err != nil || op != adapters.Ping && op != adapters.Call {
		return adapters.Response{}, adapters.Fault(classify.Transformation, "request:body", fmt.Sprint("not something to send: ", err))
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
			v = adapters.Fault(classify.IncompleteResponse, "body:stored", "the answer does not name each line")
			v.HTTPStatus, v.Effect = answer.Status, classify.Open
		}
	}
	if v.Class == classify.Success {
		out := adapters.Accepted(answer)
		if out.Omitted != nil && p.Guard != adapters.ReadOnly && a.mistake == "takes a large answer for a failure" {
			return adapters.Response{}, adapters.Fault(classify.PayloadTooLarge, "response:size", "the answer is too large").WithEffect(classify.None, false)
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

// login fetches a token for one request.
func (a toy) login(ctx context.Context, c *adapters.Conn) (string, classify.Verdict) {
	password, missing := c.Credential("password")
	if missing != nil {
		return "", *missing
	}
	defer c.For(limits.Token)()
	u := *c.BaseURL
	u.Path = "/login"
	body, _ := json.Marshal(map[string]string{"password": password})
	answer, v := a.exchange(ctx, c, adapters.Request{Method: http.MethodPost, URL: &u, Header: http.Header{}, Body: body, Op: classify.Read})
	if v.Class != classify.Success {
		return "", v
	}
	var got struct{ Token string }
	if json.Unmarshal(answer.Body, &got) != nil || got.Token == "" {
		return "", adapters.Fault(classify.InvalidResponse, "login", "the answer has no token")
	}
	if a.mistake != "does not note its token" {
		c.Used(got.Token)
	}
	return got.Token, v
}

func (a toy) send(ctx context.Context, c *adapters.Conn, op classify.Op, method, at string, body []byte) (adapters.Answer, classify.Verdict) {
	token, v := a.login(ctx, c)
	if v.Class != classify.Success {
		if op == classify.Write {
			v = v.WithEffect(classify.None, false)
			if v.HTTPStatus > 0 && a.mistake == "says open where it got no token" {
				v = v.WithEffect(classify.Open, false)
			}
		}
		return adapters.Answer{}, v
	}
	u := *c.BaseURL
	u.Path = path.Join("/", u.Path, at)
	r := adapters.Request{Method: method, URL: &u, Body: body, Op: op, Header: http.Header{"Authorization": {"Toy " + token}, "X-Correlation-Id": {c.CorrelationID}}}
	answer, v := a.exchange(ctx, c, r)
	if to := answer.Header.Get("Location"); to != "" && a.mistake == "follows redirects" {
		if next, err := url.Parse(to); err == nil {
			r.URL = next
			return a.exchange(ctx, c, r)
		}
	}
	return answer, v
}

func (a toy) exchange(ctx context.Context, c *adapters.Conn, r adapters.Request) (adapters.Answer, classify.Verdict) {
	r.Adapter, r.Hosts, r.Codes, r.Sent = "toy", toyDescriptor.Hosts, a.Vendor().Codes, c.Counter()
	if a.mistake == "forgets to count" && r.Op == classify.Write {
		r.Sent = nil
	}
	if a.mistake == "has a client of its own" && r.Op == classify.Read && strings.HasSuffix(r.URL.Path, "/status") {
		return ownClient(ctx, r)
	}
	return c.Client.Do(ctx, r)
}

// ownClient is what somebody might write who does not know [adapters.Client].
func ownClient(ctx context.Context, r adapters.Request) (adapters.Answer, classify.Verdict) {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return adapters.Answer{}, classify.Err(err)
	}
	req.Header = r.Header
	resp, err := client.Do(req)
	if !errors.Is(err, syscall.ECONNREFUSED) && ctx.Err() == nil && r.Sent != nil {
		r.Sent()
	}
	var body []byte
	if err == nil {
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
	}
	if err != nil {
		return adapters.Answer{}, classify.Err(err).WithEffect("", false)
	}
	a := adapters.Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}
	return a, classify.Response(classify.Seen{Op: r.Op, Status: a.Status, Header: a.Header, Body: a.Body, Received: time.Now()}, r.Codes)
}

func (a toy) Find(ctx context.Context, c *adapters.Conn, sought []adapters.Sought) (map[string]adapters.Found, classify.Verdict) {
	if a.mistake != "counts a known record in each request" || len(sought) == 0 {
		return a.find(ctx, c, sought)
	}
	all := make(map[string]adapters.Found)
	for _, group := range adapters.Groups(sought, 600) {
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

func (a toy) find(ctx context.Context, c *adapters.Conn, sought []adapters.Sought) (map[string]adapters.Found, classify.Verdict) {
	asked, keys := make(map[string]bool), make([]string, len(sought))
	for i, s := range sought {
		asked[s.Key], keys[i] = true, s.Key
	}
	found, v := make(map[string]adapters.Found), classify.Verdict{Class: classify.Success, Kind: classify.OK}
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
			return nil, adapters.WithoutEffect(v)
		}
		var page struct {
			Lines *[]toyLine
			Next  *int
		}
		if json.Unmarshal(adapters.JSON(answer.Body), &page) != nil || page.Lines == nil || page.Next == nil {
			return nil, adapters.Fault(classify.Untrusted, "search", "the answer is no page")
		}
		for _, l := range *page.Lines {
			if !asked[l.Key] {
				if a.mistake == "trusts an answer whose filter was ignored" {
					continue
				}
				return nil, adapters.Fault(classify.Untrusted, "search", "the answer has a line that was not asked for")
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
			return nil, adapters.Fault(classify.Untrusted, "search", "the pages do not come to an end")
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

func (a toy) Verify(ctx context.Context, c *adapters.Conn, _ adapters.Wanted) (adapters.Contract, classify.Verdict) {
	var contract adapters.Contract
	if a.mistake == "verifies by writing" {
		a.send(ctx, c, classify.Write, http.MethodPost, "notes", []byte(`{"note":"does this work?"}`))
	}
	_, v := a.send(ctx, c, classify.Read, http.MethodGet, "status", nil)
	switch {
	case v.Class == classify.Success:
		contract.Add("token", adapters.Checked, "accepted", "")
	case v.Kind == classify.Unauthorized || v.Kind == classify.Forbidden:
		contract.Add("token", adapters.Differs, "refused", "renew the password")
		v = classify.Verdict{Class: classify.Success, Kind: classify.OK}
	default:
		return adapters.Contract{}, v
	}
	contract.Add("lines", adapters.Assumed, "the vendor does not say", "")
	return contract, v
}
