package when_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/when"
)

func TestParse(t *testing.T) {
	oslo, err := time.LoadLocation("Europe/Oslo")
	require.NoError(t, err)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, oslo)
	for text, want := range map[string]struct{ since, until string }{
		"90m":                       {"2026-11-23T10:30:00+01:00", ""},
		"1d":                        {"2026-11-22T12:00:00+01:00", ""},
		"2w":                        {"2026-11-09T12:00:00+01:00", ""},
		"1w2d3h30m":                 {"2026-11-14T08:30:00+01:00", ""},
		"2026-10-31":                {"2026-10-31T00:00:00+01:00", "2026-11-01T00:00:00+01:00"},
		"2026-10-25":                {"2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"}, // a day of 25 hours
		"2026-10-31 08:05":          {"2026-10-31T08:05:00+01:00", ""},
		"2026-10-31 08:05:09":       {"2026-10-31T08:05:09+01:00", ""},
		"2026-10-31T08:05":          {"2026-10-31T08:05:00+01:00", ""},
		"2026-10-31T08:05:09Z":      {"2026-10-31T08:05:09Z", ""},
		"2026-10-31T08:05:09-03:00": {"2026-10-31T08:05:09-03:00", ""},
	} {
		since, err := when.Parse(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want.since, since.Format(time.RFC3339), text)
		until, err := when.ParseEnd(text, now)
		require.NoError(t, err, text)
		if want.until == "" {
			want.until = want.since
		}
		require.Equal(t, want.until, until.Format(time.RFC3339), text)
	}
	for _, text := range []string{"", "x", "0h", "-1h", "1d-2h", "-1d", "1", "d", "1y", "1h2d", "999999w", "99999999d", "2026-13-01", "2026-10", "31.10.2026", "1d 2h"} {
		_, err := when.Parse(text, now)
		require.ErrorIs(t, err, when.ErrMoment, "%q", text)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"1d", "2w3h", "2026-10-31", "999999w999999w", "2026-10-31T08:05:09Z"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		since, err := when.Parse(s, now)
		until, endErr := when.ParseEnd(s, now)
		if (err == nil) != (endErr == nil) || err == nil && until.Before(since) {
			t.Fatalf("%q: since %v (%v), until %v (%v)", s, since, err, until, endErr)
		}
		if d, err := when.Duration(s); err == nil && d <= 0 {
			t.Fatalf("%q: %v", s, d)
		}
	})
}
