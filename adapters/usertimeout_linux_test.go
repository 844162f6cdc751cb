package adapters

import (
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The kernel gives up on a vendor that acknowledges nothing when the attempt
// would have.
func TestUserTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	for _, c := range []struct {
		options ClientOptions
		want    int // milliseconds
	}{{ClientOptions{}, 10_000}, {ClientOptions{UserTimeout: 3 * time.Second}, 3000}} {
		c.options.DevHosts = []string{l.Addr().String()}
		client := NewClient(c.options)
		for _, h := range []*http.Client{client.reads, client.writes, client.fresh} {
			conn, err := h.Transport.(*http.Transport).DialContext(t.Context(), "tcp", l.Addr().String())
			require.NoError(t, err)
			tcp, ok := conn.(*net.TCPConn)
			if !ok {
				tcp = conn.(*writeConn).socket.Conn.(*net.TCPConn)
			}
			raw, err := tcp.SyscallConn()
			require.NoError(t, err)
			var got int
			require.NoError(t, raw.Control(func(fd uintptr) { got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout) }))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			conn.Close()
		}
	}
}
