// Package odata is what the two Dynamics 365 adapters share: raw OData v4
// requests with a bearer token.
//
// A raw request is a JSON object:
//
//	{"method": "PATCH", "path": "accounts(accountnumber='A-1')",
//	 "headers": {"If-Match": "*"}, "body": {"name": "Kari"}}
//
// The path is relative to the integration's base URL and cannot leave it. A
// batch has "requests" instead, a list of such objects; each adapter renders it
// in its vendor's batch format.
package odata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/classify"
)

// Request is a raw request, or a batch of them.
type Request struct {
	Method  string            `json:"method,omitempty"`
	Path    string            `json:"path,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`

	Requests        []Request `json:"requests,omitempty"`        // a batch; the other fields are then empty
	Atomic          bool      `json:"atomic,omitempty"`          // batch: all or nothing
	ContinueOnError bool      `json:"continueOnError,omitempty"` // batch: run the rest after a failed part
}

// Batch reports whether r is a batch.
func (r Request) Batch() bool { return r.Requests != nil }

// methods that a raw request may use.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete}

// headers that a raw request may set; the rest are ours.
var headers = []string{"Accept", "Accept-Language", "If-Match", "If-None-Match", "Prefer", "Isolation", "Mscrm.*"}

// Parse reads a raw request and reports all its errors at once. A batch may
// hold at most maxParts requests.
func Parse(body []byte, maxParts int) (Request, error) {
	var r Request
	if err := adapters.Strict(body, &r, "method", "path", "headers", "body", "requests", "atomic", "continueOnError"); err != nil {
		return r, fmt.Errorf(`body: %w; want {"method": …, "path": …, "headers": {…}, "body": …} or {"requests": […]}`, err)
	}
	if !r.Batch() {
		return r, r.validate("")
	}
	var errs []error
	if r.Method != "" || r.Path != "" || r.Body != nil || r.Headers != nil {
		errs = append(errs, errors.New("body: a batch has requests and no method, path, headers or body of its own"))
	}
	if n := len(r.Requests); n == 0 || n > maxParts {
		errs = append(errs, fmt.Errorf("requests: %d; want 1 to %d", n, maxParts))
	}
	for i, part := range r.Requests {
		if part.Batch() {
			errs = append(errs, fmt.Errorf("requests[%d]: a batch in a batch", i))
			continue
		}
		errs = append(errs, part.validate(fmt.Sprintf("requests[%d].", i)))
	}
	return r, errors.Join(errs...)
}

func (r Request) validate(at string) error {
	var errs []error
	if !slices.Contains(methods, r.Method) {
		errs = append(errs, fmt.Errorf("%smethod: %q; want one of %s", at, r.Method, strings.Join(methods, ", ")))
	}
	if err := checkPath(r.Path); err != nil {
		errs = append(errs, fmt.Errorf("%spath: %w", at, err))
	}
	for name, value := range r.Headers {
		canonical := http.CanonicalHeaderKey(name)
		if !httpguts.ValidHeaderFieldName(name) || !slices.ContainsFunc(headers, func(h string) bool {
			prefix, wild := strings.CutSuffix(h, "*")
			return canonical == h || wild && strings.HasPrefix(canonical, prefix)
		}) {
			errs = append(errs, fmt.Errorf("%sheaders: %q cannot be set; can be: %s", at, name, strings.Join(headers, ", ")))
		}
		if !httpguts.ValidHeaderFieldValue(value) {
			errs = append(errs, fmt.Errorf("%sheaders: the value of %q has a line break or another control character", at, name))
		}
	}
	if r.Method == http.MethodGet && len(r.Body) > 0 {
		errs = append(errs, fmt.Errorf("%sbody: GET has none", at))
	}
	return errors.Join(errs...)
}

// checkPath refuses whatever could lead away from the base URL.
func checkPath(p string) error {
	u, err := url.Parse(p)
	switch {
	case p == "":
		return errors.New("empty; want a path relative to the base URL, such as WhoAmI")
	case err != nil:
		return errors.New("not a valid URL path")
	case u.Scheme != "" || u.Host != "" || u.User != nil || strings.HasPrefix(p, "/") || strings.Contains(p, `\`):
		return fmt.Errorf("%q is absolute; want a path relative to the base URL", p)
	case u.Fragment != "":
		return errors.New("has a fragment (#…)")
	case slices.Contains(strings.Split(u.Path, "/"), ".."):
		return fmt.Errorf("%q has a .. segment", p)
	case slices.Contains(strings.Split(strings.ToLower(u.Path), "/"), "$batch"):
		return errors.New(`a batch is written as {"requests": […]}, so that what each part does is known`)
	}
	if strings.Contains(u.RawQuery, ";") { // which some servers read as &, and Go's parser as a part of nothing
		return errors.New("the query has a semicolon; write %3B for one in a value")
	}
	for option := range u.Query() { // of servers and proxies that let a GET be something else
		if o := strings.ToLower(option); o == "_method" || strings.HasPrefix(o, "x-http-method") {
			return fmt.Errorf("option %q would change the method", option)
		}
	}
	return nil
}

// resolve returns where a relative path leads.
func resolve(base *url.URL, relative string) *url.URL {
	u := *base
	rel, err := url.Parse(relative)
	if err != nil { // Parse has refused it before
		return &u
	}
	u.Path = path.Join("/", base.Path) + "/" + rel.Path
	u.RawPath = ""
	if rel.RawPath != "" {
		u.RawPath = path.Join("/", base.EscapedPath()) + "/" + rel.RawPath
	}
	u.RawQuery = rel.RawQuery
	return &u
}

// Sender makes authenticated requests for one vendor.
type Sender struct {
	Tokens *entra.Tokens
	Vendor adapters.Vendor
	// Scope returns the token scope for a base URL.
	Scope func(base *url.URL) string
}

// Send makes one request with a bearer token. If the vendor refuses a token
// that came from the cache, a fresh one is fetched and the request is made once
// more: a token can be revoked before its time. A write is made again only if
// nothing was done: 401 of the answer proves it, 401 of a part of a batch does
// not. A fresh token that is refused is a permanent failure.
func (s Sender) Send(ctx context.Context, c *adapters.Conn, op classify.Op, method, relative string, h http.Header, body []byte) (adapters.Answer, classify.Verdict) {
	return s.send(ctx, c, op, method, resolve(c.BaseURL, relative), h, body)
}

func (s Sender) send(ctx context.Context, c *adapters.Conn, op classify.Op, method string, to *url.URL, h http.Header, body []byte) (adapters.Answer, classify.Verdict) {
	for {
		token, cached, v := s.Tokens.Token(ctx, c, s.Scope(c.BaseURL))
		if v.Class != classify.Success {
			if op == classify.Write {
				return adapters.Answer{}, v.WithEffect(classify.None, false) // it was not sent
			}
			return adapters.Answer{}, v.WithEffect("", false)
		}
		header := h.Clone()
		if header == nil {
			header = make(http.Header)
		}
		setDefault(header, "Accept", "application/json")
		if len(body) > 0 {
			setDefault(header, "Content-Type", "application/json")
		}
		header.Set("Authorization", "Bearer "+token)
		header.Set("Odata-Version", "4.0")
		header.Set("Odata-Maxversion", "4.0")
		header.Set("X-Ms-Client-Request-Id", c.CorrelationID)
		header.Set("User-Agent", "ledgerline")
		a, v := c.Client.Do(ctx, adapters.Request{
			Adapter: s.Vendor.Name, Hosts: s.Vendor.Hosts, Method: method, URL: to,
			Header: header, Body: body, Op: op, Codes: s.Vendor.Codes, Sent: c.Counter(),
		})
		if v.Kind != classify.Unauthorized || !cached || op == classify.Write && v.Effect != classify.None {
			return a, v
		}
		s.Tokens.Forget(token)
	}
}

func setDefault(h http.Header, key, value string) {
	if h.Get(key) == "" {
		h.Set(key, value)
	}
}

// Header returns a request's own headers.
func (r Request) Header() http.Header {
	h := make(http.Header, len(r.Headers))
	for k, v := range r.Headers {
		h.Set(k, v)
	}
	return h
}

// Partial is the verdict on a batch of which some parts took effect and the
// rest may be tried again: sending the whole again would repeat what is done.
// It leaves v alone unless v would be retried and a part succeeded.
func Partial(v classify.Verdict) classify.Verdict {
	if !v.Retry() {
		return v
	}
	succeeded := false
	parts := make(map[classify.Effect][]string)
	for i, p := range v.Parts {
		succeeded = succeeded || p.Class == classify.Success
		parts[p.Effect] = append(parts[p.Effect], fmt.Sprint(i))
	}
	if !succeeded {
		return v
	}
	v.Kind = classify.Partial
	v.RetryAfter = 0
	var said []string
	for _, of := range []struct {
		effect classify.Effect
		what   string
	}{
		{classify.Done, "took effect"},
		{classify.None, "did not and can be sent again on their own"},
		{classify.Open, "may have taken effect: look before you send them again"},
	} {
		if list := parts[of.effect]; list != nil {
			said = append(said, "parts "+strings.Join(list, ",")+" "+of.what)
		}
	}
	v.Message = strings.Join(append(said, v.Message), "; ")
	return v
}

// Respond turns an exchange into what an adapter returns.
func Respond(a adapters.Answer, v classify.Verdict) (adapters.Response, classify.Verdict) {
	if v.Class != classify.Success {
		return adapters.Response{}, v
	}
	return adapters.ResponseOf(a), v
}

// Summary names a request in one line, without its keys and values.
func (r Request) Summary() string {
	if r.Batch() {
		return fmt.Sprintf("$batch, %d requests", len(r.Requests))
	}
	p, _, _ := strings.Cut(r.Path, "?")
	var b strings.Builder
	depth := 0
	for _, c := range p {
		switch {
		case c == '(':
			depth++
			b.WriteString("(…")
		case c == ')' && depth > 0:
			depth--
			b.WriteRune(c)
		case depth == 0:
			b.WriteRune(c)
		}
		if b.Len() > 100 {
			break
		}
	}
	return r.Method + " " + b.String()
}
