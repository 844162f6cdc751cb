package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// explain says what is known of a write, in JSON and in words, and nothing of the
// kind about a read.
func TestExplainEffect(t *testing.T) {
	explain := func(args ...string) string {
		var out, words bytes.Buffer
		code := run(t.Context(), append([]string{"explain", "--adapter", "xledger", "--body-file", "-"}, args[1:]...), strings.NewReader(args[0]), &out, &words)
		require.Equal(t, exitOK, code, words.String())
		return out.String()
	}
	const refused = `{"errors":[{"message":"No value"}]}`
	for _, c := range []struct {
		body, op, status string
		json             map[string]any // absent members are nil
		words            string
	}{
		{`{"data":{"a":1}}`, "write", "200", map[string]any{"effect": "done"}, "done: the vendor confirmed it"},
		{refused, "write", "401", map[string]any{"effect": "none"}, "none: nothing was done; it may be sent again"},
		{refused, "write", "200", map[string]any{"effect": "open", "ended": true, "unknown": true}, "open: ask before it is sent again; the vendor's work has ended"},
		{refused, "write", "504", map[string]any{"effect": "open", "unknown": true}, "open: ask before it is sent again"},
		{refused, "read", "504", map[string]any{}, ""},
		{refused, "token", "504", map[string]any{}, ""},
	} {
		args := []string{c.body, "--op", c.op, "--status", c.status}
		var got map[string]any
		require.NoError(t, json.Unmarshal([]byte(explain(append(args, "-o", "json")...)), &got))
		require.Contains(t, got, "effect", "null and not absent")
		for _, member := range []string{"effect", "ended", "unknown"} {
			require.Equal(t, c.json[member], got[member], "%s of %v", member, c)
		}
		table := explain(args...)
		if c.words == "" {
			require.NotContains(t, table, "effect")
		} else {
			require.Regexp(t, `(?m)^effect +`+c.words+`$`, table)
		}
	}
}
