package statement

import (
	"encoding/csv"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/plain"
)

// ByteOrderMark comes before what [WriteCSV] writes to a file: without it, Excel reads
// UTF-8 as the code page of the computer, and Norwegian letters are lost.
const ByteOrderMark = "\ufeff"

// Dialect is how numbers and columns are written.
type Dialect struct {
	Comma   rune
	Decimal string
}

// The dialects. Excel opens a file by double click in that of the computer's region.
var (
	PointDialect = Dialect{',', "."}
	CommaDialect = Dialect{';', ","} // of Norway and most of Europe
)

// WriteCSVHeader writes the names of the columns of [WriteCSV].
func WriteCSVHeader(w io.Writer, d Dialect) error {
	return WriteRows(w, d, [][]string{{"period", "integration", "voucher", "date", "text", "currency", "amount", "entries", "state", "reason", "export"}})
}

// WriteCSV writes vouchers for a spreadsheet: a line for each voucher, state and currency, so
// that the lines of a state sum to what the period has of it. A text that a spreadsheet
// would run as a formula gets a ' before it. Amounts are numbers.
func WriteCSV(w io.Writer, d Dialect, p Period, list []Voucher) error {
	var rows [][]string
	for _, v := range list {
		for _, part := range v.parts {
			state := string(part.Outcome)
			if v.LateError && part.Outcome == exports.WasExported {
				state = "error at the vendor"
			}
			reason := part.Reason
			if v.Corrected && part.Outcome == exports.WasRefused {
				reason = corrected(reason)
			}
			for i, currency := range slices.Sorted(maps.Keys(part.Amounts)) {
				entries := ""
				if i == 0 { // of all currencies
					entries = strconv.Itoa(part.Entries)
				}
				rows = append(rows, []string{
					Safe(p.Period), Safe(p.Integration), Safe(v.VoucherID), v.Date, Safe(v.Text), Safe(currency), strings.Replace(part.Amounts[currency], ".", d.Decimal, 1),
					entries, state, Safe(reason), v.ExportID.String(),
				})
			}
		}
	}
	return WriteRows(w, d, rows)
}

// WriteRows writes rows whose texts are [Safe].
func WriteRows(w io.Writer, d Dialect, rows [][]string) error {
	c := csv.NewWriter(w)
	c.Comma = d.Comma
	return c.WriteAll(rows)
}

// Safe is a text that no spreadsheet runs, see [plain.Cell]. Characters that do not show
// are written out.
func Safe(s string) string { return plain.Line(strings.ReplaceAll(plain.Cell(s), "\t", " ")) }
