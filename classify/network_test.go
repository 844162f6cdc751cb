package classify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/http2"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// A fault is a real one: a socket that misbehaves, and what the guarded client
// makes of it for a read and for a write.
type fault struct {
	serve   func(t *testing.T) string // starts it, returns the base URL
	options func(*adapters.ClientOptions)
	kind    classify.Kind
	unknown bool // after a write, the vendor may have acted
	reads   bool // only a read meets it: writes go over HTTP/1.1
}

var faults = map[string]fault{
	"connection refused": {serve: refused, kind: classify.Network},
	"reset after the request": {serve: raw(func(c *net.TCPConn) {
		readRequest(c)
		_ = c.SetLinger(0)
	}), kind: classify.Network, unknown: true},
	"closed after the request": {serve: raw(func(c *net.TCPConn) { readRequest(c) }), kind: classify.Network, unknown: true},
	"half-closed": {serve: raw(func(c *net.TCPConn) {
		readRequest(c)
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}), kind: classify.Network, unknown: true},
	"cut inside the header": {serve: raw(func(c *net.TCPConn) {
		readRequest(c)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Le")
	}), kind: classify.Network, unknown: true},
	"cut inside the body": {serve: raw(func(c *net.TCPConn) {
		readRequest(c)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":")
	}), kind: classify.Network, unknown: true},
	"cut inside a chunk": {serve: raw(func(c *net.TCPConn) {
		readRequest(c)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"data\":")
	}), kind: classify.Network, unknown: true},
	"not HTTP": {serve: raw(func(c *net.TCPConn) {
		readRequest(c)
		fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2\r\n")
	}), kind: classify.Network, unknown: true},
	"an empty body with status 200": {serve: answer(200, ""), kind: classify.IncompleteResponse, unknown: true},
	"JSON that is cut by an orderly end": {serve: raw(func(c *net.TCPConn) {
		readRequest(c)
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"data\":{\"a\":")
	}), kind: classify.IncompleteResponse, unknown: true},
	"slow header": {serve: hang(""), kind: classify.AttemptTimeout, unknown: true},
	"slow body":   {serve: hang("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\""), kind: classify.AttemptTimeout, unknown: true},
	"HTTP answers a TLS client": {serve: func(t *testing.T) string {
		return "https" + answer(200, "{}")(t)[len("http"):]
	}, kind: classify.TLS},
	"self-signed certificate":         {serve: tlsServer(time.Now().Add(time.Hour), "127.0.0.1"), kind: classify.TLS},
	"expired certificate":             {serve: tlsServer(time.Now().Add(-time.Hour), "127.0.0.1"), options: trustAll, kind: classify.TLS},
	"certificate for another host":    {serve: tlsServer(time.Now().Add(time.Hour), "127.0.0.2"), options: trustAll, kind: classify.TLS},
	"TLS 1.1":                         {serve: oldTLS, options: trustAll, kind: classify.TLS},
	"DNS: no such host":               {serve: named, options: resolver(dnsmessage.RCodeNameError), kind: classify.DNS},
	"DNS: the server fails":           {serve: named, options: resolver(dnsmessage.RCodeServerFailure), kind: classify.DNS},
	"DNS: refused":                    {serve: named, options: resolver(dnsmessage.RCodeRefused), kind: classify.DNS},
	"HTTP/2 GOAWAY":                   {serve: http2Server(goAway), options: trustAll, kind: classify.Network, reads: true},
	"HTTP/2 stream reset":             {serve: http2Server(resetStream), options: trustAll, kind: classify.Network, reads: true},
	"HTTP/2 connection lost":          {serve: http2Server(hangUp), options: trustAll, kind: classify.Network, reads: true},
	"more than 64 KB of header lines": {serve: bigHeader, kind: classify.Network, unknown: true},
}

func TestNetworkFaults(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			base, err := url.Parse(f.serve(t))
			require.NoError(t, err)
			for _, op := range []classify.Op{classify.Read, classify.Write} {
				if f.reads && op == classify.Write {
					continue
				}
				options := adapters.ClientOptions{DevHosts: []string{base.Host}}
				if f.options != nil {
					f.options(&options)
				}
				client := adapters.NewClient(options)
				defer client.CloseIdle()
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				defer cancel()
				_, v := client.Do(ctx, adapters.Request{
					Adapter: "xledger", Method: http.MethodPost, URL: base, Body: []byte(`{"query":"{__typename}"}`),
					Header: http.Header{}, Op: op, Codes: tables["xledger"],
				})
				require.Equal(t, f.kind, v.Kind, "%+v", v)
				want := classify.Effect("")
				switch {
				case op == classify.Write && f.unknown:
					want = classify.Open
				case op == classify.Write:
					want = classify.None
				}
				require.Equal(t, want, v.Effect, "%+v", v)
				require.NotEqual(t, "error:other", v.Rule, "a fault without a rule of its own: %s", v.Message)
				require.NotEmpty(t, v.Message)
			}
		})
	}
}

// The context of the caller, cancelled under way, is no timeout.
func TestCancelled(t *testing.T) {
	base, err := url.Parse(hang("")(t))
	require.NoError(t, err)
	client := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{base.Host}})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, v := client.Do(ctx, adapters.Request{Adapter: "xledger", Method: http.MethodGet, URL: base, Header: http.Header{}, Op: classify.Read})
	require.Equal(t, classify.Cancelled, v.Kind)
	require.Equal(t, classify.Permanent, v.Class)
}

func TestErrIsTotal(t *testing.T) {
	require.Equal(t, classify.Success, classify.Err(nil).Class)
	require.Equal(t, classify.Transient, classify.Err(errors.New("something new")).Class)
	require.Equal(t, classify.Timeout, classify.Err(fmt.Errorf("x: %w", context.DeadlineExceeded)).Class)
	require.Equal(t, classify.Timeout, classify.Err(&url.Error{Op: "Get", URL: "http://x/?token=1", Err: context.DeadlineExceeded}).Class)
	require.NotContains(t, classify.Err(&url.Error{Op: "Get", URL: "http://x/?token=1", Err: io.EOF}).Message, "token")
}

func refused(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return "http://" + l.Addr().String()
}

// serveConns hands each connection to handle, and closes it afterwards.
func serveConns(t *testing.T, l net.Listener, handle func(net.Conn)) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				handle(c)
			}()
		}
	}()
}

// raw serves connections by hand.
func raw(handle func(*net.TCPConn)) func(*testing.T) string {
	return func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		serveConns(t, l, func(c net.Conn) { handle(c.(*net.TCPConn)) })
		return "http://" + l.Addr().String()
	}
}

// readRequest reads what a small request needs.
func readRequest(c net.Conn) {
	buffer := make([]byte, 4096)
	_, _ = c.Read(buffer)
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // the body may come on its own
	_, _ = c.Read(buffer)
	_ = c.SetReadDeadline(time.Time{})
}

// hang answers with the beginning of an answer and then nothing.
func hang(beginning string) func(*testing.T) string {
	return raw(func(c *net.TCPConn) {
		readRequest(c)
		fmt.Fprint(c, beginning)
		_, _ = io.Copy(io.Discard, c) // until the client has gone
	})
}

func answer(status int, body string) func(*testing.T) string {
	return func(t *testing.T) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		s.Config.ErrorLog = nil
		t.Cleanup(s.Close)
		return s.URL
	}
}

func bigHeader(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 200 {
			w.Header().Set(fmt.Sprintf("X-Big-%d", i), fmt.Sprintf("%01000d", i))
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// certificate returns a certificate that signs itself.
func certificate(t *testing.T, until time.Time, ip string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vendor"}, IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	trusted.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// trusted is the authority of the tests that have one.
var trusted = x509.NewCertPool()

func trustAll(o *adapters.ClientOptions) { o.TLS = &tls.Config{RootCAs: trusted} }

func tlsServer(until time.Time, ip string) func(*testing.T) string {
	return func(t *testing.T) string {
		return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate(t, until, ip)}})
	}
}

func oldTLS(t *testing.T) string {
	return serveTLS(t, &tls.Config{
		Certificates: []tls.Certificate{certificate(t, time.Now().Add(time.Hour), "127.0.0.1")},
		MinVersion:   tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	})
}

func serveTLS(t *testing.T, config *tls.Config) string {
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	require.NoError(t, err)
	serveConns(t, l, func(c net.Conn) { _ = c.(*tls.Conn).Handshake() })
	return "https://" + l.Addr().String()
}

// http2Server speaks HTTP/2 frames by hand: misbehave gets the first request's
// stream.
func http2Server(misbehave func(f *http2.Framer, c net.Conn, stream uint32)) func(*testing.T) string {
	return func(t *testing.T) string {
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
			Certificates: []tls.Certificate{certificate(t, time.Now().Add(time.Hour), "127.0.0.1")}, NextProtos: []string{"h2"},
		})
		require.NoError(t, err)
		serveConns(t, l, func(c net.Conn) {
			preface := make([]byte, len(http2.ClientPreface))
			if _, err := io.ReadFull(c, preface); err != nil {
				return
			}
			f := http2.NewFramer(c, c)
			_ = f.WriteSettings()
			for {
				frame, err := f.ReadFrame()
				if err != nil {
					return
				}
				if data, ok := frame.(*http2.DataFrame); ok && data.StreamEnded() {
					misbehave(f, c, data.StreamID)
					return
				}
			}
		})
		return "https://" + l.Addr().String()
	}
}

func goAway(f *http2.Framer, c net.Conn, stream uint32) {
	_ = f.WriteGoAway(stream, http2.ErrCodeInternal, []byte("maintenance"))
	time.Sleep(50 * time.Millisecond)
}

func resetStream(f *http2.Framer, c net.Conn, stream uint32) {
	_ = f.WriteRSTStream(stream, http2.ErrCodeInternal)
	_, _ = io.Copy(io.Discard, c)
}

func hangUp(*http2.Framer, net.Conn, uint32) {}

// named is an address whose name only [resolver] can answer for.
func named(*testing.T) string { return "http://vendor.test:80" }

// resolver asks a DNS server that answers every question with a code.
func resolver(code dnsmessage.RCode) func(*adapters.ClientOptions) {
	return func(o *adapters.ClientOptions) {
		o.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				defer server.Close()
				// Over a stream each message has its length before it.
				head := make([]byte, 2)
				if _, err := io.ReadFull(server, head); err != nil {
					return
				}
				question := make([]byte, int(head[0])<<8|int(head[1]))
				if _, err := io.ReadFull(server, question); err != nil {
					return
				}
				var m dnsmessage.Message
				if m.Unpack(question) != nil {
					return
				}
				m.Response, m.RCode, m.Additionals = true, code, nil
				packed, err := m.Pack()
				if err != nil {
					return
				}
				_, _ = server.Write(append([]byte{byte(len(packed) >> 8), byte(len(packed))}, packed...))
			}()
			return client, nil
		}}
	}
}
