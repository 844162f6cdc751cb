package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/notify"
)

// SecretExpiries is what a worker found out about an integration's secrets. It has
// their names and times, never a value. A secret that could not be read is in
// neither list: what is stored of it stays.
type SecretExpiries struct {
	OrganizationID uuid.UUID
	IntegrationID  uuid.UUID
	At             time.Time       // when the worker looked; thresholds are compared with it
	Known          []expiry.Secret // whose end is known
	Endless        []string        // names of those whose end nobody knows
}

// SecretWarning is a threshold that a secret has reached.
type SecretWarning struct {
	OrganizationID uuid.UUID
	IntegrationID  uuid.UUID
	At             time.Time // when it was seen
	expiry.Secret
	Days int // 30, 7, 1, or 0 once it has expired
}

// upsertSecret writes only what differs, and nothing over what was found later.
const upsertSecret = `
INSERT INTO ledgerline.integration_secrets AS stored (organization_id, integration_id, credential, source, issued_at, expires_at, noted_at)
VALUES (@organization_id, @integration_id, @credential, @source, @issued_at, @expires_at, @noted_at)
ON CONFLICT (organization_id, integration_id, credential) DO UPDATE
SET source = excluded.source, issued_at = excluded.issued_at, expires_at = excluded.expires_at, noted_at = excluded.noted_at
WHERE stored.noted_at <= excluded.noted_at
    AND (stored.source, stored.issued_at, stored.expires_at) IS DISTINCT FROM (excluded.source, excluded.issued_at, excluded.expires_at)`

const endlessSecrets = `
UPDATE ledgerline.integration_secrets SET source = NULL, issued_at = NULL, expires_at = NULL, noted_at = $4
WHERE organization_id = $1 AND integration_id = $2 AND credential = ANY ($3) AND expires_at IS NOT NULL AND noted_at <= $4`

// insertSecretWarning affects a row if this threshold of this end is the nearest
// one so far. It waits for whoever is at the same one. Of an end that is not what
// is stored, nobody is notified.
const insertSecretWarning = `
INSERT INTO ledgerline.secret_warnings AS stored (organization_id, integration_id, credential, expires_at, days)
SELECT organization_id, integration_id, credential, expires_at, @days FROM ledgerline.integration_secrets
WHERE organization_id = @organization_id AND integration_id = @integration_id AND credential = @credential AND expires_at = @expires_at
ON CONFLICT (organization_id, integration_id, credential, expires_at) DO UPDATE SET days = excluded.days, warned_at = now()
WHERE stored.days > excluded.days`

// RecordSecretExpiries stores when an integration's secrets end, and reports in the
// same transaction each threshold that is reached, unless some worker has for this
// threshold or a nearer one of the same end. It returns what it reported. After an
// error, the next look reports.
func RecordSecretExpiries(ctx context.Context, db Beginner, s SecretExpiries) (reached []SecretWarning, err error) {
	err = InOrganization(ctx, db, s.OrganizationID, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, endlessSecrets, s.OrganizationID, s.IntegrationID, s.Endless, s.At); err != nil {
			return err
		}
		for _, k := range s.Known {
			if _, err := tx.Exec(ctx, upsertSecret, pgx.StrictNamedArgs{
				"organization_id": s.OrganizationID, "integration_id": s.IntegrationID, "credential": k.Credential,
				"source": k.Source, "issued_at": orNull(k.IssuedAt), "expires_at": k.ExpiresAt, "noted_at": s.At,
			}); err != nil {
				return err
			}
		}
		for _, k := range s.Known {
			days, ok := k.Due(s.At)
			if !ok {
				continue
			}
			tag, err := tx.Exec(ctx, insertSecretWarning, pgx.StrictNamedArgs{
				"organization_id": s.OrganizationID, "integration_id": s.IntegrationID, "credential": k.Credential, "expires_at": k.ExpiresAt, "days": days,
			})
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 1 {
				reached = append(reached, SecretWarning{s.OrganizationID, s.IntegrationID, s.At, k, days})
			}
		}
		for _, w := range reached { // last, since reports of one cause wait for each other
			_, err := report(ctx, tx, notify.Event{
				Kind: notify.SecretExpiring, OrganizationID: w.OrganizationID, IntegrationID: w.IntegrationID, OccurredAt: w.At,
				Facts: notify.Facts{Secret: &notify.Secret{Credential: w.Credential, Source: w.Source, ExpiresAt: w.ExpiresAt, Days: w.Days}},
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reached, nil
}

// secretExpiries returns the secrets of an organization's integrations whose end is
// known, the first to end first. A credential that an integration no longer has
// is left out.
func secretExpiries(ctx context.Context, tx pgx.Tx, organization uuid.UUID, integration *uuid.UUID) (map[uuid.UUID][]expiry.Secret, error) {
	type row struct {
		IntegrationID uuid.UUID
		Credential    string
		Source        expiry.Source
		IssuedAt      *time.Time
		ExpiresAt     time.Time
	}
	rows, err := queryRows[row](ctx, tx, `
		SELECT integration_id, credential, source, issued_at, expires_at
		FROM ledgerline.integration_secrets JOIN ledgerline.integrations USING (organization_id, integration_id)
		WHERE organization_id = $1 AND ($2::uuid IS NULL OR integration_id = $2) AND expires_at IS NOT NULL AND credential_refs ? credential
		ORDER BY expires_at, credential`, organization, integration)
	ends := make(map[uuid.UUID][]expiry.Secret)
	for _, row := range rows {
		secret := expiry.Secret{Credential: row.Credential, Source: row.Source, ExpiresAt: row.ExpiresAt.UTC()}
		if row.IssuedAt != nil {
			secret.IssuedAt = row.IssuedAt.UTC()
		}
		ends[row.IntegrationID] = append(ends[row.IntegrationID], secret)
	}
	return ends, err
}
