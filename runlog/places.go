package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// Where an integration leads must not change under what is open: only the place that
// an entry was sent to can tell what became of it. Two transactions keep that, by a
// lock for each integration. Marking entries shares it and then reads where the
// integration leads; applying has it alone before it looks for entries that are open.
// So either marking comes first, and applying sees the entries, or marking sees the
// new place, and nothing is sent.

// ErrMoved is returned to an attempt that would send to where its integration does not
// lead any more.
var ErrMoved = errors.New("the integration was changed or removed meanwhile, and leads elsewhere")

const placeLock = `(hashtextextended('ledgerline.place/' || $1, 0))`

// holdPlace keeps an integration's place as it is until the transaction ends. An owner
// without a place marks for nowhere, and is not checked.
func holdPlace(ctx context.Context, tx pgx.Tx, owner exports.Owner) error {
	if owner.Place == "" {
		return nil
	}
	// In one round trip; the second statement sees what was committed before the lock.
	batch := new(pgx.Batch)
	batch.Queue(`SELECT pg_advisory_xact_lock_shared`+placeLock, owner.IntegrationID.String())
	batch.Queue(`SELECT adapter, base_url, settings FROM ledgerline.integrations
		WHERE organization_id = $1 AND integration_id = $2 AND removed_at IS NULL`, owner.OrganizationID, owner.IntegrationID)
	results := tx.SendBatch(ctx, batch)
	defer results.Close()
	if _, err := results.Exec(); err != nil {
		return err
	}
	var in integrations.Integration
	err := results.QueryRow().Scan(&in.Adapter, &in.BaseURL, &in.Settings)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && in.Place() != owner.Place {
		return ErrMoved
	}
	if err != nil {
		return err
	}
	return results.Close()
}

// OpenExport are entries of an export of which only a place can tell.
type OpenExport struct {
	Reference string // how a command names it, see [exports.Export.Reference]
	Period    string
	Status    exports.Status
	SentTo    string
	Entries   int
	OpenUntil *time.Time // they can take effect until then; nil if that is over
}

// OpenEntriesError is why an integration can be neither led elsewhere nor removed.
type OpenEntriesError struct {
	Organization string // its short name, or its UUID if it has none
	Integration  string
	To           string // where it is to lead; "" if it is to be removed
	Exports      []OpenExport
}

// Error names the exports, and what settles them.
func (e *OpenEntriesError) Error() string {
	what := "cannot be removed"
	if e.To != "" {
		what = "cannot lead to " + e.To
	}
	var b strings.Builder
	fmt.Fprintf(&b, "integration %s %s: what became of entries that were sent is not known yet, and only the place that they were sent to can tell", e.Integration, what)
	for _, x := range e.Exports {
		fmt.Fprintf(&b, "\nthe export of %s (%s): %d sent to %s", exports.PeriodName(x.Period), x.Status, x.Entries, x.SentTo)
		if x.OpenUntil != nil {
			fmt.Fprintf(&b, ", which can take effect there until %s", x.OpenUntil.Local().Format("2 January 2006 15:04:05 MST"))
		}
		if x.Status == exports.Pending {
			fmt.Fprintf(&b, "; its run looks them up: starter exports show %s --org %s", x.Reference, e.Organization)
		} else {
			fmt.Fprintf(&b, "; look them up: starter exports retry %s --org %[2]s; or record what is there: starter exports resolve %[1]s --org %[2]s --voucher V --there|--not-there --reason TEXT", x.Reference, e.Organization)
		}
	}
	b.WriteString("\nthen apply the file again")
	return b.String()
}

// move is an integration that is removed, or led elsewhere.
type move struct {
	row storedIntegration
	to  string // "": it is removed
}

// checkPlaces refuses to remove, or to lead elsewhere, what has entries that are open.
func checkPlaces(ctx context.Context, tx pgx.Tx, stored []storedIntegration, list []integrations.Integration, o ApplyOptions) error {
	var moves []move
	for _, in := range list {
		if row := storedOf(stored, in); row != nil && row.is.Place() != in.Place() {
			moves = append(moves, move{*row, in.Place()})
		}
	}
	if o.Prune {
		for _, row := range absent(stored, list) {
			moves = append(moves, move{row, ""})
		}
	}
	slices.SortFunc(moves, func(a, b move) int {
		return strings.Compare(a.row.IntegrationID.String(), b.row.IntegrationID.String())
	})
	for _, m := range moves {
		if o.reads {
			break // so that nothing waits for it
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock`+placeLock, m.row.IntegrationID.String()); err != nil {
			return applyError(m.row.is, err)
		}
	}
	var errs []error
	for _, m := range moves {
		open, err := queryOpenElsewhere(ctx, tx, m)
		if err != nil {
			return applyError(m.row.is, err)
		}
		if len(open) > 0 {
			called, err := queryOrganizationName(ctx, tx, m.row.OrganizationID)
			if err != nil {
				return err
			}
			errs = append(errs, &OpenEntriesError{called, m.row.Name, m.to, open})
		}
	}
	return errors.Join(errs...)
}

// queryOpenElsewhere returns what is open at other places than the one to which an
// integration moves. Where it is not known to what place an entry was sent, it was the one
// that the integration leads to now.
func queryOpenElsewhere(ctx context.Context, tx pgx.Tx, m move) ([]OpenExport, error) {
	if _, err := tx.Exec(ctx, setOrganization, m.row.OrganizationID.String()); err != nil {
		return nil, err
	}
	return queryRows[OpenExport](ctx, tx, `
		SELECT `+referenceOf("export", "@integration")+` AS reference, export.period, export.status, entry.sent_to, count(*) AS entries,
		    max(entry.until) FILTER (WHERE entry.until > ledgerline.clock()) AS open_until
		FROM (SELECT organization_id, export_id, coalesce(nullif(sent_to, ''), @is) AS sent_to,
		          CASE WHEN effect = 'open' AND NOT ended THEN greatest(open_until, earlier_until) ELSE earlier_until END AS until
		      FROM ledgerline.export_entries
		      WHERE organization_id = @organization_id AND integration_id = @integration_id
		        AND (effect = 'open' OR state <> 'exported' AND earlier_until > ledgerline.clock())) AS entry
		JOIN ledgerline.bufdir_export_audit_log AS export USING (organization_id, export_id)
		WHERE entry.sent_to <> @to
		GROUP BY export.organization_id, export.export_id, export.integration_id, export.parent_export_id, export.trigger, export.period, export.status, entry.sent_to, export.started_at
		ORDER BY export.started_at, export.export_id, entry.sent_to`, pgx.StrictNamedArgs{
		"organization_id": m.row.OrganizationID, "integration_id": m.row.IntegrationID, "integration": m.row.Name, "is": m.row.is.Place(), "to": m.to,
	})
}
