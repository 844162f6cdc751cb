package integrations

import (
	"fmt"
	"iter"
	"slices"
	"time"
)

// Calendar is when a [Schedule] fires: at every minute of which the local clock
// and date match all five lists. An empty list matches everything, but Minutes
// and Hours are never empty. The lists are sorted.
//
// It is Temporal's reading of a calendar, which decides. In the night in which
// the clocks go forward a time in the missing hour does not fire; in the night
// in which they go back a time in the hour that comes twice fires twice, and
// the second firing finds its period exported.
type Calendar struct {
	Minutes  []int // 0 to 59
	Hours    []int // 0 to 23
	Days     []int // of the month, 1 to 31
	Months   []int // 1 to 12
	Weekdays []int // 0 (Sunday) to 6
}

// Calendar returns when the schedule fires.
func (s Schedule) Calendar() (Calendar, error) {
	if s.Cron != "" {
		return parseCron(s.Cron)
	}
	c := Calendar{Minutes: []int{s.Minute}, Hours: []int{s.Hour}}
	switch s.Every {
	case "daily":
	case "weekly":
		c.Weekdays = []int{s.Day % 7}
	case "monthly":
		c.Days = []int{s.Day}
	default:
		return c, fmt.Errorf("schedule every %q: want daily, weekly or monthly, or a cron", s.Every)
	}
	return c, nil
}

// on reports whether the calendar fires on a date.
func (c Calendar) on(t time.Time) bool {
	return in(c.Months, int(t.Month())) && in(c.Days, t.Day()) && in(c.Weekdays, int(t.Weekday()))
}

func in(list []int, n int) bool { return len(list) == 0 || slices.Contains(list, n) }

// lastYear is where Temporal stops looking for a firing.
const lastYear = 2100

// Firings yields when the schedule fires, from a time on.
func (s Schedule) Firings(from time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		zone, err := time.LoadLocation(s.TimeZone)
		if err != nil {
			return
		}
		c, err := s.Calendar()
		if err != nil {
			return
		}
		y, m, d := from.In(zone).Date()
		// Dates are counted at noon UTC, where every day exists.
		for day := time.Date(y, m, d, 12, 0, 0, 0, time.UTC); day.Year() <= lastYear; day = day.AddDate(0, 0, 1) {
			if !c.on(day) {
				continue
			}
			for _, at := range c.times(day, zone) {
				if !at.Before(from) && !yield(at) {
					return
				}
			}
		}
	}
}

// times returns when a local clock shows the calendar's times on a date: not at
// all in an hour that is missing, twice in one that comes twice.
func (c Calendar) times(day time.Time, zone *time.Location) (all []time.Time) {
	y, m, d := day.Date()
	for _, hour := range c.Hours {
		for _, minute := range c.Minutes {
			near := time.Date(y, m, d, hour, minute, 0, 0, zone)
			for _, shift := range []time.Duration{-time.Hour, 0, time.Hour} {
				at := near.Add(shift)
				if at.Day() == d && at.Hour() == hour && at.Minute() == minute {
					all = append(all, at)
				}
			}
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return slices.CompactFunc(all, time.Time.Equal)
}

// Occurrences returns when the schedule fires in [from, to).
func (s Schedule) Occurrences(from, to time.Time) (all []time.Time) {
	for at := range s.Firings(from) {
		if !at.Before(to) {
			break
		}
		all = append(all, at)
	}
	return all
}

// Next returns the first n firings from a time on.
func (s Schedule) Next(from time.Time, n int) []time.Time {
	all := make([]time.Time, 0, n)
	for at := range s.Firings(from) {
		if len(all) == n {
			break
		}
		all = append(all, at)
	}
	return all
}

// Remarks says what may surprise in a schedule that is valid, looking ahead a
// year: firings that find their period exported, and periods that have no
// firing of their own.
func (s Schedule) Remarks(from time.Time) (remarks []string) {
	const ahead, most = 400 * 24 * time.Hour, 2000
	var last string
	var lastEnd time.Time
	var twice, skipped string
	n := 0
	for at := range s.Firings(from) {
		if n++; n > most || at.Sub(from) > ahead || twice != "" && skipped != "" {
			break
		}
		period, err := s.Period(at)
		if err != nil {
			return nil
		}
		start, end, err := Period(period)
		if err != nil {
			return nil
		}
		switch {
		case period == last && twice == "":
			twice = fmt.Sprintf("fires more than once for a period, such as %s at %s: the first firing exports it, the others find it exported",
				period, at.Format("2006-01-02 15:04"))
		case last != "" && start.After(lastEnd) && skipped == "":
			skipped = fmt.Sprintf("does not fire for every period: from %s to %s nothing is exported by itself, and the entries go with %s, marked late",
				lastEnd.Format(time.DateOnly), start.AddDate(0, 0, -1).Format(time.DateOnly), period)
		}
		last, lastEnd = period, end
	}
	for _, r := range []string{twice, skipped} {
		if r != "" {
			remarks = append(remarks, r)
		}
	}
	return remarks
}
