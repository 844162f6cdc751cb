package exports_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
)

func TestPeriod(t *testing.T) {
	for s, want := range map[string][2]string{
		"2026-10": {"2026-10-01", "2026-11-01"}, "2026-12": {"2026-12-01", "2027-01-01"}, "2028-02": {"2028-02-01", "2028-03-01"},
		"2028-02-29": {"2028-02-29", "2028-03-01"}, "2026-03-29": {"2026-03-29", "2026-03-30"}, "2026-10-25": {"2026-10-25", "2026-10-26"},
		"2026-W01": {"2025-12-29", "2026-01-05"}, "2026-W45": {"2026-11-02", "2026-11-09"}, "2026-W53": {"2026-12-28", "2027-01-04"},
		"2027-W01": {"2027-01-04", "2027-01-11"},
	} {
		start, end, err := exports.ParsePeriod(s)
		require.NoError(t, err, s)
		require.Equal(t, want, [2]string{start.Format(time.DateOnly), end.Format(time.DateOnly)}, s)
	}
	for _, s := range []string{"", "2026", "2026-13", "2027-W53", "2026-W00", "2026-02-30", "2026-10-1", "oktober"} {
		_, _, err := exports.ParsePeriod(s)
		require.ErrorContains(t, err, "want a month", s)
	}
}
