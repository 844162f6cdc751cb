package adapters

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"code.dny.dev/ssrf"

	"github.com/ledgerline/ledgerline/classify"
)

// Limits of one exchange. A vendor that sends more is cut off.
const (
	// MaxBody is the largest answer that is read, in bytes after
	// decompression. A Temporal result may be 2 MB; the attempt trail and the
	// envelope need the rest.
	MaxBody = 1 << 20
	// MaxRequest is the largest request body that is sent, in bytes.
	MaxRequest = 1 << 20

	maxResponseHeader = 64 << 10
)

// ClientOptions configure a [Client]. The zero value is right for production.
type ClientOptions struct {
	// DevHosts are "host:port" pairs that may be called over plain http and
	// at private addresses. For development against the sandbox only.
	DevHosts []string
	// Resolver replaces the system's resolver, for tests.
	Resolver *net.Resolver
	// TLS replaces the client's TLS settings, for tests with their own
	// authority. MinVersion is raised to TLS 1.2.
	TLS *tls.Config
}

// Client is the one way out. Its promises: only hosts on the adapter's list,
// only public addresses (checked on the address that is dialled, so that a
// name cannot be rebound after the check), TLS 1.2 or later, no proxy, no
// redirect, no cookie, at most 64 KB of response headers and [MaxBody] of body.
// It makes each request once; what happened is told by a verdict.
//
// A Client keeps connections alive and is shared by a whole worker.
type Client struct {
	http *http.Client
	dev  []string
}

// NewClient returns a Client.
func NewClient(o ClientOptions) *Client {
	return &Client{dev: slices.Clone(o.DevHosts), http: Guarded(o)}
}

// Guarded returns the HTTP client below a [Client], for those who call what is
// no vendor: it has the Client's promises but for the list of hosts and the
// cap on the body. Check the address with [CheckPublicURL] first.
func Guarded(o ClientOptions) *http.Client {
	guard := ssrf.New(ssrf.WithPorts(443))
	public := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Resolver: o.Resolver, Control: guard.Safe}
	dev := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Resolver: o.Resolver}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		tlsConfig = o.TLS.Clone()
		tlsConfig.MinVersion = max(tlsConfig.MinVersion, tls.VersionTLS12)
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil, // with a proxy the address check would only ever see the proxy
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if slices.Contains(o.DevHosts, addr) {
					return dev.DialContext(ctx, network, addr)
				}
				return public.DialContext(ctx, network, addr)
			},
			TLSClientConfig:        tlsConfig,
			TLSHandshakeTimeout:    5 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           512,
			MaxIdleConnsPerHost:    64,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: maxResponseHeader,
		},
	}
}

// Prohibited reports whether an error of a [Guarded] client means that the
// address must not be called.
func Prohibited(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedPort) || errors.Is(err, ssrf.ErrProhibitedNetwork)
}

// CloseIdle closes the connections that are not in use.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Request is one HTTP request of an adapter.
type Request struct {
	Adapter string // whose host list applies
	Method  string
	URL     *url.URL
	Header  http.Header
	Body    []byte
	Op      classify.Op
	Codes   classify.Table
	// Sent is called once, when the request's headers are on their way: from
	// then on the vendor may bill it, whatever comes back. It may be nil.
	Sent func()
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes a request once and says what happened. The context's deadline
// bounds all of it, the body included. The verdict's Unknown is true only for
// a write of which at least the headers were sent.
func (c *Client) Do(ctx context.Context, r Request) (Answer, classify.Verdict) {
	if err := CheckURL(r.Adapter, r.URL, c.dev); err != nil {
		return Answer{}, Fault(classify.InvalidRequest, "request:url", err.Error())
	}
	if len(r.Body) > MaxRequest {
		return Answer{}, Fault(classify.PayloadTooLarge, "request:size",
			fmt.Sprintf("the request body is %d bytes; at most %d are sent", len(r.Body), MaxRequest))
	}
	ctx, done := measured(ctx, r.Op == classify.Token)
	defer done()
	var sent atomic.Bool
	// The transport may write a request again on a new connection if the old one
	// was closed before it arrived: that is still one request to the vendor.
	trace := &httptrace.ClientTrace{WroteHeaders: func() {
		if !sent.Swap(true) && r.Sent != nil {
			r.Sent()
		}
	}}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return Answer{}, Fault(classify.InvalidRequest, "request:invalid", err.Error())
	}
	req.Header = r.Header.Clone()

	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, c.failed(err, r, sent.Load(), 0)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody+1))
	ok := resp.StatusCode/100 == 2
	switch {
	case ok && err != nil:
		return Answer{}, c.failed(err, r, true, resp.StatusCode)
	case ok && len(body) > MaxBody:
		v := Fault(classify.PayloadTooLarge, "response:size",
			fmt.Sprintf("the vendor answered HTTP %d with more than %d bytes; ask for less at a time", resp.StatusCode, MaxBody))
		v.HTTPStatus = resp.StatusCode
		if r.Op == classify.Write {
			v = v.WithEffect(classify.Open, false)
		}
		return Answer{}, v
	}
	a := Answer{Status: resp.StatusCode, Header: resp.Header, Body: body[:min(len(body), MaxBody)]}
	return a, classify.Response(classify.Seen{
		Op: r.Op, Status: a.Status, Header: a.Header, Body: a.Body,
		Truncated: err != nil || len(body) > MaxBody, Received: time.Now(),
	}, r.Codes)
}

// failed turns a transport error into a verdict. Whether a write may have
// happened needs both: an error after which it can, and bytes that were sent.
func (c *Client) failed(err error, r Request, sent bool, status int) classify.Verdict {
	if Prohibited(err) {
		return Fault(classify.InvalidRequest, "dial:address",
			fmt.Sprintf("host %q resolves to an address that must not be called", r.URL.Hostname()))
	}
	v := classify.Err(bare(err))
	v.HTTPStatus = status
	switch {
	case r.Op != classify.Write:
		return v.WithEffect("", false)
	case !sent:
		return v.WithEffect(classify.None, false)
	case status != 0:
		return v.WithEffect(classify.Open, false)
	}
	return v
}

// bare drops the *url.Error around a transport error: it prints the whole
// query string. What it wraps is all that matters.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// JSON returns a body as a value for [Response.Body]: JSON as it is, anything
// else as a JSON string, and nil for nothing.
func JSON(body []byte) json.RawMessage {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	case json.Valid(body):
		return body
	}
	text, _ := json.Marshal(string(bytes.ToValidUTF8(body, []byte("\ufffd"))))
	return text
}
