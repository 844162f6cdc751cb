package entryfile

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	yearFirst = regexp.MustCompile(`^(\d{4})([-/.])(\d{1,2})([-/.])(\d{1,2})$`)
	yearLast  = regexp.MustCompile(`^(\d{1,2})([-/.])(\d{1,2})([-/.])(\d{4})\.?$`)
	shortYear = regexp.MustCompile(`^\d{1,2}[-/. ]\d{1,2}[-/. ]\d{2}$`)
	clock     = regexp.MustCompile(`^\d{1,2}[:.]\d\d([:.]\d\d([.,]\d+)?)?(Z|[+-]\d\d:?\d\d)?$`)
	midnight  = regexp.MustCompile(`^00?[:.]00([:.]00([.,]0+)?)?Z?$`)
)

var errDate = errors.New("want a date such as 2026-10-31 or 31.10.2026")

// dates reads the dates of a file.
type dates struct {
	order    string // DayFirst, MonthFirst or ""
	from1904 bool
	allow    bool
	now      time.Time
	known    map[dateCell]time.Time
}

// dateCell is a date in a file. Only what a workbook stores as a number can be a number of days.
type dateCell struct {
	text   string
	number bool
}

// untimed takes a time of 00:00:00 off a date.
func untimed(s string) (string, error) {
	at := strings.IndexAny(s, "T ")
	if at < 0 || !clock.MatchString(strings.TrimSpace(s[at+1:])) || shortYear.MatchString(s) {
		return s, nil
	}
	if !midnight.MatchString(strings.TrimSpace(s[at+1:])) {
		return s, errors.New("has a time of day: want the date alone, such as 2026-10-31")
	}
	return s[:at], nil
}

// dateForm is how a date is written.
type dateForm string

const (
	formISO    dateForm = "iso"
	formDay    dateForm = "dmy"
	formMonth  dateForm = "mdy"
	formOpen   dateForm = "?"      // day or month may be first
	formEither dateForm = "either" // both are the same
	formSerial dateForm = "serial"
	formNone   dateForm = ""
)

// form is how a date is written, as far as it says so itself.
func (d *dates) form(c dateCell) dateForm {
	s, err := untimed(c.text)
	m := yearLast.FindStringSubmatch(s)
	switch {
	case err != nil:
		return formNone
	case yearFirst.MatchString(s) || len(s) == 8 && onlyDigits(s):
		return formISO
	case c.number && storedNumber(s):
		return formSerial
	case m == nil:
		return formNone
	}
	first, _ := strconv.Atoi(m[1])
	second, _ := strconv.Atoi(m[3])
	switch {
	case first > 12:
		return formDay
	case second > 12:
		return formMonth
	case first == second:
		return formEither
	case m[2] == ".": // nobody writes the month first with points
		return formDay
	}
	return formOpen
}

// parse reads a date.
func (d *dates) parse(s string, number bool) (time.Time, error) {
	c := dateCell{s, number}
	if t, ok := d.known[c]; ok {
		return t, nil
	}
	t, err := d.read(c)
	if err != nil {
		return t, err
	}
	if year := t.Year(); !d.allow && (year < 1990 || year > d.now.Year()+1) {
		return t, fmt.Errorf("is in the year %d, and dates before 1990 and after %d mostly mean none: correct it, or add --allow-dates", year, d.now.Year()+1)
	}
	if len(d.known) < 10_000 {
		d.known[c] = t
	}
	return t, nil
}

func (d *dates) read(c dateCell) (t time.Time, err error) {
	if spreadsheetError(c.text) {
		return t, errSpreadErr
	}
	text, err := untimed(c.text)
	if err != nil {
		return t, err
	}
	if m := yearFirst.FindStringSubmatch(text); m != nil && m[2] == m[4] {
		return calendar(m[1], m[3], m[5])
	}
	if m := yearLast.FindStringSubmatch(text); m != nil && m[2] == m[4] {
		if d.order == MonthFirst {
			return calendar(m[5], m[1], m[3])
		}
		return calendar(m[5], m[3], m[1])
	}
	switch {
	case len(text) == 8 && onlyDigits(text):
		return calendar(text[:4], text[4:6], text[6:])
	case shortYear.MatchString(text):
		return t, errors.New("has a year of two digits: want all four, such as 31.10.2026")
	case c.number && storedNumber(text):
		return d.serial(text)
	case len(text) == 5 && onlyDigits(text):
		return t, errors.New("is a spreadsheet's number of a date: format the column as a date, and save again")
	}
	return t, errDate
}

func calendar(year, month, day string) (time.Time, error) {
	y, _ := strconv.Atoi(year)
	m, _ := strconv.Atoi(month)
	n, _ := strconv.Atoi(day)
	t := time.Date(y, time.Month(m), n, 0, 0, 0, 0, time.UTC)
	if y < 1 || t.Year() != y || int(t.Month()) != m || t.Day() != n {
		return t, errors.New("is no day of the calendar: " + errDate.Error())
	}
	return t, nil
}

// serial reads a workbook's number of a day: from 1 January 1904, or from 31 December 1899 with a
// 29 February 1900 that never was.
func (d *dates) serial(s string) (time.Time, error) {
	days, err := strconv.ParseFloat(s, 64)
	whole := math.Round(days)
	switch {
	case err != nil || days < 0 || days > 2_958_465:
		return time.Time{}, errDate
	case math.Abs(days-whole) > 1e-6:
		return time.Time{}, errors.New("has a time of day: want the date alone")
	case d.from1904:
		return time.Date(1904, 1, 1+int(whole), 0, 0, 0, 0, time.UTC), nil
	case whole < 60:
		return time.Date(1899, 12, 31+int(whole), 0, 0, 0, 0, time.UTC), nil
	}
	return time.Date(1899, 12, 30+int(whole), 0, 0, 0, 0, time.UTC), nil
}
