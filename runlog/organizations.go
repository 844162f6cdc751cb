package runlog

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/integrations"
)

// UnknownOrganizationError is what an organization was asked for by that is not there.
type UnknownOrganizationError struct{ Which string } // UUID or short name

// Error says what was asked for and where to look.
func (e *UnknownOrganizationError) Error() string {
	return fmt.Sprintf("no organization %s in this database; see starter organizations list", e.Which)
}

// FindOrganization returns the organization with a UUID or a short name, or an
// [*UnknownOrganizationError]. There is one if it has a name, or has or had an
// integration. It needs the operator's, the reader's or the worker's role.
func FindOrganization(ctx context.Context, db Beginner, which string) (o integrations.Organization, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		id, err := uuid.Parse(which)
		if err != nil || len(which) != 36 {
			var found *uuid.UUID
			if err := tx.QueryRow(ctx, `SELECT ledgerline.find_organization($1)`, storable(which)).Scan(&found); err != nil {
				return err
			}
			if found == nil {
				return &UnknownOrganizationError{which}
			}
			id = *found
		}
		if _, err := tx.Exec(ctx, setOrganization, id.String()); err != nil {
			return err
		}
		var known bool
		o.ID = id
		err = tx.QueryRow(ctx, `
			SELECT coalesce(max(name), ''), coalesce(max(short_name), ''),
			    count(*) > 0 OR EXISTS (SELECT FROM ledgerline.integrations WHERE organization_id = $1)
			FROM ledgerline.organizations WHERE organization_id = $1`, id).Scan(&o.Name, &o.Short, &known)
		if err == nil && !known {
			err = &UnknownOrganizationError{which}
		}
		return err
	})
	return o, err
}

// ListNamedOrganizations returns every organization that has a name, or has or had an
// integration, by short name; those without one come last. It needs the operator's or
// the reader's role.
func ListNamedOrganizations(ctx context.Context, db Beginner) (list []integrations.Organization, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT organization_id AS id, name, short_name AS short FROM ledgerline.list_organizations()`)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[integrations.Organization])
		return err
	})
	return list, err
}

// queryOrganizationName is what people call the transaction's organization: its short name, or
// its UUID if it has none.
func queryOrganizationName(ctx context.Context, tx pgx.Tx, id uuid.UUID) (name string, err error) {
	err = tx.QueryRow(ctx, `SELECT `+calledOrganization, id).Scan(&name)
	return name, err
}

// calledOrganization is the same of organization $1, in a query.
const calledOrganization = `coalesce((SELECT short_name FROM ledgerline.organizations WHERE organization_id = $1), $1::uuid::text)`

// nameOrganizations stores the names of organizations. One that is not in list keeps its
// names.
func nameOrganizations(ctx context.Context, tx pgx.Tx, list []integrations.Organization, by string) error {
	for _, o := range list {
		if _, err := tx.Exec(ctx, setOrganization, o.ID.String()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.organizations AS stored (organization_id, name, short_name, changed_by)
			VALUES (@organization_id, @name, @short_name, @changed_by)
			ON CONFLICT (organization_id) DO UPDATE
			SET name = excluded.name, short_name = excluded.short_name, changed_by = excluded.changed_by, changed_at = now()
			WHERE (stored.name, stored.short_name) IS DISTINCT FROM (excluded.name, excluded.short_name)`, pgx.StrictNamedArgs{
			"organization_id": o.ID, "name": o.Name, "short_name": o.Short, "changed_by": storable(by),
		})
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.ConstraintName == "short_name_is_unique" {
			return shortIsTaken(o)
		}
		if err != nil {
			return fmt.Errorf("organization %s: %w", o, err)
		}
	}
	return nil
}
