package adapters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A write must not be sent twice, so its connections know whether a byte of it
// has left this process, let none leave after its deadline, and take back what
// is still on its way when nobody waits for the answer any more.
//
// Such a connection has two layers. A [writeConn] is what net/http writes
// requests to; below it is the socket, with TLS between the two or nothing. Only
// what the socket writes on behalf of a request is the request's: a handshake
// or a TLS alert is not.

// sending is one try of a write: one request that is given to net/http once.
type sending struct {
	done     <-chan struct{} // of the caller's context
	deadline time.Time       // on the monotonic clock; zero if there is none
	wall     time.Time       // the same on the wall clock, a second later
	begins   time.Time       // the latest time of the first byte, on the monotonic clock

	reused   atomic.Bool // the connection had carried a request before
	answered atomic.Bool // the whole answer was read

	mu      sync.Mutex
	stopped bool  // no further byte may leave
	writing int   // system calls under way
	written int64 // bytes that the kernel took, TLS records included
	refused error // why a system call was not allowed: the attempt was over
}

// errEnded is said of a request that net/http tries to write once more.
var errEnded = fmt.Errorf("the request has ended and is not written again: %w", io.EOF)

// errLate is said of a request whose first byte would leave too late, see
// [SendBy].
var errLate = errors.New("what came before the request took too much of the attempt's time")

// sendBy is the context's key of [SendBy].
type sendBy struct{}

// SendBy returns a context in which no write begins at or after a time, because
// its answer might not come before the context ends. A write that comes later,
// after a token or a connection that took long, is not sent: its verdict has the
// kind [classify.Late] and the effect none.
func SendBy(ctx context.Context, at time.Time) context.Context {
	return context.WithValue(ctx, sendBy{}, at)
}

// newSending returns a try that ends with ctx. The deadline may come from a
// server's clock, so it is turned into one on the monotonic clock here: a wall
// clock that is set back later cannot move it. But that clock stands still while the
// machine is suspended, and after that nothing may leave: if the wall clock is past the
// deadline, it has come too.
func newSending(ctx context.Context) *sending {
	s := &sending{done: ctx.Done()}
	if d, ok := ctx.Deadline(); ok {
		s.deadline = time.Now().Add(time.Until(d))
		s.wall = d.Round(0).Add(time.Second) // as it was when the attempt began
	}
	if at, ok := ctx.Value(sendBy{}).(time.Time); ok {
		s.begins = time.Now().Add(time.Until(at))
	}
	return s
}

// trace puts the try in charge of the connection that net/http picks. A second
// one after bytes were written would be a resend, and gets none.
func (s *sending) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		s.reused.Store(info.Reused)
		c, ours := info.Conn.(*writeConn)
		s.mu.Lock()
		s.stopped = s.stopped || s.writing > 0 || s.written > 0
		if !ours { // such a connection counts nothing, so nothing is proved
			s.written++
		}
		s.mu.Unlock()
		if ours {
			c.sending.Store(s)
		}
	}}
}

// begin allows one system call, or says why not.
func (s *sending) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errEnded
	}
	// The process may have been stopped for longer than the deadline, and the
	// context's timer may not have fired since.
	now := time.Now()
	if !s.deadline.IsZero() && (!now.Before(s.deadline) || now.Round(0).After(s.wall)) {
		s.refused = os.ErrDeadlineExceeded
		return s.refused
	}
	select {
	case <-s.done:
		s.refused = context.Canceled
		return s.refused
	default:
	}
	if s.written == 0 && s.writing == 0 && !s.begins.IsZero() && !time.Now().Before(s.begins) {
		s.refused = errLate
		return s.refused
	}
	s.writing++
	return nil
}

// end notes what a system call wrote.
func (s *sending) end(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing--
	s.written += int64(n)
}

// stop lets no further byte leave. It reports whether none has left, and why
// one was refused, if one was.
func (s *sending) stop() (unsent bool, refused error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	return s.writing == 0 && s.written == 0, s.refused
}

// writeConn is a connection that carries writes, one after another.
type writeConn struct {
	net.Conn // the socket, or TLS over it
	socket   *socket
	sending  atomic.Pointer[sending] // the last one; nil before the first
}

// Write implements [net.Conn] for net/http, which writes nothing but requests.
func (c *writeConn) Write(p []byte) (int, error) {
	c.socket.sending.Store(c.sending.Load())
	defer c.socket.sending.Store(nil)
	return c.Conn.Write(p)
}

// Close implements [net.Conn]. If the request has no whole answer, what the
// kernel still holds of it is discarded and the vendor sees a reset: a request
// that was given up must not arrive later.
func (c *writeConn) Close() error {
	if s := c.sending.Load(); s == nil || s.answered.Load() {
		return c.Conn.Close()
	}
	if tcp, ok := c.socket.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it is closed in any case
	}
	return c.socket.Close()
}

// socket is the TCP connection below a [writeConn].
type socket struct {
	net.Conn
	sending atomic.Pointer[sending] // whose bytes are written right now; nil for TLS's own
}

// Write implements [net.Conn].
func (k *socket) Write(p []byte) (int, error) {
	s := k.sending.Load()
	if s == nil {
		return k.Conn.Write(p)
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	n, err := 0, k.SetWriteDeadline(s.deadline)
	if err == nil {
		n, err = k.Conn.Write(p)
	}
	s.end(n)
	return n, err
}

// dial opens a TCP connection.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// forWrites is dial for writes over plain HTTP.
func (d dial) forWrites(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d(ctx, network, address)
	if err != nil {
		return nil, err
	}
	k := &socket{Conn: conn}
	return &writeConn{Conn: k, socket: k}, nil
}

// forTLSWrites returns dial for writes over TLS. net/http would do the handshake
// itself and hand out a [tls.Conn], whose own records could not be told from
// those of a request.
func (d dial) forTLSWrites(config *tls.Config) dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		conn, err := d(ctx, network, address)
		if err != nil {
			return nil, err
		}
		named := config.Clone()
		if named.ServerName == "" {
			named.ServerName = host
		}
		k := &socket{Conn: conn}
		c := tls.Client(k, named)
		if err := handshake(ctx, c); err != nil {
			conn.Close()
			return nil, err
		}
		return &writeConn{Conn: c, socket: k}, nil
	}
}

// handshake bounds a handshake and calls the trace's hooks, as net/http does.
func handshake(ctx context.Context, c *tls.Conn) error {
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	limited, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	err := c.HandshakeContext(limited)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = handshakeTimeoutError{}
	}
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(c.ConnectionState(), err)
	}
	return err
}

// handshakeTimeoutError is net/http's, which is not exported.
type handshakeTimeoutError struct{}

func (handshakeTimeoutError) Error() string   { return "net/http: TLS handshake timeout" }
func (handshakeTimeoutError) Timeout() bool   { return true }
func (handshakeTimeoutError) Temporary() bool { return true }
