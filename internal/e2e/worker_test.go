package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// What keeps a worker from starting is said in a line that names it and what
// to do, without a password, and the program ends.
func TestWorkerBadConfiguration(t *testing.T) {
	admin, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	defer admin.Close(context.Background())
	_, err = temporal.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{
		Namespace: "bare", WorkflowExecutionRetentionPeriod: durationpb.New(86400e9),
	})
	require.NoError(t, err)
	password := strings.Join([]string{"hid", "den"}, "")
	at := func(user, host, database string) string {
		return fmt.Sprintf("DATABASE_URL=postgres://%s:%s@%s/%s?sslmode=disable", user, password, host, database)
	}
	server := fmt.Sprintf("127.0.0.1:%d", stack.Postgres.Port())
	for name, c := range map[string]struct {
		args, env []string
		code      int
		says      string
	}{
		"no database address":   {nil, []string{"DATABASE_URL="}, 2, "DATABASE_URL is not set"},
		"bad database address":  {nil, []string{"DATABASE_URL=postgres://u:hid%zden@h/d"}, 1, "cannot be read"},
		"PostgreSQL away":       {nil, []string{at("u", "127.0.0.1:1", "x")}, 1, "cannot reach PostgreSQL"},
		"no such database":      {nil, []string{at(devstack.Worker, server, "nowhere")}, 1, "cannot reach PostgreSQL"},
		"schema missing":        {nil, []string{at(devstack.Worker, server, "postgres")}, 1, "run starter migrate"},
		"wrong role":            {nil, []string{at(devstack.Reader, server, devstack.Database)}, 1, "ledgerline_worker"},
		"superuser":             {nil, []string{at(devstack.Admin, server, devstack.Database)}, 1, "superuser"},
		"unfit source login":    {nil, []string{strings.Replace(at(devstack.Worker, server, devstack.Database), "DATABASE_URL", runlog.SourceVariable, 1)}, 1, `REVOKE "ledgerline_worker" FROM "app_worker"`},
		"bad source address":    {nil, []string{runlog.SourceVariable + "=postgres://u:hid%zden@h/d"}, 1, runlog.SourceVariable + ") cannot be read"},
		"Temporal away":         {[]string{"--startup-timeout", "5s"}, []string{"TEMPORAL_ADDRESS=127.0.0.1:1"}, 1, "cannot reach Temporal"},
		"no search attributes":  {nil, []string{"TEMPORAL_NAMESPACE=bare"}, 1, "starter migrate"},
		"no such namespace":     {nil, []string{"TEMPORAL_NAMESPACE=nowhere"}, 1, "nowhere"},
		"unknown flag":          {[]string{"--quiet"}, nil, 2, "quiet"},
		"bad number":            {[]string{"--concurrency", "0"}, nil, 2, "--concurrency"},
		"bad development hosts": {[]string{"--dev-vendor-hosts", "x"}, nil, 2, "want host:port"},
		"an argument":           {[]string{"start"}, nil, 2, `unexpected argument "start"`},
		"port taken":            {[]string{"--listen", server}, nil, 1, "--listen"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(bounded(t, time.Minute), workerBin, c.args...)
			cmd.Env = append(cmd.Environ(), append(stack.Env(devstack.Worker), c.env...)...)
			out, err := cmd.CombinedOutput()
			require.Error(t, err)
			require.Equal(t, c.code, cmd.ProcessState.ExitCode(), "%s", out)
			require.Contains(t, string(out), c.says)
			require.NotContains(t, string(out), password)
			require.NotContains(t, string(out), "goroutine ")
		})
	}
	t.Run("schema too new", func(t *testing.T) {
		var serves int64
		require.NoError(t, admin.QueryRow(t.Context(), "SELECT serves_from FROM ledgerline.schema_serves").Scan(&serves))
		_, err := admin.Exec(t.Context(), "UPDATE ledgerline.schema_serves SET serves_from = $1", runlog.SchemaVersion()+1)
		require.NoError(t, err)
		_, err = admin.Exec(t.Context(), "INSERT INTO ledgerline.goose_db_version (version_id, is_applied) VALUES ($1, true)", runlog.SchemaVersion()+1)
		require.NoError(t, err)
		defer func() {
			_, err := admin.Exec(context.Background(), "DELETE FROM ledgerline.goose_db_version WHERE version_id = $1", runlog.SchemaVersion()+1)
			require.NoError(t, err)
			_, err = admin.Exec(context.Background(), "UPDATE ledgerline.schema_serves SET serves_from = $1", serves)
			require.NoError(t, err)
		}()
		cmd := exec.CommandContext(bounded(t, time.Minute), workerBin)
		cmd.Env = append(cmd.Environ(), stack.Env(devstack.Worker)...)
		out, _ := cmd.CombinedOutput()
		require.Equal(t, 1, cmd.ProcessState.ExitCode())
		require.Contains(t, string(out), "use a newer ledgerline")
	})
}

// The endpoints tell the truth: alive while PostgreSQL is away, and not ready.
func TestWorkerEndpoints(t *testing.T) {
	w := startWorker(t)
	get := asking(t, w)
	in := newTenant(t, quick).ping("xledger-main")
	require.True(t, execute(t, in).OK)
	for _, path := range []string{"/livez", "/readyz"} {
		status, body := get(path)
		require.Equal(t, 200, status, "%s: %s", path, body)
	}
	_, metrics := get("/metrics")
	for _, name := range []string{"temporal_worker_task_slots_used{", `task_queue="ledgerline"`, `adapter="xledger"`} {
		require.Contains(t, metrics, name)
	}
}

// asking returns a function that asks an endpoint of a worker.
func asking(t *testing.T, w *devstack.Process) func(path string) (int, string) {
	found := listening.FindStringSubmatch(w.Output())
	require.Len(t, found, 2)
	client := http.Client{Timeout: time.Minute}
	return func(path string) (int, string) {
		resp, err := client.Get("http://" + found[1] + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
}

// A worker none of whose slots comes free says so, and is ready again when one does.
func TestWorkerWithoutSlots(t *testing.T) {
	w := startWorker(t, "--concurrency", "1")
	get := asking(t, w)
	in := newTenant(t, "{attemptTimeout: 40s, maxRetries: 0}").ping("xledger-main")
	script(in, sandbox.Rule{DelayMS: 30_000})
	run := begin(t, in)
	require.Eventually(t, func() bool {
		status, body := get("/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "slots: all 1 taken for ") && strings.Contains(body, "postgresql: ok")
	}, time.Minute, 200*time.Millisecond)
	status, _ := get("/livez")
	require.Equal(t, 200, status)
	var out workflows.Outcome
	require.NoError(t, run.Get(bounded(t, longest), &out))
	require.Eventually(t, func() bool { status, _ := get("/readyz"); return status == 200 }, time.Minute, 200*time.Millisecond)
}

// devstack does not import workflows, and must make the same search attributes.
func TestSearchAttributes(t *testing.T) {
	missing, err := engine.MissingSearchAttributes(t.Context(), temporal, stack.Temporal.Namespace)
	require.NoError(t, err)
	require.Empty(t, missing)
}
