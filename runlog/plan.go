package runlog

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
)

// DefaultSource is where entries come from unless an integration names another
// table or view with the same columns.
const DefaultSource = integrations.DefaultSource

// longStatements gives the statements that touch all entries of an export
// nearly as long as their activity has, and memory for sorting.
const longStatements = "SET LOCAL statement_timeout = '170s'; SET LOCAL work_mem = '64MB'"

// lines are the entries that an export takes: every one up to the end of its
// period that no export has taken yet, and with them those that were refused
// here before, were never sent, and belong to a voucher that has got new lines:
// it may be whole now. These come whatever their date, or a voucher whose later
// month was exported first would never be whole. A retry takes what its parent refused here, and what has
// come to the same vouchers. Of a voucher that is at the vendor in part, as where
// code of a company commits in the middle of a request, the rest sums to zero
// together with that part.
//
// Each line is checked and turned into the vendor's words. fault says what is
// wrong with it, for people.
//
//	$1 organization  $2 integration  $3 export  $4 $5 period [from, to)  $6 most entries of a voucher
//	$7 accounts (jsonb or NULL)  $8 dimensions (jsonb)  $9 currencies  $10 parent of a retry or NULL
//	$11 most entries in a chunk, unless a voucher has more
var lines = `
WITH fresh AS (
    SELECT a.* FROM {source} a
    WHERE a.organization_id = $1 AND a.entry_date < $5
      AND NOT EXISTS (SELECT FROM ledgerline.export_entries x
          WHERE x.organization_id = $1 AND x.integration_id = $2 AND x.entry_id = a.entry_id)
), held AS (
    SELECT a.* FROM {source} a JOIN ledgerline.export_entries x ON x.entry_id = a.entry_id
    WHERE a.organization_id = $1 AND x.organization_id = $1 AND x.integration_id = $2
      AND ($10::uuid IS NULL AND x.chunk = 0 AND x.voucher_id IN (SELECT voucher_id FROM fresh) OR x.export_id = $10 AND x.state = 'rejected'
          AND EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log p WHERE p.organization_id = $1 AND p.export_id = $10 AND p.status <> 'pending'))
), lines AS (
    SELECT ` + translated + `
    FROM (SELECT * FROM fresh WHERE $10::uuid IS NULL OR voucher_id IN (SELECT voucher_id FROM held) UNION ALL SELECT * FROM held) s
), siblings AS (
    SELECT voucher_id, sum(amount) AS amount FROM ledgerline.export_entries
    WHERE $10::uuid IS NOT NULL AND organization_id = $1 AND integration_id = $2 AND state = 'exported' AND voucher_id IN (SELECT voucher_id FROM held)
    GROUP BY voucher_id
), vouchers AS (
    SELECT voucher_id, count(*)::int AS n,
        CASE WHEN count(fault) > 0 THEN min('line ' || entry_id || ': ' || fault)
             WHEN min(currency) <> max(currency) THEN 'the voucher has more than one currency'
             WHEN sum(amount) + coalesce(min(sent), 0) <> 0 THEN 'the voucher does not sum to zero: difference ' || sum(amount) + coalesce(min(sent), 0)
             WHEN count(*) > $6 THEN 'the voucher has ' || count(*) || ' lines; at most ' || $6::int || ' fit in one request'
        END AS fault
    FROM (SELECT l.*, s.amount AS sent FROM lines l LEFT JOIN siblings s USING (voucher_id)) l GROUP BY voucher_id
), placed AS (
    SELECT voucher_id, n, fault, CASE WHEN fault IS NULL THEN dense_rank() OVER (ORDER BY fault IS NOT NULL, place) ELSE 0 END AS chunk
    FROM (SELECT voucher_id, n, fault, ` + placeOf("$11::int") + ` AS place
          FROM (SELECT v.*, sum(n) OVER (PARTITION BY fault IS NULL, ` + small("$11::int") + ` ORDER BY voucher_id) AS upto, row_number() OVER (ORDER BY voucher_id) AS nth,
                    max(n) FILTER (WHERE fault IS NULL AND ` + small("$11::int") + `) OVER () AS most
                FROM vouchers v) u) w
)`

// small tells the vouchers that share chunks from those that have more than half as
// many lines as a chunk may have. Each of these has a chunk of its own, or one of
// them would make all chunks small.
func small(size string) string { return "n <= greatest(1, " + size + " / 2)" }

// placeOf is where a voucher goes. Those that share chunks are counted up, and a
// voucher belongs where its last line does: so a chunk has room for the largest of
// them.
func placeOf(size string) string {
	return "CASE WHEN " + small(size) + " THEN (upto - 1) / greatest(1, " + size + " + 1 - most)::int ELSE 1000000000 + nth END"
}

// named is all that names things in a line of the source; see [plain.Name].
const named = `(entry_id || voucher_id || coalesce(account, '') || coalesce(currency, '') || coalesce(dimensions::text, ''))`

// translated turns a line of the source into the vendor's words.
var translated = `entry_id, voucher_id, entry_date, coalesce(text, '') AS text, coalesce(currency, '') AS currency,
        CASE WHEN amount = round(amount, 2) THEN round(amount, 2) ELSE coalesce(amount, 0) END AS amount,
        coalesce($7::jsonb ->> account, account, '') AS account,
        CASE WHEN coalesce(dimensions, '{}') = '{}' THEN '{}' ELSE
            (SELECT coalesce(jsonb_object_agg(m.value, d.value), '{}') FROM jsonb_each_text(dimensions) d JOIN jsonb_each_text($8::jsonb) m USING (key) WHERE m.value <> '')
        END AS dimensions,
        CASE WHEN ` + named + ` ~ '` + plain.Class() + `' THEN 'a name in it has the invisible character U+'
                 || regexp_replace(upper(lpad(to_hex(ascii(substring(` + named + ` FROM '` + plain.Class() + `'))), 6, '0')), '^00?', '') || '; correct it in the source'
             WHEN amount IS NULL THEN 'has no amount'
             WHEN amount <> round(amount, 2) THEN 'amount ' || amount || ' has more than two decimals'
             WHEN currency IS NULL OR NOT currency = ANY($9::text[]) THEN 'currency ' || coalesce(currency, '(none)') || ' is not taken; export.currencies has ' || array_to_string($9::text[], ', ')
             WHEN coalesce(account, '') = '' THEN 'has no account'
             WHEN $7::jsonb IS NOT NULL AND NOT $7::jsonb ? account THEN 'account ' || account || ' is not mapped; add it to export.accounts'
             WHEN coalesce(dimensions, '{}') <> '{}' THEN
                 (SELECT 'dimension ' || min(k) || ' is not mapped; add it to export.dimensions, with "" to leave it out'
                  FROM jsonb_object_keys(dimensions) k WHERE NOT $8::jsonb ? k HAVING count(*) > 0)
        END AS fault`

// planEntries gives each line its chunk and its key at the vendor. A voucher
// stays whole: the chunk of its last entry is that of all, and the width of a
// chunk leaves room for the largest voucher. What is refused here gets chunk 0.
// $12 is the first chunk's number less one.
var planEntries = lines + `
INSERT INTO ledgerline.export_entries AS x (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, late, state, reason,
    entry_date, account, amount, currency, text, dimensions)
SELECT $1, $2, l.entry_id, $3, l.voucher_id, CASE WHEN p.fault IS NULL THEN p.chunk + $12::int ELSE 0 END,
    left(encode(sha256(convert_to($2::text || '/' || l.entry_id, 'UTF8')), 'hex'), 32),
    l.entry_date < $4, CASE WHEN p.fault IS NULL THEN 'planned' ELSE 'rejected' END, left(p.fault, 500),
    l.entry_date, l.account, l.amount, l.currency, l.text, nullif(l.dimensions, '{}')
FROM lines l JOIN placed p USING (voucher_id)
ORDER BY p.chunk, l.voucher_id
ON CONFLICT (organization_id, integration_id, entry_id) DO UPDATE
SET export_id = excluded.export_id, chunk = excluded.chunk, late = excluded.late, state = excluded.state, reason = excluded.reason,
    entry_date = excluded.entry_date, account = excluded.account, amount = excluded.amount, currency = excluded.currency,
    text = excluded.text, dimensions = excluded.dimensions,
    changed = x.changed OR x.sent_in IS NOT NULL AND (x.entry_date, x.account, x.amount, x.currency, x.text, x.dimensions)
        IS DISTINCT FROM (excluded.entry_date, excluded.account, excluded.amount, excluded.currency, excluded.text, excluded.dimensions)
WHERE x.chunk = 0 OR x.state = 'rejected' AND x.export_id = $10`

// replanEntries hands what an export did not get done to its retry, in chunks of
// the same entries: those whose outcome is unknown stay marked as sent, so that the vendor
// is asked first. Those that were rejected are not there, and are taken again from
// the source by [planEntries].
const replanEntries = `
UPDATE ledgerline.export_entries x SET export_id = $2, chunk = n.chunk, state = CASE WHEN state IN ('unknown', 'sent') THEN 'sent' ELSE 'planned' END, reason = NULL
FROM (SELECT chunk AS old, dense_rank() OVER (ORDER BY chunk) AS chunk FROM ledgerline.export_entries
      WHERE organization_id = $1 AND export_id = $3 AND state NOT IN ('exported', 'rejected') AND chunk > 0 GROUP BY chunk) n
WHERE x.organization_id = $1 AND x.export_id = $3 AND x.state NOT IN ('exported', 'rejected') AND x.chunk = n.old
  AND EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log p WHERE p.organization_id = $1 AND p.export_id = $3 AND p.status <> 'pending')`

// planned is the export whose entries a retry takes: its parent, or where that
// planned nothing, because it could not read its source, say, the one that the
// parent was to retry, and so on. If none of them planned anything, there is none,
// and the retry plans what the first one would have.
const planned = `
WITH RECURSIVE up AS (
    SELECT export_id, parent_export_id, 0 AS n FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND export_id = $2
    UNION ALL
    SELECT p.export_id, p.parent_export_id, n + 1 FROM up JOIN ledgerline.bufdir_export_audit_log p ON p.organization_id = $1 AND p.export_id = up.parent_export_id
) SELECT export_id FROM up WHERE EXISTS (SELECT FROM ledgerline.export_entries x WHERE x.organization_id = $1 AND x.export_id = up.export_id) ORDER BY n LIMIT 1`

// SourceError is a fault of the place where entries come from: it cannot be
// read, or what it holds cannot be planned. Trying again does not help until
// somebody has mended it.
type SourceError struct {
	Source string
	Reason string
}

// Error names the source and the remedy.
func (e *SourceError) Error() string { return "source " + e.Source + ": " + e.Reason }

var sourceName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// from puts a source's quoted name into a query.
func from(query, source string) string {
	return strings.ReplaceAll(query, "{source}", pgx.Identifier(strings.Split(source, ".")).Sanitize())
}

// planArgs are the parameters of [lines].
func planArgs(e exports.Export, x integrations.ExportSettings, most, size int) (source string, args []any) {
	var accounts any
	if x.Accounts != nil {
		accounts = x.Accounts
	}
	dimensions, currencies := x.Dimensions, x.Currencies
	if dimensions == nil {
		dimensions = map[string]string{}
	}
	if currencies == nil {
		currencies = []string{"NOK"}
	}
	if source = x.Source; source == "" {
		source = DefaultSource
	}
	return source, []any{e.OrganizationID, e.IntegrationID, e.ID, e.PeriodStart, e.PeriodEnd, most, accounts, dimensions, currencies, e.ParentID, size}
}

// PlanExport assigns entries to an export in one statement and returns its last
// chunk's number. A voucher has at most most entries; a chunk at most size, unless it
// is one larger voucher. A second time it adds nothing, also if there was nothing the
// first time: what came since would be planned into an export whose run does not
// know of it. The retry of a pending export plans nothing yet. Another source than
// the default one is read through s first. A fault of the source is a [*SourceError]; a run that does not own the export
// plans nothing into it and gets [ErrNotOwner].
func PlanExport(ctx context.Context, db Beginner, s *Sources, e exports.Export, x integrations.ExportSettings, most, size int) (chunks int, err error) {
	source, args := planArgs(e, x, most, size)
	if source != DefaultSource {
		if due, err := planIsDue(ctx, db, e); err != nil {
			return 0, err
		} else if !due {
			return plan(ctx, db, e, source, "", nil)
		}
	}
	err = s.with(ctx, db, e, source, func(db Beginner, table string) error {
		chunks, err = plan(ctx, db, e, source, from(planEntries, table), args)
		return err
	})
	return chunks, err
}

// mayPlan holds for an export ($1, $2) that has no plan and whose parent ($3) has ended.
const mayPlan = `organization_id = $1 AND export_id = $2 AND planned_at IS NULL AND NOT EXISTS (
	SELECT FROM ledgerline.bufdir_export_audit_log p WHERE p.organization_id = $1 AND p.export_id = $3 AND p.status = 'pending')`

// planIsDue spares a source a reading for a plan that is made, or not to be made yet.
// What counts is asked again under the lock.
func planIsDue(ctx context.Context, db Beginner, e exports.Export) (due bool, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log WHERE `+mayPlan+`)`, e.OrganizationID, e.ID, e.ParentID).Scan(&due)
	})
	return due, err
}

// plan is one transaction of [PlanExport]; without a query it plans nothing, whatever has
// become of e meanwhile.
func plan(ctx context.Context, db Beginner, e exports.Export, source, query string, args []any) (chunks int, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if err := lockPlan(ctx, tx, e); err != nil {
			return err
		}
		if err := lockOwned(ctx, tx, e.Owner()); err != nil {
			return err
		}
		const last = `SELECT coalesce(max(chunk), 0) FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`
		first, err := tx.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET planned_at = now() WHERE $4 AND `+mayPlan, e.OrganizationID, e.ID, e.ParentID, query != "")
		if err != nil {
			return err
		}
		if first.RowsAffected() > 0 {
			if _, err := tx.Exec(ctx, longStatements); err != nil {
				return err
			}
			if e.ParentID != nil {
				var from *uuid.UUID
				if err := tx.QueryRow(ctx, planned, e.OrganizationID, *e.ParentID).Scan(&from); err != nil && !errors.Is(err, pgx.ErrNoRows) {
					return err
				}
				args[9] = from
				if _, err := tx.Exec(ctx, replanEntries, e.OrganizationID, e.ID, from); err != nil {
					return err
				}
				if err := tx.QueryRow(ctx, last, e.OrganizationID, e.ID).Scan(&chunks); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, query, append(args, chunks)...); err != nil {
				return sourceError(source, err)
			}
		}
		return tx.QueryRow(ctx, last, e.OrganizationID, e.ID).Scan(&chunks)
	})
	return chunks, err
}

// lockPlan lets one claim or plan of an integration happen at a time: two would
// take the same entries.
func lockPlan(ctx context.Context, tx pgx.Tx, e exports.Export) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('ledgerline.plan/' || $1, 0))`, e.IntegrationID.String())
	return err
}

// sourceError puts what PostgreSQL says of a source's values into words. Other errors
// pass as they are; for those of reading it see [readError].
func sourceError(source string, err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	switch {
	case pg.Code == "21000" || pg.Code == "23505" && pg.TableName == "source_entries":
		return &SourceError{source, "an entry_id stands there twice; each must be there once for an organization"}
	case pg.Code == "23502":
		return &SourceError{source, "a row has no " + pg.ColumnName}
	case strings.HasPrefix(pg.Code, "22"):
		return &SourceError{source, "a value cannot be read as what it must be, or is too large; see docs/integration-file.md"}
	}
	return err
}

// ExportPreview is what an export would plan.
type ExportPreview struct {
	Entries  int               `json:"entries"` // to be sent
	Vouchers int               `json:"vouchers"`
	Chunks   int               `json:"chunks"`
	Late     int               `json:"late"` // dated before the period
	Amounts  map[string]string `json:"amounts"`
	Rejected []Problem         `json:"rejected"` // one for each voucher, at most 1,000
}

// PreviewExport says what [Plan] would do, and does nothing: PostgreSQL holds it to
// that. It refuses a user whom row-level security does not bind.
func PreviewExport(ctx context.Context, db Beginner, s *Sources, e exports.Export, x integrations.ExportSettings, chunkSize int) (p ExportPreview, err error) {
	source, args := planArgs(e, x, chunkSize, chunkSize)
	const typed = ` AND $3::uuid IS NOT NULL AND $4::date IS NOT NULL` // PostgreSQL wants each parameter used
	err = s.with(ctx, db, e, source, func(db Beginner, table string) error {
		sums := from(lines+`, good AS (
				SELECT l.*, p.chunk FROM lines l JOIN placed p USING (voucher_id) WHERE p.chunk > 0
			) SELECT count(*), count(DISTINCT voucher_id), coalesce(max(chunk), 0), count(*) FILTER (WHERE entry_date < $4),
				(SELECT coalesce(jsonb_object_agg(currency, debit::text), '{}')
				 FROM (SELECT currency, sum(amount) FILTER (WHERE amount > 0) AS debit FROM good GROUP BY currency) s)
			FROM good WHERE true`+typed, table)
		refused := from(lines+` SELECT voucher_id, '', 'rejected', fault, '', NULL::timestamptz FROM vouchers WHERE fault IS NOT NULL`+typed+` ORDER BY 1 LIMIT 1000`, table)
		return readOnly(ctx, db, e.OrganizationID, false, func(tx pgx.Tx) error {
			if err := refuseUnbound(ctx, tx); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, longStatements); err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, sums, args...).Scan(&p.Entries, &p.Vouchers, &p.Chunks, &p.Late, &p.Amounts); err != nil {
				return sourceError(source, err)
			}
			rows, err := tx.Query(ctx, refused, args...)
			if err != nil {
				return err
			}
			p.Rejected, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Problem])
			return err
		})
	})
	return p, err
}
