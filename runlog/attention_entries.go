package runlog

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
)

// Trouble is what can be wrong with entries of a chain.
type Trouble string

// The troubles.
const (
	TroubleRefused   Trouble = "refused"    // they are refused, and nobody has withdrawn them
	TroubleUnknown   Trouble = "unknown"    // only a person can say whether they are at the vendor
	TroubleInFlight  Trouble = "in_flight"  // they were sent, no answer shows what became of them, and they may still take effect
	TroubleLateError Trouble = "late_error" // the vendor found errors in them after it had accepted them
)

// EntryTrouble are the entries of a chain, or of a period of it, that have one trouble.
type EntryTrouble struct {
	ExportID      uuid.UUID // the first export of the chain
	IntegrationID uuid.UUID
	Period        string
	Trouble       Trouble
	Count         exports.Count
	Since         time.Time  // when the last of the exports that hold them ended, or began if it has not
	Until         *time.Time // they can take effect until then; nil: they cannot
	With          string     // the period with whose export they went; "": their own
}

// troubled are the entries of an organization ($1) that have some trouble, with where their
// chain begins. Its cost follows how many there are: each part has an index that leaves out
// what is done.
const troubled = `
WITH RECURSIVE incomplete AS MATERIALIZED ( -- an export that has ended with all its entries exported gets no others
    SELECT export_id FROM ledgerline.bufdir_export_audit_log WHERE organization_id = $1 AND (status = 'pending' OR entries_total > entries_exported)
), found AS MATERIALIZED (
    SELECT incomplete.export_id, voucher_id, entry_date, late, currency, amount, 'refused' AS trouble, NULL::timestamptz AS until, NULL::uuid AS sent_in
    FROM incomplete CROSS JOIN LATERAL (SELECT voucher_id, entry_date, late, currency, amount FROM ledgerline.export_entries AS entry
        WHERE entry.organization_id = $1 AND entry.export_id = incomplete.export_id AND state <> 'exported'
          AND CASE WHEN correction = 'withdrawn' THEN correction ELSE state END = 'rejected' OFFSET 0) AS entry
    UNION ALL
    SELECT export_id, voucher_id, entry_date, late, currency, amount, CASE state WHEN 'unknown' THEN 'unknown' ELSE 'in_flight' END,
        CASE WHEN NOT ended AND open_until > (SELECT ledgerline.clock()) THEN open_until END, sent_in
    FROM ledgerline.export_entries WHERE organization_id = $1 AND effect = 'open'
    UNION ALL
    SELECT export_id, voucher_id, entry_date, late, currency, amount, 'late_error', NULL, NULL
    FROM ledgerline.export_entries WHERE organization_id = $1 AND late_error IS NOT NULL
), holders AS MATERIALIZED (
    SELECT export_id, parent_export_id, status, coalesce(finished_at, started_at) AS since FROM ledgerline.bufdir_export_audit_log
    WHERE organization_id = $1 AND export_id IN (SELECT export_id FROM found)
), up AS (
    SELECT export_id AS holder, export_id, parent_export_id FROM holders
    UNION ALL
    SELECT up.holder, parent.export_id, parent.parent_export_id
    FROM up JOIN ledgerline.bufdir_export_audit_log AS parent ON parent.organization_id = $1 AND parent.export_id = up.parent_export_id
), unanswered AS MATERIALIZED ( -- a request that is under way has no row yet
    SELECT DISTINCT correlation_id FROM ledgerline.integration_run_logs WHERE organization_id = $1 AND effect = 'open'
      AND correlation_id = ANY (ARRAY(SELECT DISTINCT sent_in FROM found WHERE trouble = 'in_flight'))
), entries AS MATERIALIZED (
    SELECT first.export_id, first.integration_id, first.period, first.trigger, voucher_id, entry_date, late, currency, amount, trouble, until, holders.since
    FROM found JOIN holders USING (export_id) JOIN up ON up.holder = holders.export_id AND up.parent_export_id IS NULL
        JOIN ledgerline.bufdir_export_audit_log AS first ON first.organization_id = $1 AND first.export_id = up.export_id
    WHERE trouble <> 'in_flight' OR until IS NOT NULL AND (holders.status <> 'pending' OR sent_in IN (SELECT correlation_id FROM unanswered))
)`

// ListEntryTrouble returns the troubles of an organization's entries, by chain. A voucher
// that has refused and unknown entries counts as unknown, as in a chain.
func ListEntryTrouble(ctx context.Context, db Beginner, organization uuid.UUID) ([]EntryTrouble, error) {
	return queryTrouble(ctx, db, organization, troubled+`, own AS (SELECT *, ''::text AS "with" FROM entries)`+sumTrouble)
}

// ListTroubleElsewhere returns the refused and unknown entries that are dated in the period of
// one chain and went with another one's, by the chain of their date.
func ListTroubleElsewhere(ctx context.Context, db Beginner, organization uuid.UUID) ([]EntryTrouble, error) {
	// All entries of a chain and a day are late, or none is.
	return queryTrouble(ctx, db, organization, strings.ReplaceAll(troubled, "state <> 'exported'", "late AND state <> 'exported'")+`, days AS (
		    SELECT DISTINCT integration_id, export_id AS chain, entry_date FROM entries WHERE late AND trigger <> 'adopt' AND trouble IN ('refused', 'unknown')
		), own AS (
		    SELECT home.export_id, home.integration_id, home.period, voucher_id, currency, amount, trouble, until, since, entries.period AS "with"
		    FROM days JOIN ledgerline.bufdir_export_audit_log AS home ON home.organization_id = $1 AND home.integration_id = days.integration_id
		        AND home.parent_export_id IS NULL AND home.trigger <> 'adopt' AND days.entry_date >= home.period_start AND days.entry_date < home.period_end
		        AND home.export_id <> days.chain
		    JOIN entries ON entries.export_id = days.chain AND entries.entry_date = days.entry_date AND trouble IN ('refused', 'unknown')
		)`+sumTrouble)
}

// sumTrouble sums the entries of own.
const sumTrouble = `, doubtful AS MATERIALIZED (
    SELECT DISTINCT export_id, voucher_id FROM own WHERE trouble = 'unknown'
), vouchers AS (
    SELECT export_id, trouble, "with", count(DISTINCT voucher_id) AS vouchers FROM own
    WHERE trouble <> 'refused' OR (export_id, voucher_id) NOT IN (SELECT export_id, voucher_id FROM doubtful) GROUP BY export_id, trouble, "with"
), sums AS (
    SELECT export_id, integration_id, period, trouble, "with", currency, count(*) AS entries, sum(amount) FILTER (WHERE amount > 0) AS amount,
        max(since) AS since, max(until) AS until
    FROM own GROUP BY export_id, integration_id, period, trouble, "with", currency
)
SELECT export_id, integration_id, period, trouble, "with", sum(entries)::int AS entries, coalesce(max(vouchers), 0)::int AS vouchers,
    coalesce(jsonb_object_agg(currency, amount::text) FILTER (WHERE amount IS NOT NULL), '{}') AS amounts, max(since) AS since, max(until) AS until
FROM sums LEFT JOIN vouchers USING (export_id, trouble, "with") GROUP BY export_id, integration_id, period, trouble, "with" ORDER BY since, export_id, trouble, "with"`

func queryTrouble(ctx context.Context, db Beginner, organization uuid.UUID, query string) (list []EntryTrouble, err error) {
	type row struct {
		ExportID, IntegrationID uuid.UUID
		Period                  string
		Trouble                 Trouble
		With                    string
		Entries, Vouchers       int
		Amounts                 map[string]string
		Since                   time.Time
		Until                   *time.Time
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL jit = off`); err != nil { // compiling takes longer than all else
			return err
		}
		rows, err := queryRows[row](ctx, tx, query, organization)
		for _, r := range rows {
			list = append(list, EntryTrouble{
				ExportID: r.ExportID, IntegrationID: r.IntegrationID, Period: r.Period, Trouble: r.Trouble, With: r.With,
				Count: exports.Count{Entries: r.Entries, Vouchers: r.Vouchers, Amounts: r.Amounts}, Since: r.Since, Until: r.Until,
			})
		}
		return err
	})
	return list, err
}

// takesWhatIsNew holds for a row of the exports unless it retries a chain that had entries: such
// a retry takes those, and no others.
func takesWhatIsNew(export string) string {
	return `NOT EXISTS (
    WITH RECURSIVE retried AS (
        SELECT parent.parent_export_id, parent.entries_total FROM ledgerline.bufdir_export_audit_log AS parent
        WHERE parent.organization_id = $1 AND parent.export_id = ` + export + `.parent_export_id
        UNION ALL
        SELECT parent.parent_export_id, parent.entries_total
        FROM retried JOIN ledgerline.bufdir_export_audit_log AS parent ON parent.organization_id = $1 AND parent.export_id = retried.parent_export_id
    ) SELECT FROM retried WHERE entries_total > 0)`
}

// FailedExport is an export that failed, was not retried, and has something left.
type FailedExport struct {
	ExportID      uuid.UUID // the one that failed
	First         uuid.UUID // of its chain
	IntegrationID uuid.UUID
	Period        string
	FinishedAt    time.Time
	ScheduledAt   *time.Time
	ErrorKind     classify.Kind
	Message       string
	Planned       bool          // something of its chain was planned; if not, nothing was read
	Left          exports.Count // what was not sent, or not confirmed
}

// ListFailedExports returns an organization's exports that failed, were not retried, and have
// something left to send, the oldest first. One that could not plan anything has nothing
// left once a later export has taken what it would have: one that planned as far as it, and not
// a retry of a chain that had entries, which takes nothing else. What was refused or is unknown is
// not among it: see [ListEntryTrouble].
func ListFailedExports(ctx context.Context, db Beginner, organization uuid.UUID) (list []FailedExport, err error) {
	type row struct {
		ExportID, First, IntegrationID uuid.UUID
		Period                         string
		FinishedAt                     time.Time
		ScheduledAt                    *time.Time
		ErrorKind                      classify.Kind
		Message                        string
		Planned                        bool
		Entries, Vouchers              int
		Amounts                        map[string]string
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL jit = off`); err != nil {
			return err
		}
		rows, err := queryRows[row](ctx, tx, `
			WITH RECURSIVE failed AS MATERIALIZED (
			    SELECT export_id, parent_export_id, integration_id, period, period_end, started_at, finished_at, scheduled_at, planned_at, error_code, error_message
			    FROM ledgerline.bufdir_export_audit_log AS export
			    WHERE organization_id = $1 AND status = 'failed' AND trigger <> 'adopt' AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS retry
			        WHERE retry.organization_id = $1 AND retry.parent_export_id = export.export_id)
			), up AS (
			    SELECT export_id AS last, export_id, parent_export_id, planned_at FROM failed
			    UNION ALL
			    SELECT up.last, parent.export_id, parent.parent_export_id, parent.planned_at
			    FROM up JOIN ledgerline.bufdir_export_audit_log AS parent ON parent.organization_id = $1 AND parent.export_id = up.parent_export_id
			), chain AS MATERIALIZED (
			    SELECT last, bool_or(planned_at IS NOT NULL) AS planned, (array_agg(export_id) FILTER (WHERE parent_export_id IS NULL))[1] AS first FROM up GROUP BY last
			), vouchers AS (
			    SELECT last, voucher_id, currency, count(*) FILTER (WHERE waits) AS entries, sum(amount) FILTER (WHERE waits AND amount > 0) AS amount,
			        bool_or(bool_or(NOT waits)) OVER (PARTITION BY last, voucher_id) AS otherwise
			    FROM up CROSS JOIN LATERAL (SELECT voucher_id, currency, amount, state IN ('planned', 'sent') AS waits FROM ledgerline.export_entries AS entry
			        WHERE entry.organization_id = $1 AND entry.export_id = up.export_id AND state <> 'exported' AND correction IS DISTINCT FROM 'withdrawn') AS entry
			    GROUP BY last, voucher_id, currency
			), sums AS (
			    SELECT last, currency, sum(entries) AS entries, sum(amount) AS amount FROM vouchers WHERE entries > 0 GROUP BY last, currency
			), remaining AS (
			    SELECT last, sum(entries)::int AS entries, jsonb_object_agg(currency, amount::text) FILTER (WHERE amount IS NOT NULL) AS amounts,
			        (SELECT count(DISTINCT voucher_id)::int FROM vouchers WHERE vouchers.last = sums.last AND entries > 0 AND NOT otherwise) AS vouchers
			    FROM sums GROUP BY last
			)
			SELECT failed.export_id, chain.first, failed.integration_id, failed.period, failed.finished_at, failed.scheduled_at,
			    coalesce(failed.error_code, '') AS error_kind, coalesce(failed.error_message, '') AS message, chain.planned,
			    coalesce(remaining.entries, 0) AS entries, coalesce(remaining.vouchers, 0) AS vouchers, coalesce(remaining.amounts, '{}') AS amounts
			FROM failed JOIN chain ON chain.last = failed.export_id LEFT JOIN remaining ON remaining.last = failed.export_id
			WHERE remaining.entries > 0 OR NOT chain.planned AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS later
			    WHERE later.organization_id = $1 AND later.integration_id = failed.integration_id AND later.started_at > failed.started_at
			      AND later.status = 'complete' AND later.trigger <> 'adopt' AND later.planned_at IS NOT NULL AND later.period_end >= failed.period_end AND `+takesWhatIsNew("later")+`)
			ORDER BY failed.finished_at, failed.export_id`, organization)
		for _, r := range rows {
			list = append(list, FailedExport{
				ExportID: r.ExportID, First: r.First, IntegrationID: r.IntegrationID, Period: r.Period, FinishedAt: r.FinishedAt, ScheduledAt: r.ScheduledAt,
				ErrorKind: r.ErrorKind, Message: r.Message, Planned: r.Planned, Left: exports.Count{Entries: r.Entries, Vouchers: r.Vouchers, Amounts: r.Amounts},
			})
		}
		return err
	})
	return list, err
}
