package ledgerline_test

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/redact"
)

// What package plain refuses because it does not show, package redact takes out: it
// could split a secret. Blanks and line ends stay blanks.
func TestWhatDoesNotShowSplitsNothing(t *testing.T) {
	taken := 0
	for c := rune(1); c <= unicode.MaxRune; c++ {
		if plain.Seen(string(c)) == nil || unicode.In(c, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Cs) || c >= '\t' && c <= '\r' || c == 0x85 || c == 0x1b || c == unicode.ReplacementChar {
			continue
		}
		require.Equal(t, "ab", redact.Text("a"+string(c)+"b"), "%U", c)
		taken++
	}
	require.Greater(t, taken, 100_000) // private use has most of them
}
