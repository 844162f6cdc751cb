package adapters

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7), which package syscall lacks.
const tcpUserTimeout = 18

// setUserTimeout bounds how long the kernel goes on sending what nobody
// acknowledges, also after this process has ended.
func setUserTimeout(c syscall.RawConn, d time.Duration) error {
	var refused error
	err := c.Control(func(fd uintptr) {
		refused = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds())))
	})
	return errors.Join(err, refused)
}
