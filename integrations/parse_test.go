package integrations_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

const good = `organization: 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10
integrations:
  - id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001
    name: xledger-main
    adapter: xledger
    baseURL: https://www.xledger.net/graphql
    credentials: {token: env:XLEDGER_TOKEN}
  - id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f002
    name: crm
    adapter: dataverse
    baseURL: https://org.crm4.dynamics.com/api/data/v9.2/
    settings: {tenantId: t, clientId: c}
    credentials: {clientSecret: "file:crm/secret"}
    retry: {maxRetries: 1, baseDelay: 500ms, budget: 30s}
`

func TestParse(t *testing.T) {
	list, err := integrations.Parse("x.yaml", []byte(good), integrations.Options{})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "xledger-main", list[0].Name)
	require.Equal(t, 3, list[0].Policy.MaxRetries)
	require.Equal(t, 10*time.Second, list[0].Policy.AttemptTimeout)
	require.Equal(t, 1, list[1].Policy.MaxRetries)
	require.Equal(t, 500*time.Millisecond, list[1].Policy.BaseDelay)
	require.Equal(t, integrations.Ref("file:crm/secret"), list[1].Credentials["clientSecret"])
}

// Every error comes at once, in the order of the file, with line and column.
func TestErrors(t *testing.T) {
	cases := []struct {
		name, old, new string
		says           []string
	}{
		{"unknown field", "name: crm", "nmae: crm", []string{"x.yaml:8:5: integrations[1].name: missing", `x.yaml:9:5: integrations[1].nmae: unknown field (did you mean name?)`}},
		{"a secret in the file", "env:XLEDGER_TOKEN", "s3cr3tvalue", []string{"x.yaml:7:26: integrations[0].credentials.token: a secret must not stand in the file"}},
		{"absolute path", "file:crm/secret", "file:/run/s3cr3tvalue", []string{"absolute path", "file:NAME", "$LEDGERLINE_SECRETS"}},
		{"out of the folder", "file:crm/secret", "file:../s3cr3tvalue", []string{"name of a file in the organization's folder"}},
		{"bad UUID", "0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001", "17", []string{`x.yaml:3:9: integrations[0].id: "17" is not a UUID`}},
		{"same ID", "8f002", "8f001", []string{"x.yaml:8:9: integrations[1].id: duplicate ID 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"}},
		{"same name", "name: crm", "name: xledger-main", []string{`duplicate name "xledger-main"`}},
		{"bad name", "name: crm", "name: CRM!", []string{"lower-case"}},
		{"unknown adapter", "adapter: dataverse", "adapter: Dataverse", []string{"did you mean dataverse?"}},
		{"foreign host", "www.xledger.net", "evil.example", []string{`host "evil.example" is not one that adapter xledger may call`}},
		{"plain http", "https://www.xledger.net", "http://www.xledger.net", []string{"want https"}},
		{"a query", "/graphql", "/graphql?token=1", []string{"has a query"}},
		{"a password in the address", "https://www.", "https://u:hunter2@www.", []string{"must not carry a user or password"}},
		{"policy over budget", "budget: 30s", "budget: 2m", []string{"x.yaml:14:54: integrations[1].retry.budget"}},
		{"not a duration", "500ms", "500", []string{`"500" is not a duration`}},
		{"too many retries", "maxRetries: 1", "maxRetries: 7", []string{"maxRetries"}},
		{"missing setting", "tenantId: t, ", "", []string{"integrations[1].settings.tenantId: missing"}},
		{"two errors", "{token: env:XLEDGER_TOKEN}\n", "{tok: x}\n    retry: {budget: 9m}\n", []string{"credentials.token: missing", "credentials.tok: unknown field", "retry.budget"}},
		{"alias", "{token: env:XLEDGER_TOKEN}", "&a {token: env:XLEDGER_TOKEN}", []string{"anchors and aliases"}},
		{"twice", "    name: crm\n", "    name: crm\n    name: crm2\n", []string{"duplicate field (first on line 9)"}},
		{"no list", "integrations:\n", "integrations: []\nx:\n", []string{"an empty list"}},
		{"not YAML", "integrations:\n", "integrations: [\n", []string{"x.yaml:2: this is not YAML"}},
		{"organization missing", "organization: 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10\n", "", []string{"organization: missing"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(good, c.old, c.new, 1)
			require.NotEqual(t, good, src)
			_, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
			require.Error(t, err)
			for _, s := range c.says {
				require.Contains(t, err.Error(), s)
			}
			require.NotContains(t, err.Error(), "s3cr3tvalue")
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	for _, empty := range []string{"", "null", "[]", "just text", strings.Repeat("#", 1<<20+1)} {
		_, err := integrations.Parse("x.yaml", []byte(empty), integrations.Options{})
		require.Error(t, err)
	}
}

// How long a request can take effect after its deadline stands beside baseURL.
func TestInFlight(t *testing.T) {
	parse := func(value string) (*time.Duration, error) {
		src := strings.Replace(good, "/graphql\n", "/graphql\n    inFlight: "+value+"\n", 1)
		list, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
		if err != nil {
			return nil, err
		}
		require.Nil(t, list[1].InFlight, "the other one says nothing")
		return list[0].InFlight, nil
	}
	for value, want := range map[string]time.Duration{
		"0s": 0, `"0"`: 0, "3s": 3 * time.Second, "17m": 17 * time.Minute, "1h": time.Hour, "59m60s": time.Hour, `"1m30s"`: 90 * time.Second,
	} {
		got, err := parse(value)
		require.NoError(t, err, value)
		require.Equal(t, &want, got, value)
		stored, err := json.Marshal(integrations.Integration{InFlight: got})
		require.NoError(t, err)
		var read integrations.Integration
		require.NoError(t, json.Unmarshal(stored, &read))
		require.Equal(t, got, read.InFlight, "0s is not the same as nothing")
	}
	none, err := integrations.Parse("x.yaml", []byte(good), integrations.Options{})
	require.NoError(t, err)
	require.Nil(t, none[0].InFlight)
	stored, err := json.Marshal(none[0])
	require.NoError(t, err)
	require.NotContains(t, string(stored), "inFlight", "what was stored before reads and compares the same")

	for value, says := range map[string]string{
		"-1s": `"-1s"`, "1h1s": `"1h1s"`, "61m": `"61m"`, "5": `"5"`, `""`: `""`, "soon": `"soon"`, "2 m": `"2 m"`, "1d": `"1d"`, "10000h": `"10000h"`,
	} {
		_, err := parse(value)
		require.EqualError(t, err, "x.yaml:7:15: integrations[0].inFlight: "+says+"; want a duration from 0s to 1h, such as 2m")
	}
	for value, says := range map[string]string{
		"":                     "x.yaml:7:14: integrations[0].inFlight: nothing; want a text",
		"[2m]":                 "x.yaml:7:15: integrations[0].inFlight: a list; want a text",
		"{a: b}":               "x.yaml:7:15: integrations[0].inFlight: a mapping; want a text",
		"&a 2m":                "x.yaml:7:15: integrations[0].inFlight: anchors and aliases are not supported; write the value out",
		"2m\n    inFlight: 3m": "x.yaml:8:5: integrations[0].inFlight: duplicate field (first on line 7)",
		"2m\n    inflight: 3m": "x.yaml:8:5: integrations[0].inflight: unknown field (did you mean inFlight?)",
	} {
		_, err := parse(value)
		require.ErrorContains(t, err, says, value)
	}
}

// What a reference is; what it is not is never repeated, since it may be a secret.
func TestRef(t *testing.T) {
	for _, ref := range []integrations.Ref{"env:A", "env:_x9", "file:token", "file:a/b.c/d-e_f", "file:-x", "file:7"} {
		require.NoError(t, ref.Validate(), ref)
	}
	for _, ref := range []integrations.Ref{
		"", "s3cr3tvalue", "ENV:A", "env:", "env:9", "env:A B", "env:s3cr3t-value", "env:A\n", "file:", "file:/etc/s3cr3t", "file://s3cr3t", "file:.", "file:..",
		"file:../s3cr3t", "file:a/../s3cr3t", "file:a/./s3cr3t", "file:a//s3cr3t", "file:s3cr3t/", "file:.s3cr3t", "file:a/.s3cr3t", "file:..data/s3cr3t",
		"file:s3cr3t\n", "file:s3cr3t\x00", "file:s3cr3t value", "file:s3cr3t\\x", "file:sécr3t", "file:~/s3cr3t", "file:$s3cr3t",
		integrations.Ref("file:" + strings.Repeat("s3cr3t", 50)), integrations.Ref("env:" + strings.Repeat("s3cr3t", 50)),
	} {
		err := ref.Validate()
		require.Error(t, err, "%q", ref)
		require.NotContains(t, err.Error(), "s3cr3t")
	}
}

// FuzzParse: no file makes the parser fail otherwise than with words, and what
// passes keeps the rules.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("--- \n...\n---\n- !!binary x"))
	f.Add([]byte("organization: {}\nintegrations: {a: b}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		list, err := integrations.Parse("x", src, integrations.Options{})
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, in := range list {
			if in.Policy.Validate() != nil || !strings.HasPrefix(in.BaseURL, "https://") || in.Name == "" {
				t.Errorf("passed: %+v", in)
			}
			for _, ref := range in.Credentials {
				if ref.Validate() != nil {
					t.Errorf("passed: %+v", in)
				}
			}
		}
	})
}
