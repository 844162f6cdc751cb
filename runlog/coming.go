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

// Waiting is how many entries of a date no export has taken.
type Waiting struct {
	Date    time.Time
	Entries int
}

// WaitingFilter selects entries that no export has taken.
type WaitingFilter struct {
	Before time.Time // dated before; zero: all
	Import string    // of the default source: only those of this import, see [ImportResult]
}

// lastDay is after every date that an entry has.
var lastDay = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// CountWaiting counts an integration's entries that no export has taken, by their dates. It
// reads the source as a preview does.
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
		list, err = queryRows[Waiting](ctx, tx, put(`WITH fresh AS ({fresh})
			SELECT entry_date AS date, count(*)::int AS entries FROM fresh`+where+` GROUP BY entry_date ORDER BY entry_date`), args)
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
