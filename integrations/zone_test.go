package integrations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// A period can be exported by hand from the midnight on that ends it in the integration's
// zone, not an hour before or after: whenever its schedule would export it.
func TestPeriodsEndAtMidnightInTheZone(t *testing.T) {
	for zone, midnights := range map[string]map[string]string{ // period: the moment at which it ends
		"":                   {"2026-11-27": "2026-11-27T23:00:00Z", "2026-07": "2026-07-31T22:00:00Z", "2026-W43": "2026-10-25T23:00:00Z", "2026-03-29": "2026-03-29T22:00:00Z"},
		"Europe/Oslo":        {"2026-11-27": "2026-11-27T23:00:00Z", "2026-10": "2026-10-31T23:00:00Z"},
		"America/New_York":   {"2026-11-27": "2026-11-28T05:00:00Z", "2026-06": "2026-07-01T04:00:00Z"},
		"Pacific/Kiritimati": {"2026-11-27": "2026-11-27T10:00:00Z"},
		"UTC":                {"2026-11-27": "2026-11-28T00:00:00Z"},
	} {
		in := integrations.Integration{}
		if zone != "" {
			in.Schedule = &integrations.Schedule{Every: integrations.Daily, TimeZone: zone}
		}
		for period, midnight := range midnights {
			start, end, err := exports.ParsePeriod(period)
			require.NoError(t, err)
			at, err := time.Parse(time.RFC3339, midnight)
			require.NoError(t, err)
			require.NoError(t, exports.Due(period, start, end, in.Today(at), false), "%s in %s", period, zone)
			require.ErrorContains(t, exports.Due(period, start, end, in.Today(at.Add(-time.Second)), false), "add --unfinished", "%s in %s", period, zone)
			require.NoError(t, exports.Due(period, start, end, in.Today(at.Add(-time.Second)), true), "%s in %s", period, zone)
			if in.Schedule != nil && exports.KindOfPeriod(period) == exports.ByDay {
				fires, err := in.Schedule.Period(at)
				require.NoError(t, err)
				require.Equal(t, period, fires, "the schedule and people agree")
			}
			next := exports.KindOfPeriod(period).Containing(end)
			start, end, err = exports.ParsePeriod(next)
			require.NoError(t, err)
			require.NoError(t, exports.Due(next, start, end, in.Today(at), true))
			require.ErrorContains(t, exports.Due(next, start, end, in.Today(at.Add(-time.Second)), true), "has not begun")
		}
	}
}

// People read a moment where the integration is, also without a schedule.
func TestMoment(t *testing.T) {
	at := time.Date(2026, 11, 27, 23, 41, 52, 0, time.UTC)
	require.Equal(t, "28 November 2026 00:41:52 CET", integrations.Integration{}.Moment(at))
	require.Equal(t, "27 November 2026 18:41:52 EST", integrations.Integration{Schedule: &integrations.Schedule{TimeZone: "America/New_York"}}.Moment(at))
}
