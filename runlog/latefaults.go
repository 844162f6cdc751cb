package runlog

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/notify"
)

// RecordLateErrors notes what the vendor found faulty after accepting it, by the
// vendor's names, and returns of how many of the integration's entries that is
// news. Some may be of earlier exports, which closed before it was found: people
// are notified of these here, and of those of the asking export when it closes.
func RecordLateErrors(ctx context.Context, db Beginner, organization, integration, asking uuid.UUID, faults map[string]string) (concerned int64, err error) {
	names, messages := make([]string, 0, len(faults)), make([]string, 0, len(faults))
	for name, m := range faults {
		names, messages = append(names, storable(name)), append(messages, storable(m))
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH news AS (
			    UPDATE ledgerline.export_entries x SET vendor_fault = left(g.m, 500)
			    FROM unnest($3::text[], $4::text[]) AS g (name, m)
			    WHERE x.organization_id = $1 AND x.integration_id = $2 AND x.vendor_reference = g.name AND x.state = 'exported'
			      AND x.vendor_fault IS DISTINCT FROM left(g.m, 500)
			    RETURNING x.export_id
			)
			SELECT b.export_id, b.period, count(*) FROM news JOIN ledgerline.bufdir_export_audit_log b ON b.organization_id = $1 AND b.export_id = news.export_id
			GROUP BY b.export_id, b.period, b.started_at ORDER BY b.started_at`,
			organization, integration, names, messages)
		if err != nil {
			return err
		}
		type faulty struct {
			Export  uuid.UUID
			Period  string
			Entries int64
		}
		of, err := pgx.CollectRows(rows, pgx.RowToStructByPos[faulty])
		if err != nil {
			return err
		}
		for _, f := range of {
			concerned += f.Entries
			_, err := report(ctx, tx, notify.Event{
				Kind: notify.LateErrorsFound, OrganizationID: organization, IntegrationID: integration, Pending: f.Export == asking,
				Facts: notify.Facts{ExportID: &f.Export, Period: f.Period, Entries: &notify.Entries{Faulted: int(f.Entries)}},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return concerned, err
}
