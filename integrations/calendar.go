package integrations

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/zones"
)

// Calendar is when a [Schedule] fires: at every minute of which the local clock
// and date match all five lists. An empty list matches everything, but Minutes
// and Hours are never empty. The lists are sorted.
//
// In the night in which the clocks go forward, a time in the missing hour does
// not fire. In the night in which they go back, Temporal decides, and
// [Calendar.next] says the same as it: in Oslo 02:30 fires once, the second time
// that the clock shows it, and 01:30 fires again an hour later. A second firing
// finds its period exported.
type Calendar struct {
	Minutes  []int // 0 to 59
	Hours    []int // 0 to 23
	Days     []int // of the month, 1 to 31
	Months   []int // 1 to 12
	Weekdays []int // 0 (Sunday) to 6
}

// Usable says why a schedule never fires, or nil. What a file says is usable; what
// was stored by other means need not be.
func (s Schedule) Usable() error {
	if _, err := s.Period(time.Now()); err != nil {
		return err
	}
	_, err := s.Calendar()
	return err
}

// Calendar returns when the schedule fires.
func (s Schedule) Calendar() (Calendar, error) {
	if s.Cron != "" {
		return parseCron(s.Cron)
	}
	c := Calendar{Minutes: []int{s.Minute}, Hours: []int{s.Hour}}
	switch s.Every {
	case Daily:
	case Weekly:
		c.Weekdays = []int{s.Day % 7}
	case Monthly:
		c.Days = []int{s.Day}
	default:
		return c, fmt.Errorf("schedule every %q: want daily, weekly or monthly, or a cron", s.Every)
	}
	return c, nil
}

// on reports whether the calendar fires on a date. The weekday is given apart,
// since a clock may show no midnight that begins the day.
func (c Calendar) on(date time.Time, weekday time.Weekday) bool {
	return in(c.Months, int(date.Month())) && in(c.Days, date.Day()) && in(c.Weekdays, int(weekday))
}

func in(list []int, n int) bool { return len(list) == 0 || slices.Contains(list, n) }

// lastYear is where Temporal stops looking for a firing.
const lastYear = 2100

// Firings yields when the schedule fires, from a time on.
func (s Schedule) Firings(from time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		zone, err := zones.Load(s.TimeZone)
		if err != nil {
			return
		}
		c, err := s.Calendar()
		if err != nil {
			return
		}
		// A firing is looked for from the one before it on, and where clocks
		// change that matters: so begin well before.
		for at := c.next(from.Add(-24 * time.Hour).In(zone)); !at.IsZero(); at = c.next(at) {
			if !at.Before(from) && !yield(at) {
				return
			}
		}
	}
}

// next returns the first firing after a time, in the zone of the time; the zero
// time if there is none. It looks for it as Temporal's server does (1.29, seen):
// by the date and then by the clock, whose hours it counts on. When the minutes
// of an hour are through and the next one is two hours away, an hour comes
// twice, and the same one is gone through again an hour later.
func (c Calendar) next(after time.Time) time.Time {
	zone := after.Location()
	y, m, d := after.Date()
	hour, minute := after.Hour(), after.Minute()+1
	again := after.Add(-time.Hour).Hour() == hour
	clock := func(hour, minute int) time.Time { return time.Date(y, m, d, hour, minute, 0, 0, zone) }
	for y <= lastYear {
		date := time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
		switch {
		case hour > 23 || !c.on(date, clock(hour, min(minute, 59)).Weekday()):
			y, m, d = date.AddDate(0, 0, 1).Date()
			hour, minute, again = 0, 0, false
		case !in(c.Hours, hour):
			hour, minute, again = hour+1, 0, false
		case minute > 59 && !again && clock(hour+1, 0).Sub(clock(hour, 0)) > time.Hour:
			minute, again = 0, true
		case minute > 59:
			hour, minute, again = hour+1, 0, false
		case !in(c.Minutes, minute):
			minute++
		case clock(hour, minute).Hour() != hour: // the clock does not show it
			hour, minute = hour+1, 0
		case again:
			return clock(hour, minute).Add(time.Hour)
		default:
			return clock(hour, minute)
		}
	}
	return time.Time{}
}

// FiringsBetween returns when the schedule fires in [from, to).
func (s Schedule) FiringsBetween(from, to time.Time) (all []time.Time) {
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
		start, end, err := exports.ParsePeriod(period)
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
