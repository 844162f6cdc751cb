package words

import (
	"strconv"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/exports"
)

// Day is the date of a moment: "31. oktober 2026" or "31 October 2026".
func (p *Printer) Day(t time.Time) string { return p.Date(t.In(p.zone)) }

// Date is a day of the calendar, which has no zone, such as the first one of a period.
func (p *Printer) Date(day time.Time) string {
	return p.T("time.date", "day", strconv.Itoa(day.Day()), "month", p.month(day), "year", strconv.Itoa(day.Year()))
}

// DayOf is a day that is written as 2026-10-31; what is none stays as it is.
func (p *Printer) DayOf(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return p.Date(t)
}

func (p *Printer) month(t time.Time) string { return p.T("month." + strconv.Itoa(int(t.Month()))) }

// Weekday is a day of the week: "mandag".
func (p *Printer) Weekday(d time.Weekday) string { return p.T("weekday." + strconv.Itoa(int(d))) }

// Clock is the time of day of a moment: "06.30" or "06:30".
func (p *Printer) Clock(t time.Time) string {
	t = t.In(p.zone)
	return p.clock(t.Hour(), t.Minute())
}

func (p *Printer) clock(hour, minute int) string {
	return p.T("time.clock", "hour", twoDigits(hour), "minute", twoDigits(minute))
}

func twoDigits(n int) string {
	s := strconv.Itoa(n)
	return strings.Repeat("0", max(0, 2-len(s))) + s
}

// Time is a moment, seen from now: "i dag kl. 06.30", "i morgen kl. 06.30", "i går kl. 06.30", and with its
// date if it is further away.
func (p *Printer) Time(t, now time.Time) string {
	key, day := "time.on", p.calendarDay(t)
	switch today := p.calendarDay(now); {
	case day.Equal(today):
		key = "time.today"
	case day.Equal(today.AddDate(0, 0, 1)):
		key = "time.tomorrow"
	case day.Equal(today.AddDate(0, 0, -1)):
		key = "time.yesterday"
	}
	return p.T(key, "date", p.Day(t), "clock", p.Clock(t))
}

// calendarDay is the date where the printer is, at 00:00 UTC.
func (p *Printer) calendarDay(t time.Time) time.Time {
	y, m, d := t.In(p.zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// Exact is a moment to the second, with its zone, for a trail: "31. oktober 2026 kl. 06.30.05 CET".
func (p *Printer) Exact(t time.Time) string {
	t = t.In(p.zone)
	return p.T("time.exact", "date", p.Date(t), "clock", p.Clock(t), "second", twoDigits(t.Second()), "zone", t.Format("MST"))
}

// Ago is how long ago something was: "for 3 minutter siden".
func (p *Printer) Ago(t, now time.Time) string {
	d := now.Sub(t)
	if d < 5*time.Second {
		return p.T("time.justNow")
	}
	return p.T("time.ago", "duration", p.Duration(d))
}

// Until is how long it is to something: "om 3 minutter".
func (p *Printer) Until(t, now time.Time) string {
	d := t.Sub(now)
	if d < time.Second {
		return p.T("time.now")
	}
	return p.T("time.until", "duration", p.Duration(d))
}

// units are what durations are counted in. One is counted from two of it on, or nearly, so
// that 100 minutes do not become 2 hours.
var units = []struct {
	unit time.Duration
	from time.Duration
	key  string
}{
	{24 * time.Hour, 36 * time.Hour, "duration.days"},
	{time.Hour, 2 * time.Hour, "duration.hours"},
	{time.Minute, 90 * time.Second, "duration.minutes"},
	{time.Second, time.Second, "duration.seconds"},
}

// Duration is how long something takes, rounded: "3 minutter".
func (p *Printer) Duration(d time.Duration) string {
	for _, u := range units {
		whole := d%u.unit == 0 && d >= u.unit // 1 hour is no 60 minutes
		if d >= u.from || whole {
			return p.T(u.key, "n", int((d+u.unit/2)/u.unit))
		}
	}
	return p.T("duration.short")
}

// Period is an accounting period: "oktober 2026", "uke 45 i 2026" or "23. november 2026"; what
// is none stays as it is.
func (p *Printer) Period(period string) string {
	start, _, err := exports.ParsePeriod(period)
	if err != nil {
		return period
	}
	switch exports.KindOfPeriod(period) {
	case exports.ByMonth:
		return p.T("period.month", "month", p.month(start), "year", strconv.Itoa(start.Year()))
	case exports.ByWeek:
		year, week, _ := strings.Cut(period, "-W")
		return p.T("period.week", "week", strings.TrimPrefix(week, "0"), "year", year)
	}
	return p.Date(start)
}

// PeriodDays are the days of a period: "1.–31. oktober 2026"; "" if it is none.
func (p *Printer) PeriodDays(period string) string {
	start, end, err := exports.ParsePeriod(period)
	if err != nil {
		return ""
	}
	last := end.AddDate(0, 0, -1)
	day, month := strconv.Itoa(start.Day()), p.month(start)
	switch {
	case !last.After(start):
		return p.Date(start)
	case start.Year() != last.Year():
		return p.Date(start) + " – " + p.Date(last)
	case start.Month() != last.Month():
		return p.T("period.dayOfMonth", "day", day, "month", month) + " – " + p.Date(last)
	}
	return p.T("period.day", "day", day) + "–" + p.Date(last)
}
