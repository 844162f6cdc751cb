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

	"github.com/ledgerline/ledgerline/integrations"
)

// ErrNotFound is returned where an organization has no such integration,
// whoever else may have one, and where it was removed.
var ErrNotFound = errors.New("the organization has no such integration")

// integrationRow is an integration as it is stored.
type integrationRow struct {
	OrganizationID, IntegrationID                                      uuid.UUID
	Name, Adapter, BaseURL                                             string
	InFlight                                                           *time.Duration
	Settings, CredentialRefs, Policy, Schedule, Export, Limits, Health []byte // JSON; nil where the column is NULL
}

const integrationColumns = `organization_id, integration_id, name, adapter, base_url, in_flight,
    settings, credential_refs, policy, schedule, export, limits, health`

const selectIntegrations = `SELECT ` + integrationColumns + ` FROM ledgerline.integrations WHERE organization_id = $1 AND `

// decode returns the integration, or the name of the column that cannot be decoded.
func (row integrationRow) decode() (in integrations.Integration, unreadable string) {
	in = integrations.Integration{
		OrganizationID: row.OrganizationID, ID: row.IntegrationID, Name: row.Name, Adapter: row.Adapter, BaseURL: row.BaseURL, InFlight: row.InFlight,
	}
	for _, column := range []struct {
		name string
		json []byte
		into any
	}{
		{"settings", row.Settings, &in.Settings},
		{"credential_refs", row.CredentialRefs, &in.Credentials},
		{"policy", row.Policy, &in.Policy},
		{"schedule", row.Schedule, &in.Schedule},
		{"export", row.Export, &in.Export},
		{"limits", row.Limits, &in.Limits},
		{"health", row.Health, &in.Health},
	} {
		if column.json == nil {
			continue
		}
		if err := json.Unmarshal(column.json, column.into); err != nil {
			return in, column.name
		}
	}
	return in, ""
}

// LoadIntegration returns one integration of an organization, or [ErrNotFound].
func LoadIntegration(ctx context.Context, db Beginner, organization, id uuid.UUID) (integrations.Integration, error) {
	list, err := queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NULL AND integration_id = $2`, organization, id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return integrations.Integration{}, err
	}
	return list[0], nil
}

// ListIntegrations returns an organization's integrations by name.
func ListIntegrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]integrations.Integration, error) {
	return queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NULL ORDER BY name`, organization)
}

// ListRemovedIntegrations returns the integrations that an organization no longer has, by name.
func ListRemovedIntegrations(ctx context.Context, db Beginner, organization uuid.UUID) ([]integrations.Integration, error) {
	return queryIntegrations(ctx, db, organization, selectIntegrations+`removed_at IS NOT NULL ORDER BY name, integration_id`, organization)
}

// HasOrganization says whether the database has, or has had, an integration of an organization.
func HasOrganization(ctx context.Context, db Beginner, organization uuid.UUID) (has bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ledgerline.integrations WHERE organization_id = $1)`, organization).Scan(&has)
	})
	return has, err
}

// ListOrganizations returns every organization that has an integration.
func ListOrganizations(ctx context.Context, db Beginner) (all []uuid.UUID, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT ledgerline.organizations()`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	return all, err
}

// UnreadableError names integrations whose rows cannot be decoded: somebody wrote
// them past the rules of the schema. The list that is returned with it lacks these
// integrations and no others.
type UnreadableError struct{ Rows []string }

// Error names the rows and the remedy.
func (e *UnreadableError) Error() string {
	return "the row of " + strings.Join(e.Rows, ", and of ") + " cannot be read; apply the integration's file again"
}

// queryIntegrations returns the integrations that can be read, and with an
// [*UnreadableError] which others there are.
func queryIntegrations(ctx context.Context, db Beginner, organization uuid.UUID, query string, args ...any) ([]integrations.Integration, error) {
	rows, err := queryInOrganization[integrationRow](ctx, db, organization, query, args...)
	if err != nil {
		return nil, err
	}
	var list []integrations.Integration
	var unreadable UnreadableError
	for _, row := range rows {
		in, column := row.decode()
		if column != "" {
			unreadable.Rows = append(unreadable.Rows, fmt.Sprintf("%q (%s)", row.Name, column))
			continue
		}
		list = append(list, in)
	}
	if unreadable.Rows != nil {
		return list, &unreadable
	}
	return list, nil
}
