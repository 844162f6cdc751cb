package runlog

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// A mark of an integration's source: every entry that came up to a position, and is dated
// before a day, has a row in export_entries. So the next plan need not look at them,
// however many they are. An entry that is dated later, or came later, is looked at; one
// that has been taken all the same is recognized by its row.
//
// A position must never pass over an entry that cannot be seen yet, of a transaction that
// commits late. For the default source it is a number that an import gets once it can be
// seen, see [positionImports]. For another source it is the oldest transaction ID that was
// not over when it was read, and counts on the server that was read alone.
type mark struct {
	Position int64
	Before   time.Time // a day
	Server   string    // of another source, see [reading.begin]; "" of the default one
	WholeAt  time.Time // when the source was last looked at as a whole
}

// wholeFor is how long another source is read from its mark on. The next reading is whole
// again, and finds what came into a view without a new transaction ID, by a clock say.
const wholeFor = 7 * 24 * time.Hour

// reading is what a plan looks at of its source: everything, or what has come since a
// mark; and what there was to see.
type reading struct {
	since *mark // nil: everything
	seen  mark  // without Before, which is the end of the plan's period
}

// loadMark returns the mark of a source; nil if it has none.
func loadMark(ctx context.Context, tx pgx.Tx, e exports.Export, source string) (*mark, error) {
	m, err := queryRow[mark](ctx, tx, `SELECT position, before, server, whole_at FROM ledgerline.plan_marks
		WHERE organization_id = $1 AND integration_id = $2 AND source = $3`, e.OrganizationID, e.IntegrationID, source)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return &m, err
}

// positionImports gives the imports of an organization that can be seen and have no
// position the next one, and returns the highest. One transaction at a time does so: what
// has a position up to the one that is returned can be seen by whoever looks afterwards.
func positionImports(ctx context.Context, db Beginner, organization uuid.UUID) (position int64, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('ledgerline.imports/' || $1, 0))`, organization.String()); err != nil {
			return err
		}
		// Marks count too, so that a position is never given twice, also if somebody has deleted imports.
		if err := tx.QueryRow(ctx, `SELECT greatest(
			    (SELECT max(position) FROM ledgerline.entry_imports WHERE organization_id = $1),
			    (SELECT max(position) FROM ledgerline.plan_marks WHERE organization_id = $1 AND server = ''), 0)`, organization).Scan(&position); err != nil {
			return err
		}
		given, err := tx.Exec(ctx, `UPDATE ledgerline.entry_imports SET position = $2 WHERE organization_id = $1 AND position IS NULL`, organization, position+1)
		if given.RowsAffected() > 0 {
			position++
		}
		return err
	})
	return position, err
}

// begin finds out what a reading of another source can see, in the transaction that reads
// it, and whether r.since holds there. A source without the column has neither, and so has
// one whose login may not see which server it is.
func (r *reading) begin(ctx context.Context, tx pgx.Tx, hasMarks bool) error {
	since := r.since
	r.since = nil
	if !hasMarks {
		return nil
	}
	var allowed bool
	if err := tx.QueryRow(ctx, `SELECT pg_catalog.bool_and(pg_catalog.has_function_privilege(name, 'EXECUTE'))
		FROM pg_catalog.unnest(ARRAY['pg_catalog.pg_control_system()', 'pg_catalog.pg_control_checkpoint()']) AS name`).Scan(&allowed); err != nil || !allowed {
		return err
	}
	var next int64
	// A restored or promoted server has another timeline, and may give transaction IDs again.
	// One that was put back to a copy of its disk has not, but it was started since.
	err := tx.QueryRow(ctx, `SELECT pg_catalog.concat_ws('/', system.system_identifier, checkpoint.timeline_id, database.oid,
		        extract(epoch FROM pg_catalog.pg_postmaster_start_time())),
		    pg_catalog.pg_snapshot_xmin(now.snapshot)::text::bigint, pg_catalog.pg_snapshot_xmax(now.snapshot)::text::bigint, pg_catalog.now()
		FROM pg_catalog.pg_control_system() AS system, pg_catalog.pg_control_checkpoint() AS checkpoint, pg_catalog.pg_current_snapshot() AS now (snapshot),
		    pg_catalog.pg_database AS database WHERE database.datname = pg_catalog.current_database()`).Scan(&r.seen.Server, &r.seen.Position, &next, &r.seen.WholeAt)
	if err != nil {
		return err
	}
	if since == nil || since.Server != r.seen.Server || since.Position > next {
		return nil
	}
	if age := r.seen.WholeAt.Sub(since.WholeAt); age >= 0 && age < wholeFor { // its clock may have been wrong
		r.since, r.seen.WholeAt = since, since.WholeAt
	}
	return nil
}

const (
	// freshOfAll are the entries before the end of a period that no export has taken.
	freshOfAll = `
    SELECT source.* FROM {source} AS source
    WHERE source.organization_id = @organization_id AND source.entry_date < @period_end
      AND NOT EXISTS (SELECT FROM ledgerline.export_entries AS taken
          WHERE taken.organization_id = @organization_id AND taken.integration_id = @integration_id AND taken.entry_id = source.entry_id)`

	// freshSinceMark are the same entries of the default source, found by their date or
	// their import. Statistics know nothing of what has just come, so each step says how
	// it is done.
	freshSinceMark = `
    SELECT source.* FROM (
        SELECT entry.* FROM {source} AS entry
        WHERE organization_id = @organization_id AND entry_date >= @marked_before AND entry_date < @period_end
        UNION ALL
        SELECT entry.* FROM ledgerline.entry_imports AS import CROSS JOIN LATERAL (
            SELECT * FROM {source} WHERE organization_id = @organization_id AND imported_in = import.imported_in AND imported_in <> '0' OFFSET 0) AS entry
        WHERE import.organization_id = @organization_id AND (import.position IS NULL OR import.position > @marked_position)
          AND entry.entry_date < least(@marked_before, @period_end)
    ) AS source LEFT JOIN LATERAL (
        SELECT true AS is_taken FROM ledgerline.export_entries AS taken
        WHERE taken.organization_id = @organization_id AND taken.integration_id = @integration_id AND taken.entry_id = source.entry_id OFFSET 0) AS taken ON true
    WHERE taken.is_taken IS NULL`
)

// fresh puts a table and the way to find its fresh entries into a query of [lines], and
// what that needs into args. What has been staged of another source is small already.
func (r reading) fresh(query, table string, args pgx.NamedArgs) string {
	how := freshOfAll
	if r.since != nil && table != stagedTable {
		how, args["marked_position"], args["marked_before"] = freshSinceMark, r.since.Position, r.since.Before
	}
	return from(strings.Replace(query, "{fresh}", how, 1), table)
}

// record stores what a plan that took everything has shown. A plan of an earlier period
// shows less than a mark that is dated later, which stays.
func (r reading) record(ctx context.Context, tx pgx.Tx, e exports.Export, source string) error {
	if source != integrations.DefaultSource && r.seen.Server == "" {
		return nil
	}
	args := pgx.NamedArgs{
		"organization_id": e.OrganizationID, "integration_id": e.IntegrationID, "source": source,
		"position": r.seen.Position, "before": e.PeriodEnd, "server": r.seen.Server, "whole_at": r.seen.WholeAt,
	}
	if r.since != nil { // only while the mark holds on which the reading relied
		args["since_position"], args["since_before"] = r.since.Position, r.since.Before
		_, err := tx.Exec(ctx, `UPDATE ledgerline.plan_marks SET position = @position, before = @before
			WHERE organization_id = @organization_id AND integration_id = @integration_id AND source = @source AND server = @server
			  AND position = @since_position AND before = @since_before AND before <= @before`, args)
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO ledgerline.plan_marks AS mark (organization_id, integration_id, source, position, before, server, whole_at)
		VALUES (@organization_id, @integration_id, @source, @position, @before, @server, @whole_at)
		ON CONFLICT (organization_id, integration_id, source) DO UPDATE
		SET position = excluded.position, before = excluded.before, server = excluded.server, whole_at = excluded.whole_at
		WHERE mark.before <= excluded.before OR mark.server <> excluded.server OR mark.position > excluded.position`, args)
	return err
}
