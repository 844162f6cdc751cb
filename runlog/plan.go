package runlog

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
)

// longStatements gives the statements that touch all entries of an export
// nearly as long as their activity has, and memory for sorting.
const longStatements = "SET LOCAL statement_timeout = '170s'; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off"

// planStatements are for [lines]. Where rows are looked up one by one, the query says so
// with LATERAL and OFFSET 0; anything else would be one row by every row, on the word of
// statistics that do not know of a table that was just filled.
const planStatements = longStatements + "; SET LOCAL enable_nestloop = off"

// lines are the entries that an export takes: every one up to the end of its
// period that no export has taken yet, and with them those that were refused
// here before, were never sent, and belong to a voucher that has got new lines:
// it may be whole now. These come whatever their date, or a voucher whose later
// month was exported first would never be whole. So do the vouchers that were refused, here or
// by the vendor, and corrected since, if a line of them is due; those that the vendor refused
// once their export has ended. A retry takes what the exports before it in its chain have as
// rejected, of certain vouchers only if somebody has named them, and what has come to the same
// vouchers or was corrected of them, whichever export has it. [mark.fresh] has the entries that no export has taken. Of a voucher that is at the vendor in part, as where
// code of a company commits in the middle of a request, the rest sums to zero
// together with that part.
//
// Each line is checked and turned into the vendor's words. problem says what is
// wrong with it, for people; NULL if nothing is. [planArgs] has the parameters.
var lines = `
WITH fresh AS ({fresh}
), corrected AS (
    SELECT entry_id, voucher_id, entry_date < @period_end AS is_due FROM (` + correctedEntries + `) AS entry
), retried AS (
    SELECT entry_id, voucher_id FROM ledgerline.export_entries AS entry
    WHERE organization_id = @organization_id AND integration_id = @integration_id AND export_id = ANY(@retried) AND state = 'rejected'
      AND (@only_vouchers::text[] IS NULL OR voucher_id = ANY(@only_vouchers))
      AND EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS parent
          WHERE parent.organization_id = @organization_id AND parent.export_id = entry.export_id AND parent.status <> 'pending')
), held AS (
    SELECT source.* FROM (
        SELECT refused.entry_id FROM (
            SELECT DISTINCT voucher_id FROM fresh WHERE @retried::uuid[] IS NULL
              AND EXISTS (SELECT FROM ledgerline.export_entries WHERE organization_id = @organization_id AND integration_id = @integration_id AND chunk = 0)
        ) AS grown CROSS JOIN LATERAL (
            SELECT entry_id FROM ledgerline.export_entries
            WHERE organization_id = @organization_id AND integration_id = @integration_id AND voucher_id = grown.voucher_id AND chunk = 0 OFFSET 0) AS refused
        UNION
        SELECT entry_id FROM corrected WHERE voucher_id IN (SELECT voucher_id FROM corrected WHERE is_due UNION ALL SELECT voucher_id FROM fresh)
          AND @retried::uuid[] IS NULL
        UNION
        SELECT entry_id FROM corrected WHERE voucher_id IN (SELECT voucher_id FROM retried)
        UNION
        SELECT entry_id FROM retried
    ) AS refused CROSS JOIN LATERAL (
        SELECT * FROM {source} AS source WHERE source.organization_id = @organization_id AND source.entry_id = refused.entry_id OFFSET 0) AS source
), lines AS (
    SELECT ` + translatedColumns + `
    FROM (SELECT * FROM fresh WHERE @retried::uuid[] IS NULL OR voucher_id IN (SELECT voucher_id FROM held) UNION ALL SELECT * FROM held) AS source
), siblings AS (
    SELECT voucher_id, sum(amount) AS amount FROM ledgerline.export_entries
    WHERE (@retried::uuid[] IS NOT NULL OR EXISTS (SELECT FROM corrected)) AND organization_id = @organization_id AND integration_id = @integration_id
      AND state = 'exported' AND voucher_id IN (SELECT voucher_id FROM held) AND (@retried::uuid[] IS NOT NULL OR voucher_id IN (SELECT voucher_id FROM corrected))
    GROUP BY voucher_id
), vouchers AS (
    SELECT voucher_id, count(*)::int AS line_count,
        CASE WHEN count(problem) > 0 THEN min('line ' || entry_id || ': ' || problem)
             WHEN min(currency) <> max(currency) THEN 'the voucher has more than one currency'
             WHEN sum(amount) + coalesce(min(exported_amount), 0) <> 0 THEN 'the voucher does not sum to zero: difference ' || sum(amount) + coalesce(min(exported_amount), 0)
             WHEN count(*) > @most_of_voucher THEN 'the voucher has ' || count(*) || ' lines; at most ' || @most_of_voucher::int || ' fit in one request'
        END AS problem
    FROM (SELECT lines.*, siblings.amount AS exported_amount FROM lines LEFT JOIN siblings USING (voucher_id)) AS line GROUP BY voucher_id
), placed AS (
    SELECT voucher_id, problem, CASE WHEN problem IS NULL THEN dense_rank() OVER (ORDER BY problem IS NOT NULL, chunk_order) ELSE 0 END AS chunk
    FROM (SELECT voucher_id, problem, ` + chunkOrder("@chunk_size::int") + ` AS chunk_order
          FROM (SELECT vouchers.*, row_number() OVER (ORDER BY voucher_id) AS voucher_number,
                    sum(line_count) OVER (PARTITION BY problem IS NULL, ` + sharesChunk("@chunk_size::int") + ` ORDER BY voucher_id) AS lines_so_far,
                    max(line_count) FILTER (WHERE problem IS NULL AND ` + sharesChunk("@chunk_size::int") + `) OVER () AS largest
                FROM vouchers) AS counted) AS ordered
)`

// correctedEntries are the entries that were refused and corrected since, and that an export
// can take: with their dates now.
const correctedEntries = `SELECT entry.entry_id, entry.voucher_id, source.entry_date FROM (
        SELECT entry_id, voucher_id FROM ledgerline.export_entries AS entry
        WHERE organization_id = @organization_id AND integration_id = @integration_id AND correction = 'replaced'
          AND (chunk = 0 OR EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS export
              WHERE export.organization_id = @organization_id AND export.export_id = entry.export_id AND export.status <> 'pending'))
    ) AS entry CROSS JOIN LATERAL (
        SELECT entry_date FROM {source} WHERE organization_id = @organization_id AND entry_id = entry.entry_id OFFSET 0) AS source`

// sharesChunk selects the vouchers that share chunks from those that have more than
// half as many lines as a chunk may have. Each of the latter has a chunk of its own, or
// one of them would make all chunks small.
func sharesChunk(size string) string { return "line_count <= greatest(1, " + size + " / 2)" }

// chunkOrder is a number that the vouchers of a chunk have in common, and that grows
// from chunk to chunk. The lines of those that share chunks are counted up, and a
// voucher belongs where its last line does: so a chunk has room for the largest of
// them.
func chunkOrder(size string) string {
	return "CASE WHEN " + sharesChunk(size) + " THEN (lines_so_far - 1) / greatest(1, " + size + " + 1 - largest)::int ELSE 1000000000 + voucher_number END"
}

// nameColumns is all that names things in a line of the source; see [plain.Name].
const nameColumns = `(entry_id || voucher_id || coalesce(account, '') || coalesce(currency, '') || coalesce(dimensions::text, ''))`

// translatedColumns turn a line of the source into the vendor's words.
var translatedColumns = `entry_id, voucher_id, entry_date, coalesce(text, '') AS text, coalesce(currency, '') AS currency,
        CASE WHEN amount = round(amount, 2) THEN round(amount, 2) ELSE coalesce(amount, 0) END AS amount,
        coalesce(@accounts::jsonb ->> account, account, '') AS account,
        CASE WHEN coalesce(dimensions, '{}') = '{}' THEN '{}' ELSE
            (SELECT coalesce(jsonb_object_agg(mapped.value, given.value), '{}')
             FROM jsonb_each_text(dimensions) AS given JOIN jsonb_each_text(@dimensions::jsonb) AS mapped USING (key) WHERE mapped.value <> '')
        END AS dimensions,
        CASE WHEN ` + nameColumns + ` ~ '` + plain.Class() + `' THEN 'a name in it has the invisible character U+'
                 || regexp_replace(upper(lpad(to_hex(ascii(substring(` + nameColumns + ` FROM '` + plain.Class() + `'))), 6, '0')), '^00?', '') || '; correct it in the source'
             WHEN amount IS NULL THEN 'has no amount'
             WHEN amount <> round(amount, 2) THEN 'amount ' || amount || ' has more than two decimals'
             WHEN currency IS NULL OR NOT currency = ANY(@currencies::text[])
                 THEN 'currency ' || coalesce(currency, '(none)') || ' is not taken; export.currencies of the integration file has ' || array_to_string(@currencies::text[], ', ')
             WHEN coalesce(account, '') = '' THEN 'has no account'
             WHEN @accounts::jsonb IS NOT NULL AND NOT @accounts::jsonb ? account THEN 'account ' || account || ' is not mapped; add it to export.accounts of the integration file'
             WHEN coalesce(dimensions, '{}') <> '{}' THEN
                 (SELECT 'dimension ' || min(dimension) || ' is not mapped; add it to export.dimensions of the integration file, with "" to leave it out'
                  FROM jsonb_object_keys(dimensions) AS dimension WHERE NOT @dimensions::jsonb ? dimension HAVING count(*) > 0)
        END AS problem`

// planEntries gives each line its chunk and its key at the vendor. A voucher
// stays whole: the chunk of its last entry is that of all, and the width of a
// chunk leaves room for the largest voucher. What is refused here gets chunk 0.
// The chunks are numbered from @chunks_before + 1.
var planEntries = lines + `
INSERT INTO ledgerline.export_entries AS entry (organization_id, integration_id, entry_id, export_id, voucher_id, chunk, vendor_key, late, state, reason,
    entry_date, account, amount, currency, text, dimensions)
SELECT @organization_id, @integration_id, lines.entry_id, @export_id, lines.voucher_id, CASE WHEN placed.problem IS NULL THEN placed.chunk + @chunks_before::int ELSE 0 END,
    left(encode(sha256(convert_to(@integration_id::text || '/' || lines.entry_id, 'UTF8')), 'hex'), 32),
    lines.entry_date < @period_start, CASE WHEN placed.problem IS NULL THEN 'planned' ELSE 'rejected' END, left(placed.problem, 500),
    lines.entry_date, lines.account, lines.amount, lines.currency, lines.text, nullif(lines.dimensions, '{}')
FROM lines JOIN placed USING (voucher_id)
ORDER BY placed.chunk, lines.voucher_id
ON CONFLICT (organization_id, integration_id, entry_id) DO UPDATE
SET export_id = excluded.export_id, chunk = excluded.chunk, late = excluded.late, state = excluded.state, reason = excluded.reason,
    entry_date = excluded.entry_date, account = excluded.account, amount = excluded.amount, currency = excluded.currency,
    text = excluded.text, dimensions = excluded.dimensions,
    changed = entry.changed OR entry.sent_in IS NOT NULL
        AND (entry.entry_date, entry.account, entry.amount, entry.currency, entry.text, entry.dimensions)
        IS DISTINCT FROM (excluded.entry_date, excluded.account, excluded.amount, excluded.currency, excluded.text, excluded.dimensions)
WHERE entry.chunk = 0 OR entry.state = 'rejected' AND (entry.export_id = ANY(@retried) OR entry.correction = 'replaced')`

// replanEntries hands what exports ($3, the last one first) did not get done to their retry ($2), in
// chunks of the same entries: those whose outcome is unknown stay marked as sent, so that the
// vendor is asked first. Those that were rejected are not included: [planEntries] takes them
// from the source again.
const replanEntries = `
UPDATE ledgerline.export_entries AS entry SET export_id = $2, chunk = renumbered.chunk,
    state = CASE WHEN state IN ('unknown', 'sent') THEN 'sent' ELSE 'planned' END, reason = NULL
FROM (SELECT export_id AS old_export, chunk AS old_chunk, dense_rank() OVER (ORDER BY array_position($3::uuid[], export_id), chunk) AS chunk
      FROM ledgerline.export_entries
      WHERE organization_id = $1 AND export_id = ANY($3) AND state NOT IN ('exported', 'rejected') AND chunk > 0 GROUP BY export_id, chunk) AS renumbered
WHERE entry.organization_id = $1 AND entry.export_id = renumbered.old_export AND entry.state NOT IN ('exported', 'rejected') AND entry.chunk = renumbered.old_chunk
  AND EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS parent
      WHERE parent.organization_id = $1 AND parent.export_id = renumbered.old_export AND parent.status <> 'pending')`

// ancestors are an export ($2), what it is a retry of, and so on.
const ancestors = `
WITH RECURSIVE ancestors AS (
    SELECT export_id, parent_export_id, 0 AS generation FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND export_id = $2
    UNION ALL
    SELECT parent.export_id, parent.parent_export_id, generation + 1
    FROM ancestors JOIN ledgerline.bufdir_export_audit_log AS parent ON parent.organization_id = $1 AND parent.export_id = ancestors.parent_export_id
)`

// retriedExports are the exports whose entries a retry takes: its parent ($2) and all before
// it, the last one first. What the parent did not take, because only certain vouchers were
// retried or its source could not be read, say, is still theirs. If none of them planned
// anything, there is none, and the retry plans what the first one would have.
const retriedExports = ancestors + ` SELECT export_id FROM ancestors
WHERE EXISTS (SELECT FROM ledgerline.export_entries AS entry WHERE entry.organization_id = $1 AND entry.export_id = ancestors.export_id)
ORDER BY generation`

// SourceError is an error of the place where entries come from: it cannot be
// read, or what it holds cannot be planned. Trying again does not help until
// somebody has fixed it.
type SourceError struct {
	Source string // "table", "schema.table" or a view
	Reason string // what is wrong and what to do
}

// Error names the source and the remedy.
func (e *SourceError) Error() string { return "source " + e.Source + ": " + e.Reason }

var sourceName = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$`)

// manyEntries are enough for a chunk's statements to be slow where they read all entries of
// the export.
const manyEntries = 5000

// from puts a source's quoted name into a query.
func from(query, source string) string {
	return strings.ReplaceAll(query, "{source}", pgx.Identifier(strings.Split(source, ".")).Sanitize())
}

// planArgs are the parameters of [lines] and [planEntries].
func planArgs(e exports.Export, settings integrations.ExportSettings, mostOfVoucher, chunkSize int) pgx.NamedArgs {
	args := pgx.NamedArgs{
		"organization_id": e.OrganizationID,
		"integration_id":  e.IntegrationID,
		"export_id":       e.ID,
		"retried":         nil, // uuid[]: of a retry, see [retriedExports]; else NULL
		"only_vouchers":   nil, // text[]: of a retry that plans only these of the rejected vouchers; else NULL
		"period_start":    e.PeriodStart,
		"period_end":      e.PeriodEnd,   // the first day after it
		"most_of_voucher": mostOfVoucher, // entries
		"chunk_size":      chunkSize,     // most entries, unless a voucher has more
		"accounts":        nil,           // jsonb: the vendor's account by the source's; NULL where they are the same
		"dimensions":      map[string]string{},
		"currencies":      []string{"NOK"},
		"chunks_before":   0, // that the export has already
	}
	if settings.Accounts != nil {
		args["accounts"] = settings.Accounts
	}
	if settings.Dimensions != nil {
		args["dimensions"] = settings.Dimensions
	}
	if settings.Currencies != nil {
		args["currencies"] = settings.Currencies
	}
	return args
}

// sourceOf is the table or view that an integration's entries come from.
func sourceOf(settings integrations.ExportSettings) string {
	return cmp.Or(settings.Source, integrations.DefaultSource)
}

// PlanExport assigns entries to an export in one statement and returns the number of its
// last chunk; 0 if it has none. A voucher has at most mostOfVoucher entries; a chunk at most
// chunkSize, unless it is one larger voucher. A second time it adds nothing, also if there
// was nothing the first time: what came since would be planned into an export whose run does
// not know of it. The retry of a pending export plans nothing yet.
//
// It looks at what its source has got since the last plan, see [mark]. Another source than
// the default one is read through sources first. An error of the source is a [*SourceError];
// a run that does not own the export plans nothing into it and gets [ErrNotOwner].
func PlanExport(ctx context.Context, db Beginner, sources *Sources, e exports.Export, settings integrations.ExportSettings, mostOfVoucher, chunkSize int) (chunks int, err error) {
	return PlanRetry(ctx, db, sources, e, settings, mostOfVoucher, chunkSize, nil)
}

// PlanRetry is [PlanExport] of a retry that takes, of the vouchers that were rejected, only some; nil is all. The
// others stay where they are, for a later retry. What was not sent, and what is open, is taken whole in any case:
// whoever may ask the vendor has to, and nothing of a request is torn apart.
func PlanRetry(ctx context.Context, db Beginner, sources *Sources, e exports.Export, settings integrations.ExportSettings, mostOfVoucher, chunkSize int, vouchers []string) (chunks int, err error) {
	source, args := sourceOf(settings), planArgs(e, settings, mostOfVoucher, chunkSize)
	if len(vouchers) > 0 {
		args["only_vouchers"] = vouchers
	}
	if due, err := planIsDue(ctx, db, e); err != nil {
		return 0, err
	} else if !due {
		return planAlone(ctx, db, e, nil)
	}
	for range stagings {
		if chunks, err = planOnce(ctx, db, sources, e, source, args); !errors.Is(err, errCorrected) {
			break
		}
	}
	return chunks, err
}

// stagings is how often a source is read for a plan while entries are being corrected, before the plan is tried again
// later.
const stagings = 3

// errCorrected is returned where entries were corrected after a source had been read that may show them.
var errCorrected = errors.New("entries were corrected while they were read for a plan")

// planOnce is [PlanExport] with one reading of the source.
func planOnce(ctx context.Context, db Beginner, sources *Sources, e exports.Export, source string, args pgx.NamedArgs) (chunks int, err error) {
	before, err := lastCorrection(ctx, db, e.OrganizationID)
	if err != nil {
		return 0, err
	}
	err = sources.with(ctx, db, e, source, true, func(db Beginner, table string, r reading) error {
		if table == integrations.DefaultSource {
			if r.seen.Position, err = positionImports(ctx, db, e.OrganizationID); err != nil {
				return err
			}
			r.seen.WholeAt = time.Now()
		}
		chunks, err = planAlone(ctx, db, e, func(tx pgx.Tx) error {
			if table == integrations.DefaultSource {
				if r.since, err = loadMark(ctx, tx, e, source); err != nil {
					return err
				}
			} else if now, err := correctionIn(ctx, tx, e.OrganizationID); err != nil || now != before {
				return cmp.Or(err, errCorrected)
			}
			return assignEntries(ctx, tx, e, source, table, r, args)
		})
		return err
	})
	return chunks, err
}

// planCanBeMade holds for an export ($1, $2) that has no plan and whose parent ($3) has ended.
const planCanBeMade = `organization_id = $1 AND export_id = $2 AND planned_at IS NULL AND NOT EXISTS (
	SELECT FROM ledgerline.bufdir_export_audit_log AS parent WHERE parent.organization_id = $1 AND parent.export_id = $3 AND parent.status = 'pending')`

// planIsDue saves preparing for a plan that has been made, or must not be made yet.
// What counts is asked again under the lock.
func planIsDue(ctx context.Context, db Beginner, e exports.Export) (due bool, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log WHERE `+planCanBeMade+`)`, e.OrganizationID, e.ID, e.ParentID).Scan(&due)
	})
	return due, err
}

// planAlone runs assign as the export's owner, while nothing else is planned for its
// integration, and returns the number of the export's last chunk. A nil assign plans nothing,
// whatever has become of e meanwhile.
func planAlone(ctx context.Context, db Beginner, e exports.Export, assign func(pgx.Tx) error) (chunks int, err error) {
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if err := lockPlanning(ctx, tx, e.IntegrationID); err != nil {
			return err
		}
		if err := lockOwnedExport(ctx, tx, e.Owner()); err != nil {
			return err
		}
		if assign != nil {
			if err := assign(tx); err != nil {
				return err
			}
		}
		chunks, err = lastChunk(ctx, tx, e)
		return err
	})
	return chunks, err
}

// assignEntries plans an export once: a retry's entries are those of what it retries, and
// what is new comes from a table that holds the entries of its source.
func assignEntries(ctx context.Context, tx pgx.Tx, e exports.Export, source, table string, r reading, args pgx.NamedArgs) error {
	marked, err := tx.Exec(ctx, `UPDATE ledgerline.bufdir_export_audit_log SET planned_at = now() WHERE `+planCanBeMade, e.OrganizationID, e.ID, e.ParentID)
	if err != nil || marked.RowsAffected() == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, planStatements); err != nil {
		return err
	}
	var retried []uuid.UUID
	if e.ParentID != nil {
		if retried, err = loadRetried(ctx, tx, e); err != nil {
			return err
		}
	}
	if len(retried) > 0 {
		if _, err := tx.Exec(ctx, replanEntries, e.OrganizationID, e.ID, retried); err != nil {
			return err
		}
		args["retried"] = retried
		if args["chunks_before"], err = lastChunk(ctx, tx, e); err != nil {
			return err
		}
	}
	planned, err := tx.Exec(ctx, r.fresh(planEntries, table, args), pgx.StrictNamedArgs(args))
	if err != nil {
		return sourceError(source, err)
	}
	if n := planned.RowsAffected(); n >= manyEntries {
		if _, err := tx.Exec(ctx, `SELECT ledgerline.analyze_planned($1)`, n); err != nil {
			return err
		}
	}
	if len(retried) > 0 { // a retry does not take everything
		return nil
	}
	return r.record(ctx, tx, e, source)
}

// loadRetried returns the exports whose entries a retry takes; see [retriedExports].
func loadRetried(ctx context.Context, tx pgx.Tx, e exports.Export) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, retriedExports, e.OrganizationID, *e.ParentID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// lastChunk is the number of an export's last chunk; 0 if it has none.
func lastChunk(ctx context.Context, tx pgx.Tx, e exports.Export) (chunk int, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(chunk), 0) FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = $2`, e.OrganizationID, e.ID).Scan(&chunk)
	return chunk, err
}

// lockPlanning lets one transaction at a time claim, plan or adopt for an integration: two
// would take the same entries.
func lockPlanning(ctx context.Context, tx pgx.Tx, integration uuid.UUID) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('ledgerline.plan/' || $1, 0))`, integration.String())
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
		return &SourceError{source, "duplicate entry_id; each must be unique in an organization"}
	case pg.Code == "23502":
		return &SourceError{source, "a row has no " + pg.ColumnName}
	case strings.HasPrefix(pg.Code, "22"):
		return &SourceError{source, "a value cannot be read as what it must be, or is too large; see docs/integration-file.md"}
	}
	return err
}
