package runlog

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/notify"
)

// RecordLateErrors stores what the vendor found wrong after it had accepted it, by
// the vendor's references, and returns for how many of the integration's entries that
// is new. Some may be of earlier exports, which closed before it was found: people
// are notified of these here, and of those of the asking export when it closes.
func RecordLateErrors(ctx context.Context, db Beginner, organization, integration, askingExport uuid.UUID, messages map[string]string) (concerned int64, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		found, err := storeLateErrors(ctx, tx, organization, integration, messages)
		if err != nil {
			return err
		}
		for _, export := range found {
			concerned += export.Entries
			_, err := report(ctx, tx, notify.Event{
				Kind: notify.LateErrorsFound, OrganizationID: organization, IntegrationID: integration, Pending: export.ExportID == askingExport,
				Facts: notify.Facts{ExportID: &export.ExportID, Period: export.Period, Entries: &notify.Entries{LateErrors: int(export.Entries)}},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return concerned, err
}

// lateErrors are the entries of an export of which a late error is new.
type lateErrors struct {
	ExportID uuid.UUID
	Period   string
	Entries  int64
}

// storeLateErrors stores the errors of entries that are exported and returns how many are new, oldest export first.
func storeLateErrors(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID, byReference map[string]string) ([]lateErrors, error) {
	references, messages := make([]string, 0, len(byReference)), make([]string, 0, len(byReference))
	for reference, message := range byReference {
		references, messages = append(references, storable(reference)), append(messages, storable(message))
	}
	return queryRows[lateErrors](ctx, tx, `
		WITH stored AS (
		    UPDATE ledgerline.export_entries AS entry SET late_error = left(found.message, 500)
		    FROM unnest(@references::text[], @messages::text[]) AS found (reference, message)
		    WHERE entry.organization_id = @organization_id AND entry.integration_id = @integration_id AND entry.vendor_reference = found.reference
		      AND entry.state = 'exported' AND entry.late_error IS DISTINCT FROM left(found.message, 500)
		    RETURNING entry.export_id
		)
		SELECT export.export_id, export.period, count(*) AS entries
		FROM stored JOIN ledgerline.bufdir_export_audit_log AS export ON export.organization_id = @organization_id AND export.export_id = stored.export_id
		GROUP BY export.export_id, export.period, export.started_at ORDER BY export.started_at`, pgx.StrictNamedArgs{
		"organization_id": organization, "integration_id": integration, "references": references, "messages": messages,
	})
}
