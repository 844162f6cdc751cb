package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// The command line, as an operator uses it.
func TestStarter(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	org, id := o.id.String(), uuid.New()
	script(activitiesWith(o, id), sandbox.Rule{Status: 503})
	args := []string{"call", "--org", org, "--integration", "xledger-main", "--operation", "ping", "--correlation-id", id.String(), "--exit-status"}
	out, words, code := starter(t, "", args...)
	require.Equal(t, 4, code, words)
	require.Equal(t, 4, fromJSON[workflows.Outcome](t, out).TotalAttempts)
	again, _, code := starter(t, "", args...)
	require.Equal(t, 4, code)
	require.Equal(t, out, again)
	finish(t, activitiesWith(o, id))
	out, words, code = starter(t, "", "show", id.String(), "--org", org)
	require.Equal(t, 0, code, words)
	require.Contains(t, out, "status:503")
	out, _, code = starter(t, "", "logs", "--org", org, "-o", "json")
	require.Equal(t, 0, code)
	require.Equal(t, 4, strings.Count(out, "\n"))
}

// What is wrong is said in one line that names it; the exit code is 2 for the
// command line and 1 for what is missing.
func TestStarterBadInput(t *testing.T) {
	o := newTenant(t, quick)
	org := o.id.String()
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"--org":            {2, []string{"call", "--integration", "x", "--operation", "ping", "--org", "no sense"}},
		"--integration":    {1, []string{"call", "--integration", "nowhere", "--operation", "ping", "--org", org}},
		"--body":           {2, []string{"call", "--integration", "crm", "--org", org, "--body", "{"}},
		"--correlation-id": {2, []string{"call", "--integration", "crm", "--org", org, "--operation", "ping", "--correlation-id", "1"}},
		"--adapter":        {2, []string{"explain", "--adapter", "sap", "--status", "200"}},
		"--class":          {2, []string{"logs", "--org", org, "--class", "bad"}},
	} {
		_, words, code := starter(t, "", c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, words)
		require.Contains(t, words, want)
	}
	_, words, code := starterEnv(t, append(stack.Env("x"), "DATABASE_URL=postgres://u:hidden@127.0.0.1:1/x"), "", "logs", "--org", org)
	require.Equal(t, 1, code)
	require.NotContains(t, words, "hidden")
}

// A call is refused with a login that may not make one, and by a database that does not fit:
// at once, with what to do, and nothing reaches the vendor.
func TestCallChecksItsDatabase(t *testing.T) {
	startWorker(t) // that would make the call
	o := newTenant(t, quick)
	in := o.ping("xledger-main")
	admin, err := pgx.Connect(t.Context(), stack.URL(devstack.Admin))
	require.NoError(t, err)
	t.Cleanup(func() { _ = admin.Close(context.Background()) })
	version := func(from, to int64) {
		_, err := admin.Exec(context.Background(), `UPDATE ledgerline.goose_db_version SET version_id = $2 WHERE version_id = $1`, from, to)
		require.NoError(t, err)
	}
	for _, c := range []struct{ name, url, want string }{
		{"reader's login", stack.URL(devstack.Reader), "may only read, and starter call does more than that"},
		{"no schema", stack.Postgres.URL("postgres", devstack.Operator), "starter migrate"},
		{"away", "postgres://u@127.0.0.1:1/x", "cannot reach PostgreSQL"},
		{"older schema", stack.URL(devstack.Operator), "starter migrate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "older schema" {
				version(runlog.SchemaVersion(), -1)
				defer version(-1, runlog.SchemaVersion())
			}
			out, words, code := starterEnv(t, append(stack.Env(devstack.Operator), "DATABASE_URL="+c.url), "",
				"call", "--org", o.id.String(), "--integration", "xledger-main", "--operation", "ping", "--correlation-id", in.CorrelationID.String())
			require.Equal(t, 1, code, words)
			require.Empty(t, out)
			require.Contains(t, words, c.want)
		})
	}
	require.Empty(t, reached(in))
}
