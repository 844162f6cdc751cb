package adapters

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair is a connection for writes with small buffers, and its other end.
func pair(t *testing.T) (*writeConn, net.Conn) {
	t.Helper()
	small := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}
	l, err := small.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := dial((&net.Dialer{}).DialContext).forWrites(t.Context(), "tcp", l.Addr().String())
	require.NoError(t, err)
	c := conn.(*writeConn)
	require.NoError(t, c.socket.Conn.(*net.TCPConn).SetWriteBuffer(4<<10))
	other, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		other.Close()
	})
	return c, other
}

// unsent ends a try and reports whether nothing of it left.
func unsent(s *sending) bool {
	nothing, _ := s.stop()
	return nothing
}

// A write that the kernel does not take ends at the deadline.
func TestBlockedWrite(t *testing.T) {
	c, other := pair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s := newSending(ctx)
	c.sending.Store(s)
	began := time.Now()
	n, err := c.Write(make([]byte, 8<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, time.Since(began), 5*time.Second)
	require.Less(t, n, 8<<20)
	require.False(t, unsent(s))
	require.NoError(t, c.Close())
	got, err := io.Copy(io.Discard, other)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Less(t, got, int64(n), "what the kernel held must be discarded")
}

// The deadline is looked at before each system call, with a clock that nobody
// can set, and whether or not a timer has fired.
func TestSendingEnds(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(*sending)
		says error
	}{
		"deadline": {func(s *sending) { s.deadline = time.Now() }, os.ErrDeadlineExceeded},
		"too late": {func(s *sending) { s.begins = time.Now() }, errLate},
		"stopped":  {func(s *sending) { s.stop() }, errEnded},
		"cancelled": {func(s *sending) {
			over := make(chan struct{})
			close(over)
			s.done = over
		}, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			conn, other := pair(t)
			s := newSending(t.Context())
			conn.sending.Store(s)
			c.end(s)
			require.ErrorIs(t, s.begin(), c.says)
			n, err := conn.Write([]byte("x"))
			require.ErrorIs(t, err, c.says)
			require.Zero(t, n)
			require.True(t, unsent(s))
			s.answered.Store(true)
			require.NoError(t, conn.Close())
			got, err := io.ReadAll(other)
			require.NoError(t, err)
			require.Empty(t, got)
		})
	}
	wall, cancel := context.WithDeadline(t.Context(), time.Now().Round(0).Add(time.Hour))
	defer cancel()
	require.Contains(t, newSending(wall).deadline.String(), "m=", "a deadline of the wall clock becomes one of the monotonic clock")
}

// A request that has begun in time continues.
func TestOnlyTheFirstByteIsTooLate(t *testing.T) {
	s := newSending(SendBy(t.Context(), time.Now().Add(time.Hour)))
	require.NoError(t, s.begin())
	s.end(1)
	s.begins = time.Now()
	require.NoError(t, s.begin())
}

// While a system call is under way nobody can say that nothing has left.
func TestUnsentWaitsForNobody(t *testing.T) {
	s := newSending(t.Context())
	require.NoError(t, s.begin())
	require.False(t, unsent(s))
	s.end(0)
	require.True(t, unsent(s))
	require.ErrorIs(t, s.begin(), errEnded)
}

// What TLS says of its own accord, such as that it closes, is nobody's request:
// it passes after one has ended, and does not count.
func TestOtherRecordsPass(t *testing.T) {
	c, other := pair(t)
	s := newSending(t.Context())
	c.sending.Store(s)
	_, err := c.Write([]byte("request "))
	require.NoError(t, err)
	s.answered.Store(true)
	require.False(t, unsent(s))
	next := newSending(t.Context())
	c.sending.Store(next)
	_, err = c.socket.Write([]byte("record"))
	require.NoError(t, err)
	require.True(t, unsent(next))
	next.answered.Store(true)
	require.NoError(t, c.Close())
	got, err := io.ReadAll(other)
	require.NoError(t, err)
	require.Equal(t, "request record", string(got))
}

// The monotonic clock stands still while the machine is suspended. The wall clock
// shows it.
func TestSuspended(t *testing.T) {
	c, _ := pair(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := newSending(ctx)
	s.wall = s.wall.Add(-time.Minute) // as if the wall clock had gone on for so long
	c.sending.Store(s)
	n, err := c.Write([]byte("POST"))
	require.NoError(t, err, "within its second")
	require.Equal(t, 4, n)
	s.wall = s.wall.Add(-time.Second)
	_, err = c.Write([]byte(" /"))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}
