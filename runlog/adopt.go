package runlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// A database that was restored to an older state has lost what was exported
// since, and would send it again. Adopting takes into the record what the vendor
// is found to have, as an export of its own, [exports.ByAdopting], which sends nothing.

// periodEntries are the lines of a period, and every earlier line that an export
// of the period would take too; see [planArgs] for the parameters. @after is the last
// entry of the page before, @page_size how many entries a page has.
var periodEntries = `
WITH fresh AS (
    SELECT source.voucher_id FROM {source} AS source
    WHERE source.organization_id = @organization_id AND source.entry_date < @period_end
      AND NOT EXISTS (SELECT FROM ledgerline.export_entries AS taken
          WHERE taken.organization_id = @organization_id AND taken.integration_id = @integration_id AND taken.entry_id = source.entry_id)
), due AS (
    SELECT source.* FROM {source} AS source LEFT JOIN ledgerline.export_entries AS entry
        ON entry.organization_id = @organization_id AND entry.integration_id = @integration_id AND entry.entry_id = source.entry_id
    WHERE source.organization_id = @organization_id AND source.entry_id > @after
      AND (source.entry_date < @period_end AND (source.entry_date >= @period_start OR entry.state IS DISTINCT FROM 'exported')
        OR entry.chunk = 0 AND source.voucher_id IN (SELECT voucher_id FROM fresh))
    ORDER BY source.entry_id LIMIT @page_size
), lines AS (
    SELECT ` + translatedColumns + ` FROM due
)
SELECT lines.entry_id, coalesce(entry.voucher_id, lines.voucher_id) AS voucher_id,
    coalesce(entry.vendor_key, left(encode(sha256(convert_to(@integration_id::text || '/' || lines.entry_id, 'UTF8')), 'hex'), 32)) AS vendor_key,
    coalesce(entry.account, lines.account) AS account, coalesce(entry.amount, lines.amount)::text AS amount,
    coalesce(entry.currency, lines.currency) AS currency, coalesce(entry.text, lines.text) AS text,
    CASE WHEN entry.entry_id IS NULL THEN nullif(lines.dimensions, '{}') ELSE entry.dimensions END AS dimensions,
    coalesce(entry.entry_date, lines.entry_date) AS date, coalesce(entry.state, '') AS state, entry.export_id,
    CASE WHEN entry.effect = 'open' AND NOT entry.ended THEN entry.open_until END AS open_until
FROM lines LEFT JOIN ledgerline.export_entries AS entry
    ON entry.organization_id = @organization_id AND entry.integration_id = @integration_id AND entry.entry_id = lines.entry_id
ORDER BY lines.entry_id`

// EntriesOfPeriod yields what an export of e's period would take from the source
// if nothing were on record, in the order of their IDs: every line of the period,
// and earlier ones that are not on record as exported. One that is on record
// comes as it is there. The first error ends it. Another source than the default one
// is read through sources, once.
func EntriesOfPeriod(ctx context.Context, db Beginner, sources *Sources, e exports.Export, settings integrations.ExportSettings) iter.Seq2[EntryRecord, error] {
	source, args := sourceOf(settings), planArgs(e, settings, 1, 1)
	args["page_size"] = recordsPerPage
	return func(yield func(EntryRecord, error) bool) {
		err := sources.with(ctx, db, e, source, false, func(db Beginner, table string, _ reading) error {
			if table == integrations.DefaultSource { // staging another one has asked
				err := readOnly(ctx, db, e.OrganizationID, false, func(tx pgx.Tx) error { return refuseUnbound(ctx, tx) })
				if err != nil {
					return err
				}
			}
			query := from(periodEntries, table)
			for record, err := range recordPages(func(last EntryRecord) ([]EntryRecord, error) {
				args["after"] = last.EntryID
				return queryRecords(ctx, db, e.OrganizationID, query, args)
			}) {
				if err != nil {
					return sourceError(source, err)
				}
				if !yield(record, nil) {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			yield(EntryRecord{}, err)
		}
	}
}

// BeginAdoption makes the row of an export that adopts, or finds the one of the
// same period that was not ended. It needs the role of an operator.
func BeginAdoption(ctx context.Context, db Beginner, e exports.Export) (begun exports.Export, err error) {
	e.Trigger = exports.ByAdopting
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if err := lockPlanning(ctx, tx, e.IntegrationID); err != nil {
			return err
		}
		var found bool
		if begun, found, err = pendingAdoption(ctx, tx, e); found || err != nil {
			return err
		}
		if err := insertExport(ctx, tx, e); err != nil {
			return err
		}
		begun, _, err = pendingAdoption(ctx, tx, e)
		return err
	})
	return begun, err
}

// pendingAdoption finds the export of e's period that adopts and was not ended.
func pendingAdoption(ctx context.Context, tx pgx.Tx, e exports.Export) (found exports.Export, ok bool, err error) {
	return findExport(ctx, tx, `WHERE organization_id = $1 AND integration_id = $2 AND trigger = 'adopt' AND status = 'pending' AND period = $3 ORDER BY started_at LIMIT 1`,
		e.OrganizationID, e.IntegrationID, e.Period)
}

// Adoption is an entry that the vendor is found to have.
type Adoption struct {
	EntryRecord
	Reference string // the vendor's own name of it; "" if it gives none
	Doubt     string // why only a person can tell whether it is this entry; "" if it is
}

// adoptedEntry is an entry as ledgerline.adopt_entries takes it.
type adoptedEntry struct {
	EntryID    string            `json:"entry_id"`
	VoucherID  string            `json:"voucher_id"`
	Reference  *string           `json:"vendor_reference"`
	Date       string            `json:"entry_date"`
	Account    string            `json:"account"`
	Amount     string            `json:"amount"`
	Currency   string            `json:"currency"`
	Text       string            `json:"text"`
	Dimensions map[string]string `json:"dimensions"`
	Doubt      *string           `json:"doubt"`
}

// ErrNotAdopting is returned for an export that is not, or no longer, pending and adopting. Two
// who adopt a period at once have one export, which the first to come to its end closes: the
// other one begins another, see [BeginAdoption].
var ErrNotAdopting = errors.New("it does not adopt")

// AdoptEntries takes entries into the record that were found at a place, see [exports.Owner]: as exported, or as
// unknown where there is doubt; the latter only if they are not on record as sent. It returns how many of each. e is
// of [BeginAdoption]; if it has ended since, the error is [ErrNotAdopting]. An export that is being planned waits for it, and the other way round.
func AdoptEntries(ctx context.Context, db Beginner, e exports.Export, place string, list []Adoption) (adopted, doubtful int, err error) {
	optional := func(s string) *string {
		if s = storable(s); s == "" {
			return nil
		}
		return &s
	}
	found := make([]adoptedEntry, len(list))
	for i, a := range list {
		found[i] = adoptedEntry{
			EntryID: a.EntryID, VoucherID: a.VoucherID, Reference: optional(a.Reference), Date: a.Date.Format(time.DateOnly),
			Account: a.Account, Amount: a.Amount, Currency: a.Currency, Text: a.Text, Dimensions: a.Dimensions, Doubt: optional(a.Doubt),
		}
	}
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if err := lockPlanning(ctx, tx, e.IntegrationID); err != nil {
			return err
		}
		var pending int
		err := tx.QueryRow(ctx, `SELECT 1 FROM ledgerline.bufdir_export_audit_log
			WHERE organization_id = $1 AND export_id = $2 AND integration_id = $3 AND trigger = 'adopt' AND status = 'pending' FOR SHARE`, e.OrganizationID, e.ID, e.IntegrationID).Scan(&pending)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("export %s: %w", e.ID, ErrNotAdopting)
		}
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT adopted, doubtful FROM ledgerline.adopt_entries($1, $2, $3, $4)`, e.ID, e.IntegrationID, place, found).Scan(&adopted, &doubtful)
	})
	return adopted, doubtful, refusalOf(err)
}

// ListPendingExportsOf returns the exports of an integration that have not ended, and are
// not adopting, oldest first.
func ListPendingExportsOf(ctx context.Context, db Beginner, organization, integration uuid.UUID) (list []exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryExports(ctx, tx, `WHERE organization_id = $1 AND integration_id = $2 AND status = 'pending' AND trigger <> 'adopt' ORDER BY started_at`, organization, integration)
		return err
	})
	return list, err
}
