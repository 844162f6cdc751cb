package plain

import "strings"

// Cell is a text in a CSV file that a spreadsheet shows and does not run: one that begins
// as a formula does, with = + - @, a tab or a line end, also behind blanks, gets an
// apostrophe before it, by which spreadsheets know text. It is not for numbers.
func Cell(s string) string {
	begin := strings.TrimLeft(s, " \u00a0\u3000")
	if begin == "" || !strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(begin)[0]) {
		return s
	}
	return "'" + s
}
