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

// ApplyAction says what applying did to an integration or a channel.
type ApplyAction string

// The actions.
const (
	ActionCreated   ApplyAction = "created" // also if it was removed before
	ActionUpdated   ApplyAction = "updated"
	ActionUnchanged ApplyAction = "unchanged"
	ActionRemoved   ApplyAction = "removed"
	ActionNotInFile ApplyAction = "not in the file" // the organization has it and the file does not, and it is left alone
)

// IntegrationChange is what applying did to an integration.
type IntegrationChange struct {
	OrganizationID uuid.UUID                  `json:"organizationId"`
	IntegrationID  uuid.UUID                  `json:"integrationId"`
	Name           string                     `json:"name"`
	Adapter        string                     `json:"adapter"`
	Action         ApplyAction                `json:"action"`
	Changes        []integrations.FieldChange `json:"changes,omitempty"` // of one that is created or updated
	Pending        []PendingPeriod            `json:"pending,omitempty"` // of one that is removed: exports that end as failed
}

// PendingPeriod is an export that has not ended, with the entries that it has not sent.
type PendingPeriod struct {
	ExportID uuid.UUID `json:"exportId"`
	Period   string    `json:"period"`
	Planned  int       `json:"planned"`
}

// ApplyOptions are the switches of [ApplyIntegrations].
type ApplyOptions struct {
	By     string // who applies
	Prune  bool   // remove what the organizations of the list have besides
	DryRun bool   // roll back at the end; with a login that may only read, find out without writing

	Organizations []integrations.Organization // whose names the file has
	// Listed are the integrations that people have seen what becomes of; with Prune, another is not
	// removed but an error. nil is all.
	Listed map[uuid.UUID]bool

	reads bool // of a dry run: nothing is written, not even to be rolled back
}

// ApplyIntegrations makes the integrations of the organizations in list what list says, all
// or none, and says what changed: first the list, then what is not in it. What
// is removed stays as a row, since the audit record refers to it, and is no longer
// found; applying it again brings it back.
//
// It refuses, with an [*OpenEntriesError] for each, to remove an integration or to lead it elsewhere
// while it has entries of which only the place that they were sent to can tell.
func ApplyIntegrations(ctx context.Context, db Beginner, list []integrations.Integration, o ApplyOptions) (changes []IntegrationChange, err error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	lock := " FOR UPDATE"
	if o.DryRun {
		if o.reads, err = mayOnlyRead(ctx, tx); err != nil {
			return nil, err
		}
	}
	if o.reads {
		lock = ""
	}
	stored, err := lockIntegrations(ctx, tx, list, lock)
	if err != nil {
		return nil, err
	}
	if o.reads {
		if err := checkNames(ctx, tx, stored, list, o.Prune); err != nil {
			return nil, err
		}
	}
	if err := checkPlaces(ctx, tx, stored, list, o); err != nil {
		return nil, err
	}
	others, err := applyAbsent(ctx, tx, stored, list, o)
	if err != nil {
		return nil, err
	}
	if !o.reads {
		if err := freeNames(ctx, tx, stored, list); err != nil {
			return nil, err
		}
	}
	for _, in := range list {
		was := integrations.Default()
		row := storedOf(stored, in)
		if row != nil && !row.Removed {
			was = row.is
		}
		differs := integrations.Diff(was, in)
		action := ActionUpdated
		switch {
		case !o.reads:
			if action, err = upsertIntegration(ctx, tx, in, o.By); err != nil {
				return nil, applyError(in, err)
			}
		case row == nil:
			action = ActionCreated
		case len(differs) == 0:
			action = ActionUnchanged
		}
		if row != nil && row.Removed {
			action = ActionCreated
		}
		changes = append(changes, IntegrationChange{
			OrganizationID: in.OrganizationID, IntegrationID: in.ID, Name: in.Name, Adapter: in.Adapter, Action: action, Changes: differs,
		})
	}
	changes = append(changes, others...)
	name := nameOrganizations
	if o.reads {
		name = checkShortNames
	}
	if err := name(ctx, tx, o.Organizations, o.By); err != nil {
		return nil, err
	}
	if o.DryRun {
		return changes, nil
	}
	return changes, tx.Commit(ctx)
}

// storedIntegration is an integration that an organization has, or had.
type storedIntegration struct {
	integrationRow
	Removed bool
	is      integrations.Integration // without what cannot be read of it
}

// lockIntegrations returns what the organizations of list have and had, by name. lock, such as
// FOR UPDATE, locks the rows, so that two who apply wait for each other.
func lockIntegrations(ctx context.Context, tx pgx.Tx, list []integrations.Integration, lock string) (stored []storedIntegration, err error) {
	seen := make(map[uuid.UUID]bool)
	for _, in := range list {
		if seen[in.OrganizationID] {
			continue
		}
		seen[in.OrganizationID] = true
		if _, err := tx.Exec(ctx, setOrganization, in.OrganizationID.String()); err != nil {
			return nil, applyError(in, err)
		}
		rows, err := queryRows[storedIntegrationRow](ctx, tx, `
			SELECT `+integrationColumns+`, removed_at IS NOT NULL AS removed
			FROM ledgerline.integrations WHERE organization_id = $1 ORDER BY name, integration_id`+lock, in.OrganizationID)
		if err != nil {
			return nil, applyError(in, err)
		}
		for _, row := range rows {
			is, _ := row.decode() // applying is what repairs a row
			stored = append(stored, storedIntegration{row.integrationRow, row.Removed, is})
		}
	}
	return stored, nil
}

type storedIntegrationRow struct {
	integrationRow
	Removed bool
}

// storedOf returns what is stored of an integration, or nil.
func storedOf(stored []storedIntegration, in integrations.Integration) *storedIntegration {
	for i, row := range stored {
		if row.OrganizationID == in.OrganizationID && row.IntegrationID == in.ID {
			return &stored[i]
		}
	}
	return nil
}

// absent are the integrations that the organizations of list have and list does not.
func absent(stored []storedIntegration, list []integrations.Integration) (rows []storedIntegration) {
	inFile := make(map[uuid.UUID]bool)
	for _, in := range list {
		inFile[in.ID] = true
	}
	for _, row := range stored {
		if !row.Removed && !inFile[row.IntegrationID] {
			rows = append(rows, row)
		}
	}
	return rows
}

// applyAbsent removes, or with o.Prune unset only returns, what the organizations in
// list have and list does not. It comes first, since the name of what is removed is free
// from then on.
func applyAbsent(ctx context.Context, tx pgx.Tx, stored []storedIntegration, list []integrations.Integration, o ApplyOptions) (changes []IntegrationChange, err error) {
	for _, row := range absent(stored, list) {
		change := IntegrationChange{OrganizationID: row.OrganizationID, IntegrationID: row.IntegrationID, Name: row.Name, Adapter: row.Adapter, Action: ActionNotInFile}
		if o.Prune && o.Listed != nil && !o.Listed[row.IntegrationID] {
			return nil, fmt.Errorf("integration %s is not in the file, and was added by somebody else just now; apply the file again to see what --prune removes", row.Name)
		}
		if o.Prune {
			change.Action = ActionRemoved
			if change.Pending, err = removeIntegration(ctx, tx, row, o); err != nil {
				return nil, applyError(row.is, err)
			}
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// removeIntegration removes an integration and returns its exports that have not ended.
func removeIntegration(ctx context.Context, tx pgx.Tx, row storedIntegration, o ApplyOptions) (pending []PendingPeriod, err error) {
	if _, err := tx.Exec(ctx, setOrganization, row.OrganizationID.String()); err != nil {
		return nil, err
	}
	pending, err = queryRows[PendingPeriod](ctx, tx, `
		SELECT export_id, period, (SELECT count(*) FROM ledgerline.export_entries AS entry
		    WHERE entry.organization_id = $1 AND entry.export_id = export.export_id AND entry.state = 'planned') AS planned
		FROM ledgerline.bufdir_export_audit_log AS export
		WHERE organization_id = $1 AND integration_id = $2 AND status = 'pending' ORDER BY period, export_id`, row.OrganizationID, row.IntegrationID)
	if err != nil || o.reads {
		return pending, err
	}
	_, err = tx.Exec(ctx, `UPDATE ledgerline.integrations SET removed_at = now(), removed_by = $3, schedule_since = NULL
		WHERE organization_id = $1 AND integration_id = $2`, row.OrganizationID, row.IntegrationID, o.By)
	return pending, err
}

// freeNames takes the names away that others of list are to have, so that integrations can
// exchange theirs. None keeps the name that it gets here: it is in list.
func freeNames(ctx context.Context, tx pgx.Tx, stored []storedIntegration, list []integrations.Integration) error {
	for _, in := range list {
		row := storedOf(stored, in)
		if row == nil || row.Removed || row.Name == in.Name {
			continue
		}
		if _, err := tx.Exec(ctx, setOrganization, in.OrganizationID.String()); err != nil {
			return applyError(in, err)
		}
		if _, err := tx.Exec(ctx, `UPDATE ledgerline.integrations SET name = $3 WHERE organization_id = $1 AND integration_id = $2`,
			in.OrganizationID, in.ID, uuid.NewString()); err != nil {
			return applyError(in, err)
		}
	}
	return nil
}

// upsertIntegrationRow returns whether it inserted: xmax is 0 on such a row. No row
// comes back when nothing differed. Runs are expected from schedule_since on. A pause
// outlives every change of the file.
const upsertIntegrationRow = `
INSERT INTO ledgerline.integrations AS stored (organization_id, integration_id, name, adapter, base_url, settings, credential_refs,
    policy, schedule, schedule_since, export, limits, own_queue, health, in_flight, applied_by)
VALUES (@organization_id, @integration_id, @name, @adapter, @base_url, @settings, @credential_refs,
    @policy, @schedule, CASE WHEN @schedule::jsonb IS NOT NULL THEN now() END, @export, @limits, @own_queue, @health, @in_flight, @applied_by)
ON CONFLICT (organization_id, integration_id) DO UPDATE
SET name = excluded.name, adapter = excluded.adapter, base_url = excluded.base_url, settings = excluded.settings,
    credential_refs = excluded.credential_refs, policy = excluded.policy, schedule = excluded.schedule, export = excluded.export,
    limits = excluded.limits, health = excluded.health, in_flight = excluded.in_flight, own_queue = stored.own_queue OR excluded.own_queue,
    applied_by = excluded.applied_by, updated_at = now(), removed_at = NULL, removed_by = NULL,
    schedule_since = CASE WHEN stored.schedule IS NOT DISTINCT FROM excluded.schedule AND stored.removed_at IS NULL
        THEN stored.schedule_since ELSE excluded.schedule_since END
WHERE (stored.name, stored.adapter, stored.base_url, stored.settings, stored.credential_refs, stored.policy, stored.schedule, stored.export,
        stored.limits, stored.health, stored.in_flight)
    IS DISTINCT FROM (excluded.name, excluded.adapter, excluded.base_url, excluded.settings, excluded.credential_refs, excluded.policy, excluded.schedule,
        excluded.export, excluded.limits, excluded.health, excluded.in_flight)
    OR stored.removed_at IS NOT NULL
RETURNING xmax = 0`

func upsertIntegration(ctx context.Context, tx pgx.Tx, in integrations.Integration, by string) (ApplyAction, error) {
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
	return upsertAction(tx.QueryRow(ctx, upsertIntegrationRow, pgx.StrictNamedArgs{
		"organization_id": in.OrganizationID,
		"integration_id":  in.ID,
		"name":            in.Name,
		"adapter":         in.Adapter,
		"base_url":        in.BaseURL,
		"settings":        settings,
		"credential_refs": refs,
		"policy":          in.Policy,
		"schedule":        in.Schedule,
		"export":          in.Export,
		"limits":          in.Limits,
		"own_queue":       in.Limits.OwnQueue(),
		"health":          in.Health,
		"in_flight":       in.InFlight,
		"applied_by":      by,
	}))
}

// upsertAction returns what an upsert did that returns whether it inserted, and no
// row if nothing differed.
func upsertAction(row pgx.Row) (ApplyAction, error) {
	var inserted bool
	switch err := row.Scan(&inserted); {
	case errors.Is(err, pgx.ErrNoRows):
		return ActionUnchanged, nil
	case err != nil:
		return "", err
	case inserted:
		return ActionCreated, nil
	}
	return ActionUpdated, nil
}

// applyError puts a violated constraint into words.
func applyError(in integrations.Integration, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.ConstraintName {
		case "integration_id_belongs_to_one_organization":
			return idIsTaken(in)
		case "name_is_unique_in_organization":
			return nameIsTaken(in)
		}
		if pg.Code == "42501" {
			return fmt.Errorf("integration %s: the database user may not apply integrations: it needs the role ledgerline_operator", in.Name)
		}
	}
	return fmt.Errorf("integration %s: %w", in.Name, err)
}
