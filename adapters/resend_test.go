package adapters_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
)

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
