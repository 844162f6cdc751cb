package runlog

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/integrations"
)

// ErrNotFound is returned where an organization has no such integration,
// whoever else may have one, and where it was removed.
var ErrNotFound = errors.New("the organization has no such integration")

// Known is an integration with what is known of it besides its file.
type Known struct {
	integrations.Integration
	ScheduleSince *time.Time `json:"scheduleSince,omitempty"` // since when its schedule is as it is; nil without one
	PausedAt      *time.Time `json:"pausedAt,omitempty"`      // nil unless it is paused
	PausedBy      string     `json:"pausedBy,omitempty"`
	PauseReason   string     `json:"pauseReason,omitempty"`
}

const selectIntegrations = `
SELECT organization_id, integration_id, name, adapter, base_url, settings, credential_refs, policy, schedule, export, limits, health, in_flight,
       schedule_since, paused_at, coalesce(paused_by, ''), coalesce(pause_reason, '')
FROM ledgerline.integrations WHERE organization_id = $1 AND `

// Integration returns one integration of an organization, or [ErrNotFound].
func Integration(ctx context.Context, db Beginner, organization, id uuid.UUID) (integrations.Integration, error) {
	list, err := queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NULL AND integration_id = $2`, organization, id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return integrations.Integration{}, err
	}
	return list[0].Integration, nil
}

// Integrations returns an organization's integrations by name.
func Integrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]integrations.Integration, error) {
	known, err := KnownIntegrations(ctx, db, organization)
	list := make([]integrations.Integration, len(known))
	for i, k := range known {
		list[i] = k.Integration
	}
	return list, err
}

// KnownIntegrations is [Integrations] with what is known of each.
func KnownIntegrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]Known, error) {
	return queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NULL ORDER BY name`, organization)
}

// RemovedIntegrations returns what an organization had, by name.
func RemovedIntegrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]Known, error) {
	return queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NOT NULL ORDER BY name, integration_id`, organization)
}

func queryIntegrations(ctx context.Context, db Beginner, organization uuid.UUID, query string, args ...any) (list []Known, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k Known, err error) {
			err = row.Scan(&k.OrganizationID, &k.ID, &k.Name, &k.Adapter, &k.BaseURL, &k.Settings, &k.Credentials, &k.Policy, &k.Schedule, &k.Export, &k.Limits, &k.Health, &k.InFlight,
				&k.ScheduleSince, &k.PausedAt, &k.PausedBy, &k.PauseReason)
			return k, err
		})
		return err
	})
	return list, err
}
