package adapters

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/ledgerline/ledgerline/classify"
)

// Limits of one exchange. A vendor that sends more is cut off.
const (
	// MaxAnswer is the largest answer that is read and judged, in bytes after
	// decompression.
	MaxAnswer = 4 << 20
	// MaxBody is the largest body that is passed on, in bytes once it is
	// encoded, see [passable]. A Temporal result may be 2 MB; the attempt trail
	// and the envelope need the rest.
	MaxBody = 1 << 20
	// MaxRequest is the largest request body that is sent, in bytes.
	MaxRequest = 1 << 20

	maxResponseHeader = 64 << 10
	handshakeTimeout  = 5 * time.Second
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
	// UserTimeout is how long a connection lasts while what was sent over it is
	// not acknowledged (TCP_USER_TIMEOUT, on Linux only): the length of one
	// attempt; 10 s if it is 0.
	UserTimeout time.Duration
}

// Client is the one way out. Its promises: only hosts on the adapter's list,
// only public addresses (checked on the address that is dialled, so that a
// name cannot be rebound after the check), TLS 1.2 or later, no proxy, no
// redirect, no cookie, at most 64 KB of response headers and [MaxAnswer] of body.
// It makes each request once; a verdict says what happened.
//
// Writes have connections of their own, over HTTP/1.1: no byte of a write leaves
// after its deadline, none is sent a second time, and when a write is given up,
// its connection is reset. Reads and token requests may share HTTP/2
// connections, over which net/http repeats what it knows to be harmless.
//
// A Client keeps connections alive and is shared by a whole worker.
type Client struct {
	reads  *http.Client
	writes *http.Client
	fresh  *http.Client // writes that met a connection which had ended: it dials for each of them
	dev    []string
}

// NewClient returns a Client.
func NewClient(o ClientOptions) *Client {
	return &Client{dev: slices.Clone(o.DevHosts), reads: Guarded(o), writes: guardedWrites(o, true), fresh: guardedWrites(o, false)}
}

// Guarded returns the HTTP client below a [Client], for those who call what is
// no vendor: it has the Client's promises for reads but for the list of hosts
// and the cap on the body. Check the address with [CheckPublicURL] first.
func Guarded(o ClientOptions) *http.Client {
	t := guarded(o)
	t.ForceAttemptHTTP2 = true
	return &http.Client{CheckRedirect: noRedirects, Transport: t}
}

// guardedWrites returns the HTTP client for writes.
func guardedWrites(o ClientOptions, keepAlive bool) *http.Client {
	t := guarded(o)
	config := t.TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	open := dial(t.DialContext)
	t.DialContext, t.DialTLSContext = open.forWrites, open.forTLSWrites(config)
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{} // no HTTP/2
	t.DisableKeepAlives = !keepAlive
	return &http.Client{CheckRedirect: noRedirects, Transport: t}
}

func noRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func guarded(o ClientOptions) *http.Transport {
	guard := ssrf.New(ssrf.WithPorts(443))
	userTimeout := cmp.Or(o.UserTimeout, 10*time.Second)
	dev := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Resolver: o.Resolver,
		Control: func(_, _ string, c syscall.RawConn) error { return setUserTimeout(c, userTimeout) }}
	public := *dev
	public.Control = func(network, address string, c syscall.RawConn) error {
		if err := guard.Safe(network, address, c); err != nil {
			return err
		}
		return setUserTimeout(c, userTimeout)
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		tlsConfig = o.TLS.Clone()
		tlsConfig.MinVersion = max(tlsConfig.MinVersion, tls.VersionTLS12)
	}
	return &http.Transport{
		Proxy: nil, // with a proxy the address check would only ever see the proxy
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if slices.Contains(o.DevHosts, addr) {
				return dev.DialContext(ctx, network, addr)
			}
			return public.DialContext(ctx, network, addr)
		},
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxResponseHeader,
	}
}

// Prohibited reports whether an error of a [Guarded] client means that the
// address must not be called.
func Prohibited(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedPort) || errors.Is(err, ssrf.ErrProhibitedNetwork)
}

// CloseIdle closes the connections that are not in use.
func (c *Client) CloseIdle() {
	for _, h := range []*http.Client{c.reads, c.writes, c.fresh} {
		h.CloseIdleConnections()
	}
}

// Request is one HTTP request of an adapter.
type Request struct {
	Adapter string   // for messages
	Hosts   []string // where it may go, see [CheckURL]
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

// unsent is a verdict on a request of which no byte has left.
func (r Request) unsent(v classify.Verdict) classify.Verdict {
	if r.Op == classify.Write {
		v.Effect = classify.None
	}
	return v
}

// Answer is what came back. Its body may be larger than what is passed on: see
// [passable].
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do makes a request once and says what happened. The context's deadline
// bounds all of it, the body included.
//
// The verdict on a write says what is known of its effect. It is none if no byte
// of the request left, which the sockets know and the type of an error does not show; it
// is open if one left and no answer came.
func (c *Client) Do(ctx context.Context, r Request) (a Answer, v classify.Verdict) {
	if err := CheckURL(r.Adapter, r.Hosts, r.URL, c.dev); err != nil {
		return Answer{}, r.unsent(classify.NewVerdict(classify.InvalidRequest, "request:url", err.Error()))
	}
	if len(r.Body) > MaxRequest {
		return Answer{}, r.unsent(classify.NewVerdict(classify.PayloadTooLarge, "request:size",
			fmt.Sprintf("the request body is %d bytes; at most %d are sent", len(r.Body), MaxRequest)))
	}
	ctx, span := startSpan(ctx, r)
	defer func() { endSpan(span, v) }()
	ctx, done := measured(ctx, r.Op == classify.Token)
	defer done()
	var sent atomic.Bool
	// It may be written again on a new connection if the old one had ended before
	// it arrived: that is still one request to the vendor.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() {
		if !sent.Swap(true) && r.Sent != nil {
			r.Sent()
		}
	}})
	if r.Op == classify.Write {
		return judge(r, c.write(ctx, r))
	}
	return judge(r, exchange(ctx, c.reads, r, nil))
}

// errRequest is said of a request that net/http does not make.
var errRequest = errors.New("the request is not one")

// errEarly is said of an answer that came before its request was sent: it
// belongs to something else.
var errEarly = errors.New("malformed HTTP response: it came before the request was sent")

// write makes a write. A kept connection may have ended while it was idle: if
// that is noticed before a byte of the request was written, the request is made
// once more, on a connection that is new.
func (c *Client) write(ctx context.Context, r Request) httpResult {
	try := func(over *http.Client) (httpResult, *sending) {
		s := newSending(ctx)
		x := exchange(httptrace.WithClientTrace(ctx, s.trace()), over, r, s)
		unsent, refused := s.stop()
		x.unsent = unsent
		switch {
		case x.err != nil && refused != nil: // or the error would be what net/http made of it
			x.err = refused
		case x.err == nil && unsent:
			x.err = errEarly
		}
		return x, s
	}
	x, s := try(c.writes)
	if x.unsent && s.reused.Load() && ctx.Err() == nil && !errors.Is(x.err, errLate) {
		x, _ = try(c.fresh)
	}
	return x
}

// httpResult is what came of a request.
type httpResult struct {
	err    error // there is no answer
	unsent bool  // a write, and no byte of it left

	status int
	header http.Header
	body   []byte // at most one byte more than is read
	cut    error  // why the body ended before its end
}

// exchange sends a request and reads its answer. s is the try of a write.
func exchange(ctx context.Context, over *http.Client, r Request, s *sending) httpResult {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return httpResult{err: fmt.Errorf("%w: %w", errRequest, err)}
	}
	req.Header = r.Header.Clone()
	if s != nil {
		req.GetBody = nil // without it net/http cannot send a body twice
	}
	resp, err := over.Do(req)
	if err != nil {
		return httpResult{err: err}
	}
	defer resp.Body.Close()
	x := httpResult{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return x // what follows is the bare connection, and reading it knows no deadline
	}
	x.body, x.cut = io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	if s != nil {
		s.answered.Store(x.cut == nil && len(x.body) <= MaxAnswer)
	}
	return x
}

// judge says what a request came to.
func judge(r Request, x httpResult) (Answer, classify.Verdict) {
	if x.err != nil {
		return Answer{}, failed(r, x.err, x)
	}
	ok, large := x.status/100 == 2, len(x.body) > MaxAnswer
	switch {
	case ok && x.cut != nil:
		return Answer{}, failed(r, x.cut, x)
	case ok && large && r.Op == classify.Write:
		v := classify.NewVerdict(classify.IncompleteResponse, "body:truncated",
			fmt.Sprintf("the vendor answered HTTP %d with more than %d bytes; the answer was cut off", x.status, MaxAnswer))
		v.HTTPStatus, v.Effect = x.status, classify.Open
		return Answer{}, v
	case ok && large:
		v := classify.NewVerdict(classify.PayloadTooLarge, "response:size",
			fmt.Sprintf("the vendor answered HTTP %d with more than %d bytes; ask for less at a time", x.status, MaxAnswer))
		v.HTTPStatus = x.status
		return Answer{}, v
	}
	a := Answer{Status: x.status, Header: x.header, Body: x.body[:min(len(x.body), MaxAnswer)]}
	return a, classify.Response(classify.HTTPResponse{
		Op: r.Op, Status: a.Status, Header: a.Header, Body: a.Body,
		Truncated: x.cut != nil || large, Received: time.Now(),
	}, r.Codes)
}

// failed turns a transport error into a verdict. What it says of a write's
// effect goes by what the sockets wrote alone. An error's type or text proves
// nothing: a refused certificate may be the vendor's answer to a request, and a
// malformed answer is quoted in its error.
func failed(r Request, err error, x httpResult) classify.Verdict {
	v := classify.Err(bare(err))
	switch {
	case errors.Is(err, errRequest):
		v = classify.NewVerdict(classify.InvalidRequest, "request:invalid", err.Error())
	case errors.Is(err, errLate):
		v = classify.NewVerdict(classify.Late, "send:late", errLate.Error()+"; nothing was sent")
	case Prohibited(err):
		v = classify.NewVerdict(classify.InvalidRequest, "dial:address",
			fmt.Sprintf("host %q resolves to an address that must not be called", r.URL.Hostname()))
	}
	v.HTTPStatus = x.status
	v.Effect, v.Ended = "", false
	switch {
	case x.unsent:
		v = r.unsent(v)
	case r.Op == classify.Write:
		v.Effect = classify.Open
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
