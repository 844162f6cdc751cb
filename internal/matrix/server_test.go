package matrix

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
)

// parts are what all cells share: a database whose time is that of each
// transaction, and a folder of secrets.
type parts struct {
	database *devstack.SimulatedDatabase
	secrets  *secrets.Store
}

// server is what the cells of one goroutine share.
type server struct {
	*parts
	vendor  atomic.Pointer[sandbox.Sandbox]
	address string
	client  *adapters.Client
}

// clock is the one clock of a cell: that of the workflow while one runs.
type clock struct {
	mu  sync.Mutex
	env *testsuite.TestWorkflowEnvironment
	at  time.Time
}

// timed sets the time of each transaction.
type timed struct {
	runlog.Beginner
	now func() time.Time
}

func newParts(t *testing.T) *parts {
	t.Helper()
	database, err := devstack.StartSimulatedDatabase(t.Context(), 8, os.Stderr)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, database.Close()) })
	return &parts{database: database, secrets: &secrets.Store{Dir: t.TempDir()}}
}

func (p *parts) server(t *testing.T) *server {
	s := &server{parts: p}
	http := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.vendor.Load().ServeHTTP(w, r) }))
	t.Cleanup(http.Close)
	t.Cleanup(http.CloseClientConnections)
	s.address = http.URL
	s.client = adapters.NewClient(adapters.ClientOptions{DevHosts: []string{strings.TrimPrefix(http.URL, "http://")}})
	t.Cleanup(s.client.CloseIdle)
	return s
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.env != nil {
		c.at = c.env.Now()
	}
	return c.at
}

func (c *clock) follow(env *testsuite.TestWorkflowEnvironment) {
	at := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.env = env; env != nil {
		env.SetStartTime(at)
	}
}

func (d timed) Begin(ctx context.Context) (pgx.Tx, error) {
	return devstack.BeginAt(ctx, d.Beginner, d.now())
}
