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

// ErrNotFound is returned where an organization has no such integration,
// whoever else may have one.
var ErrNotFound = errors.New("the organization has no such integration")

// Change is what applying did to an integration.
type Change struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  uuid.UUID `json:"integrationId"`
	Name           string    `json:"name"`
	Adapter        string    `json:"adapter"`
	Action         string    `json:"action"` // created, updated, unchanged
}

// upsert tells what it did: xmax is 0 on a row that was inserted, and no row
// comes back when nothing differed.
const upsert = `
INSERT INTO ledgerline.integrations AS i (organization_id, integration_id, name, adapter, base_url, settings, credential_refs, policy, applied_by, schedule, health)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (organization_id, integration_id) DO UPDATE
SET name = excluded.name, adapter = excluded.adapter, base_url = excluded.base_url, settings = excluded.settings,
    credential_refs = excluded.credential_refs, policy = excluded.policy, schedule = excluded.schedule, health = excluded.health, applied_by = excluded.applied_by, updated_at = now()
WHERE (i.name, i.adapter, i.base_url, i.settings, i.credential_refs, i.policy, i.schedule, i.health)
    IS DISTINCT FROM (excluded.name, excluded.adapter, excluded.base_url, excluded.settings, excluded.credential_refs, excluded.policy, excluded.schedule, excluded.health)
RETURNING xmax = 0`

// ApplyIntegrations stores integrations, all or none, and says what changed.
// dryRun rolls back at the end.
func ApplyIntegrations(ctx context.Context, db Beginner, list []integrations.Integration, appliedBy string, dryRun bool) ([]Change, error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	var changes []Change
	for _, in := range list {
		if _, err := tx.Exec(ctx, setOrganization, in.OrganizationID.String()); err != nil {
			return nil, err
		}
		c := Change{in.OrganizationID, in.ID, in.Name, in.Adapter, "updated"}
		settings, refs := in.Settings, in.Credentials
		if settings == nil {
			settings = map[string]string{}
		}
		if refs == nil {
			refs = map[string]integrations.Ref{}
		}
		var created bool
		err := tx.QueryRow(ctx, upsert, in.OrganizationID, in.ID, in.Name, in.Adapter, in.BaseURL, settings, refs, in.Policy, appliedBy, in.Schedule, in.Health).Scan(&created)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			c.Action = "unchanged"
		case err != nil:
			return nil, applyError(in, err)
		case created:
			c.Action = "created"
		}
		changes = append(changes, c)
	}
	if dryRun {
		return changes, nil
	}
	return changes, tx.Commit(ctx)
}

// applyError puts a violated constraint into words.
func applyError(in integrations.Integration, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.ConstraintName {
		case "integration_id_belongs_to_one_organization":
			return fmt.Errorf("integration %s (%s): its ID belongs to another organization; make a new UUID", in.Name, in.ID)
		case "name_is_unique_in_organization":
			return fmt.Errorf("integration %s (%s): the organization has another integration of that name", in.Name, in.ID)
		}
		if pg.Code == "42501" {
			return fmt.Errorf("integration %s: the database user may not apply integrations: it needs the role ledgerline_operator", in.Name)
		}
	}
	return fmt.Errorf("integration %s: %w", in.Name, err)
}

const selectIntegrations = `
SELECT organization_id, integration_id, name, adapter, base_url, settings, credential_refs, policy, schedule, health
FROM ledgerline.integrations WHERE organization_id = $1`

// Integration returns one integration of an organization, or [ErrNotFound].
func Integration(ctx context.Context, db Beginner, organization, id uuid.UUID) (integrations.Integration, error) {
	list, err := queryIntegrations(ctx, db, organization, selectIntegrations+` AND integration_id = $2`, organization, id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return integrations.Integration{}, err
	}
	return list[0], nil
}

// Integrations returns an organization's integrations by name.
func Integrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]integrations.Integration, error) {
	return queryIntegrations(ctx, db, organization, selectIntegrations+` ORDER BY name`, organization)
}

func queryIntegrations(ctx context.Context, db Beginner, organization uuid.UUID, query string, args ...any) (list []integrations.Integration, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (in integrations.Integration, err error) {
			err = row.Scan(&in.OrganizationID, &in.ID, &in.Name, &in.Adapter, &in.BaseURL, &in.Settings, &in.Credentials, &in.Policy, &in.Schedule, &in.Health)
			return in, err
		})
		return err
	})
	return list, err
}
