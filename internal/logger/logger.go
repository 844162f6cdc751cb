// Package logger makes the logger of the programs that run for long: no line of theirs can
// steer a terminal or shows a secret.
package logger

import (
	"io"
	"log/slog"

	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/redact"
)

// New writes to w, as "json" or "text". Every text passes redaction: the attributes of our own
// lines have passed it before, those of libraries have not. No line shows a value of the
// environment.
func New(format string, level slog.Leveler, w io.Writer) *slog.Logger {
	hide, hideParts := environ.Hider(), environ.CauseHider() // a library's error repeats the parts of an address
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch v := a.Value.Any().(type) {
		case error:
			a.Value = slog.StringValue(redact.Text(hideParts(v.Error())))
		case string:
			if a.Key == slog.MessageKey {
				break
			}
			if v = hide(v); len(v) > 36 { // IDs and words are shorter
				v = redact.Text(v)
			}
			a.Value = slog.StringValue(v)
		}
		return a
	}}
	if format == "text" {
		return slog.New(slog.NewTextHandler(plain.Writer{Raw: w}, o))
	}
	return slog.New(slog.NewJSONHandler(plain.JSONWriter{Raw: w}, o))
}
