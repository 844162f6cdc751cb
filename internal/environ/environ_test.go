package environ_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/environ"
)

// A value is hidden if it is a secret or may have one in it, and by its variable or by what it looks like.
func TestWhatIsHidden(t *testing.T) {
	secret := strings.Join([]string{"hun", "ter", "2hunter2"}, "")
	for _, c := range []struct {
		name, value string
		hidden      bool
	}{
		{"DATABASE_URL", "postgres://anna:" + secret + "@db/books", true},
		{"DATABASE_URL", "host=db password=" + secret, true},
		{"LEDGERLINE_SOURCE_DATABASE_URL", "postgres://anna:" + secret + "@db/books", true},
		{"LEDGERLINE_SMTP_URL", "smtp://anna@mail?password=" + secret, true},
		{"PGPASSWORD", secret, true},
		{"PGSSLPASSWORD", secret, true},
		{"TEMPORAL_API_KEY", secret, true},
		{"TEMPORAL_CODEC_AUTH", "Bearer " + secret, true},
		{"TEMPORAL_GRPC_META_AUTHORIZATION", secret, true},
		{"TEMPORAL_TLS_CLIENT_KEY_DATA", secret, true},
		{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=" + secret, true},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=" + secret, true},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://anna:" + secret + "@collector:4318", true},
		{"LEDGERLINE_TEMPORAL_UI_URL", "http://anna:@ui.internal/", true},
		{"LEDGERLINE_TEMPORAL_UI_URL", "http://" + secret + "@ui.internal/", true},
		{"TEMPORAL_ADDRESS", "anna:" + secret + "@temporal.internal:7233", true},
		{"PGOPTIONS", "-c app.password=" + secret, true},

		{"LEDGERLINE_PAYLOAD_KEY", "2026-11", false}, // an ID, which is in every time of its month
		{"LEDGERLINE_PAYLOAD_KEYS", "/run/ledgerline/payload-keys", false},
		{"LEDGERLINE_SECRETS", "/run/ledgerline/secrets", false},
		{"LEDGERLINE_ENV_SECRETS", "7d1e0000-0000-4000-8000-000000000001=ACME_", false},
		{"LEDGERLINE_CODEC_TOKEN_FILE", "/run/ledgerline/codec-token", false},
		{"LEDGERLINE_CODEC_ORIGINS", "https://temporal.example.com", false},
		{"LEDGERLINE_TEMPORAL_UI_URL", "http://ui.internal:8233", false},
		{"LEDGERLINE_CONSOLE_URL", "https://console.example.com", false},
		{"LEDGERLINE_CONSOLE_URL", "https://anna:" + secret + "@console.example.com", true},
		{"LEDGERLINE_OIDC_ISSUER", "https://login.example.com/tenant/v2.0", false},
		{"LEDGERLINE_OIDC_CLIENT_SECRET_FILE", "/run/ledgerline/console/client-secret", false}, // their files are secret
		{"LEDGERLINE_CONSOLE_COOKIE_KEY_FILE", "/run/ledgerline/console/cookie-key", false},
		{"LEDGERLINE_CONSOLE_TLS_KEY", "/run/ledgerline/console/tls.key", false},
		{"LEDGERLINE_ORG", "7d1e0000-0000-4000-8000-000000000001", false},
		{"LEDGERLINE_ACTOR", "anna@example.com", false},
		{"LEDGERLINE_DEV_VENDOR_HOSTS", "127.0.0.1:9090,localhost:9091", false},
		{"LEDGERLINE_LISTEN", ":8080", false},
		{"TEMPORAL_ADDRESS", "temporal.internal:7233", false},
		{"TEMPORAL_NAMESPACE", "production", false},
		{"TEMPORAL_PROFILE", "prod", false},
		{"TEMPORAL_TLS_CLIENT_KEY_PATH", "/etc/temporal/key.pem", false},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318", false},
		{"PGHOST", "db.internal", false},
		{"PGUSER", "ledgerline_worker", false},
		{"HOME", "/home/password", false}, // not ours
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			want := "before " + c.value + " after"
			if c.hidden {
				want = "before $" + c.name + " after"
			}
			require.Equal(t, want, environ.Hide("before "+c.value+" after"))
			require.Equal(t, want, environ.CauseHider()("before "+c.value+" after"))
		})
	}
	t.Setenv("LEDGERLINE_PAYLOAD_KEY", "2026-11")
	require.Equal(t, "seen 2026-11-27T10:50:58Z, as key 2026-11 says", environ.Hide("seen 2026-11-27T10:50:58Z, as key 2026-11 says"))
}

func TestHide(t *testing.T) {
	password := strings.Join([]string{"hun", "ter", "2"}, "")
	t.Setenv("DATABASE_URL", "postgres://anna:"+password+"@db.internal:5432/books?sslpassword=k%20ey5&sslmode=require")
	t.Setenv("TEMPORAL_CODEC_AUTH", "default")
	t.Setenv("TEMPORAL_GRPC_META_X", "kå\nri")
	t.Setenv("PGPASSWORD", "s3cond")
	t.Setenv("HOME", "/home/anna")
	t.Setenv("TEMPORAL_API_KEY", "prod")
	for text, want := range map[string]string{
		"password " + password + " is wrong, or k ey5": "password $DATABASE_URL is wrong, or $DATABASE_URL",
		"by kå\nri, by \"kå\\nri\", s3cond":            "by $TEMPORAL_GRPC_META_X, by \"$TEMPORAL_GRPC_META_X\", $PGPASSWORD",
		"the default of books at anna's, /home/anna":   "the default of books at anna's, /home/anna",
		"prod, production, prod_1, eprod, prod.":       "$TEMPORAL_API_KEY, production, prod_1, eprod, $TEMPORAL_API_KEY.",
	} {
		require.Equal(t, want, environ.Hide(text))
	}
	for text, want := range map[string]string{
		"user anna, database books, db.internal:5432, db.internal": "user $DATABASE_URL, database $DATABASE_URL, $DATABASE_URL, $DATABASE_URL",
		"the default of it, require":                               "the default of it, require",
	} {
		require.Equal(t, want, environ.Cause(errors.New(text)))
	}
	t.Setenv("DATABASE_URL", "host=db.internal user=anna password='"+password+"'")
	require.Equal(t, "anna $DATABASE_URL", environ.Hide("anna "+password))
	require.Equal(t, "$DATABASE_URL $DATABASE_URL", environ.Cause(errors.New("anna db.internal")))
}

// pgx tries each address with TLS and without, and joins what came of it.
func TestRootCauseSaysACauseOnce(t *testing.T) {
	refused := fmt.Errorf("dial tcp 127.0.0.1:1: %w", errors.New("connection refused"))
	try := func(err error) error { return fmt.Errorf("127.0.0.1 (127.0.0.1): dial error: %w", err) }
	joined := fmt.Errorf("failed to connect to `user=u database=x`: %w", errors.Join(try(refused), try(refused)))
	require.Equal(t, "connection refused", environ.RootCause(joined))
	require.Equal(t, "connection refused; no such host", environ.RootCause(errors.Join(try(refused), errors.New("no such host"))))
	require.Equal(t, "plain", environ.RootCause(errors.New("plain")))
}
