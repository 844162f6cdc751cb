package adapters_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
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
