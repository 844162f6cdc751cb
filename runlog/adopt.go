package runlog

import (
	"context"
	"errors"
	"iter"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// A database that was restored to an older state has lost what was exported
// since, and would send it again. Adopting takes into the record what the vendor
// is found to have, as an export of its own, [ByAdopting], which sends nothing.

// periodEntries are the lines of a period, and every earlier line that an export
// of the period would take too; see [lines] for the parameters. $11 is the last
// entry of the page before, $12 the size of a page.
var periodEntries = `
WITH fresh AS (
    SELECT a.voucher_id FROM {source} a
    WHERE a.organization_id = $1 AND a.entry_date < $5
      AND NOT EXISTS (SELECT FROM ledgerline.export_entries x
          WHERE x.organization_id = $1 AND x.integration_id = $2 AND x.entry_id = a.entry_id)
), due AS (
    SELECT a.* FROM {source} a LEFT JOIN ledgerline.export_entries x ON x.organization_id = $1 AND x.integration_id = $2 AND x.entry_id = a.entry_id
    WHERE a.organization_id = $1 AND a.entry_id > $11 AND (a.entry_date < $5 AND (a.entry_date >= $4 OR x.state IS DISTINCT FROM 'exported')
        OR x.chunk = 0 AND a.voucher_id IN (SELECT voucher_id FROM fresh))
    ORDER BY a.entry_id LIMIT $12
), lines AS (
    SELECT ` + translated + ` FROM due
)
SELECT l.entry_id, coalesce(x.voucher_id, l.voucher_id), coalesce(x.vendor_key, left(encode(sha256(convert_to($2::text || '/' || l.entry_id, 'UTF8')), 'hex'), 32)),
    coalesce(x.account, l.account), coalesce(x.amount, l.amount)::text, coalesce(x.currency, l.currency), coalesce(x.text, l.text),
    CASE WHEN x.entry_id IS NULL THEN nullif(l.dimensions, '{}') ELSE x.dimensions END, coalesce(x.entry_date, l.entry_date),
    coalesce(x.state, ''), x.export_id, CASE WHEN x.effect = 'open' AND NOT x.ended THEN x.open_until END
FROM lines l LEFT JOIN ledgerline.export_entries x ON x.organization_id = $1 AND x.integration_id = $2 AND x.entry_id = l.entry_id
WHERE $3::uuid IS NOT NULL AND $6::int IS NOT NULL AND $10::uuid IS NULL
ORDER BY l.entry_id`

// EntriesOfPeriod yields what an export of e's period would take from the source
// if nothing were on record, in the order of their IDs: every line of the period,
// and earlier ones that are not on record as exported. One that is on record
// comes as it is there. The first error ends it. Another source than the default one
// is read through s, once.
func EntriesOfPeriod(ctx context.Context, db Beginner, s *Sources, e exports.Export, x integrations.ExportSettings) iter.Seq2[EntryRecord, error] {
	source, args := planArgs(e, x, 1, 1)
	return func(yield func(EntryRecord, error) bool) {
		err := s.with(ctx, db, e, source, func(db Beginner, table string) error {
			if table == DefaultSource { // staging another one has asked
				err := readOnly(ctx, db, e.OrganizationID, false, func(tx pgx.Tx) error { return refuseUnbound(ctx, tx) })
				if err != nil {
					return err
				}
			}
			query := from(periodEntries, table)
			for r, err := range recordedPages(func(last EntryRecord) ([]EntryRecord, error) {
				return queryRecorded(ctx, db, e.OrganizationID, query, append(args[:10:10], last.EntryID, recordedPage)...)
			}) {
				if err != nil {
					return sourceError(source, err)
				}
				if !yield(r, nil) {
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
		if err := lockPlan(ctx, tx, e); err != nil {
			return err
		}
		pending := func() (bool, error) {
			found, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND integration_id = $2 AND trigger = 'adopt' AND status = 'pending' AND period = $3 ORDER BY started_at LIMIT 1`,
				e.OrganizationID, e.IntegrationID, e.Period)
			if len(found) > 0 {
				begun = found[0]
			}
			return len(found) > 0, err
		}
		if there, err := pending(); there || err != nil {
			return err
		}
		if err := insertExport(ctx, tx, e); err != nil {
			return err
		}
		_, err := pending()
		return err
	})
	return begun, err
}

// Adoption is an entry that the vendor is found to have.
type Adoption struct {
	EntryRecord
	Reference string // the vendor's own name of it; "" if it gives none
	Doubt     string // why only a person can tell whether it is this entry; "" if it is
}

// AdoptEntries takes entries into the record that were found at a place, see [Owner]: as exported, or as unknown where there is
// doubt; the latter only if they are not on record as sent. e is of
// [BeginAdoption]. An export that is being planned waits for it, and the other
// way round.
func AdoptEntries(ctx context.Context, db Beginner, e exports.Export, place string, list []Adoption) (adopted, doubtful int, err error) {
	type entry struct {
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
	optional := func(s string) *string {
		if s = storable(s); s == "" {
			return nil
		}
		return &s
	}
	found := make([]entry, len(list))
	for i, a := range list {
		found[i] = entry{a.EntryID, a.VoucherID, optional(a.Reference), a.Date.Format("2006-01-02"), a.Account, a.Amount, a.Currency, a.Text, a.Dimensions, optional(a.Doubt)}
	}
	err = InOrganization(ctx, db, e.OrganizationID, func(tx pgx.Tx) error {
		if err := lockPlan(ctx, tx, e); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT adopted, doubtful FROM ledgerline.adopt_entries($1, $2, $3, $4)`, e.ID, e.IntegrationID, place, found).Scan(&adopted, &doubtful)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "55000" {
		return 0, 0, errors.New(pg.Message)
	}
	return adopted, doubtful, err
}

// ListPendingExportsOf returns the exports of an integration that have not ended, and are
// not adopting.
func ListPendingExportsOf(ctx context.Context, db Beginner, organization, integration uuid.UUID) (list []exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryExports(ctx, tx, `WHERE organization_id = $1 AND integration_id = $2 AND status = 'pending' AND trigger <> 'adopt' ORDER BY started_at`, organization, integration)
		return err
	})
	return list, err
}
