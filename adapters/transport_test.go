package adapters_test

import (
	"bufio"
	"context"
	"crypto/tls"
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
	"github.com/ledgerline/ledgerline/classify"
)

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
