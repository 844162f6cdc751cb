package runlog

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/integrations"
)

// A dry run of apply does everything and takes it back, so that the rules of the database are
// asked. A login that may only read cannot do that: then what those rules would refuse of a
// file that is right by itself, names and IDs that others have, is looked for here.

// mayOnlyRead reports whether the user may see integrations, and may not apply any.
func mayOnlyRead(ctx context.Context, tx pgx.Tx) (reads bool, err error) {
	err = tx.QueryRow(ctx, `SELECT NOT has_table_privilege('ledgerline.integrations', 'INSERT')`).Scan(&reads)
	return reads, err
}

// checkNames refuses a list in which an integration has the name of one that stays besides
// it, or the ID of one of another organization.
func checkNames(ctx context.Context, tx pgx.Tx, stored []storedIntegration, list []integrations.Integration, prune bool) error {
	if !prune {
		for _, row := range absent(stored, list) {
			i := slices.IndexFunc(list, func(in integrations.Integration) bool {
				return in.OrganizationID == row.OrganizationID && in.Name == row.Name
			})
			if i >= 0 {
				return nameIsTaken(list[i])
			}
		}
	}
	var added []uuid.UUID
	for _, in := range list {
		if storedOf(stored, in) == nil {
			added = append(added, in.ID)
		}
	}
	if len(added) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT organization_id FROM ledgerline.list_organizations()`)
	if err != nil {
		return err
	}
	organizations, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return err
	}
	for _, organization := range organizations {
		if _, err := tx.Exec(ctx, setOrganization, organization.String()); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT integration_id FROM ledgerline.integrations WHERE organization_id = $1 AND integration_id = ANY($2)`, organization, added)
		if err != nil {
			return err
		}
		taken, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return err
		}
		for _, in := range list {
			if in.OrganizationID != organization && slices.Contains(taken, in.ID) {
				return idIsTaken(in)
			}
		}
	}
	return nil
}

// checkShortNames is [nameOrganizations] without storing anything.
func checkShortNames(ctx context.Context, tx pgx.Tx, list []integrations.Organization, _ string) error {
	for i, o := range list {
		var other *uuid.UUID
		if err := tx.QueryRow(ctx, `SELECT ledgerline.find_organization($1)`, o.Short).Scan(&other); err != nil {
			return fmt.Errorf("organization %s: %w", o, err)
		}
		renamed := func(x integrations.Organization) bool { return other != nil && x.ID == *other && x.Short != o.Short }
		if other != nil && *other != o.ID && !slices.ContainsFunc(list[:i], renamed) {
			return shortIsTaken(o)
		}
	}
	return nil
}

// These are what the rules of the database say of a file.

func nameIsTaken(in integrations.Integration) error {
	return fmt.Errorf("integration %s (%s): the organization has another integration of that name; rename it, or remove it with --prune", in.Name, in.ID)
}

func idIsTaken(in integrations.Integration) error {
	return fmt.Errorf("integration %s (%s): its ID belongs to another organization; make a new UUID", in.Name, in.ID)
}

func shortIsTaken(o integrations.Organization) error {
	return fmt.Errorf("organization.short %q: another organization of this database has it; choose another", o.Short)
}
