package runlog_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// The database holds references and no secrets, whoever writes them and however
// they are wrapped.
func TestReferencesAreStored(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	refused := func(err error, what string, constraints ...string) {
		t.Helper()
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, what)
		require.Equal(t, "23514", pg.Code, what)
		require.Contains(t, constraints, pg.ConstraintName, what)
	}
	store := func(refs string) error {
		_, err := b.admin.Exec(t.Context(), "UPDATE ledgerline.integrations SET credential_refs = $3::jsonb WHERE organization_id = $1 AND integration_id = $2", organization, integration, refs)
		return err
	}
	for _, refs := range []string{`{}`, `{"token": "env:X"}`, `{"token": "file:token", "clientSecret": "file:a/b.c-d_e"}`, `{"token": "file:/run/secrets/of-before"}`} {
		require.NoError(t, store(refs), refs)
	}
	for _, refs := range []string{
		`[]`, `["secret"]`, `"secret"`, `"env:X"`, `["env:X"]`, `17`, `true`, `null`,
		`{"token": "secret"}`, `{"token": ""}`, `{"token": "env:"}`, `{"token": "env:A B"}`, `{"token": "file:"}`, `{"token": "file:a\nb"}`, `{"token": "file:a\u001bb"}`, `{"token": "xfile:a"}`,
		`{"token": "env:X\n"}`, `{"token": "env:X\nsecret"}`, `{"token": null}`, `{"token": 4242}`, `{"token": true}`, `{"token": ["secret"]}`, `{"token": ["env:X"]}`, `{"token": []}`,
		`{"token": {"value": "secret"}}`, `{"token": {"value": "env:X"}}`, `{"token": {}}`, `{"token": "env:X", "more": ["env:X", {"a": "secret"}]}`,
	} {
		refused(store(refs), refs, "credential_refs_hold_no_secret")
	}

	channel := func(secret string) error {
		_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.notification_channels (organization_id, name, kind, settings, applied_by)
			VALUES ($1, $2, 'webhook', jsonb_build_object('url', 'https://hooks.example.com/x', 'secret', $3::jsonb), 'test')`, organization, "c"+uuid.NewString()[:8], secret)
		return err
	}
	for _, secret := range []string{`"env:X"`, `"file:hook"`, `"file:/run/secrets/of-before"`} {
		require.NoError(t, channel(secret), secret)
	}
	for _, secret := range []string{`"whsec_secret"`, `""`, `"env:"`, `"file:"`, `"file:a\nb"`, `"env:X\nsecret"`, `null`, `17`, `["env:X"]`, `{"value": "env:X"}`} {
		refused(channel(secret), secret, "settings_hold_no_secret", "settings_members_can_be_read")
	}
}
