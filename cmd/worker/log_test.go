package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// A log line is one line, whatever texts are in it, and no value of the
// environment is.
func TestLogLines(t *testing.T) {
	secret := strings.Join([]string{"cnry", "0", "pass"}, "")
	t.Setenv("PGPASSWORD", secret)
	t.Setenv("DATABASE_URL", "postgres://cnry1user@cnry2host:5432/cnry3base")
	hostile := "a\x1b[31m\x1b]8;;http://x\x07\u202eb\u0085c\r\nlevel=ERROR msg=forged\u2028\u200b\ue000\U000e0041\x00\x7f\xff"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log := newLogger(config{logFormat: format, logLevel: slog.LevelDebug}, &out)
		log.Info(hostile, "text", hostile, "error", errors.New(hostile+secret), "list", []string{hostile}, "short", secret, hostile, "key", slog.Group(hostile, "inside", hostile))
		require.Equal(t, 1, strings.Count(out.String(), "\n"), out.String())
		log.Warn("lost", "error", errors.New("failed to connect to user=cnry1user database=cnry3base: lookup cnry2host"))
		require.NotContains(t, out.String(), "cnry")
		for _, c := range out.String() {
			require.False(t, c != '\n' && unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp), "%s: %U in %s", format, c, out.String())
		}
		for _, line := range strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") {
			require.True(t, format == "text" || json.Valid([]byte(line)), line)
		}
	}
	var out bytes.Buffer
	require.Error(t, run(t.Context(), []string{"--no\x1b[31msuch"}, func(string) string { return "" }, io.Discard, &out))
	require.NotContains(t, out.String(), "\x1b")
}
