package usage_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/usage"
)

// database is one of the test's own, with an integration that has a quota.
func database(t *testing.T, monthly int64) (db *pgxpool.Pool, in integrations.Integration) {
	t.Helper()
	server, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{Log: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	db, err = runlog.Open(t.Context(), server.URL("postgres", "postgres"), 2)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	_, _, err = runlog.Migrate(t.Context(), db)
	require.NoError(t, err)
	in = integrations.Integration{
		OrganizationID: uuid.New(), ID: uuid.New(), Name: "main", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql", Policy: classify.DefaultPolicy(),
		Credentials: map[string]integrations.Ref{"token": "env:X"}, Limits: integrations.RequestLimits{MonthlyRequests: monthly, WarnAt: 80},
	}
	_, err = runlog.ApplyIntegrations(t.Context(), db, []integrations.Integration{in}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	return db, in
}

// Requests are stored once, a worker that starts learns them, and each threshold is
// notified of once, over all workers and whatever fails.
func TestCountsAreStoredAndNotifiedOfOnce(t *testing.T) {
	db, in := database(t, 10)
	notified := func() (list []int) {
		all, err := runlog.ListNotifications(t.Context(), db, in.OrganizationID, time.Time{}, uuid.Nil)
		require.NoError(t, err)
		for _, n := range all {
			list = append(list, n.Facts.Quota.Percent)
		}
		return list
	}
	worker := func() (*usage.Recorder, *limits.Ledger) {
		ledger := new(limits.Ledger)
		r, err := usage.New(t.Context(), usage.Options{DB: db, Ledger: ledger})
		require.NoError(t, err)
		return r, ledger
	}
	count := func(l *limits.Ledger, n int) {
		for range n {
			l.Count(in.OrganizationID, in.ID, limits.Attempt, time.Now())
		}
	}
	used := func(l *limits.Ledger) int64 { return l.Used(in.OrganizationID, in.ID, in.Limits.Quota(), time.Now()) }

	one, ledger := worker()
	require.NoError(t, one.Flush(t.Context()), "nothing is to be stored")
	count(ledger, 7)
	require.NoError(t, one.Flush(t.Context()))
	require.NoError(t, one.Flush(t.Context()))
	require.Empty(t, notified())

	two, other := worker()
	require.EqualValues(t, 7, used(other), "a worker that starts knows what others have used")
	count(other, 1)
	away, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, two.Flush(away), context.Canceled)
	require.NoError(t, two.Flush(t.Context()))
	count(ledger, 1)
	require.NoError(t, one.Flush(t.Context()))
	require.Equal(t, []int{80}, notified(), "after an error it is stored and notified of once")
	count(other, 1)
	two.FlushLast(t.Context())
	require.Equal(t, []int{80, 100}, notified())

	_, late := worker()
	require.EqualValues(t, 10, used(late))
	require.Equal(t, []int{80, 100}, notified())
	rows, err := runlog.ListUsage(t.Context(), db, in.OrganizationID, limits.Month(time.Now()))
	require.NoError(t, err)
	require.EqualValues(t, 10, rows[0].Total)
}

// What is missing is named.
func TestOptionsAreChecked(t *testing.T) {
	_, err := usage.New(t.Context(), usage.Options{})
	require.EqualError(t, err, "usage.Options.DB: want the worker's database\nusage.Options.Ledger: want the ledger in which the worker counts")
}
