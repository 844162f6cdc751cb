package e2e

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// systemd is the socket of a service of Type=notify: what a worker says there, in order.
func systemd(t *testing.T, name string) (env string, said <-chan string) {
	t.Helper()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	states := make(chan string, 10)
	go func() {
		for buffer := make([]byte, 1024); ; {
			n, err := l.Read(buffer)
			if err != nil {
				return
			}
			states <- string(buffer[:n])
		}
	}()
	return "NOTIFY_SOCKET=" + name, states
}

// A worker says that it is ready when its readiness probe would, and that it stops.
func TestWorkerNotifiesSystemd(t *testing.T) {
	for name, socket := range map[string]string{
		"a file":   filepath.Join(t.TempDir(), "notify"),
		"abstract": "@" + strings.ReplaceAll(t.TempDir(), "/", "-"),
	} {
		t.Run(name, func(t *testing.T) {
			env, said := systemd(t, socket)
			w := startWorkerEnv(t, []string{env})
			require.Equal(t, "READY=1", <-said)
			status, body := asking(t, w)("/readyz")
			require.Equal(t, 200, status, body)
			require.NoError(t, w.Signal(syscall.SIGTERM))
			require.Equal(t, "STOPPING=1", <-said)
			require.NoError(t, w.Wait())
			require.Empty(t, said)
		})
	}
}

// A worker that cannot work says nothing: systemd sees its end.
func TestWorkerThatCannotStartIsNotReady(t *testing.T) {
	for name, c := range map[string]struct{ args, env []string }{
		"PostgreSQL away": {nil, []string{"DATABASE_URL=postgres://u@127.0.0.1:1/x"}},
		"Temporal away":   {[]string{"--startup-timeout", "1s"}, []string{"TEMPORAL_ADDRESS=127.0.0.1:1"}},
		"unfit database":  {nil, []string{"DATABASE_URL=" + stack.URL(devstack.Reader)}},
	} {
		env, said := systemd(t, filepath.Join(t.TempDir(), "notify"))
		p, err := devstack.StartProcess(t.Context(), workerBin, c.args, append(stack.Env(devstack.Worker), append(c.env, env)...), nil)
		require.NoError(t, err, name)
		require.Error(t, p.Wait(), name)
		require.Empty(t, said, name)
	}
	// Without anybody who listens it works all the same.
	w := startWorkerEnv(t, []string{"NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "nobody")})
	require.Contains(t, w.Output(), "worker ready")
	require.Eventually(t, func() bool { return strings.Contains(w.Output(), "systemd could not be notified") }, time.Minute, 10*time.Millisecond)
}
