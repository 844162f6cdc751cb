package plain_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/plain"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "",
		"Blåbærsyltetøy 1 234,56 «æ»": "Blåbærsyltetøy 1 234,56 «æ»",
		"1\u00a0234":                  "1\u00a0234",
		"❤️ 👍🏽 ☕":                     "❤️ 👍🏽 ☕",
		"a\ufe0fb":                    `a\ufe0fb`,
		"\x1b[31mred\x1b[0m":          `\u001b[31mred\u001b[0m`,
		"\x1b]8;;http://x\x07y":       `\u001b]8;;http://x\u0007y`,
		"a\nb\r\nc\td":                `a\nb\r\nc\td`,
		"a\u0085b\u009bc":             `a\u0085b\u009bc`,
		"\u202egnp.exe":               `\u202egnp.exe`,
		"a\u200bb\u00adc\ufeff":       `a\u200bb\u00adc\ufeff`,
		"a\u2028b\u2029":              `a\u2028b\u2029`,
		"\x00\x7f":                    `\u0000\u007f`,
		"a\xff\xc3":                   `a\xff\xc3`,
		"\ue000\U000f0000":            `\ue000\U000f0000`,
		"\U000e0041":                  `\U000e0041`,
		"\u3164\u115f\u2800":          `\u3164\u115f\u2800`,
	} {
		require.Equal(t, want, plain.Line(text))
		require.Equal(t, want, plain.Line(plain.Line(text)), "what is escaped shows")
	}
	var out bytes.Buffer
	n, err := plain.Writer{Raw: &out}.Write([]byte("a\n\tb\r\x1b\n"))
	require.NoError(t, err)
	require.Equal(t, 7, n)
	require.Equal(t, "a\n\tb\\r\\u001b\n", out.String())
}

func TestClip(t *testing.T) {
	for _, c := range []struct{ text, want string }{{"", ""}, {"abc", "abc"}, {"æøå", "æøå"}, {"æøåa", "æø…"}, {"abcd", "ab…"}, {"ab\U0001f44dd", "ab…"}, {"ab\U0001f44d", "ab\U0001f44d"}} {
		require.Equal(t, c.want, plain.Clip(c.text, 3))
	}
}

// JSON that was escaped is valid, shows nothing raw, and means the same.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{"a\u202eb", "\u0085\x7f", "\U000e0041 \U0001f600", "\xff", "\u2028", "❤️"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		encoded, err := json.MarshalIndent(map[string]string{s: s}, "", "  ")
		require.NoError(t, err)
		got := plain.JSON(string(encoded))
		require.True(t, utf8.ValidString(got))
		for _, c := range got {
			require.False(t, unicode.In(c, unicode.Bidi_Control, unicode.Co, unicode.Zl) || unicode.IsControl(c) && c != '\n', "%U", c)
		}
		var a, b map[string]string
		require.NoError(t, json.Unmarshal(encoded, &a))
		require.NoError(t, json.Unmarshal([]byte(got), &b))
		require.Equal(t, a, b)
		require.Equal(t, plain.Line(s), plain.Line(plain.Line(s)))
	})
}

func TestName(t *testing.T) {
	for text, want := range map[string]string{
		" 1920 ": "1920", "1920\u00a0": "1920", "\ufeff1920\u202f": "1920", "\u3000A 12\u2007": "A 12", "Ærlig": "Ærlig", "": "", "\u00a0": "",
	} {
		got, err := plain.Name(text)
		require.NoError(t, err, "%q", text)
		require.Equal(t, want, got)
	}
	for text, says := range map[string]string{
		"E\u00a01": "has the invisible character U+00A0 (no-break space) at its character 2", "E1\u200b": "U+200B (zero width space) at its character 3",
		"E\u00ad1": "U+00AD (soft hyphen)", "E\u202e1": "U+202E (text direction)", "\tE": "control character U+0009 at its character 1", "E\u2028": "U+2028",
		"æ\xff": "not valid UTF-8 at its byte 3", "a\ufffd": "U+FFFD", "E\U000e0041": "U+E0041", "\ue000": "U+E000", "\u3164": "U+3164", "\u2800": "U+2800", "1\ufe0f": "U+FE0F", "E\u00851": "U+0085",
	} {
		_, err := plain.Name(text)
		require.ErrorContains(t, err, says)
	}
}
