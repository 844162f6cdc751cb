package attention_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/attention"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/notify"
)

// Each kind has a section that says what it means and what to do, and so does each way to say it.
func TestEveryKindHasASection(t *testing.T) {
	text, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	sections := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^###? (.+)$`).FindAllStringSubmatch(string(text), -1) {
		sections[anchor(m[1])] = true
	}
	for _, k := range attention.Kinds() {
		require.NotEmpty(t, k.Anchor())
		require.True(t, sections[k.Anchor()], "no section %s for %s", k.Anchor(), k)
		require.Contains(t, string(text), "| `"+string(k)+"` |", "the table of kinds")
	}
	for _, i := range []attention.Item{
		{Kind: attention.Credential, Secret: &notify.Secret{}}, {Kind: attention.Incident, State: health.Degraded},
		{Kind: attention.Incident, State: health.Unreachable}, {Kind: attention.Incident, State: health.Healthy}, {Kind: attention.Quota},
	} {
		require.True(t, sections[i.Anchor()], "no section %s", i.Anchor())
	}
	require.Empty(t, attention.Kind("other").Anchor())
}

// anchor is that of a heading, as GitHub makes it.
func anchor(heading string) string {
	kept := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(kept, " ", "-")
}
