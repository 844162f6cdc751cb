package secrets_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/secrets"
)

func environment(list ...string) func(string) string {
	return func(name string) string {
		for _, v := range list {
			if n, value, _ := strings.Cut(v, "="); n == name {
				return value
			}
		}
		return ""
	}
}

func TestFromEnv(t *testing.T) {
	s, err := secrets.FromEnv(environment("LEDGERLINE_SECRETS=/run/ledgerline", "LEDGERLINE_ENV_SECRETS="+acme.String()+"=ACME_, "+bravo.String()+"=B2_"))
	require.NoError(t, err)
	require.Equal(t, []any{"/run/ledgerline", map[uuid.UUID]string{acme: "ACME_", bravo: "B2_"}, false}, []any{s.Dir, s.Prefixes, s.DevShared})
	s, err = secrets.FromEnv(environment("LEDGERLINE_DEV_SHARED_SECRETS=true"))
	require.NoError(t, err)
	require.True(t, s.DevShared)
	s, err = secrets.FromEnv(environment())
	require.NoError(t, err)
	require.Equal(t, []any{"", false, true}, []any{s.Dir, s.DevShared, s.Prefixes == nil})

	a, b := acme.String(), bravo.String()
	for list, says := range map[string][]string{
		a:                               {"entry 1: want <organization UUID>=PREFIX_"},
		"=ACME_":                        {"entry 1: want <organization"},
		"canary=ACME_":                  {"entry 1: want <organization"},
		"{" + a + "}=ACME_":             {"entry 1: want <organization"},
		uuid.Nil.String() + "=ACME_":    {"entry 1: want <organization"},
		a + "=ACME_,":                   {"entry 2: want <organization"},
		a + "=ACME":                     {"entry 1: want a prefix"},
		a + "=acme_":                    {"entry 1: want a prefix"},
		a + "=_":                        {"entry 1: want a prefix"},
		a + "=":                         {"entry 1: want a prefix"},
		a + "=A CANARY_":                {"entry 1: want a prefix"},
		a + "=ACME_,canary," + b + "=b": {"entry 2: want <organization", "entry 3: want a prefix"},
		a + "=ACME_," + a + "=OTHER_":   {"entry 2: organization " + a + " has a prefix already"},
		a + "=ACME_," + b + "=ACME_":    {"reach the same variables"},
		a + "=ACME_," + b + "=ACME_B_":  {"reach the same variables"},
		a + "=ACME_B_," + b + "=ACME_":  {"reach the same variables"},
		a + "=LEDGERLINE_":              {"reaches LEDGERLINE_"},
		a + "=LEDGERLINE_X_":            {"reaches LEDGERLINE_"},
		a + "=DATABASE_":                {"reaches DATABASE_"},
		a + "=TEMPORAL_X_":              {"reaches TEMPORAL_"},
		a + "=PGX_":                     {"reaches PG"},
	} {
		_, err := secrets.FromEnv(environment("LEDGERLINE_ENV_SECRETS=" + list))
		require.Error(t, err, list)
		for _, s := range says {
			require.ErrorContains(t, err, s, list)
		}
		require.NotContains(t, strings.ToLower(err.Error()), "canary")
	}
	_, err = secrets.FromEnv(environment("LEDGERLINE_SECRETS=secrets", "LEDGERLINE_ENV_SECRETS=x", "LEDGERLINE_DEV_SHARED_SECRETS=yes"))
	for _, name := range []string{"LEDGERLINE_SECRETS: ", "LEDGERLINE_ENV_SECRETS: ", "LEDGERLINE_DEV_SHARED_SECRETS: "} {
		require.ErrorContains(t, err, name, "all at once")
	}
}

// No prefix reaches a variable that the programs read: those of their source, and
// those of the libraries that are known to read some.
func TestOwnVariablesAreOutOfReach(t *testing.T) {
	read := regexp.MustCompile(`(?:(?i:getenv|lookupenv)\(|": |Variable = )"([A-Z][A-Z_0-9]*)"`) // also those that a table gives to flags
	names := []string{"TEMPORAL_API_KEY", "TEMPORAL_TLS_CLIENT_KEY_DATA", "PGPASSWORD", "PGPASSFILE", "OTEL_EXPORTER_OTLP_HEADERS", "HTTPS_PROXY", "HTTP_PROXY",
		"NO_PROXY", "ALL_PROXY", "SSL_CERT_FILE", "GRPC_GO_LOG_SEVERITY_LEVEL", "XDG_CONFIG_HOME", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "KUBERNETES_SERVICE_HOST"}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "internal" || d.Name() == "tools" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		for _, m := range read.FindAllSubmatch(src, -1) {
			names = append(names, string(m[1]))
		}
		return err
	})
	require.NoError(t, err)
	require.Subset(t, names, []string{"DATABASE_URL", "LEDGERLINE_SOURCE_DATABASE_URL", "LEDGERLINE_SMTP_URL", "LEDGERLINE_SECRETS"}, "the source was read")
	for _, name := range names {
		require.False(t, secrets.Reachable(name), "%s: an organization's prefix reaches it", name)
	}
	require.True(t, secrets.Reachable("ACME_TOKEN"))
}

// FuzzFromEnv: whatever stands in the variable, prefixes that are accepted have
// the shape that they must have, and reach nobody else's.
func FuzzFromEnv(f *testing.F) {
	f.Add(acme.String() + "=ACME_," + bravo.String() + "=BRAVO_")
	f.Add(acme.String() + "=A_," + bravo.String() + "=A_B_")
	f.Add(",=,")
	f.Fuzz(func(t *testing.T, list string) {
		s, err := secrets.FromEnv(environment("LEDGERLINE_ENV_SECRETS=" + list))
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for organization, prefix := range s.Prefixes {
			if !regexp.MustCompile(`^[A-Z][A-Z0-9_]*_$`).MatchString(prefix) {
				t.Errorf("%q passed", prefix)
			}
			for other, name := range s.Prefixes {
				if other != organization && s.Check(organization, integrations.Ref("env:"+name+"TOKEN")) == nil {
					t.Errorf("%q reaches %q", prefix, name)
				}
			}
			for _, own := range []string{"DATABASE_URL", "LEDGERLINE_SMTP_URL", "TEMPORAL_API_KEY", "PGPASSWORD", "PG_X"} {
				if s.Check(organization, integrations.Ref("env:"+own)) == nil {
					t.Errorf("%q reaches %q", prefix, own)
				}
			}
		}
	})
}
