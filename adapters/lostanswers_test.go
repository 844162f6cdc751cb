package adapters_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

func requireOpen(t *testing.T, v classify.Verdict) {
	t.Helper()
	require.Equal(t, classify.Open, v.Effect, "%+v", v)
	require.False(t, v.Ended)
}

func requireNone(t *testing.T, v classify.Verdict) {
	t.Helper()
	require.Equal(t, classify.None, v.Effect, "%+v", v)
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
