package runlog

import (
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// LookupAnswer is what the vendor's answer to a look-up says of the entries that were
// asked for, by their entry IDs.
type LookupAnswer struct {
	Exported map[string]string // at the vendor, with its own reference to each; "" if it gives none
	Absent   []string          // not at the vendor, and asked for when their time had passed
	Unknown  map[string]string // only a person can say, with the reason for each
}

// RecordAnswer settles what an answer proves. That an entry is there is a fact,
// recorded whoever owns the export. The rest are orders, and hold only for
// entries that are still open by one of the very sendings that were asked about.
func RecordAnswer(ctx context.Context, db Beginner, owner exports.Owner, a LookupAnswer, asked []Sending) error {
	correlationIDs, attempts := make([]uuid.UUID, len(asked)), make([]int, len(asked))
	for i, sending := range asked {
		correlationIDs[i], attempts[i] = sending.CorrelationID, sending.Attempt
	}
	if len(a.Exported) > 0 {
		err := InOrganization(ctx, db, owner.OrganizationID, func(tx pgx.Tx) error {
			if err := recordExported(ctx, tx, owner, a.Exported); err != nil {
				return err
			}
			return recordPartly(ctx, tx, owner, slices.Collect(maps.Keys(a.Exported)), correlationIDs)
		})
		if err != nil {
			return err
		}
	}
	if len(a.Absent) == 0 && len(a.Unknown) == 0 {
		return nil
	}
	return asExportOwner(ctx, db, owner, func(tx pgx.Tx) error {
		if err := recordAbsent(ctx, tx, owner, a.Absent, correlationIDs, attempts); err != nil {
			return err
		}
		return recordUnknown(ctx, tx, owner, a.Unknown, correlationIDs, attempts)
	})
}

// recordPartly marks what is open of the same chunks and sendings as entries that were found at the vendor.
func recordPartly(ctx context.Context, tx pgx.Tx, owner exports.Owner, found []string, correlationIDs []uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		WITH found AS (
		    SELECT chunk, sent_in FROM ledgerline.export_entries
		    WHERE organization_id = @organization_id AND integration_id = @integration_id AND entry_id = ANY(@entry_ids)
		)
		UPDATE ledgerline.export_entries SET partly_exported = true
		WHERE organization_id = @organization_id AND export_id = @export_id AND effect = 'open' AND NOT partly_exported AND sent_in = ANY(@correlation_ids)
		  AND chunk IN (SELECT chunk FROM found) AND sent_in IN (SELECT sent_in FROM found)`, pgx.StrictNamedArgs{
		"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "export_id": owner.ExportID, "entry_ids": found, "correlation_ids": correlationIDs,
	})
	return err
}

// recordAbsent plans entries again that are not at the vendor, if their time had passed.
func recordAbsent(ctx context.Context, tx pgx.Tx, owner exports.Owner, ids []string, correlationIDs []uuid.UUID, attempts []int) error {
	_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'planned', effect = 'none', ended = true,
		    earlier_until = CASE WHEN ended THEN earlier_until ELSE greatest(earlier_until, late_until) END
		WHERE organization_id = @organization_id AND integration_id = @integration_id AND export_id = @export_id AND entry_id = ANY(@entry_ids) AND effect = 'open'
		  AND (sent_in, sent_attempt) IN (SELECT * FROM unnest(@correlation_ids::uuid[], @attempts::int[]))
		  AND (ended OR open_until <= ledgerline.clock())`, pgx.StrictNamedArgs{
		"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "export_id": owner.ExportID, "entry_ids": ids,
		"correlation_ids": correlationIDs, "attempts": attempts,
	})
	return err
}

// recordUnknown leaves entries to a person, with the reason of each.
func recordUnknown(ctx context.Context, tx pgx.Tx, owner exports.Owner, unknown map[string]string, correlationIDs []uuid.UUID, attempts []int) error {
	ids := make([]string, 0, len(unknown))
	reasons := make(map[string]string, len(unknown))
	for id, reason := range unknown {
		ids, reasons[id] = append(ids, id), storable(reason)
	}
	_, err := tx.Exec(ctx, `UPDATE ledgerline.export_entries SET state = 'unknown', reason = @reasons::jsonb ->> entry_id
		WHERE organization_id = @organization_id AND integration_id = @integration_id AND export_id = @export_id AND entry_id = ANY(@entry_ids) AND effect = 'open'
		  AND (sent_in, sent_attempt) IN (SELECT * FROM unnest(@correlation_ids::uuid[], @attempts::int[]))`, pgx.StrictNamedArgs{
		"organization_id": owner.OrganizationID, "integration_id": owner.IntegrationID, "export_id": owner.ExportID, "entry_ids": ids, "reasons": reasons,
		"correlation_ids": correlationIDs, "attempts": attempts,
	})
	return err
}
