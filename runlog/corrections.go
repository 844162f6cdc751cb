package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/exports"
)

// An entry of the default source that no vendor has can be corrected: [ImportEntries]
// replaces it, [WithdrawVoucher] takes it away. The rules are the database's, see
// migrations/00014_corrections.sql; this file says in words what they refuse, and which
// export sends a corrected voucher.

// EntryDifference is a field in which an entry differs from what is stored.
type EntryDifference struct {
	EntryID   string `json:"entryId"`
	VoucherID string `json:"voucherId"`
	Field     string `json:"field"` // voucher, date, account, amount, currency, text or dimensions
	Old       string `json:"old"`
	New       string `json:"new"`
}

// Refusal is an entry that is not corrected.
type Refusal struct {
	EntryID   string `json:"entryId"`
	VoucherID string `json:"voucherId"`
	Why       string `json:"why"`
	Remedy    string `json:"remedy"`
}

// RefusedError is returned where entries cannot be corrected; nothing was changed.
type RefusedError struct {
	Refused []Refusal         // at most [mostListed]
	Total   int               // how many there are
	Counter []AccountingEntry // of a voucher that is exported: the lines that would take it back
}

// mostListed is how many differences, refusals and vouchers a result lists.
const mostListed = 1000

// Error names at most 20 of the entries, each on a line of its own, with what to do.
func (e *RefusedError) Error() string {
	const most = 20
	var lines []string
	for _, r := range e.Refused[:min(most, len(e.Refused))] {
		lines = append(lines, fmt.Sprintf("entry %s %s; %s", r.EntryID, r.Why, r.Remedy))
	}
	if more := e.Total - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// NextSending is which export sends a voucher again that was corrected, or withdrawn and imported again.
type NextSending struct {
	VoucherID   string    `json:"voucherId"`
	Integration string    `json:"integration"`
	Period      string    `json:"period"`   // of the export that refused it
	ExportID    uuid.UUID `json:"exportId"` // whose retry takes it; the integration's next export does too, if that is first
	Pending     bool      `json:"pending"`  // it has not ended, and can be retried only then
}

// beginCorrection says who corrects, and keeps plans out until the transaction ends.
func beginCorrection(ctx context.Context, tx pgx.Tx, actor, reason string) error {
	if strings.TrimSpace(actor) == "" {
		return errors.New("a correction has an actor")
	}
	if _, err := tx.Exec(ctx, `SELECT set_config('ledgerline.actor', $1, true), set_config('ledgerline.reason', $2, true)`, storable(actor), storable(reason)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `SELECT ledgerline.lock_corrections()`)
	return err
}

// correctThere is what to do about an entry that a vendor has.
const correctThere = "; correct it at the vendor, or with a counter-entry"

// correctionError puts what PostgreSQL refuses into words. Other errors pass as they are.
func correctionError(err error) error {
	const locked, deadlock, violated = "55P03", "40P01", "23514"
	var pg *pgconn.PgError
	switch {
	case !errors.As(err, &pg):
		return err
	case pg.Code == locked || pg.Code == deadlock:
		return fmt.Errorf("an export is being planned, or integrations are being applied, at this moment; try again in a minute: %w", err)
	case pg.Code != violated:
		return err
	}
	switch pg.ConstraintName {
	case "corrected_is_not_exported":
		return errors.New(pg.Message + correctThere)
	case "corrected_is_not_under_way":
		return errors.New(pg.Message + "; look at it again when its export has ended: starter exports list")
	case "entry_keeps_its_voucher", "correction_has_an_actor", "correction_is_read_committed":
		return errors.New(pg.Message)
	}
	return err
}

// takenEntry is an entry that an export of an integration has taken.
type takenEntry struct {
	EntryID, VoucherID, Integration, Period string
	Source                                  string // of the integration; "" is the default one
	ExportID                                uuid.UUID
	State                                   exports.EntryState
	Pending                                 bool       // its export has not ended
	Reference                               string     // how a command names its export, see [exports.Export.Reference]
	OpenIn                                  string     // the same of the export of a line of its voucher whose outcome is open; "" if none is
	Arrives                                 *time.Time // until when a request with a line of its voucher that was given up can arrive; nil if none can
}

var selectTaken = `
WITH taken AS (
    SELECT entry.entry_id, entry.voucher_id, entry.export_id, entry.state, integration.integration_id, integration.name AS integration, coalesce(integration.export ->> 'source', '') AS source
    FROM ledgerline.integrations AS integration CROSS JOIN LATERAL (
        SELECT * FROM ledgerline.export_entries WHERE organization_id = @organization AND integration_id = integration.integration_id AND entry_id = ANY(@entry_ids) OFFSET 0) AS entry
    WHERE integration.organization_id = @organization
), open AS (
    SELECT integration_id, voucher_id, (array_agg(line.export_id) FILTER (WHERE effect = 'open'))[1] AS open_in, max(line.earlier_until) AS arrives
    FROM (SELECT DISTINCT integration_id, voucher_id FROM taken) AS voucher CROSS JOIN LATERAL (
        SELECT export_id, effect, earlier_until FROM ledgerline.export_entries
        WHERE organization_id = @organization AND integration_id = voucher.integration_id AND voucher_id = voucher.voucher_id
          AND (effect = 'open' OR earlier_until IS NOT NULL) AND state <> 'exported' AND (effect = 'open' OR earlier_until > ledgerline.clock()) OFFSET 0) AS line
    GROUP BY integration_id, voucher_id
)
SELECT taken.entry_id, taken.voucher_id, taken.export_id, taken.state, taken.integration, taken.source, export.period, export.status = 'pending' AS pending,
    ` + referenceOf("export", "taken.integration") + ` AS reference, CASE WHEN open_export.export_id IS NULL THEN '' ELSE ` + referenceOf("open_export", "taken.integration") + ` END AS open_in, open.arrives
FROM taken JOIN ledgerline.bufdir_export_audit_log AS export ON export.organization_id = @organization AND export.export_id = taken.export_id
LEFT JOIN open ON open.integration_id = taken.integration_id AND open.voucher_id = taken.voucher_id
LEFT JOIN ledgerline.bufdir_export_audit_log AS open_export ON open_export.organization_id = @organization AND open_export.export_id = open.open_in
ORDER BY entry_id, integration`

// referenceOf is how a command names an export, see [exports.Export.Reference]: by the beginning
// of its ID also if it retries an adoption, which its period would not lead to.
func referenceOf(export, integration string) string {
	return strings.NewReplacer("{export}", export, "{integration}", integration).Replace(`CASE WHEN {export}.trigger = 'adopt' OR {export}.parent_export_id IS NOT NULL AND EXISTS (
        SELECT FROM ledgerline.bufdir_export_audit_log AS adoption WHERE adoption.organization_id = {export}.organization_id
          AND adoption.integration_id = {export}.integration_id AND adoption.period = {export}.period AND adoption.trigger = 'adopt')
    THEN left({export}.export_id::text, 8) ELSE {export}.period || ' --integration ' || {integration} END`)
}

// loadTaken returns what exports of all integrations have taken of entries.
func loadTaken(ctx context.Context, tx pgx.Tx, organization uuid.UUID, ids []string) (map[string][]takenEntry, error) {
	list, err := queryRows[takenEntry](ctx, tx, selectTaken, pgx.StrictNamedArgs{"organization": organization, "entry_ids": ids})
	if err != nil {
		return nil, err
	}
	all := make(map[string][]takenEntry)
	for _, t := range list {
		all[t.EntryID] = append(all[t.EntryID], t)
	}
	return all, nil
}

// counterEntry is what to do about what the vendor has.
const counterEntry = "what the vendor has is corrected there, or by a counter-entry: a new voucher with the lines negated"

// refusal is why an entry that was taken cannot be corrected, and what to do; ok if it can.
func (t takenEntry) refusal() (why, remedy string, ok bool) {
	at := fmt.Sprintf("(%s, %s)", t.Integration, t.Period)
	switch {
	case t.State == exports.Exported && t.Source != "":
		return "is exported " + at, fmt.Sprintf("entries of %s come from %s and are corrected there; %s", t.Integration, t.Source, counterEntry), false
	case t.State == exports.Exported:
		return "is exported " + at, counterEntry, false
	case t.Pending && t.State != exports.Rejected:
		return "is in an export that has not ended " + at, "look at it again when that has ended: starter exports show " + t.Reference, false
	case t.OpenIn != "":
		return "is of a voucher whose outcome is open " + at, fmt.Sprintf("find out whether it is at the vendor: starter exports retry %s, or starter exports resolve %s --voucher %s --there|--not-there --reason TEXT",
			t.OpenIn, t.OpenIn, t.VoucherID), false
	case t.Arrives != nil:
		return "is of a voucher that can still arrive " + at + " with a request that was given up", "try again when it no longer can, after " + exports.Until(*t.Arrives, time.Now()), false
	}
	return "", "", true
}

// refusalOfAny is the refusal of the first integration that refuses.
func refusalOfAny(taken []takenEntry) (why, remedy string, ok bool) {
	for _, t := range taken {
		if why, remedy, ok = t.refusal(); !ok {
			return why, remedy, false
		}
	}
	return "", "", true
}

// nextSendings are the exports whose retries take corrected entries, one for each voucher and integration.
func nextSendings(taken map[string][]takenEntry) []NextSending {
	list := []NextSending{}
	for _, all := range taken {
		for _, t := range all {
			list = append(list, NextSending{t.VoucherID, t.Integration, t.Period, t.ExportID, t.Pending})
		}
	}
	return firstSendings(list)
}

// firstSendings are the first [mostListed] of them, each once.
func firstSendings(list []NextSending) []NextSending {
	slices.SortFunc(list, func(a, b NextSending) int {
		return strings.Compare(a.VoucherID+"\x00"+a.Integration+"\x00"+a.ExportID.String(), b.VoucherID+"\x00"+b.Integration+"\x00"+b.ExportID.String())
	})
	list = slices.Compact(list)
	return list[:min(mostListed, len(list))]
}
