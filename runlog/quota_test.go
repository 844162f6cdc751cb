package runlog_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
)

func counts(organization, integration uuid.UUID, month string, n int64, purposes ...limits.Purpose) (all []limits.Count) {
	for _, p := range purposes {
		all = append(all, limits.Count{Key: limits.Key{Organization: organization, Integration: integration, Month: month, Purpose: p}, Requests: n})
	}
	return all
}

func TestUsage(t *testing.T) {
	b := newBase(t)
	orgA, intA := b.tenant(t)
	orgB, intB := b.tenant(t)
	limited := example(orgA, intA, "main")
	limited.Limits = integrations.RequestLimits{MonthlyRequests: 100, WarnAt: 75, RefuseAt100: true, RequestsPerMinute: 30}
	changes, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{limited}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	require.Equal(t, runlog.ActionUpdated, changes[0].Action)
	same, err := runlog.LoadIntegration(t.Context(), b.worker, orgA, intA)
	require.NoError(t, err)
	require.Equal(t, limited.Limits, same.Limits)

	one, two := uuid.New(), uuid.New()
	batch := limits.Batch{Worker: one, Number: 1, Counts: append(
		counts(orgA, intA, "2026-11", 7, limits.Attempt, limits.Token), counts(orgB, intB, "2026-11", 5, limits.Probe)...)}
	for range 3 { // its commit was not confirmed
		totals, err := runlog.AddUsage(t.Context(), b.worker, batch)
		require.NoError(t, err)
		require.ElementsMatch(t, []limits.Total{
			{Organization: orgA, Integration: intA, Month: "2026-11", Requests: 14, Quota: limited.Limits.Quota()},
			{Organization: orgB, Integration: intB, Month: "2026-11", Requests: 5, Quota: integrations.RequestLimits{}.Quota()},
		}, totals)
	}
	totals, err := runlog.AddUsage(t.Context(), b.worker, limits.Batch{Worker: two, Number: 1, Counts: counts(orgA, intA, "2026-11", 1, limits.Attempt)})
	require.NoError(t, err)
	require.EqualValues(t, 15, totals[0].Requests, "another worker's first batch is not this one's")
	_, err = runlog.AddUsage(t.Context(), b.worker, limits.Batch{Worker: one, Number: 2, Counts: counts(orgA, intA, "2026-12", 3, limits.Attempt)})
	require.NoError(t, err)

	list, err := runlog.ListUsage(t.Context(), b.reader, orgA, "2026-11")
	require.NoError(t, err)
	require.Equal(t, []runlog.MonthlyUsage{{
		IntegrationID: intA, Name: "main", Adapter: "xledger", Month: "2026-11", Total: 15, Limits: limited.Limits,
		Requests: map[limits.Purpose]int64{limits.Attempt: 8, limits.Token: 7},
	}}, list, "nothing of the other organization, nothing of the next month")
	list, err = runlog.ListUsage(t.Context(), b.reader, orgA, "2026-10")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Zero(t, list[0].Total)

	known, err := runlog.ListLimitedUsage(t.Context(), b.worker, time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	require.Equal(t, []limits.Total{{Organization: orgA, Integration: intA, Month: "2026-11", Requests: 15, Quota: limited.Limits.Quota()}}, known)

	queues, err := runlog.LeaseQueues(t.Context(), b.worker, one, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []runlog.QueueLease{{IntegrationID: intA, RequestsPerMinute: 30}}, queues)
	limited.Limits = integrations.RequestLimits{}
	_, err = runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{limited}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	queues, err = runlog.LeaseQueues(t.Context(), b.worker, one, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []runlog.QueueLease{{IntegrationID: intA}}, queues, "calls may still wait there")
}

// A threshold is recorded once, by whoever is first, together with its
// notification, and again if that could not be stored.
func TestQuotaWarningOnce(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	total := limits.Total{Organization: organization, Integration: integration, Month: "2026-11", Quota: limits.Quota{Monthly: 100, WarnAt: 80}}
	notifications := func() (n int) {
		t.Helper()
		require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT count(*) + coalesce(sum(suppressed), 0) FROM ledgerline.notifications WHERE integration_id = $1`, integration).Scan(&n))
		return n
	}
	warn := func(percent int) (recorded bool) {
		t.Helper()
		recorded, err := runlog.RecordQuotaWarning(t.Context(), b.worker, limits.Warning{Total: total, Percent: percent})
		require.NoError(t, err)
		return recorded
	}
	b.withoutNotifications(t, func() {
		recorded, err := runlog.RecordQuotaWarning(t.Context(), b.worker, limits.Warning{Total: total, Percent: 80})
		require.ErrorContains(t, err, "42501")
		require.False(t, recorded)
	})
	require.True(t, warn(80))
	require.False(t, warn(80))
	require.Equal(t, 1, notifications())
	require.True(t, warn(100))
	require.Equal(t, 2, notifications())
	total.Quota.Monthly = 200
	require.True(t, warn(80), "80 % of another limit is another threshold")
	require.False(t, warn(80))
	require.Equal(t, 3, notifications())
}

// A worker process leaves a row behind; the next one removes old ones.
func TestOldBatchesGo(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	add := func() {
		_, err := runlog.AddUsage(t.Context(), b.worker, limits.Batch{Worker: uuid.New(), Number: 1, Counts: counts(organization, integration, "2026-11", 1, limits.Attempt)})
		require.NoError(t, err)
	}
	add()
	add()
	_, err := b.admin.Exec(t.Context(), "UPDATE ledgerline.quota_batches SET stored_at = now() - interval '4 months' WHERE worker_id = (SELECT min(worker_id::text)::uuid FROM ledgerline.quota_batches)")
	require.NoError(t, err)
	add()
	var n int
	require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.quota_batches").Scan(&n))
	require.Equal(t, 2, n)
}

// Counts go one way: no program can write them but through the function, and
// only the worker may call that.
func TestUsageRights(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	_, err := runlog.AddUsage(t.Context(), b.worker, limits.Batch{Worker: uuid.New(), Number: 1, Counts: counts(organization, integration, "2026-11", 1, limits.Attempt)})
	require.NoError(t, err)
	for _, sql := range []string{
		"INSERT INTO ledgerline.quota_usage DEFAULT VALUES", "UPDATE ledgerline.quota_usage SET requests = 0", "DELETE FROM ledgerline.quota_usage",
		"SELECT FROM ledgerline.quota_batches", "DELETE FROM ledgerline.quota_warnings", "UPDATE ledgerline.quota_warnings SET percent = 1",
	} {
		_, err := b.worker.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, sql)
		require.Equal(t, "42501", pg.Code, sql)
	}
	_, err = runlog.AddUsage(t.Context(), b.operator, limits.Batch{Worker: uuid.New(), Number: 1, Counts: counts(organization, integration, "2026-11", 1, limits.Attempt)})
	require.ErrorContains(t, err, "permission denied")
	_, err = runlog.AddUsage(t.Context(), b.worker, limits.Batch{Worker: uuid.New(), Number: 1, Counts: counts(organization, uuid.New(), "2026-11", 1, limits.Attempt)})
	require.ErrorContains(t, err, "usage_belongs_to_integration")
	_, err = runlog.AddUsage(t.Context(), b.worker, limits.Batch{Worker: uuid.New(), Number: 1, Counts: counts(organization, integration, "2026-11", -1, limits.Attempt)})
	require.ErrorContains(t, err, "requests_count_up")
}

// One worker at a time holds the lease of an integration with a concurrency limit, and
// all workers hold about as many leases.
func TestQueueLeases(t *testing.T) {
	b := newBase(t)
	set := func(organization, integration uuid.UUID, l integrations.RequestLimits) {
		in := example(organization, integration, "main")
		in.Limits = l
		_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{in}, runlog.ApplyOptions{By: "test"})
		require.NoError(t, err)
	}
	holder := make(map[uuid.UUID]uuid.UUID)
	var last uuid.UUID // in the order of leases
	var lastOf uuid.UUID
	for range 5 {
		organization, integration := b.tenant(t)
		set(organization, integration, integrations.RequestLimits{ConcurrentRequests: 2})
		holder[integration] = uuid.Nil
		if integration.String() > last.String() {
			last, lastOf = integration, organization
		}
	}
	a, c := uuid.New(), uuid.New()
	ask := func(process uuid.UUID) (held, surplus []uuid.UUID) {
		t.Helper()
		list, err := runlog.LeaseQueues(t.Context(), b.worker, process, time.Minute)
		require.NoError(t, err)
		for _, q := range list {
			if q.Held {
				held = append(held, q.IntegrationID)
				require.Contains(t, []uuid.UUID{uuid.Nil, process}, holder[q.IntegrationID], "another one has it")
				holder[q.IntegrationID] = process
				require.Equal(t, 2, q.ConcurrentRequests)
			}
			if q.Surplus {
				surplus = append(surplus, q.IntegrationID)
			}
		}
		return held, surplus
	}
	end := func(process uuid.UUID) {
		t.Helper()
		_, err := b.admin.Exec(t.Context(), `UPDATE ledgerline.queue_leases SET until = now() - interval '1 s' WHERE worker_id = $1`, process)
		require.NoError(t, err)
		_, err = b.admin.Exec(t.Context(), `UPDATE ledgerline.queue_workers SET seen_at = now() - interval '2 min' WHERE worker_id = $1`, process)
		require.NoError(t, err)
		for id, by := range holder {
			if by == process {
				holder[id] = uuid.Nil
			}
		}
	}

	held, surplus := ask(a)
	require.Len(t, held, 5, "alone")
	require.Empty(t, surplus)
	held, _ = ask(c)
	require.Empty(t, held, "all are held")
	for more := 4; more >= 3; more-- { // its share of 5 is 3
		_, surplus = ask(a)
		require.Len(t, surplus, 1)
		_, again := ask(a)
		require.Equal(t, surplus, again, "until it is given back")
		require.NoError(t, runlog.ReleaseQueues(t.Context(), b.worker, c, surplus), "which only its holder can")
		require.NoError(t, runlog.ReleaseQueues(t.Context(), b.worker, a, surplus))
		holder[surplus[0]] = uuid.Nil
		held, _ = ask(a)
		require.Len(t, held, more, "it takes none that is beyond its share")
	}
	held, _ = ask(c)
	require.Len(t, held, 2)
	_, surplus = ask(a)
	require.Empty(t, surplus)

	end(a) // it died
	held, _ = ask(c)
	require.Len(t, held, 5)
	held, surplus = ask(a)
	require.Empty(t, held, "it was only away, and another has them now")
	require.Empty(t, surplus)

	// A process that has left no longer counts.
	require.NoError(t, runlog.ReleaseQueues(t.Context(), b.worker, c, nil))
	for id := range holder {
		holder[id] = uuid.Nil
	}
	held, _ = ask(a)
	require.Len(t, held, 5)

	// Whoever comes at once: one gets each lease.
	end(a)
	start := make(chan struct{})
	got := make(chan uuid.UUID, 40)
	var all sync.WaitGroup
	for range 8 {
		process := uuid.New()
		all.Go(func() {
			<-start
			list, err := runlog.LeaseQueues(t.Context(), b.worker, process, time.Minute)
			if err != nil {
				t.Error(err)
			}
			for _, q := range list {
				if q.Held {
					got <- q.IntegrationID
				}
			}
		})
	}
	close(start)
	all.Wait()
	close(got)
	seen := make(map[uuid.UUID]bool)
	for id := range got {
		require.False(t, seen[id], "two hold it")
		seen[id] = true
	}
	require.NotEmpty(t, seen)

	// A lease ends with its limit, and the queue stays.
	set(lastOf, last, integrations.RequestLimits{})
	list, err := runlog.LeaseQueues(t.Context(), b.worker, uuid.New(), time.Minute)
	require.NoError(t, err)
	require.Equal(t, runlog.QueueLease{IntegrationID: last}, list[4])

	_, err = b.worker.Exec(t.Context(), `UPDATE ledgerline.queue_leases SET until = now()`)
	require.ErrorContains(t, err, "permission denied")
	_, err = b.worker.Exec(t.Context(), `SELECT * FROM ledgerline.queues`)
	require.ErrorContains(t, err, "permission denied")
}
