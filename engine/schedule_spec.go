package engine

import (
	"slices"

	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/integrations"
)

// specOf is when a schedule fires, as one calendar. A cron expression becomes one too,
// because programs read such expressions differently.
func specOf(s integrations.Schedule) (client.ScheduleSpec, error) {
	c, err := s.Calendar()
	if err != nil {
		return client.ScheduleSpec{}, err
	}
	return client.ScheduleSpec{TimeZoneName: s.TimeZone, Calendars: []client.ScheduleCalendarSpec{{
		Minute: ranges(c.Minutes), Hour: ranges(c.Hours), DayOfMonth: ranges(c.Days), Month: ranges(c.Months), DayOfWeek: ranges(c.Weekdays),
		Comment: s.String(),
	}}}, nil
}

// ranges writes a sorted list as ranges of consecutive numbers.
func ranges(list []int) (out []client.ScheduleRange) {
	for _, n := range list {
		if last := len(out) - 1; last >= 0 && out[last].End == n-1 {
			out[last].End = n
		} else {
			out = append(out, client.ScheduleRange{Start: n, End: n})
		}
	}
	return out
}

// sameSpec reports whether two schedules fire at the same times. Temporal returns a
// calendar with its defaults written out.
func sameSpec(is *client.ScheduleSpec, want client.ScheduleSpec) bool {
	if is == nil || len(is.Calendars) != 1 || len(is.Intervals)+len(is.CronExpressions)+len(is.Skip) > 0 ||
		!is.StartAt.IsZero() || !is.EndAt.IsZero() || is.Jitter != 0 || is.TimeZoneName != want.TimeZoneName {
		return false
	}
	a, b := is.Calendars[0], want.Calendars[0]
	return len(a.Year) == 0 &&
		slices.Equal(numbers(a.Second, 0, 0), numbers(b.Second, 0, 0)) &&
		slices.Equal(numbers(a.Minute, 0, 0), numbers(b.Minute, 0, 0)) &&
		slices.Equal(numbers(a.Hour, 0, 0), numbers(b.Hour, 0, 0)) &&
		slices.Equal(numbers(a.DayOfMonth, 1, 31), numbers(b.DayOfMonth, 1, 31)) &&
		slices.Equal(numbers(a.Month, 1, 12), numbers(b.Month, 1, 12)) &&
		slices.Equal(numbers(a.DayOfWeek, 0, 6), numbers(b.DayOfWeek, 0, 6))
}

// numbers lists what ranges match; without any, from first to last, Temporal's default.
func numbers(list []client.ScheduleRange, first, last int) (out []int) {
	if len(list) == 0 {
		list = []client.ScheduleRange{{Start: first, End: last}}
	}
	for _, r := range list {
		for n := r.Start; n <= max(r.End, r.Start); n += max(r.Step, 1) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
