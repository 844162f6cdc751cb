package runlog_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Periods are half-open and made of calendar days: an entry of the last day
// goes with its period and one of the next day does not, whatever the time
// zone, and whether a night has 23 hours or 25.
func TestPlanEdges(t *testing.T) {
	t.Parallel()
	base := newBooks(t)
	for name, c := range map[string]struct {
		every       integrations.Frequency
		zone, at    string // the firing, as people write it
		period      string
		first, last string
	}{
		"month":                                  {"monthly", "Europe/Oslo", "2026-11-03T06:30:00+01:00", "2026-10", "2026-10-01", "2026-10-31"},
		"month, a minute after midnight":         {"monthly", "Europe/Oslo", "2026-11-01T00:01:00+01:00", "2026-10", "2026-10-01", "2026-10-31"},
		"month, still the one before in UTC":     {"monthly", "Pacific/Kiritimati", "2026-11-01T00:30:00+14:00", "2026-10", "2026-10-01", "2026-10-31"},
		"month, the next day already in UTC":     {"monthly", "Pacific/Pago_Pago", "2026-10-31T23:30:00-11:00", "2026-09", "2026-09-01", "2026-09-30"},
		"month, new year":                        {"monthly", "Europe/Oslo", "2027-01-01T00:00:00+01:00", "2026-12", "2026-12-01", "2026-12-31"},
		"month with a leap day":                  {"monthly", "Europe/Oslo", "2028-03-01T06:00:00+01:00", "2028-02", "2028-02-01", "2028-02-29"},
		"month without":                          {"monthly", "Europe/Oslo", "2100-03-01T06:00:00+01:00", "2100-02", "2100-02-01", "2100-02-28"},
		"leap day":                               {"daily", "Europe/Oslo", "2028-03-01T02:00:00+01:00", "2028-02-29", "2028-02-29", "2028-02-29"},
		"day, after the night of 23 hours":       {"daily", "Europe/Oslo", "2026-03-30T00:15:00+02:00", "2026-03-29", "2026-03-29", "2026-03-29"},
		"day, in the hour that is not there":     {"daily", "Europe/Oslo", "2026-03-29T02:30:00+01:00", "2026-03-28", "2026-03-28", "2026-03-28"},
		"day, in the hour that comes twice":      {"daily", "Europe/Oslo", "2026-10-25T02:30:00+02:00", "2026-10-24", "2026-10-24", "2026-10-24"},
		"day, in the same hour again":            {"daily", "Europe/Oslo", "2026-10-25T02:30:00+01:00", "2026-10-24", "2026-10-24", "2026-10-24"},
		"day, after the night of 25 hours":       {"daily", "Europe/Oslo", "2026-10-26T00:15:00+01:00", "2026-10-25", "2026-10-25", "2026-10-25"},
		"day, where midnight is skipped":         {"daily", "America/Santiago", "2026-09-06T01:00:00-03:00", "2026-09-05", "2026-09-05", "2026-09-05"},
		"week 53":                                {"weekly", "Europe/Oslo", "2027-01-04T06:00:00+01:00", "2026-W53", "2026-12-28", "2027-01-03"},
		"week 1 that begins in the old year":     {"weekly", "Europe/Oslo", "2026-01-05T06:00:00+01:00", "2026-W01", "2025-12-29", "2026-01-04"},
		"week, fired on Sunday, is the one past": {"weekly", "Europe/Oslo", "2026-11-08T23:59:00+01:00", "2026-W44", "2026-10-26", "2026-11-01"},
	} {
		t.Run(name, func(t *testing.T) {
			b := base
			b.t, b.org = t, uuid.New()
			b.spec.OrganizationID, b.spec.ID = b.org, uuid.New()
			_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{b.spec}, runlog.ApplyOptions{By: "test"})
			require.NoError(t, err)
			day := func(s string, add int) string {
				d, err := time.Parse(time.DateOnly, s)
				require.NoError(t, err)
				return d.AddDate(0, 0, add).Format(time.DateOnly)
			}
			for voucher, date := range map[string]string{"before": day(c.first, -1), "first": c.first, "last": c.last, "after": day(c.last, 1)} {
				b.lines(voucher+"-1 "+voucher+" "+date+" 1920 1", voucher+"-2 "+voucher+" "+date+" 3000 -1")
			}
			at, err := time.Parse(time.RFC3339, c.at)
			require.NoError(t, err)
			period, err := (integrations.Schedule{Every: c.every, TimeZone: c.zone}).Period(at)
			require.NoError(t, err)
			require.Equal(t, c.period, period)
			require.Equal(t, []string{
				"before-1:1:planned (late)", "before-2:1:planned (late)", "first-1:1:planned", "first-2:1:planned", "last-1:1:planned", "last-2:1:planned",
			}, b.plan(b.claim(period, nil), integrations.ExportSettings{}, 500))
		})
	}
}
