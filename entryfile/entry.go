package entryfile

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// cell is a value in a file and its place.
type cell struct {
	text         string
	fields       []member // of a JSON object
	kind         cellKind
	line, column int
}

// cellKind is the type of a value.
type cellKind string

const (
	cellAbsent  cellKind = "" // or null
	cellText    cellKind = "text"
	cellNumber  cellKind = "number"
	cellBoolean cellKind = "boolean"
	cellObject  cellKind = "object"
	cellList    cellKind = "list"
)

// withArticle is the kind in a sentence.
func (k cellKind) withArticle() string {
	if k == cellObject {
		return "an object"
	}
	return "a " + string(k)
}

func (c *cell) empty() bool { return c.kind == cellAbsent || c.text == "" && c.kind == cellText }

// reader turns cells into entries and collects what is wrong. It keeps 20 bytes for each entry,
// to notice a duplicate, and nothing else.
type reader struct {
	f        *File
	wrong    *Error
	most     int                // problems that are kept
	lines    map[[16]byte]int32 // by hash of the entry's ID
	at       func() int         // bytes that were read
	progress func(bytes, entries int)
	yield    func(runlog.AccountingEntry, error) bool
	row      *row // of a table, that is being read
}

func newReader(f *File, progress func(bytes, entries int), yield func(runlog.AccountingEntry, error) bool) *reader {
	return &reader{f: f, wrong: &Error{File: f.name}, most: cmp.Or(f.o.MaxErrors, ShownErrors), lines: make(map[[16]byte]int32),
		at: func() int { return 0 }, progress: progress, yield: yield}
}

func (r *reader) add(p Problem) {
	if r.wrong.Count++; len(r.wrong.Problems) < r.most {
		r.wrong.Problems = append(r.wrong.Problems, p)
	}
}

// errorf adds a problem.
func (r *reader) errorf(line, column int, format string, args ...any) {
	if len(r.wrong.Problems) >= r.most {
		r.wrong.Count++
		return
	}
	r.add(problemf(r.f.place(line, column), format, args...))
}

// entry checks the cells of an entry and yields it if nothing is wrong so far. It returns false
// if the caller wants no more.
func (r *reader) entry(line, column int, cells *[fieldCount]cell, dimensions map[string]string) bool {
	l := &r.f.layout
	get := func(c field, want string, check func(string) error) string {
		if cells[c].line == 0 {
			cells[c].line, cells[c].column = line, column
		}
		return r.value(c, &cells[c], want, check)
	}
	e := runlog.AccountingEntry{
		VoucherID: get(fVoucherID, "a name of at most 200 characters", name),
		Account:   get(fAccount, "an account of at most 200 characters", account),
		Amount:    r.amount(cells, get),
	}
	get(fCurrency, "three letters such as NOK", func(s string) error {
		if r.f.format != FormatJSONLines {
			s = strings.ToUpper(s)
		}
		e.Currency = s
		return currency(s)
	})
	get(fDate, "a date such as 2026-10-31", func(s string) (err error) {
		if l.openDate {
			return nil
		}
		if _, err := time.Parse(time.DateOnly, s); err != nil && r.f.format == FormatJSONLines {
			return errWant
		}
		e.Date, err = l.dates.parse(s, cells[fDate].kind == cellNumber)
		return err
	})
	e.Text = get(fText, "at most 500 characters", func(s string) error { return unless(utf8.RuneCountInString(s) <= maxText) })
	e.Dimensions = r.dimensions(cells[fDimensions])
	for name, value := range dimensions {
		if e.Dimensions == nil {
			e.Dimensions = make(map[string]string)
		}
		e.Dimensions[name] = value
	}
	e.Currency = cmp.Or(e.Currency, "NOK")
	if len(r.f.o.IDFrom) == 0 {
		e.EntryID = get(fEntryID, "a name of at most 200 characters", name)
	} else {
		e.EntryID = r.makeID(&e, cells[fEntryID].text)
		cells[fEntryID].line, cells[fEntryID].column = line, column
	}
	if e.EntryID != "" {
		sum := sha256.Sum256([]byte(e.EntryID))
		key := [16]byte(sum[:16])
		at := cells[fEntryID]
		switch first, twice := r.lines[key]; {
		case twice && len(r.f.o.IDFrom) > 0:
			r.errorf(at.line, at.column, "the entry ID of %s is the one of line %d too, %q: add to --id-from a column in which the two differ, and if there is none, one that numbers the lines", strings.Join(r.f.reading.IDFrom, ", "), first, plain.Clip(e.EntryID, 60))
		case twice:
			r.errorf(at.line, at.column, "duplicate entry_id %q (first on line %d): each entry has one of its own; delete the line, or correct the ID%s", plain.Clip(e.EntryID, 60), first, r.perVoucher())
		default:
			r.lines[key] = int32(line)
		}
	}
	if n := len(r.lines); n%1000 == 0 {
		r.progress(r.at(), n)
	}
	return r.wrong.Count > 0 || r.yield(e, nil)
}

// perVoucher says what to do if the column of IDs numbers the lines of each voucher.
func (r *reader) perVoucher() string {
	if r.f.format == FormatJSONLines {
		return ""
	}
	l := &r.f.layout
	return "; if the column numbers the lines of each voucher, take --id-from voucher_id," + plain.Clip(l.headings[l.column[fEntryID]], 30)
}

// amount is amount, or debit less credit.
func (r *reader) amount(cells *[fieldCount]cell, get func(field, string, func(string) error) string) string {
	const want = "a decimal number such as -1250.50, with at most two places"
	one := func(c field) (out string) {
		get(c, want, func(s string) (err error) {
			out, err = r.readAmount(s, cells[c].kind)
			return err
		})
		return out
	}
	if r.f.layout.column[fDebit] < 0 || r.f.format == FormatJSONLines {
		return one(fAmount)
	}
	debit, credit := &cells[fDebit], &cells[fCredit]
	if debit.empty() && credit.empty() {
		r.errorf(debit.line, debit.column, "debit and credit are both empty: want one of them")
		return ""
	}
	d, c := one(fDebit), one(fCredit)
	switch {
	case !isZero(d) && !isZero(c):
		r.errorf(debit.line, debit.column, "debit %s and credit %s: want one of them", d, c)
	case !isZero(c):
		if rest, negative := strings.CutPrefix(c, "-"); negative {
			return rest
		}
		return "-" + c
	case d == "" && c != "":
		return c
	}
	return d
}

func (r *reader) readAmount(s string, kind cellKind) (string, error) {
	l := &r.f.layout
	switch {
	case r.f.format == FormatJSONLines:
		if !jsonAmount.MatchString(s) {
			return "", errWant
		}
		out, _, err := parseAmount(s, '.')
		return out, err
	case r.f.format == FormatXLSX && kind == cellNumber && storedNumber(s):
		return storedAmount(s)
	case l.openAmount:
		return "", nil
	}
	out, _, err := parseAmount(s, l.decimal)
	return out, err
}

// makeID makes an entry's ID of the values of --id-from, as they were understood, joined by /. A
// value's own / and % are written %2F and %25; what would be too long is replaced by its hash.
func (r *reader) makeID(e *runlog.AccountingEntry, raw string) string {
	others := strings.Split(raw, "\x00")
	var parts []string
	any := false
	for _, p := range r.f.layout.idFrom {
		var value string
		switch p.field {
		case fVoucherID:
			value = e.VoucherID
		case fDate:
			value = e.Date.Format(time.DateOnly)
		case fAccount:
			value = e.Account
		case fAmount:
			value = TwoPlaces(e.Amount)
		case fCurrency:
			value = e.Currency
		case fText:
			value = e.Text
		default:
			value, others = others[0], others[min(1, len(others)-1):]
		}
		any = any || value != ""
		parts = append(parts, idEscape.Replace(value))
	}
	id := strings.Join(parts, "/")
	switch {
	case !any || e.VoucherID == "" && e.Account == "":
		return ""
	case utf8.RuneCountInString(id) > maxName:
		sum := sha256.Sum256([]byte(id))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	return id
}

var idEscape = strings.NewReplacer("/", "%2F", "%", "%25")

// value checks a cell and returns its text.
func (r *reader) value(c field, at *cell, want string, check func(string) error) string {
	label := fieldNames[c]
	switch {
	case at.empty():
		if c <= required {
			r.errorf(at.line, at.column, "%s is missing: want %s%s", label, want, r.whyMissing(c))
		}
		return ""
	case at.kind != cellText && !(at.kind == cellNumber && (c == fAmount || r.f.format == FormatXLSX)):
		r.errorf(at.line, at.column, "%s is %s: want a text: %s", label, at.kind.withArticle(), want)
		return ""
	}
	if c == fText && r.f.format != FormatJSONLines {
		at.text = oneLine(at.text)
	}
	if err := visible(at.text, c == fText); err != nil && !(c == fAmount || c == fDebit || c == fCredit) {
		r.errorf(at.line, at.column, "%s %v: want it without", label, err)
		return at.text
	}
	switch err := check(at.text); {
	case err == nil:
	case errors.Is(err, errWant):
		r.errorf(at.line, at.column, "%s %q: want %s", label, plain.Clip(at.text, 60), want)
	case strings.HasPrefix(err.Error(), "want "):
		r.errorf(at.line, at.column, "%s %q: %v", label, plain.Clip(at.text, 60), err)
	default:
		r.errorf(at.line, at.column, "%s %q %v", label, plain.Clip(at.text, 60), err)
	}
	return at.text
}

// totals are what people write before a total, in lower case.
var totals = []string{"sum", "total", "totalt", "sum total", "saldo"}

// whyMissing is a word on an empty cell: the row may be a total, or the cell of a workbook merged
// with another.
func (r *reader) whyMissing(c field) string {
	if r.row != nil && slices.Contains(totals, strings.ToLower(strings.TrimRight(firstText(r.row), ": "))) {
		return "; it looks like a total: delete the row"
	}
	if r.f.format == FormatXLSX && c != fAmount {
		return "; if the cell is merged with the one above, unmerge them and fill it in"
	}
	return ""
}

// errWant is the error of a value that is not what is wanted.
var errWant = errors.New("want something else")

func unless(ok bool) error {
	if ok {
		return nil
	}
	return errWant
}

// visible is what plain says of a text; a text for people may have more characters than a name.
func visible(s string, text bool) error {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			if err := plain.Text(s); text || err != nil {
				return err
			}
			return plain.Seen(s)
		}
	}
	return nil
}

// oneLine puts a blank for line ends and tabs.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n\t") {
		return s
	}
	return trimBlanks(strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ").Replace(s))
}

func short(s string) bool { return len(s) <= maxName || utf8.RuneCountInString(s) <= maxName }

// nothing are words that programs write for no value.
var nothing = map[string]bool{"null": true, "nan": true, "none": true, "n/a": true, "#n/a": true, "undefined": true, "(blank)": true, "(tom)": true}

// name checks an ID.
func name(s string) error {
	switch {
	case !short(s):
		return errWant
	case exponent(s):
		return errors.New("is what a spreadsheet makes of a long number; its digits are lost: format the column as text, and export again")
	case spreadsheetError(s):
		return errSpreadErr
	case len(s) < 12 && nothing[strings.ToLower(s)]:
		return errors.New("stands for no value: want a name")
	}
	return nil
}

// account checks an account, which is a name that spreadsheets take for a number.
func account(s string) error {
	if at := strings.IndexAny(s, ".,"); at > 0 && onlyDigits(s[:at]) && strings.Trim(s[at+1:], "0") == "" {
		return fmt.Errorf("is what a program makes of the number %s: format the column as text, or as a number without decimals", s[:at])
	}
	return name(s)
}

func currency(s string) error {
	if len(s) != 3 {
		return errWant
	}
	for i := range 3 {
		if s[i] < 'A' || s[i] > 'Z' {
			return errWant
		}
	}
	return nil
}

// dimensions reads an object of texts.
func (r *reader) dimensions(c cell) map[string]string {
	if c.empty() {
		return nil
	}
	if c.kind != cellObject {
		r.errorf(c.line, c.column, `dimensions: want a JSON object of texts such as {"department": "10"}`)
		return nil
	}
	out := make(map[string]string)
	for _, m := range c.fields {
		at := m.cell
		name, wrong := plain.Name(m.name)
		_, twice := out[name]
		invisible := cmp.Or(wrong, plain.Seen(at.text))
		switch {
		case at.kind == cellAbsent:
			continue
		case at.kind != cellText:
			r.errorf(c.line, at.column, "dimensions.%s is %s: want a text", plain.Clip(m.name, 60), at.kind.withArticle())
		case twice:
			r.errorf(c.line, at.column, "duplicate dimension %s: write it once", plain.Clip(m.name, 60))
		case invisible != nil:
			r.errorf(c.line, at.column, "dimensions.%q %v: want names and values without", plain.Clip(name, 60), invisible)
		case name == "" || !short(name) || !short(at.text):
			r.errorf(c.line, at.column, "dimensions.%q: want names and values of at most 200 characters", plain.Clip(name, 60))
		}
		out[name] = at.text
	}
	return out
}
