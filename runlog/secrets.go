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
	Endless        []string        // names of those that have no end that anybody knows
}

// SecretWarning is a threshold that a secret has reached.
type SecretWarning struct {
	OrganizationID uuid.UUID
	IntegrationID  uuid.UUID
	At             time.Time // when it was seen
	expiry.Secret
	Days int // 30, 7, 1, or 0 once it has expired
}

// upsertSecret writes only what differs, and nothing that an earlier look found.
const upsertSecret = `
INSERT INTO ledgerline.integration_secrets AS s (organization_id, integration_id, credential, source, issued_at, expires_at, noted_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (organization_id, integration_id, credential) DO UPDATE
SET source = excluded.source, issued_at = excluded.issued_at, expires_at = excluded.expires_at, noted_at = excluded.noted_at
WHERE s.noted_at <= excluded.noted_at AND (s.source, s.issued_at, s.expires_at) IS DISTINCT FROM (excluded.source, excluded.issued_at, excluded.expires_at)`

const endlessSecrets = `
UPDATE ledgerline.integration_secrets SET source = NULL, issued_at = NULL, expires_at = NULL, noted_at = $4
WHERE organization_id = $1 AND integration_id = $2 AND credential = ANY ($3) AND expires_at IS NOT NULL AND noted_at <= $4`

// insertSecretWarning affects a row if this threshold of this end is the nearest
// one so far. It waits for whoever is at the same one. Of an end that is not what
// is stored, nobody is notified.
const insertSecretWarning = `
INSERT INTO ledgerline.secret_warnings AS w (organization_id, integration_id, credential, expires_at, days)
SELECT organization_id, integration_id, credential, expires_at, $5 FROM ledgerline.integration_secrets
WHERE organization_id = $1 AND integration_id = $2 AND credential = $3 AND expires_at = $4
ON CONFLICT (organization_id, integration_id, credential, expires_at) DO UPDATE SET days = excluded.days, warned_at = now()
WHERE w.days > excluded.days`

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
			if _, err := tx.Exec(ctx, upsertSecret, s.OrganizationID, s.IntegrationID, k.Credential, k.Source, orNull(k.IssuedAt), k.ExpiresAt, s.At); err != nil {
				return err
			}
		}
		for _, k := range s.Known {
			days, ok := k.Due(s.At)
			if !ok {
				continue
			}
			tag, err := tx.Exec(ctx, insertSecretWarning, s.OrganizationID, s.IntegrationID, k.Credential, k.ExpiresAt, days)
			if err != nil {
				return err
			}
			if tag.RowsAffected() == 1 {
				reached = append(reached, SecretWarning{s.OrganizationID, s.IntegrationID, s.At, k, days})
			}
		}
		for _, w := range reached { // last, since reports of one cause wait for each other
			_, err := report(ctx, tx, notify.Event{
				Kind: notify.SecretExpires, OrganizationID: w.OrganizationID, IntegrationID: w.IntegrationID, OccurredAt: w.At,
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

// secretEnds returns the secrets of an organization's integrations whose end is
// known, the first to end first. A credential that an integration no longer has
// is left out.
func secretEnds(ctx context.Context, tx pgx.Tx, organization uuid.UUID, integration *uuid.UUID) (map[uuid.UUID][]expiry.Secret, error) {
	rows, err := tx.Query(ctx, `
		SELECT s.integration_id, s.credential, s.source, s.issued_at, s.expires_at
		FROM ledgerline.integration_secrets s JOIN ledgerline.integrations i USING (organization_id, integration_id)
		WHERE s.organization_id = $1 AND ($2::uuid IS NULL OR s.integration_id = $2) AND s.expires_at IS NOT NULL AND i.credential_refs ? s.credential
		ORDER BY s.expires_at, s.credential`, organization, integration)
	if err != nil {
		return nil, err
	}
	ends := make(map[uuid.UUID][]expiry.Secret)
	var id uuid.UUID
	var k expiry.Secret
	var issued *time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &k.Credential, &k.Source, &issued, &k.ExpiresAt}, func() error {
		k.IssuedAt = time.Time{}
		if issued != nil {
			k.IssuedAt = issued.UTC()
		}
		k.ExpiresAt = k.ExpiresAt.UTC()
		ends[id] = append(ends[id], k)
		return nil
	})
	return ends, err
}
