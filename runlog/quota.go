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
// batch that was stored before adds nothing, so a caller who does not know whether
// it was stores it again. It needs the worker's role.
func AddUsage(ctx context.Context, db Beginner, b limits.Batch) ([]limits.Total, error) {
	return queryTotals(ctx, db, `
		SELECT * FROM ledgerline.add_usage(@worker, @batch, @organizations, @integrations, @months::text[]::date[], @purposes, @counts)`, pgx.StrictNamedArgs{
		"worker":        b.Worker,
		"batch":         b.Number,
		"organizations": column(b.Counts, func(c limits.Count) uuid.UUID { return c.Organization }),
		"integrations":  column(b.Counts, func(c limits.Count) uuid.UUID { return c.Integration }),
		"months":        column(b.Counts, func(c limits.Count) string { return c.Month + "-01" }),
		"purposes":      column(b.Counts, func(c limits.Count) string { return string(c.Purpose) }),
		"counts":        column(b.Counts, func(c limits.Count) int64 { return c.Requests }),
	})
}

// ListLimitedUsage returns this month's totals of all integrations that have a
// limit, for a worker that starts. It needs the worker's role.
func ListLimitedUsage(ctx context.Context, db Beginner, now time.Time) ([]limits.Total, error) {
	now = now.UTC()
	return queryTotals(ctx, db, `SELECT * FROM ledgerline.list_limited_usage($1)`, time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC))
}

func queryTotals(ctx context.Context, db Beginner, query string, args ...any) (totals []limits.Total, err error) {
	type row struct {
		OrganizationID, IntegrationID uuid.UUID
		Month                         time.Time
		Requests                      int64
		Limits                        integrations.RequestLimits
	}
	var rows []row
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err = queryRows[row](ctx, tx, query, args...)
		return err
	})
	for _, row := range rows {
		totals = append(totals, limits.Total{
			Organization: row.OrganizationID, Integration: row.IntegrationID, Month: limits.Month(row.Month), Requests: row.Requests, Quota: row.Limits.Quota(),
		})
	}
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

// MonthlyUsage is what an integration has used in a month.
type MonthlyUsage struct {
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
func ListUsage(ctx context.Context, db Beginner, organization uuid.UUID, month string) ([]MonthlyUsage, error) {
	return queryInOrganization[MonthlyUsage](ctx, db, organization, `
		SELECT integration_id, name, adapter, @month::text AS month, limits,
		       coalesce(jsonb_object_agg(purpose, requests) FILTER (WHERE purpose IS NOT NULL), '{}') AS requests,
		       coalesce(sum(requests), 0)::bigint AS total
		FROM ledgerline.integrations LEFT JOIN (
		    SELECT organization_id, integration_id, purpose, requests FROM ledgerline.quota_usage WHERE month = to_date(@month, 'YYYY-MM')
		) AS used USING (organization_id, integration_id)
		WHERE organization_id = @organization GROUP BY integration_id, name, adapter, limits ORDER BY name`,
		pgx.StrictNamedArgs{"organization": organization, "month": month})
}
