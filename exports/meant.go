package exports

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// months are the names of the months, Norwegian and English. Three letters of one are enough.
var months = [12][2]string{
	{"januar", "january"}, {"februar", "february"}, {"mars", "march"}, {"april", "april"}, {"mai", "may"}, {"juni", "june"},
	{"juli", "july"}, {"august", "august"}, {"september", "september"}, {"oktober", "october"}, {"november", "november"}, {"desember", "december"},
}

// forms are how people write periods that [ParsePeriod] does not read: a month by its name
// ("oktober", "okt 2026", "2026 October"), by its number ("10/2026", "10.2026", "2026/10",
// "2026-9"), a day ("31.10.2026"), and a week ("uke 45", "W45 2026", "2026W45").
var forms = []*regexp.Regexp{
	regexp.MustCompile(`^(?P<name>\pL{3,})[. -]*(?P<year>(\d\d)?\d\d)?$`),
	regexp.MustCompile(`^(?P<year>\d{4})[ -]*(?P<name>\pL{3,})\.?$`),
	regexp.MustCompile(`^(?P<month>\d{1,2})[./ -](?P<year>\d{4})$`),
	regexp.MustCompile(`^(?P<year>\d{4})[./ -](?P<month>\d{1,2})$`),
	regexp.MustCompile(`^(?P<year>20\d\d)(?P<month>\d{2})$`),
	regexp.MustCompile(`^(?P<day>\d{1,2})[./](?P<month>\d{1,2})[./](?P<year>\d{4})$`),
	regexp.MustCompile(`^(?:uke|week|w|u)[ .-]*(?P<week>\d{1,2})(?:[ ,./-]+(?P<year>\d{4}))?$`),
	regexp.MustCompile(`^(?P<year>\d{4})[ -]*(?:uke|week|w|u)[ -]*(?P<week>\d{1,2})$`),
}

// MeantPeriod is the period that a text may mean which [ParsePeriod] does not read, in the
// form to write: 2026-10 for "oktober" and "10/2026". It is "" if there is none. Without a
// year it is the last such month, or week, that has begun; today is the date.
func MeantPeriod(s string, today time.Time) string {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, form := range forms {
		found := form.FindStringSubmatch(s)
		if found == nil {
			continue
		}
		part := make(map[string]string)
		for i, name := range form.SubexpNames() {
			part[name] = found[i]
		}
		if period := written(part, today); period != "" {
			return period
		}
	}
	return ""
}

// written makes a period of its parts; "" if it is none.
func written(part map[string]string, today time.Time) (period string) {
	number := func(name string) int {
		n, _ := strconv.Atoi(part[name])
		return n
	}
	year := number("year")
	if len(part["year"]) == 2 {
		year += 2000
	}
	format, of := "%04d-%02d", number("month")
	switch {
	case part["week"] != "":
		format, of = "%04d-W%02d", number("week")
	case part["name"] != "":
		if of = monthNamed(part["name"]); of == 0 {
			return ""
		}
	case part["day"] != "":
		format += fmt.Sprintf("-%02d", number("day"))
	}
	for _, y := range []int{year, year - 1} {
		if part["year"] == "" {
			y += today.Year()
		}
		period = fmt.Sprintf(format, y, of)
		start, _, err := ParsePeriod(period)
		if part["year"] != "" || err == nil && !start.After(today) {
			if err != nil {
				return ""
			}
			return period
		}
	}
	return ""
}

// monthNamed is the number of a month, of which the name may be cut short; 0 if it is none.
func monthNamed(name string) int {
	for i, names := range months {
		if strings.HasPrefix(names[0], name) || strings.HasPrefix(names[1], name) {
			return i + 1
		}
	}
	return 0
}
