package integrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

// What is wrong with a file is bounded, however much it is: 1 MB made 57 MB.
func TestErrorsAreBounded(t *testing.T) {
	var keys, long, items, alike strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
		fmt.Fprintf(&items, "  - {i%d: 1}\n", i)
		alike.WriteString("a: 1\n")
	}
	for i := range 9 {
		fmt.Fprintf(&long, "\"%s%d\": 1\n", strings.Repeat("x", 100_000), i)
	}
	for name, src := range map[string]string{
		"unknown keys": keys.String(), "long keys": long.String(), "same keys": "organization: x\n" + alike.String(), "items": "integrations:\n" + items.String(),
		"a long value": "organization: " + strings.Repeat("x", 900_000), "long account": strings.Replace(good, "token: env", "\"\\e"+strings.Repeat("é", 300_000)+"\": env", 1),
		"not YAML": "a: [" + strings.Repeat("\"", 900_001), "a tag": "!!" + strings.Repeat("x", 900_000) + " [",
		"anchors": strings.Repeat("a: &a [*a]\n", 50_000), "documents": strings.Repeat("---\nx: 1\n", 50_000),
	} {
		_, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
		require.Error(t, err, name)
		require.Less(t, len(err.Error()), 51*2000, name)
		for _, line := range strings.Split(err.Error(), "\n") {
			require.Less(t, len(line), 2000, name)
			require.True(t, strings.HasPrefix(line, "x.yaml:"), "%s: %s", name, line)
		}
	}
	_, err := integrations.Parse("x.yaml", []byte(keys.String()), integrations.Options{})
	require.ErrorContains(t, err, "x.yaml:1:1: k0: unknown field")
	require.ErrorContains(t, err, "\nx.yaml: and 59952 more") // organization and integrations are missing too
}

// Nothing that does not show is in a name, and the message says where.
func TestInvisibleInFile(t *testing.T) {
	for old, new := range map[string]string{
		"xledger-main": "\"xledger\u00admain\"", "adapter: dataverse": "adapter: \"dataverse\u00a0\"", "env:XLEDGER_TOKEN": "\"env:XLEDGER\u200bTOKEN\"",
		"tenantId: t": "tenantId: \"t\u202e\"", "maxRetries: 1, baseDelay: 500ms": "baseDelay: \"500\u2060ms\"", "www.xledger.net": "www.xledger\u00ad.net",
		"retry: {": "schedule: {every: monthly, at: \"06:30\", day: 3, timeZone: \"Europe/Oslo\ufeff\"}\n    retry: {",
		"7b0b9f3e": "\u202f7b0b9f3e", "    retry": "    export: {accounts: {\"1920\u00a0\": \"1920\"}}\n    retry",
		"\n    retry": "\n    export: {dimensions: {\"a\": \"b\u200d\"}}\n    retry", "organization:": "notifications: [{name: \"a\u3164\", webhook: {url: https://x.example/, secret: env:X}}]\norganization:",
	} {
		require.Contains(t, good, old)
		_, err := integrations.Parse("x.yaml", []byte(strings.Replace(good, old, new, 1)), integrations.Options{})
		require.ErrorContains(t, err, "has the invisible character U+", new)
		require.Regexp(t, `^x\.yaml:\d+:\d+: `, err.Error())
	}
}
