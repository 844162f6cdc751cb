package runlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
)

// ErrNotFound is returned where an organization has no such integration,
// whoever else may have one, and where it was removed.
var ErrNotFound = errors.New("the organization has no such integration")

// IntegrationRecord is an integration with what is known of it besides its file.
type IntegrationRecord struct {
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

// LoadIntegration returns one integration of an organization, or [ErrNotFound].
func LoadIntegration(ctx context.Context, db Beginner, organization, id uuid.UUID) (integrations.Integration, error) {
	list, err := queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NULL AND integration_id = $2`, organization, id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return integrations.Integration{}, err
	}
	return list[0].Integration, nil
}

// ListIntegrations returns an organization's integrations by name.
func ListIntegrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]integrations.Integration, error) {
	known, err := ListIntegrationRecords(ctx, db, organization)
	list := make([]integrations.Integration, len(known))
	for i, k := range known {
		list[i] = k.Integration
	}
	return list, err
}

// ListIntegrationRecords is [Integrations] with what is known of each.
func ListIntegrationRecords(ctx context.Context, db Beginner, organization uuid.UUID) ([]IntegrationRecord, error) {
	return queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NULL ORDER BY name`, organization)
}

// ListRemovedIntegrations returns what an organization had, by name.
func ListRemovedIntegrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]IntegrationRecord, error) {
	return queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NOT NULL ORDER BY name, integration_id`, organization)
}

// UnreadableError names integrations whose rows cannot be decoded: somebody wrote
// them past the rules of the schema. What comes with it lacks them, and nothing else.
type UnreadableError struct{ Rows []string }

// Error names the rows and the remedy.
func (e *UnreadableError) Error() string {
	return "the row of " + strings.Join(e.Rows, ", and of ") + " cannot be read; apply the integration's file again"
}

// queryIntegrations returns the integrations that can be read, and with an
// [*UnreadableError] which others there are.
func queryIntegrations(ctx context.Context, db Beginner, organization uuid.UUID, query string, args ...any) (list []IntegrationRecord, err error) {
	var unreadable UnreadableError
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		list, unreadable.Rows = nil, nil
		var k IntegrationRecord
		var settings, credentials, policy, schedule, export, limits, watch []byte
		_, err = pgx.ForEachRow(rows, []any{&k.OrganizationID, &k.ID, &k.Name, &k.Adapter, &k.BaseURL, &settings, &credentials, &policy, &schedule, &export, &limits, &watch, &k.InFlight,
			&k.ScheduleSince, &k.PausedAt, &k.PausedBy, &k.PauseReason}, func() error {
			k.Settings, k.Credentials, k.Policy, k.Schedule, k.Export, k.Limits, k.Health = nil, nil, classify.Policy{}, nil, integrations.ExportSettings{}, integrations.RequestLimits{}, health.Policy{}
			for _, column := range []struct {
				name string
				text []byte
				into any
			}{{"settings", settings, &k.Settings}, {"credential_refs", credentials, &k.Credentials}, {"policy", policy, &k.Policy}, {"schedule", schedule, &k.Schedule},
				{"export", export, &k.Export}, {"limits", limits, &k.Limits}, {"health", watch, &k.Health}} {
				if column.text == nil {
					continue
				}
				if err := json.Unmarshal(column.text, column.into); err != nil {
					unreadable.Rows = append(unreadable.Rows, fmt.Sprintf("%q (%s)", k.Name, column.name))
					return nil
				}
			}
			list = append(list, k)
			return nil
		})
		return err
	})
	if err == nil && unreadable.Rows != nil {
		err = &unreadable
	}
	return list, err
}
