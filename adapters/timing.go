package adapters

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"
)

// Timing measures where the time of an attempt's requests goes. It is safe for
// concurrent use: a token may be fetched on behalf of several callers.
type Timing struct {
	mu    sync.Mutex
	parts Parts
}

// Parts are the parts of an attempt's requests. What was there already took no
// time: a connection that was alive, a token that was held.
type Parts struct {
	DNS       time.Duration `json:"dns"`
	Connect   time.Duration `json:"connect"`
	TLS       time.Duration `json:"tls"`
	Token     time.Duration `json:"token"`     // the whole request for an access token
	FirstByte time.Duration `json:"firstByte"` // from the vendor's request being written to its answer
	Dialled   bool          `json:"dialled"`   // a connection was opened
	Fetched   bool          `json:"fetched"`   // a token was fetched
}

// Cold reports whether the vendor could not be asked at once.
func (p Parts) Cold() bool { return p.Dialled || p.Fetched }

// Parts returns what was measured so far.
func (t *Timing) Parts() (p Parts) {
	t.do(func(now *Parts) { p = *now })
	return p
}

// do runs f alone: the transport calls its hooks from several goroutines, some
// of them after the request is over.
func (t *Timing) do(f func(*Parts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.parts)
}

type timingKey struct{}

// WithTiming makes the requests under ctx measured.
func WithTiming(ctx context.Context, t *Timing) context.Context {
	return context.WithValue(ctx, timingKey{}, t)
}

// measured returns ctx with the measuring of one request, if it is wanted, and
// what to call at its end.
func measured(ctx context.Context, token bool) (context.Context, func()) {
	t, ok := ctx.Value(timingKey{}).(*Timing)
	if !ok {
		return ctx, func() {}
	}
	began := time.Now()
	var dns, connect, hello, wrote time.Time // of this request
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { t.do(func(*Parts) { dns = time.Now() }) },
		DNSDone:           func(httptrace.DNSDoneInfo) { t.do(func(p *Parts) { p.DNS += time.Since(dns) }) },
		ConnectStart:      func(string, string) { t.do(func(*Parts) { connect = time.Now() }) },
		ConnectDone:       func(string, string, error) { t.do(func(p *Parts) { p.Connect += time.Since(connect) }) },
		TLSHandshakeStart: func() { t.do(func(*Parts) { hello = time.Now() }) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { t.do(func(p *Parts) { p.TLS += time.Since(hello) }) },
		GotConn:           func(c httptrace.GotConnInfo) { t.do(func(p *Parts) { p.Dialled = p.Dialled || !c.Reused }) },
		WroteRequest:      func(httptrace.WroteRequestInfo) { t.do(func(*Parts) { wrote = time.Now() }) },
		GotFirstResponseByte: func() {
			if !token {
				t.do(func(p *Parts) { p.FirstByte += time.Since(wrote) })
			}
		},
	})
	return ctx, func() {
		if token {
			t.do(func(p *Parts) { p.Token, p.Fetched = p.Token+time.Since(began), true })
		}
	}
}
