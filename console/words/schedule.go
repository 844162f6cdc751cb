package words

import (
	"slices"
	"strconv"
	"time"

	"github.com/ledgerline/ledgerline/integrations"
)

// mostTimes are how many times of a day are named one by one.
const mostTimes = 4

// Schedule is when an integration exports by itself: "on day 3 of each month at 06:30", with
// the time zone if it is not the printer's.
func (p *Printer) Schedule(s integrations.Schedule) string {
	c, err := s.Calendar()
	if err != nil {
		return p.T("schedule.never")
	}
	text := p.times(c, p.days(c))
	if s.TimeZone != p.zone.String() {
		text = p.T("schedule.zone", "schedule", text, "zone", s.TimeZone)
	}
	return text
}

// days are the days of a calendar. It never names both days of the month and of the week.
func (p *Printer) days(c integrations.Calendar) string {
	var months []string
	for _, m := range c.Months {
		months = append(months, p.T("month."+strconv.Itoa(m)))
	}
	if len(c.Days) > 0 {
		var list []string
		for _, d := range c.Days {
			list = append(list, p.T("schedule.day", "day", strconv.Itoa(d)))
		}
		if len(months) > 0 {
			return p.T("schedule.daysIn", "n", len(list), "list", p.List(list), "months", p.List(months))
		}
		return p.T("schedule.days", "n", len(list), "list", p.List(list))
	}
	days := p.T("schedule.everyDay")
	switch {
	case slices.Equal(c.Weekdays, []int{1, 2, 3, 4, 5}):
		days = p.T("schedule.workdays")
	case len(c.Weekdays) > 0:
		var list []string
		for d := range 7 {
			if day := (d + 1) % 7; slices.Contains(c.Weekdays, day) { // Monday first
				list = append(list, p.Weekday(time.Weekday(day)))
			}
		}
		days = p.T("schedule.weekdays", "list", p.List(list))
	}
	if len(months) > 0 {
		return p.T("schedule.in", "days", days, "months", p.List(months))
	}
	return days
}

// times adds to the days of a calendar when it fires on them.
func (p *Printer) times(c integrations.Calendar, days string) string {
	switch {
	case len(c.Hours)*len(c.Minutes) <= mostTimes:
		var list []string
		for _, h := range c.Hours {
			for _, m := range c.Minutes {
				list = append(list, p.clock(h, m))
			}
		}
		return p.T("schedule.at", "days", days, "times", p.List(list))
	case len(c.Hours) == 24 && len(c.Minutes) == 1 && c.Minutes[0] == 0:
		return p.T("schedule.onTheHour", "days", days)
	case len(c.Hours) == 24 && len(c.Minutes) == 1:
		return p.T("schedule.hourly", "days", days, "n", c.Minutes[0])
	}
	return p.T("schedule.often", "days", days)
}
