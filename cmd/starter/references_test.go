package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	acme  = "0a0a0a0a-0000-4000-8000-000000000001"
	bravo = "0b0b0b0b-0000-4000-8000-000000000002"
)

// fileOf is an integration file of an organization, with a token and the secret
// of a webhook.
func fileOf(organization, token, hook string) string {
	return fmt.Sprintf(`organization: %s
integrations:
  - {id: %s, name: main, adapter: xledger, baseURL: "https://www.xledger.net/graphql", credentials: {token: %q}}
notifications:
  - {name: ops, webhook: {url: "https://hooks.example.com/x", secret: %q}}
`, organization, strings.Replace(organization, "-0000-", "-0001-", 1), token, hook)
}

// starterOf runs a command with these variables and no others that it reads.
func starterOf(t *testing.T, env map[string]string, file string, args ...string) (out, words string, code int) {
	t.Helper()
	for _, name := range []string{"LEDGERLINE_SECRETS", "LEDGERLINE_ENV_SECRETS", "LEDGERLINE_DEV_SHARED_SECRETS", "DATABASE_URL"} {
		t.Setenv(name, env[name])
	}
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"integrations"}, args...), strings.NewReader(file), &stdout, &stderr)
	return stdout.String(), stderr.String(), code
}

// What no worker would read is refused by check and by apply, before any server
// is asked: absolute paths always, and variables without the organization's
// prefix where the prefixes are known. Where they are not, both warn.
func TestReferencesAreChecked(t *testing.T) {
	prefixes := "LEDGERLINE_ENV_SECRETS"
	known := acme + "=ACME_," + bravo + "=BRAVO_"
	for name, c := range map[string]struct {
		env          map[string]string
		token        string
		hook         string
		refused      []string // nil: it is not
		warns        string
		organization string
	}{
		"folder":               {nil, "file:token", "file:hooks/ops", nil, "", acme},
		"path":                 {nil, "file:/etc/hostname", "file:hook", []string{"stdin:3:", "credentials.token", "absolute path", "$LEDGERLINE_SECRETS"}, "", acme},
		"path of a hook":       {nil, "file:token", "file:/etc/hostname", []string{"webhook.secret", "absolute path"}, "", acme},
		"path, development":    {map[string]string{"LEDGERLINE_DEV_SHARED_SECRETS": "true"}, "file:/etc/hostname", "file:hook", []string{"absolute path"}, "", acme},
		"out of the folder":    {nil, "file:../x/token", "file:hook", []string{"credentials.token"}, "", acme},
		"prefix":               {map[string]string{prefixes: known}, "env:ACME_TOKEN", "env:ACME_HOOK", nil, "", acme},
		"another's prefix":     {map[string]string{prefixes: known}, "env:BRAVO_TOKEN", "env:BRAVO_HOOK", []string{"main: token: env:BRAVO_TOKEN: does not begin with ACME_", "ops: secret: env:BRAVO_HOOK: does not"}, "", acme},
		"the worker's":         {map[string]string{prefixes: known}, "env:DATABASE_URL", "file:hook", []string{"main: token: env:DATABASE_URL"}, "", acme},
		"no prefix":            {map[string]string{prefixes: bravo + "=BRAVO_"}, "env:ACME_TOKEN", "file:hook", []string{"has no prefix"}, "", acme},
		"prefixes not known":   {nil, "env:XLEDGER_TOKEN", "env:HOOK", nil, "whether the worker may read env:HOOK, env:XLEDGER_TOKEN;", acme},
		"variable, for all":    {map[string]string{"LEDGERLINE_DEV_SHARED_SECRETS": "true"}, "env:XLEDGER_TOKEN", "env:HOOK", nil, "", acme},
		"prefix, for all":      {map[string]string{"LEDGERLINE_DEV_SHARED_SECRETS": "true", prefixes: known}, "env:BRAVO_TOKEN", "file:hook", []string{"env:BRAVO_TOKEN: does not begin with ACME_"}, "", acme},
		"bad prefixes":         {map[string]string{prefixes: acme + "=canary"}, "file:token", "file:hook", []string{"LEDGERLINE_ENV_SECRETS: entry 1"}, "", acme},
		"a secret in the file": {nil, "canary", "whsec_canary", []string{"credentials.token: a secret must not stand", "webhook.secret: a secret must not stand"}, "", acme},
	} {
		t.Run(name, func(t *testing.T) {
			for _, command := range []string{"check", "apply"} {
				_, words, code := starterOf(t, c.env, fileOf(c.organization, c.token, c.hook), command, "-f", "-")
				for _, s := range c.refused {
					require.Equal(t, exitUsage, code, words)
					require.Contains(t, words, s, command)
				}
				if c.refused == nil {
					require.NotEqual(t, exitUsage, code, words)
				}
				require.Equal(t, c.warns != "", strings.Contains(words, "warning:"), words)
				require.Contains(t, words, c.warns)
				require.NotContains(t, words, "canary")
			}
		})
	}
}

// check shows what the worker would see, of every secret, and no value.
func TestCheckReadsAsTheWorkerDoes(t *testing.T) {
	dir := t.TempDir()
	home := filepath.Join(dir, acme)
	require.NoError(t, os.Mkdir(home, 0o700))
	require.NoError(t, os.WriteFile(home+"/token", []byte("canary"), 0o600))
	require.NoError(t, os.WriteFile(home+"/open", []byte("canary"), 0o600))
	require.NoError(t, os.Chmod(home+"/open", 0o644))
	require.NoError(t, os.WriteFile(home+"/weak", []byte("canary"), 0o600))
	t.Setenv("ACME_TOKEN", "canary")
	env := map[string]string{"LEDGERLINE_SECRETS": dir, "LEDGERLINE_ENV_SECRETS": acme + "=ACME_"}
	for token, says := range map[string]string{
		"file:token": "yes", "env:ACME_TOKEN": "yes", "file:none": "no: file:none: there is no file $LEDGERLINE_SECRETS/" + acme + "/none", "file:open": "no: file:open: everybody on its machine", "env:ACME_NONE": "no: env:ACME_NONE: the secret is missing",
	} {
		out, words, code := starterOf(t, env, fileOf(acme, token, "file:weak"), "check", "-f", "-", "-o", "json")
		require.Zero(t, code, words)
		var list []struct{ Name, Adapter, Credential, Reference, State string }
		require.NoError(t, json.Unmarshal([]byte(out), &list))
		require.Len(t, list, 2)
		require.Equal(t, []string{"main", "xledger", "token", token}, []string{list[0].Name, list[0].Adapter, list[0].Credential, list[0].Reference})
		require.True(t, strings.HasPrefix(list[0].State, says), list[0].State)
		require.True(t, strings.HasPrefix(list[1].State, "no: "), "too weak to sign with: %s", list[1].State)
		require.NotContains(t, out+words, "canary")
	}
}
