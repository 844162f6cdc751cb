package runlog

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
)

// MonitorTarget is what a monitor must know of its integration.
type MonitorTarget struct {
	Name     string                 `json:"name"`
	Adapter  string                 `json:"adapter"`
	BaseURL  string                 `json:"baseURL"`
	Policy   health.Policy          `json:"policy"`
	Schedule *integrations.Schedule `json:"schedule,omitempty"`
	Paused   bool                   `json:"paused"`
	Record   *health.Record         `json:"record,omitempty" db:"-"` // as it was stored last; nil if nothing was seen yet

	Settings    map[string]string           `json:"settings,omitempty"`
	Credentials map[string]integrations.Ref `json:"credentials,omitempty"`
	Secrets     []expiry.Secret             `json:"secrets,omitempty" db:"-"` // as they were stored last: those whose end is known
}

// MonitoredIntegration returns what a monitor must know, or [ErrNotFound] if the
// integration no longer exists.
func MonitoredIntegration(ctx context.Context, db Beginner, organization, integration uuid.UUID) (target MonitorTarget, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		target, err = queryRow[MonitorTarget](ctx, tx, `
			SELECT name, adapter, base_url, health AS policy, schedule, paused_at IS NOT NULL AS paused, settings, credential_refs AS credentials
			FROM ledgerline.integrations
			WHERE organization_id = $1 AND integration_id = $2 AND removed_at IS NULL`, organization, integration)
		if err != nil {
			return err
		}
		stored, err := queryRows[healthRow](ctx, tx, selectHealth+` AND integration_id = $2`, organization, integration)
		if err != nil {
			return err
		}
		if len(stored) == 1 {
			target.Record = stored[0].record()
		}
		ends, err := secretExpiries(ctx, tx, organization, &integration)
		target.Secrets = ends[integration]
		return err
	})
	return target, err
}

// MonitorListing is an integration as the loop sees it that starts monitors.
type MonitorListing struct {
	IntegrationID uuid.UUID
	Name          string
	Version       string // changes when a monitor must look again
	Doubtful      bool   // its last state is not healthy: the next success is news
	Overdue       bool   // its probe was due minutes ago: does its monitor run?
}

// ListMonitorTargets returns the integrations of an organization that have a monitor.
func ListMonitorTargets(ctx context.Context, db Beginner, organization uuid.UUID) ([]MonitorListing, error) {
	return queryInOrganization[MonitorListing](ctx, db, organization, `
		SELECT integration_id, name, integrations.updated_at::text || coalesce(' ' || paused_at::text, '') AS version, coalesce(state <> 'healthy', true) AS doubtful,
		       coalesce(paused_at IS NULL AND next_probe_at < now() - interval '3 minutes', false) AS overdue
		FROM ledgerline.integrations LEFT JOIN ledgerline.integration_health USING (organization_id, integration_id)
		WHERE organization_id = $1 AND removed_at IS NULL ORDER BY integration_id`, organization)
}
