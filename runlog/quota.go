package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
)

// AddUsage stores a batch of counts in one statement, for all organizations in
// it, and returns the month's totals of its integrations over all workers. A
// batch that was stored before adds nothing: who does not know whether it was,
// stores it again. It needs the worker's role.
func AddUsage(ctx context.Context, db Beginner, b limits.Batch) (totals []limits.Total, err error) {
	n := len(b.Counts)
	organizations, ids := make([]uuid.UUID, n), make([]uuid.UUID, n)
	months, purposes, counts := make([]time.Time, n), make([]string, n), make([]int64, n)
	for i, c := range b.Counts {
		organizations[i], ids[i], purposes[i], counts[i] = c.Organization, c.Integration, string(c.Purpose), c.Requests
		if months[i], err = time.Parse("2006-01", c.Month); err != nil {
			return nil, err
		}
	}
	return queryTotals(ctx, db, `SELECT * FROM ledgerline.add_usage($1, $2, $3, $4, $5, $6, $7)`,
		b.Worker, b.Number, organizations, ids, months, purposes, counts)
}

// ListLimitedUsage returns this month's totals of all integrations that have a
// limit, for a worker that starts. It needs the worker's role.
func ListLimitedUsage(ctx context.Context, db Beginner, now time.Time) ([]limits.Total, error) {
	now = now.UTC()
	return queryTotals(ctx, db, `SELECT * FROM ledgerline.limited_usage($1)`, time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC))
}

func queryTotals(ctx context.Context, db Beginner, query string, args ...any) (totals []limits.Total, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		totals, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t limits.Total, err error) {
			var month time.Time
			var l integrations.RequestLimits
			err = row.Scan(&t.Organization, &t.Integration, &month, &t.Requests, &l)
			t.Month, t.Quota = limits.Month(month), l.Quota()
			return t, err
		})
		return err
	})
	return totals, err
}

// RecordQuotaWarning records that a threshold of the month's requests was
// reached, and reports it in the same transaction. It returns false if some
// worker has recorded this threshold of the month and its limit before. After an
// error, record it again.
func RecordQuotaWarning(ctx context.Context, db Beginner, w limits.Warning) (recorded bool, err error) {
	err = InOrganization(ctx, db, w.Organization, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.quota_warnings (organization_id, integration_id, month, percent, monthly)
			VALUES (@organization_id, @integration_id, to_date(@month, 'YYYY-MM'), @percent, @monthly) ON CONFLICT DO NOTHING`, pgx.StrictNamedArgs{
			"organization_id": w.Organization, "integration_id": w.Integration, "month": w.Month, "percent": w.Percent, "monthly": w.Quota.Monthly,
		})
		if recorded = err == nil && tag.RowsAffected() == 1; !recorded {
			return err
		}
		_, err = report(ctx, tx, notify.Event{
			Kind: notify.QuotaReached, OrganizationID: w.Organization, IntegrationID: w.Integration,
			Facts: notify.Facts{Quota: &notify.Quota{Month: w.Month, Used: w.Requests, Limit: w.Quota.Monthly, Percent: w.Percent}},
		})
		return err
	})
	return recorded && err == nil, err
}

// UsageRow is what an integration has used in a month.
type UsageRow struct {
	IntegrationID uuid.UUID                  `json:"integrationId"`
	Name          string                     `json:"integration"`
	Adapter       string                     `json:"adapter"`
	Month         string                     `json:"month"` // UTC, "2026-11"
	Requests      map[limits.Purpose]int64   `json:"requests"`
	Total         int64                      `json:"total"`
	Limits        integrations.RequestLimits `json:"limits"`
}

// ListUsage returns what each of an organization's integrations has used in a
// month ("2026-11"), by name; those without a request too.
func ListUsage(ctx context.Context, db Beginner, organization uuid.UUID, month string) (list []UsageRow, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT i.integration_id, i.name, i.adapter, i.limits,
			       coalesce(jsonb_object_agg(u.purpose, u.requests) FILTER (WHERE u.purpose IS NOT NULL), '{}'), coalesce(sum(u.requests), 0)::bigint
			FROM ledgerline.integrations i LEFT JOIN ledgerline.quota_usage u
			     ON (u.organization_id, u.integration_id, u.month) = (i.organization_id, i.integration_id, to_date($2, 'YYYY-MM'))
			WHERE i.organization_id = $1 GROUP BY 1, 2, 3, 4 ORDER BY 2`, organization, month)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (u UsageRow, err error) {
			u.Month = month
			err = row.Scan(&u.IntegrationID, &u.Name, &u.Adapter, &u.Limits, &u.Requests, &u.Total)
			return u, err
		})
		return err
	})
	return list, err
}

// QueueLease is an integration whose calls have a queue of their own.
type QueueLease struct {
	IntegrationID      uuid.UUID
	RequestsPerMinute  int  // 0 is none
	ConcurrentRequests int  // 0 is none; both may be 0, and calls still wait from before
	Held               bool // with a limit of concurrency: the asking worker makes its attempts, and no other
	Surplus            bool // it holds more than its share, and may release this one once its attempts have ended
	Unreadable         bool // its row has limits that are no numbers, which somebody wrote past the rules
}

// LeaseQueues returns all of them, over all organizations. It renews the leases of a
// worker process for ttl from now on, and takes free ones for it. It needs the
// worker's role.
func LeaseQueues(ctx context.Context, db Beginner, process uuid.UUID, ttl time.Duration) (list []QueueLease, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT * FROM ledgerline.own_queues($1, $2)`, process, ttl)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[QueueLease])
		return err
	})
	return list, err
}

// ReleaseQueues ends a worker's leases, so that others need not wait for their
// end. None of its attempts in these queues may be under way. Without a list it
// ends all of them, and others share them out among themselves.
func ReleaseQueues(ctx context.Context, db Beginner, process uuid.UUID, integrations []uuid.UUID) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT ledgerline.release_queues($1, $2)`, process, integrations)
		return err
	})
}
