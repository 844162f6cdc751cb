package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
)

// A worker with another database, in the same namespace, leaves the work to those who know the
// organization: it fails no call for good, and records nothing where nobody looks.
func TestWorkerOfAnotherDatabase(t *testing.T) {
	asAdmin(t, "CREATE DATABASE elsewhere")
	there := func(user string) string { return stack.Postgres.URL("elsewhere", user) }
	pool, err := runlog.Open(t.Context(), there(devstack.Admin), 2)
	require.NoError(t, err)
	defer pool.Close()
	_, _, err = runlog.Migrate(t.Context(), pool)
	require.NoError(t, err)
	wrong := startWorkerEnv(t, []string{"DATABASE_URL=" + there(devstack.Worker)})

	b := newBook(t)
	b.vouchers(t, "A", 3, "2026-10-15", "3000", "0")
	alone := b.ping("xledger-main")
	begin(t, alone)
	run := b.start(t, b.input(t, "2026-10"))
	require.Eventually(t, func() bool { // its attempts are over, and their rows wait for a worker that has the organization
		for _, e := range events(t, alone) {
			if a := e.GetActivityTaskScheduledEventAttributes(); a.GetActivityType().GetName() == "Mirror" {
				return true
			}
		}
		return false
	}, time.Minute, 50*time.Millisecond)
	require.Empty(t, reached(alone))

	startWorker(t)
	wrong.Kill()
	out := finish(t, alone)
	require.Equal(t, classify.Transient, out.Failure.ErrorClass, "%+v", out.Failure)
	require.Contains(t, out.Failure.Message, "give that one's workers a namespace of their own")
	require.Equal(t, 4, out.TotalAttempts)
	require.Len(t, rowsOf(t, alone), 4, "in the record of its organization")
	require.Equal(t, 6, result(t, run).Export.Exported)
	b.requireOnce(t, 6)
	later := b.ping("xledger-main")
	script(later, sandbox.Rule{Times: 1, Status: 503})
	require.True(t, execute(t, later).OK)

	conn, err := pgx.Connect(t.Context(), there(devstack.Admin))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var rows int
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.integration_run_logs").Scan(&rows))
	require.Zero(t, rows)
}
