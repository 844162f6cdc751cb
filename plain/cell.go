package plain

import "strings"

// Cell is a cell of a CSV file that a spreadsheet shows and does not run: one that begins
// as a formula does, with = + - @, a tab or a line end, gets an apostrophe before it, by
// which spreadsheets know text. A number stays a number: -100.10 begins no formula.
func Cell(s string) string {
	if s == "" || number(s) || !strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0]) {
		return s
	}
	return "'" + s
}

// number reports whether s is digits with perhaps a sign before them and a decimal sign
// between them.
func number(s string) bool {
	s = strings.TrimLeft(s[:1], "+-") + s[1:]
	whole, fraction, found := strings.Cut(strings.Replace(s, ",", ".", 1), ".")
	digits := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	return digits(whole) && (!found || digits(fraction))
}
