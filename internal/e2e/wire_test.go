package e2e

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// wire is a way to PostgreSQL on which a worker can be caught between two steps:
// after a statement was committed and before the worker knows of it, or before a
// statement arrives. It holds the first connection on which that happens.
type wire struct {
	l         net.Listener
	statement []byte // its beginning; the first time that it is prepared, its text passes
	before    bool   // hold the statement itself, not the answer to its commit

	first, freed sync.Once
	held         chan struct{} // closed when a connection is held
	free         chan struct{} // closed to let it go on
}

// afterCommit catches a worker when a statement has been committed and the worker
// does not know it yet.
func afterCommit(t *testing.T, statement string) *wire { return newWire(t, statement, false) }

// beforeIt catches a worker when it is about to make a statement.
func beforeIt(t *testing.T, statement string) *wire { return newWire(t, statement, true) }

func newWire(t *testing.T, statement string, before bool) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wire{l: l, statement: []byte(statement), before: before, held: make(chan struct{}), free: make(chan struct{})}
	t.Cleanup(func() {
		l.Close()
		w.release()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.carry(c)
		}
	}()
	return w
}

// env lets a worker use the wire.
func (w *wire) env() string {
	server := fmt.Sprintf("127.0.0.1:%d", stack.Postgres.Port())
	return "DATABASE_URL=" + strings.Replace(stack.URL(devstack.Worker), server, w.l.Addr().String(), 1)
}

// release lets what is held go on.
func (w *wire) release() { w.freed.Do(func() { close(w.free) }) }

// hold waits until it is released, the first time.
func (w *wire) hold() {
	mine := false
	w.first.Do(func() {
		mine = true
		close(w.held)
	})
	if mine {
		<-w.free
	}
}

// caught waits until a worker is held.
func (w *wire) caught(t *testing.T) {
	t.Helper()
	select {
	case <-w.held:
	case <-time.After(time.Minute):
		require.Fail(t, "no worker came to it", "%s", w.statement)
	}
}

func (w *wire) carry(worker net.Conn) {
	defer worker.Close()
	server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", stack.Postgres.Port()))
	if err != nil {
		return
	}
	defer server.Close()
	var mu sync.Mutex
	made, committed := false, false // the statement; its transaction
	go func() {
		defer worker.Close()
		for b := make([]byte, 64<<10); ; {
			n, err := server.Read(b)
			if err != nil {
				return
			}
			mu.Lock()
			hold := committed
			mu.Unlock()
			if hold {
				w.hold()
			}
			if _, err := worker.Write(b[:n]); err != nil {
				return
			}
		}
	}()
	for b := make([]byte, 64<<10); ; {
		n, err := worker.Read(b)
		if err != nil {
			return
		}
		mu.Lock()
		if bytes.Contains(b[:n], w.statement) {
			made = true
			if w.before {
				w.hold()
			}
		}
		committed = committed || made && !w.before && bytes.Contains(b[:n], []byte("commit"))
		mu.Unlock()
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
	}
}
