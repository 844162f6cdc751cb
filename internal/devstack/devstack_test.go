package devstack_test

import (
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

func TestPostgres(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	p, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Port: port})
	require.NoError(t, err)
	defer p.Close()
	require.NotEqual(t, port, p.Port(), "a port that is taken is not waited for")

	conn, err := pgx.Connect(t.Context(), p.URL("postgres", "postgres"))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept (x int); INSERT INTO kept VALUES (1)")
	require.NoError(t, err)
	require.Error(t, p.Stop(t.Context(), "gently"))
	require.NoError(t, p.Stop(t.Context(), "immediate"))
	require.NoError(t, p.Start(t.Context()))
	conn, err = pgx.Connect(t.Context(), p.URL("postgres", "postgres"))
	require.NoError(t, err)
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&n))
	require.Equal(t, 1, n, "what was committed survives a crash")
	require.NoError(t, conn.Close(t.Context()))
}

// Where PostgreSQL 18 is not there, the tests go on and say so; where somebody names a
// folder that has none, they do not.
func TestPrograms18(t *testing.T) {
	var words strings.Builder
	t.Setenv("LEDGERLINE_TEST_POSTGRES18", t.TempDir())
	_, err := devstack.Programs18(&words)
	require.ErrorContains(t, err, "no PostgreSQL 18 in")
	require.NoError(t, os.Unsetenv("LEDGERLINE_TEST_POSTGRES18"))
	programs, err := devstack.Programs18(&words)
	require.NoError(t, err)
	if programs == "" {
		require.Contains(t, words.String(), "POSTGRESQL 18 IS NOT TESTED")
		return
	}
	p, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Programs: programs})
	require.NoError(t, err)
	require.NoError(t, p.Close())
}

func TestProcess(t *testing.T) {
	p, err := devstack.StartProcess(t.Context(), "/bin/sh", []string{"-c", "echo one; echo ready; echo $WORD; exec sleep 60"},
		[]string{"WORD=three"}, func(line string) bool { return line == "ready" })
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(p.Output(), "three") }, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, p.Signal(os.Interrupt))
	require.Error(t, p.Wait())

	_, err = devstack.StartProcess(t.Context(), "/bin/sh", []string{"-c", "echo no luck; exit 3"}, nil, func(string) bool { return false })
	require.ErrorContains(t, err, "exit status 3")
	require.ErrorContains(t, err, "no luck")
}

// A server that has crashed goes on with what it had, on the same ports; its database
// is not Ledgerline's.
func TestTemporal(t *testing.T) {
	server, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{UI: true, Log: os.Stderr})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	address := server.HostPort()
	c, err := client.DialContext(t.Context(), server.ClientOptions())
	require.NoError(t, err)
	defer c.Close()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "nobody"}, "waits")
	require.NoError(t, err)

	server.Kill()
	require.NoError(t, server.Start(t.Context()))
	require.Equal(t, address, server.HostPort())
	d, err := c.DescribeWorkflow(t.Context(), run.GetID(), run.GetRunID())
	require.NoError(t, err)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, d.Status)
	require.Eventually(t, func() bool {
		answer, err := http.Get(server.UIURL() + "/api/v1/namespaces/default/workflows")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}, 20*time.Second, 50*time.Millisecond, "the web interface reaches the server")

	theirs, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Address: address})
	require.NoError(t, err)
	require.NotEqual(t, server.Namespace, theirs.Namespace)
	require.Error(t, theirs.Stop(), "a server that somebody else runs is left alone")
	require.NoError(t, theirs.Close())
	_, err = c.DescribeWorkflow(t.Context(), run.GetID(), run.GetRunID())
	require.NoError(t, err)
}

// Each service of a split server is a process; one that was killed comes back with what
// there was, and so does the database below them.
func TestTemporalSplit(t *testing.T) {
	server, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Split: true, Log: os.Stderr})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Close()) }()
	c, err := client.DialContext(t.Context(), server.ClientOptions())
	require.NoError(t, err)
	defer c.Close()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: "nobody"}, "waits")
	require.NoError(t, err)
	for _, service := range devstack.TemporalServices {
		server.KillService(service)
		require.NoError(t, server.Revive(t.Context()), service)
	}
	require.NoError(t, server.Postgres().Stop(t.Context(), "immediate"))
	require.NoError(t, server.Postgres().Start(t.Context()))
	require.NoError(t, server.Revive(t.Context()))
	d, err := c.DescribeWorkflow(t.Context(), run.GetID(), run.GetRunID())
	require.NoError(t, err)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, d.Status)
}
