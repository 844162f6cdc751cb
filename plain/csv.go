package plain

import (
	"regexp"
	"strings"
)

// number is what a spreadsheet may take for a number: it can do no harm.
var number = regexp.MustCompile(`^[+-]?[0-9]+([.,][0-9]+)*$`)

// Cell returns s as a cell of a CSV file that people open in a spreadsheet: one
// that would be run as a formula gets an apostrophe in front, which shows it as
// text. A formula begins with =, +, -, @ (or their full-width forms), a tab or a
// line end (OWASP, CSV Injection), also behind blanks. -5.00 stays a number.
// Quoting is encoding/csv's.
func Cell(s string) string {
	switch first := strings.TrimLeft(Trim(s), "'\""); {
	case number.MatchString(s):
		return s
	case strings.HasPrefix(s, "\t"), strings.HasPrefix(s, "\r"), strings.HasPrefix(s, "\n"), first != "" && strings.ContainsRune("=+-@＝＋－＠\t\r\n", []rune(first)[0]):
		return "'" + s
	}
	return s
}
