package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/integrations"
)

func TestRanges(t *testing.T) {
	require.Equal(t, []client.ScheduleRange{{Start: 1, End: 3}, {Start: 7, End: 7}, {Start: 9, End: 10}}, ranges([]int{1, 2, 3, 7, 9, 10}))
	require.Empty(t, ranges(nil))
}

// What Temporal returns is what was asked for, with its defaults written out; anything
// else is another schedule.
func TestSameSpec(t *testing.T) {
	want, err := specOf(integrations.Schedule{Every: integrations.Weekly, Day: 1, Hour: 6, Minute: 30, TimeZone: "Europe/Oslo"})
	require.NoError(t, err)
	returned := func(change func(*client.ScheduleSpec, *client.ScheduleCalendarSpec)) *client.ScheduleSpec {
		spec := want
		calendar := want.Calendars[0]
		calendar.Second = []client.ScheduleRange{{Start: 0, End: 0, Step: 1}}
		calendar.Month = []client.ScheduleRange{{Start: 1, End: 12, Step: 1}}
		change(&spec, &calendar)
		spec.Calendars = []client.ScheduleCalendarSpec{calendar}
		return &spec
	}
	require.True(t, sameSpec(returned(func(*client.ScheduleSpec, *client.ScheduleCalendarSpec) {}), want))
	require.False(t, sameSpec(nil, want))
	for name, change := range map[string]func(*client.ScheduleSpec, *client.ScheduleCalendarSpec){
		"hour": func(_ *client.ScheduleSpec, c *client.ScheduleCalendarSpec) {
			c.Hour = []client.ScheduleRange{{Start: 7}}
		},
		"one month": func(_ *client.ScheduleSpec, c *client.ScheduleCalendarSpec) {
			c.Month = []client.ScheduleRange{{Start: 3}}
		},
		"a year": func(_ *client.ScheduleSpec, c *client.ScheduleCalendarSpec) {
			c.Year = []client.ScheduleRange{{Start: 2026}}
		},
		"zone":   func(s *client.ScheduleSpec, _ *client.ScheduleCalendarSpec) { s.TimeZoneName = "UTC" },
		"jitter": func(s *client.ScheduleSpec, _ *client.ScheduleCalendarSpec) { s.Jitter = 1 },
		"more": func(s *client.ScheduleSpec, _ *client.ScheduleCalendarSpec) {
			s.CronExpressions = []string{"0 0 * * *"}
		},
	} {
		require.False(t, sameSpec(returned(change), want), name)
	}
}
