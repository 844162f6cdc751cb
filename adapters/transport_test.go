package adapters_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
)

// peer is a vendor made of sockets: serve gets each connection, counted from 1,
// below and above TLS; both are the same without it.
type peer struct {
	client *adapters.Client
	url    *url.URL
	conns  atomic.Int64
	stop   func()
}

type handler func(n int64, below *net.TCPConn, c net.Conn)

var schemes = []string{"http", "https"}

// authority is the certificate of httptest, and who trusts it.
var authority = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return s.TLS.Certificates[0], pool
})

func listen(t *testing.T, scheme string, config *tls.Config, serve handler) *peer {
	t.Helper()
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10) })
	}}
	l, err := small.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	certificate, trusted := authority()
	if config == nil {
		config = &tls.Config{}
	}
	config.Certificates = []tls.Certificate{certificate}
	p := &peer{url: &url.URL{Scheme: scheme, Host: l.Addr().String(), Path: "/graphql"}}
	p.client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{p.url.Host}, TLS: &tls.Config{RootCAs: trusted}})

	var mu sync.Mutex
	var open []net.Conn
	var running sync.WaitGroup
	running.Go(func() {
		for {
			below, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, below)
			mu.Unlock()
			c, n := below, p.conns.Add(1)
			running.Go(func() {
				defer below.Close()
				if scheme == "https" {
					over := tls.Server(&late{Conn: below}, config)
					if over.HandshakeContext(context.Background()) != nil {
						return
					}
					c = over
				}
				serve(n, below.(*net.TCPConn), c)
			})
		}
	})
	p.stop = sync.OnceFunc(func() {
		p.client.CloseIdle()
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	t.Cleanup(p.stop)
	return p
}

func (p *peer) write(method, body string) adapters.Request {
	return adapters.Request{Adapter: "xledger", Hosts: xledger.Vendor.Hosts, Method: method, URL: p.url, Header: http.Header{}, Body: []byte(body), Op: classify.Write}
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"data\":{}}"

// onConn calls f each time a request has a connection and has not used it yet.
func onConn(ctx context.Context, f func(httptrace.GotConnInfo)) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: f})
}

func requireOpen(t *testing.T, v classify.Verdict) {
	t.Helper()
	require.Equal(t, classify.Open, v.Effect, "%+v", v)
	require.False(t, v.Ended)
}

func requireNone(t *testing.T, v classify.Verdict) {
	t.Helper()
	require.Equal(t, classify.None, v.Effect, "%+v", v)
}

// Whatever net/http thinks may be repeated, a write of which a byte left is not.
func TestNoResendAfterBytesLeft(t *testing.T) {
	for _, scheme := range schemes {
		for _, c := range []struct {
			method, body, header string
		}{
			{http.MethodPost, "{}", ""}, {http.MethodPost, "", ""}, {http.MethodPatch, "{}", ""}, {http.MethodDelete, "", ""},
			{http.MethodGet, "", ""}, {http.MethodPost, "{}", "Idempotency-Key"}, {http.MethodPost, "", "X-Idempotency-Key"},
		} {
			t.Run(scheme+" "+c.method+c.body+c.header, func(t *testing.T) {
				var requests atomic.Int64
				p := listen(t, scheme, nil, func(_ int64, _ *net.TCPConn, conn net.Conn) {
					for br := bufio.NewReader(conn); ; {
						r, err := http.ReadRequest(br)
						if err != nil {
							return
						}
						_, _ = io.Copy(io.Discard, r.Body)
						if requests.Add(1) > 1 {
							return // as a server that closes what was idle for too long
						}
						io.WriteString(conn, fine)
					}
				})
				r := p.write(c.method, c.body)
				if c.header != "" {
					r.Header.Set(c.header, "1")
				}
				var sent atomic.Int64
				r.Sent = func() { sent.Add(1) }
				_, v := p.client.Do(t.Context(), r)
				require.Equal(t, classify.Success, v.Class, "%+v", v)
				_, v = p.client.Do(t.Context(), r)
				requireOpen(t, v)
				require.Equal(t, classify.Network, v.Kind)
				p.stop()
				require.EqualValues(t, 2, requests.Load())
				require.EqualValues(t, 2, sent.Load())
				if c.body != "" { // without one, net/http dials again and then may not write
					require.EqualValues(t, 1, p.conns.Load())
				}
			})
		}
	}
}

// A connection that ended while it was idle has carried nothing: the write goes
// out once, on a new one.
func TestResendWhenNothingLeft(t *testing.T) {
	t.Parallel()
	for _, scheme := range schemes {
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			t.Run(scheme+" "+method, func(t *testing.T) {
				var requests atomic.Int64
				end, ended := make(chan struct{}), make(chan struct{})
				p := listen(t, scheme, nil, func(n int64, _ *net.TCPConn, conn net.Conn) {
					r, err := http.ReadRequest(bufio.NewReader(conn))
					if err != nil {
						return
					}
					body, _ := io.ReadAll(r.Body)
					requests.Add(1)
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body)+8, `{"data":`+string(body))
					if n == 1 {
						<-end
						conn.Close()
						close(ended)
					}
				})
				r := p.write(method, "1}")
				if method == http.MethodDelete {
					r.Body = nil
				}
				var sent atomic.Int64
				r.Sent = func() { sent.Add(1) }
				p.client.Do(t.Context(), r)
				ctx := onConn(t.Context(), func(i httptrace.GotConnInfo) {
					if i.Reused {
						close(end)
						<-ended
						time.Sleep(50 * time.Millisecond) // until the client has seen it
					}
				})
				a, v := p.client.Do(ctx, r)
				if method == http.MethodPost {
					require.Equal(t, classify.Success, v.Class, "%+v", v)
					require.Equal(t, `{"data":1}`, string(a.Body))
				}
				require.Equal(t, 200, a.Status)
				p.stop()
				require.EqualValues(t, 2, requests.Load())
				require.EqualValues(t, 2, p.conns.Load())
				require.EqualValues(t, 2, sent.Load())
			})
		}
	}
}

// The pool may hold several connections that have ended; the second try takes
// none of them.
func TestResendTakesNoKeptConnection(t *testing.T) {
	t.Parallel()
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			var requests atomic.Int64
			var ends sync.Map // what ends a connection, by the client's address
			both := make(chan struct{})
			p := listen(t, scheme, nil, func(_ int64, below *net.TCPConn, conn net.Conn) {
				end := make(chan struct{})
				ends.Store(below.RemoteAddr().String(), func() {
					close(end)
					time.Sleep(50 * time.Millisecond) // until the client has seen it
				})
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				if requests.Add(1) == 2 {
					close(both)
				}
				<-both
				io.WriteString(conn, fine)
				<-end
			})
			var first sync.WaitGroup
			for range 2 {
				first.Go(func() { p.client.Do(t.Context(), p.write(http.MethodPost, "")) })
			}
			first.Wait()
			t.Cleanup(func() { // before the peer stops
				ends.Range(func(key, end any) bool {
					if _, open := ends.LoadAndDelete(key); open {
						end.(func())()
					}
					return true
				})
			})
			_, v := p.client.Do(onConn(t.Context(), func(i httptrace.GotConnInfo) {
				if !i.Reused {
					return
				}
				if end, ok := ends.LoadAndDelete(i.Conn.LocalAddr().String()); ok {
					end.(func())()
				}
			}), p.write(http.MethodPost, "{}"))
			require.Equal(t, classify.Success, v.Class, "%+v", v)
			require.EqualValues(t, 3, requests.Load())
			require.EqualValues(t, 3, p.conns.Load())
		})
	}
}

// The second try is the last one, and what became of it is what counts.
func TestResendOnce(t *testing.T) {
	for name, again := range map[string]func(net.Conn){
		"cut after the request": func(conn net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(conn)) },
		"no connection":         nil,
	} {
		t.Run(name, func(t *testing.T) {
			end, ended := make(chan struct{}), make(chan struct{})
			p := listen(t, "http", nil, func(n int64, _ *net.TCPConn, conn net.Conn) {
				if n > 1 {
					again(conn)
					return
				}
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				io.WriteString(conn, fine)
				<-end
				conn.Close()
				close(ended)
			})
			p.client.Do(t.Context(), p.write(http.MethodPost, ""))
			_, v := p.client.Do(onConn(t.Context(), func(i httptrace.GotConnInfo) {
				if i.Reused {
					close(end)
					<-ended
					if again == nil {
						p.stop()
					}
					time.Sleep(50 * time.Millisecond)
				}
			}), p.write(http.MethodPost, "{}"))
			require.Equal(t, classify.Network, v.Kind, "%+v", v)
			if again == nil {
				requireNone(t, v)
				return
			}
			requireOpen(t, v)
			p.stop()
			require.EqualValues(t, 2, p.conns.Load())
		})
	}
}

func TestProtocols(t *testing.T) {
	var mu sync.Mutex
	seen := make(map[string]string)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.URL.RawQuery] = r.Proto
		mu.Unlock()
		io.WriteString(w, `{"data":{},"access_token":"x"}`)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	u, _ := url.Parse(s.URL)
	_, trusted := authority()
	c := adapters.NewClient(adapters.ClientOptions{DevHosts: []string{u.Host}, TLS: &tls.Config{RootCAs: trusted}})
	defer c.CloseIdle()
	for _, op := range []classify.Op{classify.Read, classify.Write, classify.Token} {
		for range 2 {
			u.RawQuery = string(op)
			r := read(u)
			r.Op = op
			var timing adapters.Timing
			_, v := c.Do(adapters.WithTiming(t.Context(), &timing), r)
			require.Equal(t, classify.Success, v.Class, "%+v", v)
			if p := timing.Parts(); p.Dialled {
				require.Positive(t, p.TLS)
				require.Positive(t, p.Connect)
			}
		}
	}
	require.Equal(t, map[string]string{"read": "HTTP/2.0", "token": "HTTP/2.0", "write": "HTTP/1.1"}, seen)
}

// A write that is given up while the vendor does not read must not arrive when
// it reads again: what the kernel still holds is thrown away.
func TestAbandonedWriteIsReset(t *testing.T) {
	t.Parallel()
	for _, scheme := range schemes {
		for _, how := range []string{"deadline", "cancelled"} {
			t.Run(scheme+" "+how, func(t *testing.T) {
				given := make(chan struct{})
				var got int64
				var end error
				p := listen(t, scheme, nil, func(_ int64, below *net.TCPConn, _ net.Conn) {
					<-given
					got, end = io.Copy(io.Discard, below)
				})
				timeout, kind := time.Second, classify.AttemptTimeout
				if how == "cancelled" {
					timeout, kind = time.Minute, classify.Cancelled
				}
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				if how == "cancelled" {
					ctx = onConn(ctx, func(httptrace.GotConnInfo) { time.AfterFunc(100*time.Millisecond, cancel) })
				}
				_, v := p.client.Do(ctx, p.write(http.MethodPost, strings.Repeat("x", adapters.MaxRequest)))
				close(given)
				requireOpen(t, v)
				require.Equal(t, kind, v.Kind)
				p.client.CloseIdle()
				time.Sleep(50 * time.Millisecond)
				p.stop()
				require.Less(t, got, int64(adapters.MaxRequest/2))
				require.ErrorIs(t, end, syscall.ECONNRESET)
			})
		}
	}
}

// An attempt that ends after the connection is there and before it is used
// sends nothing: after a pause of the process, say.
func TestNothingLeavesAfterTheEnd(t *testing.T) {
	t.Parallel()
	for _, scheme := range schemes {
		for _, how := range []string{"deadline", "cancelled"} {
			for _, kept := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s kept=%t", scheme, how, kept), func(t *testing.T) {
					var requests atomic.Int64
					p := listen(t, scheme, nil, func(_ int64, _ *net.TCPConn, conn net.Conn) {
						for br := bufio.NewReader(conn); ; {
							if _, err := br.ReadByte(); err != nil {
								return
							}
							requests.Add(1)
							_ = br.UnreadByte()
							if _, err := http.ReadRequest(br); err != nil {
								return
							}
							io.WriteString(conn, fine)
						}
					})
					if kept {
						p.client.Do(t.Context(), p.write(http.MethodPost, ""))
					}
					before := requests.Load()
					timeout, kind := 300*time.Millisecond, classify.AttemptTimeout
					if how == "cancelled" {
						timeout, kind = time.Minute, classify.Cancelled
					}
					ctx, cancel := context.WithTimeout(t.Context(), timeout)
					defer cancel()
					_, v := p.client.Do(onConn(ctx, func(httptrace.GotConnInfo) {
						if how == "cancelled" {
							cancel()
						} else {
							<-ctx.Done()
						}
					}), p.write(http.MethodPost, "{}"))
					requireNone(t, v)
					require.Equal(t, kind, v.Kind, "%+v", v)
					p.stop()
					require.Equal(t, before, requests.Load())
				})
			}
		}
	}
}

// A write whose connection is there too late for an answer is not sent, and its
// attempt goes on; a read is not held to that.
func TestNothingBeginsTooLate(t *testing.T) {
	t.Parallel()
	for _, scheme := range schemes {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s kept=%t", scheme, kept), func(t *testing.T) {
				var requests atomic.Int64
				p := listen(t, scheme, nil, func(_ int64, _ *net.TCPConn, conn net.Conn) {
					for br := bufio.NewReader(conn); ; {
						if _, err := http.ReadRequest(br); err != nil {
							return
						}
						requests.Add(1)
						io.WriteString(conn, fine)
					}
				})
				if kept {
					p.client.Do(t.Context(), p.write(http.MethodPost, ""))
				}
				before, conns := requests.Load(), p.conns.Load()
				for _, method := range []string{http.MethodPost, http.MethodDelete} {
					_, v := p.client.Do(adapters.SendBy(t.Context(), time.Now()), p.write(method, ""))
					requireNone(t, v)
					require.Equal(t, classify.Late, v.Kind, "%+v", v)
					require.True(t, v.Retry())
				}
				require.LessOrEqual(t, p.conns.Load()-conns, int64(2), "a new connection would be as late")
				r := p.write(http.MethodPost, "")
				r.Op = classify.Read
				_, v := p.client.Do(adapters.SendBy(t.Context(), time.Now()), r)
				require.Equal(t, classify.Success, v.Class, "%+v", v)
				_, v = p.client.Do(adapters.SendBy(t.Context(), time.Now().Add(time.Minute)), p.write(http.MethodPost, ""))
				require.Equal(t, 200, v.HTTPStatus, "%+v", v)
				p.stop()
				require.Equal(t, before+2, requests.Load())
			})
		}
	}
}

// Whoever gives up while there is no connection yet has sent nothing.
func TestGivenUpWithoutAConnection(t *testing.T) {
	t.Parallel()
	done := make(chan struct{}) // net/http goes on dialling for whoever comes next
	defer close(done)
	hanging := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		<-done
		return nil, errors.New("no resolver")
	}}
	c := adapters.NewClient(adapters.ClientOptions{Resolver: hanging})
	u, _ := url.Parse("https://www.xledger.net/graphql")
	for _, op := range []classify.Op{classify.Read, classify.Write} {
		for _, kind := range []classify.Kind{classify.Cancelled, classify.AttemptTimeout} {
			timeout := 50 * time.Millisecond
			if kind == classify.Cancelled {
				timeout = time.Minute
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			if kind == classify.Cancelled {
				time.AfterFunc(20*time.Millisecond, cancel)
			}
			r := read(u)
			r.Op = op
			_, v := c.Do(ctx, r)
			require.Equal(t, kind, v.Kind, "%+v", v)
			if op == classify.Write {
				requireNone(t, v)
			} else {
				require.Empty(t, v.Effect)
			}
		}
	}
}

// What is wrong with the request itself, or its address, is found before it is
// sent.
func TestUnsentRequests(t *testing.T) {
	p := listen(t, "http", nil, func(int64, *net.TCPConn, net.Conn) {})
	private := adapters.NewClient(adapters.ClientOptions{Resolver: answering(net.ParseIP("10.0.0.1"))})
	named, _ := url.Parse("https://www.xledger.net/graphql")
	other, _ := url.Parse("https://vendor.example/")
	for rule, ask := range map[string]func(r adapters.Request) (adapters.Answer, classify.Verdict){
		"request:url": func(r adapters.Request) (adapters.Answer, classify.Verdict) {
			r.URL = other
			return p.client.Do(t.Context(), r)
		},
		"request:size": func(r adapters.Request) (adapters.Answer, classify.Verdict) {
			r.Body = make([]byte, adapters.MaxRequest+1)
			return p.client.Do(t.Context(), r)
		},
		"request:invalid": func(r adapters.Request) (adapters.Answer, classify.Verdict) {
			r.Method = "GET /"
			return p.client.Do(t.Context(), r)
		},
		"error:header": func(r adapters.Request) (adapters.Answer, classify.Verdict) {
			r.Header = http.Header{"X": {"a\nb"}}
			return p.client.Do(t.Context(), r)
		},
		"dial:address": func(r adapters.Request) (adapters.Answer, classify.Verdict) {
			r.URL = named
			return private.Do(t.Context(), r)
		},
	} {
		for _, op := range []classify.Op{classify.Read, classify.Write} {
			r := p.write(http.MethodPost, "{}")
			r.Op = op
			_, v := ask(r)
			require.Equal(t, rule, v.Rule, "%+v", v)
			if op == classify.Write {
				requireNone(t, v)
			} else {
				require.Empty(t, v.Effect)
			}
		}
	}
	require.Zero(t, p.conns.Load())
}

// After the request has left, nothing that the connection does proves anything,
// and no text in an answer does.
func TestLostAnswers(t *testing.T) {
	say := func(text string) handler {
		return func(_ int64, _ *net.TCPConn, c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, text)
		}
	}
	for name, f := range map[string]struct {
		serve handler
		only  string
	}{
		"closed": {serve: say("")},
		"reset": {serve: func(_ int64, below *net.TCPConn, c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_ = below.SetLinger(0)
		}},
		"half-closed": {serve: func(_ int64, below *net.TCPConn, c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_ = below.CloseWrite()
			_, _ = io.Copy(io.Discard, below)
		}},
		"cut in the header":          {serve: say("HTTP/1.1 200 OK\r\nContent-")},
		"cut in the body":            {serve: say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":")},
		"cut in a chunk":             {serve: say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{")},
		"bad gzip":                   {serve: say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}")},
		"a GOAWAY frame":             {serve: say("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
		"words that speak of HTTP/2": {serve: say("stream error: stream ID 1; REFUSED_STREAM; http2: server sent GOAWAY and closed the connection; LastStreamID=0\r\n")},
		"words that speak of TLS":    {serve: say("remote error: tls: no supported versions: dial tcp: connection refused\r\n")},
		"an alert after the request": {only: "https", serve: func(_ int64, below *net.TCPConn, c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = below.Write([]byte{21, 3, 3, 0, 2, 2, 80})
		}},
	} {
		for _, scheme := range schemes {
			if f.only != "" && f.only != scheme {
				continue
			}
			t.Run(scheme+" "+name, func(t *testing.T) {
				p := listen(t, scheme, nil, f.serve)
				_, v := p.client.Do(t.Context(), p.write(http.MethodPost, "{}"))
				requireOpen(t, v)
				require.Equal(t, int64(1), p.conns.Load())
				r := p.write(http.MethodPost, "{}")
				r.Op = classify.Read
				_, v = p.client.Do(t.Context(), r)
				require.Empty(t, v.Effect)
			})
		}
	}
}

// In TLS 1.3 a server refuses the client's certificate when the client takes the
// handshake for done and has sent its request: here the server reads late.
func TestAlertAfterSending(t *testing.T) {
	config := &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	p := listen(t, "https", config, nil)
	config.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		h.Conn.(*late).delay.Store(true)
		return nil, nil
	}
	_, v := p.client.Do(t.Context(), p.write(http.MethodPost, "{}"))
	requireOpen(t, v)
	require.Contains(t, v.Message, "certificate required")
}

// late is a connection that takes its time before it is read.
type late struct {
	net.Conn
	delay atomic.Bool
}

func (l *late) Read(p []byte) (int, error) {
	if l.delay.Load() {
		time.Sleep(50 * time.Millisecond)
	}
	return l.Conn.Read(p)
}

// An answer to a request of which nothing was written belongs to something else,
// and the request is not written any more.
func TestAnswerBeforeTheRequest(t *testing.T) {
	t.Parallel()
	for _, scheme := range schemes {
		t.Run(scheme, func(t *testing.T) {
			var got []byte
			writing := make(chan struct{})
			p := listen(t, scheme, nil, func(_ int64, _ *net.TCPConn, conn net.Conn) {
				<-writing
				io.WriteString(conn, fine)
				got, _ = io.ReadAll(conn)
			})
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{WroteHeaderField: func(key string, _ []string) {
				if key == "Host" { // in the buffer, and not flushed
					close(writing)
					time.Sleep(300 * time.Millisecond)
				}
			}})
			_, v := p.client.Do(ctx, p.write(http.MethodPost, "{}"))
			requireNone(t, v)
			require.Equal(t, classify.Network, v.Kind)
			p.client.CloseIdle()
			time.Sleep(350 * time.Millisecond)
			p.stop()
			require.Empty(t, string(got))
		})
	}
}

// Each write of a worker must not cost a handshake either, and a connection
// outlives the deadline of a request that has ended.
func TestWritesReuseConnections(t *testing.T) {
	t.Parallel()
	for _, scheme := range schemes {
		p := listen(t, scheme, nil, func(_ int64, _ *net.TCPConn, conn net.Conn) {
			for br := bufio.NewReader(conn); ; {
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				io.WriteString(conn, fine)
			}
		})
		for i := range 10 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, v := p.client.Do(ctx, p.write(http.MethodPost, strings.Repeat("x", 100<<10)))
			if i == 5 {
				<-ctx.Done()
			}
			cancel()
			require.Equal(t, classify.Success, v.Class, "%+v", v)
		}
		require.EqualValues(t, 1, p.conns.Load())
	}
}

// An answer that switches protocols hands over the bare connection, which knows no
// deadline: it is not read.
func TestSwitchedProtocols(t *testing.T) {
	for _, scheme := range schemes {
		for _, op := range []classify.Op{classify.Write, classify.Read} {
			over := make(chan struct{})
			p := listen(t, scheme, nil, func(_ int64, _ *net.TCPConn, conn net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
				}
				select {
				case <-over:
				case <-time.After(3 * time.Second):
				}
			})
			r := p.write(http.MethodPost, "{}")
			r.Op = op
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, v := p.client.Do(ctx, r)
			require.NoError(t, ctx.Err(), "%s %s: it was waited for", scheme, op)
			cancel()
			require.Equal(t, classify.InvalidResponse, v.Kind)
			if op == classify.Write {
				requireOpen(t, v)
			}
			close(over)
		}
	}
}
