package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// ListClaims returns an integration's exports for [exports.NextFor], in the order in which
// they started.
func ListClaims(ctx context.Context, db Beginner, organization, integration uuid.UUID) (claims []exports.Claim, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		claims, err = queryRows[exports.Claim](ctx, tx, `
			SELECT export_id, period, period_start, period_end, trigger, started_at, parent_export_id IS NOT NULL AS retry,
			    status = 'pending' AND planned_at IS NULL AND trigger <> 'adopt' AS will_plan
			FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND integration_id = $2 ORDER BY started_at, export_id`, organization, integration)
		for i := range claims {
			if c := &claims[i]; err == nil && c.WillPlan && c.Retry {
				c.WillPlan, err = retryTakesAll(ctx, tx, organization, c.ID)
			}
		}
		return err
	})
	return claims, err
}

// retryTakesAll reports whether a retry plans what its parent would have: that has ended,
// and has planned nothing.
func retryTakesAll(ctx context.Context, tx pgx.Tx, organization, id uuid.UUID) (bool, error) {
	retry, _, err := exportWithID(ctx, tx, organization, id)
	if err != nil {
		return false, err
	}
	ended, err := parentHasEnded(ctx, tx, retry)
	if err != nil || !ended {
		return false, err
	}
	retried, err := loadRetried(ctx, tx, retry)
	return len(retried) == 0, err
}

// Waiting is how many entries of a date no export has taken, and which retry would take
// them now.
type Waiting struct {
	Date    time.Time
	Entries int
	Retry   string // the export as a command names it, see [exports.Export.Reference]; "" if none
}

// refusedVouchers are the vouchers of which an export has refused lines that its retry takes,
// by the end of its period: up to there a retry takes their new lines too. There is none
// while an export of the period has not ended. An export that has ended with all its entries
// exported gets no others, so that most are not looked into.
var refusedVouchers = `SELECT entry.voucher_id, max(export.period_end) AS period_end, (array_agg(` + referenceOf("export", "integration.name") + ` ORDER BY export.period_end DESC, export.started_at DESC))[1] AS retry
    FROM ledgerline.bufdir_export_audit_log AS export
    JOIN ledgerline.integrations AS integration ON integration.organization_id = @organization_id AND integration.integration_id = @integration_id
    CROSS JOIN LATERAL (SELECT DISTINCT voucher_id FROM ledgerline.export_entries
        WHERE organization_id = @organization_id AND export_id = export.export_id AND state = 'rejected' AND correction IS DISTINCT FROM 'withdrawn' OFFSET 0) AS entry
    WHERE export.organization_id = @organization_id AND export.integration_id = @integration_id AND export.status <> 'pending' AND export.entries_total > export.entries_exported
      AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS pending
          WHERE pending.organization_id = @organization_id AND pending.integration_id = @integration_id AND pending.period = export.period AND pending.status = 'pending')
    GROUP BY entry.voucher_id`

// WaitingFilter selects entries that no export has taken.
type WaitingFilter struct {
	Before time.Time // dated before; zero: all
	Import string    // of the default source: only those of this import, see [ImportResult]
}

// lastDay is after every date that an entry has.
var lastDay = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// CountWaiting counts an integration's entries that no export has taken, by their dates and the
// retry that would take them now. It reads the source as a preview does.
func CountWaiting(ctx context.Context, db Beginner, sources *Sources, in integrations.Integration, f WaitingFilter) (list []Waiting, err error) {
	before := f.Before
	if before.IsZero() {
		before = lastDay
	}
	err = readFresh(ctx, db, sources, in, before, func(tx pgx.Tx, put func(string) string, args pgx.NamedArgs) error {
		where := ""
		if f.Import != "" {
			where, args["import"] = " WHERE fresh.imported_in = @import::text::xid8", f.Import
		}
		list, err = queryRows[Waiting](ctx, tx, put(`WITH fresh AS ({fresh}), refused AS MATERIALIZED (`+refusedVouchers+`)
			SELECT entry_date AS date, count(*)::int AS entries, coalesce(refused.retry, '') AS retry
			FROM fresh LEFT JOIN refused ON refused.voucher_id = fresh.voucher_id AND fresh.entry_date < refused.period_end`+where+`
			GROUP BY entry_date, refused.retry ORDER BY entry_date, retry`), args)
		return err
	})
	return list, err
}

// readFresh calls fn in a transaction that changes nothing. put puts the table of the source
// into a query as {source}, and as {fresh} the query of the entries that no export of an
// integration has taken and that are dated before a day: what [lines] looks at, found in the
// same way.
func readFresh(ctx context.Context, db Beginner, sources *Sources, in integrations.Integration, before time.Time, fn func(tx pgx.Tx, put func(query string) string, args pgx.NamedArgs) error) error {
	e := exports.Export{OrganizationID: in.OrganizationID, IntegrationID: in.ID, PeriodEnd: before}
	source := sourceOf(in.Export)
	return sources.with(ctx, db, e, source, true, func(db Beginner, table string, r reading) error {
		return inSnapshot(ctx, db, e.OrganizationID, func(tx pgx.Tx) (err error) {
			if _, err := tx.Exec(ctx, longStatements); err != nil {
				return err
			}
			if table == integrations.DefaultSource {
				if r.since, err = loadMark(ctx, tx, e, source); err != nil {
					return err
				}
			}
			args := pgx.NamedArgs{"organization_id": e.OrganizationID, "integration_id": e.IntegrationID, "period_end": before}
			return sourceError(source, fn(tx, func(query string) string { return r.fresh(query, table, args) }, args))
		})
	})
}
