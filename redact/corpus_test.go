package redact_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/redact"
)

// TestCorpus runs the labelled texts: what must be gone is gone, what must stay
// stays. The corpus is base64 so that no scanner mistakes it for a leak.
func TestCorpus(t *testing.T) {
	f, err := os.Open("testdata/redaction.jsonl")
	require.NoError(t, err)
	defer f.Close()
	cases := 0
	for lines := bufio.NewScanner(f); lines.Scan(); cases++ {
		var c struct {
			ID, Note string
			Input    []byte   `json:"input_b64"`
			Gone     []string `json:"must_not_contain_b64"`
			Stays    []string `json:"must_contain_b64"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &c))
		t.Run(c.ID, func(t *testing.T) {
			got := redact.Text(string(c.Input))
			for _, gone := range c.Gone {
				assert.NotContains(t, got, decode(t, gone), c.Note)
			}
			for _, stays := range c.Stays {
				assert.Contains(t, got, decode(t, stays), c.Note)
			}
			assert.Equal(t, got, redact.Text(got), "not idempotent")
			assert.LessOrEqual(t, utf8.RuneCountInString(got), redact.MaxLen)
		})
	}
	require.GreaterOrEqual(t, cases, 88, "the corpus has shrunk")
}

func decode(t *testing.T, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	require.NoError(t, err)
	return string(b)
}
