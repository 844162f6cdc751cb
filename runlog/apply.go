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

// IntegrationChange is what applying did to an integration.
type IntegrationChange struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  uuid.UUID `json:"integrationId"`
	Name           string    `json:"name"`
	Adapter        string    `json:"adapter"`
	Action         string    `json:"action"` // created, updated, unchanged, removed, or NotInFile
}

// NotInFile is the action of an integration that an organization has and the
// file does not, and that is left alone.
const NotInFile = "not in the file"

// ApplyOptions are the switches of [ApplyIntegrations].
type ApplyOptions struct {
	By     string // who applies
	Prune  bool   // remove what the organizations of the list have besides
	DryRun bool   // roll back at the end
}

// ApplyIntegrations makes the integrations of the organizations in list what list says, all
// or none, and says what changed: first the list, then what is not in it. What
// is removed stays as a row, since the audit record refers to it, and is found
// by nobody; applying it again brings it back.
func ApplyIntegrations(ctx context.Context, db Beginner, list []integrations.Integration, o ApplyOptions) (changes []IntegrationChange, err error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	kept := make(map[uuid.UUID]bool)
	for _, in := range list {
		kept[in.ID] = true
	}
	var others []IntegrationChange
	gone := make(map[uuid.UUID]bool) // removed before
	seen := make(map[uuid.UUID]bool)
	for _, in := range list {
		if seen[in.OrganizationID] {
			continue
		}
		seen[in.OrganizationID] = true
		more, err := besides(ctx, tx, in.OrganizationID, kept, gone, o)
		if err != nil {
			return nil, applyError(in, err)
		}
		others = append(others, more...)
	}
	for _, in := range list {
		action, err := upsertIntegration(ctx, tx, in, o.By)
		if err != nil {
			return nil, applyError(in, err)
		}
		if gone[in.ID] {
			action = "created"
		}
		changes = append(changes, IntegrationChange{in.OrganizationID, in.ID, in.Name, in.Adapter, action})
	}
	changes = append(changes, others...)
	if o.DryRun {
		return changes, nil
	}
	return changes, tx.Commit(ctx)
}

// besides removes, or with o.Prune unset only lists, what an organization has
// and kept has not. It locks the organization's rows, so that two who apply
// wait for each other, and notes in gone what was removed before.
func besides(ctx context.Context, tx pgx.Tx, organization uuid.UUID, kept, gone map[uuid.UUID]bool, o ApplyOptions) (changes []IntegrationChange, err error) {
	if _, err := tx.Exec(ctx, setOrganization, organization.String()); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `SELECT organization_id, integration_id, name, adapter, CASE WHEN removed_at IS NULL THEN '' ELSE 'gone' END
		FROM ledgerline.integrations WHERE organization_id = $1 ORDER BY name, integration_id FOR UPDATE`, organization)
	if err != nil {
		return nil, err
	}
	there, err := pgx.CollectRows(rows, pgx.RowToStructByPos[IntegrationChange])
	if err != nil {
		return nil, err
	}
	for _, c := range there {
		switch {
		case c.Action != "":
			gone[c.IntegrationID] = true
			continue
		case kept[c.IntegrationID]:
			continue
		case !o.Prune:
			c.Action = NotInFile
		default:
			c.Action = "removed"
			_, err := tx.Exec(ctx, `UPDATE ledgerline.integrations SET removed_at = now(), removed_by = $3, schedule_since = NULL
				WHERE organization_id = $1 AND integration_id = $2`, organization, c.IntegrationID, o.By)
			if err != nil {
				return nil, err
			}
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// upsert tells what it did: xmax is 0 on a row that was inserted, and no row
// comes back when nothing differed. What a schedule should have done is asked
// from schedule_since on. A pause outlives every change of the file.
const upsert = `
INSERT INTO ledgerline.integrations AS i (organization_id, integration_id, name, adapter, base_url, settings, credential_refs, policy, applied_by, schedule, export, schedule_since, limits, own_queue, health, in_flight)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $10::jsonb IS NOT NULL THEN now() END, $12, $13, $14, $15)
ON CONFLICT (organization_id, integration_id) DO UPDATE
SET name = excluded.name, adapter = excluded.adapter, base_url = excluded.base_url, settings = excluded.settings,
    credential_refs = excluded.credential_refs, policy = excluded.policy, schedule = excluded.schedule, export = excluded.export,
    limits = excluded.limits, health = excluded.health, in_flight = excluded.in_flight, own_queue = i.own_queue OR excluded.own_queue,
    applied_by = excluded.applied_by, updated_at = now(), removed_at = NULL, removed_by = NULL,
    schedule_since = CASE WHEN i.schedule IS NOT DISTINCT FROM excluded.schedule AND i.removed_at IS NULL THEN i.schedule_since ELSE excluded.schedule_since END
WHERE (i.name, i.adapter, i.base_url, i.settings, i.credential_refs, i.policy, i.schedule, i.export, i.limits, i.health, i.in_flight)
    IS DISTINCT FROM (excluded.name, excluded.adapter, excluded.base_url, excluded.settings, excluded.credential_refs, excluded.policy, excluded.schedule, excluded.export, excluded.limits, excluded.health, excluded.in_flight)
    OR i.removed_at IS NOT NULL
RETURNING xmax = 0`

func upsertIntegration(ctx context.Context, tx pgx.Tx, in integrations.Integration, by string) (action string, err error) {
	if _, err := tx.Exec(ctx, setOrganization, in.OrganizationID.String()); err != nil {
		return "", err
	}
	settings, refs := in.Settings, in.Credentials
	if settings == nil {
		settings = map[string]string{}
	}
	if refs == nil {
		refs = map[string]integrations.Ref{}
	}
	var created bool
	err = tx.QueryRow(ctx, upsert, in.OrganizationID, in.ID, in.Name, in.Adapter, in.BaseURL, settings, refs, in.Policy, by, in.Schedule, in.Export,
		in.Limits, in.Limits.OwnQueue(), in.Health, in.InFlight).Scan(&created)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "unchanged", nil
	case err != nil:
		return "", err
	case created:
		return "created", nil
	}
	return "updated", nil
}

// applyError puts a violated constraint into words.
func applyError(in integrations.Integration, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.ConstraintName {
		case "integration_id_belongs_to_one_organization":
			return fmt.Errorf("integration %s (%s): its ID belongs to another organization; make a new UUID", in.Name, in.ID)
		case "name_is_unique_in_organization":
			return fmt.Errorf("integration %s (%s): the organization has another integration of that name; rename it, or remove it with --prune", in.Name, in.ID)
		}
		if pg.Code == "42501" {
			return fmt.Errorf("integration %s: the database user may not apply integrations: it needs the role ledgerline_operator", in.Name)
		}
	}
	return fmt.Errorf("integration %s: %w", in.Name, err)
}
