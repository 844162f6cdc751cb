package entryfile

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ledgerline/ledgerline/plain"
)

func isEnd(err error) bool { return errors.Is(err, io.EOF) }

func (f *File) surveyJSON() error {
	for option, given := range map[string]bool{cmp.Or(f.o.ColumnsOf, "--columns"): len(f.o.Columns) > 0, "--id-from": len(f.o.IDFrom) > 0, "--sheet": f.o.Sheet != "", "--encoding": f.o.Encoding != "" && f.o.Encoding != "utf-8"} {
		if given {
			return wrongf(1, 1, "%s is for CSV and workbooks; JSON Lines are UTF-8 and have our names", option)
		}
	}
	f.reading.Encoding = "UTF-8"
	f.layout.dates = f.newDates()
	return nil
}

func (f *File) newDates() *dates {
	return &dates{order: f.o.DateOrder, allow: f.o.AllowDates, now: f.o.Now, known: make(map[dateCell]time.Time)}
}

// surveyCSV finds the encoding and the separator, which is the one that finds the most columns.
func (f *File) surveyCSV() (err error) {
	if f.o.Sheet != "" {
		return wrongf(1, 1, "--sheet is for workbooks, and the file is CSV: leave it out")
	}
	encoding := f.o.Encoding
	if encoding == "" {
		if encoding, err = f.src.encoding(); err != nil {
			return err
		}
	}
	begin := f.src.begin(3)
	mark := bytes.HasPrefix(begin, []byte("\ufeff")) || bytes.HasPrefix(begin, []byte("\xff\xfe")) || bytes.HasPrefix(begin, []byte("\xfe\xff"))
	f.encoding, f.reading.Encoding = encoding, encodingName(encoding, mark)
	text := bufio.NewReaderSize(f.src.text(encoding), 1<<16)
	first, _ := text.Peek(64)
	first, _, _ = bytes.Cut(bytes.ReplaceAll(first, []byte("\r"), []byte("\n")), []byte("\n"))
	candidates := separators
	if sep := sepLine(string(first)); sep != 0 {
		candidates = string(sep)
	}
	var best row
	most, wide := -1, 0
	var failed error
	for _, sep := range []byte(candidates) {
		heading, n, err := f.o.heading(newCSVRows(f.src.text(encoding), sep))
		var wrong *Problem
		switch {
		case errors.As(err, &wrong):
			if failed == nil || sep == ',' {
				failed = err
			}
			continue
		case err != nil:
			return err
		}
		if heading.line == 0 {
			return f.surveyTable(heading, 0)
		}
		if n > most || n == most && len(heading.cells) > wide {
			best, most, wide, f.separator = heading, n, len(heading.cells), sep
		}
	}
	if most < 0 {
		return failed
	}
	f.reading.Separator = separatorName(f.separator)
	return f.surveyTable(best, most)
}

// open begins to read the table, with a function for how far it is.
func (f *File) open() (rows, func() int, error) {
	if f.format == FormatXLSX {
		in, err := f.book.open()
		return in, func() int { return 0 }, err
	}
	n := new(int)
	return newCSVRows(counted(f.src.text(f.encoding), n), f.separator), func() int { return *n }, nil
}

// surveyTable reads the whole table for what decides how its values are read.
func (f *File) surveyTable(heading row, score int) error {
	switch {
	case heading.line == 0:
		return wrongf(1, 1, "no entries: the file has nothing but blanks%s", f.otherSheets())
	case score < 2:
		p := problemf(f.place(heading.line, 1), "no line of the first %d names the columns: want one with %s, or headings that stand for them (see docs/entry-files.md), or --columns; the first line is %s",
			headingRows, strings.Join(fieldNames[:required+1], ", "), f.list(heading.cells))
		return &p
	}
	f.columnsOf(heading)
	f.layout.dates = f.newDates()
	if f.format == FormatXLSX {
		f.layout.dates.from1904 = f.book.from1904
		if err := f.readTypes(); err != nil {
			return err
		}
	}
	in, at, err := f.open()
	if err != nil {
		return err
	}
	defer in.close()
	s := sighting{f: f, values: make([]int, len(heading.cells)), forms: make(map[dateCell]dateForm), found: make(map[dateForm]place), signs: make(map[byte]place), texts: make(map[byte]string), groups: make(map[byte]bool)}
	var r row
	for n := 0; ; n++ {
		if err := in.next(&r); err != nil {
			var wrong *Problem
			if isEnd(err) || errors.As(err, &wrong) { // the second reading has it too
				break
			}
			return err
		}
		if n%1000 == 0 {
			f.o.Progress(at(), n)
		}
		if r.line > f.layout.line && !blankRow(&r) && !f.isHeading(&r) {
			s.row(&r)
		}
	}
	s.decide()
	if sheet, ok := in.(*sheetRows); ok && sheet.hidden > 0 {
		f.warnings = append(f.warnings, fmt.Sprintf("%d hidden rows of sheet %s were read too: delete those that are not to be imported", sheet.hidden, f.book.sheet))
	}
	return nil
}

// sighting is what was seen of a table's values.
type sighting struct {
	f      *File
	values []int // by column, how many there are
	forms  map[dateCell]dateForm
	found  map[dateForm]place // the first of each
	signs  map[byte]place     // the first of each evidence
	texts  map[byte]string
	groups map[byte]bool
	open   string // the date of found[formOpen]
}

func (s *sighting) row(r *row) {
	l := &s.f.layout
	for i := range min(len(r.cells), len(s.values)) {
		if trimBlanks(r.cells[i]) != "" {
			s.values[i]++
		}
	}
	for _, c := range []field{fAmount, fDebit, fCredit} {
		if i := l.column[c]; i >= 0 && i < len(r.cells) {
			s.amount(bare(r.cells[i]), s.f.book.kindOf(r.line, c), r.line, r.at[i])
		}
	}
	i := l.column[fDate]
	if i < 0 || i >= len(r.cells) {
		return
	}
	text := bare(r.cells[i])
	date := dateCell{text, s.f.book.kindOf(r.line, fDate) == cellNumber}
	form, known := s.forms[date]
	if !known {
		if form = l.dates.form(date); len(s.forms) < 10_000 {
			s.forms[date] = form
		}
	}
	if _, known := s.found[form]; !known {
		s.found[form] = s.f.place(r.line, r.at[i])
		if form == formOpen {
			s.open = text
		}
	}
}

func (s *sighting) amount(text string, kind cellKind, line, column int) {
	if text == "" || kind == cellNumber && storedNumber(text) {
		return
	}
	sign := evidence(text)
	for _, c := range text {
		if group := groupSign(c); group != 0 {
			s.groups[group] = true
		}
	}
	if _, known := s.signs[sign]; sign != 0 && !known {
		s.signs[sign], s.texts[sign] = s.f.place(line, column), text
	}
}

// decide says how amounts and dates are read, or what does not say so.
func (s *sighting) decide() {
	f, l := s.f, &s.f.layout
	_, point := s.signs['.']
	_, comma := s.signs[',']
	open, isOpen := s.signs['?']
	signs := map[string]byte{".": '.', ",": ','}
	switch {
	case f.o.DecimalSign != "":
		l.decimal = signs[f.o.DecimalSign]
	case point && comma:
		l.openAmount = true
		later, earlier := byte('.'), byte(',')
		if s.signs[later].line < s.signs[earlier].line {
			later, earlier = earlier, later
		}
		f.laterf(s.signs[later], "amount %q has another decimal sign than %q on line %d: write all amounts the same way, or add --decimal-sign , or --decimal-sign . to find the others",
			plain.Clip(s.texts[later], 60), plain.Clip(s.texts[earlier], 60), s.signs[earlier].line)
	case point:
		l.decimal = '.'
	case comma:
		l.decimal = ','
	case isOpen:
		l.openAmount = true
		text := s.texts['?']
		sign, other := ".", ","
		if strings.Contains(text, ",") {
			sign, other = other, sign
		}
		f.laterf(open, "amount %q can be %s or %s, and no amount of the file decides it: add --decimal-sign %s if its %s groups thousands, or --decimal-sign %s if it is the decimal sign",
			plain.Clip(text, 60), strings.ReplaceAll(plain.Clip(text, 60), sign, ""), strings.ReplaceAll(plain.Clip(text, 60), sign, "."), other, map[string]string{".": "point", ",": "comma"}[sign], sign)
	default:
		l.decimal = '.'
	}
	if point || comma || f.o.DecimalSign != "" {
		f.reading.DecimalSign = string(rune(l.decimal))
	}
	names := []string{}
	for _, g := range []struct {
		sign byte
		name string
	}{{' ', "blank"}, {'\'', "apostrophe"}, {'.', "point"}, {',', "comma"}} {
		if s.groups[g.sign] && g.sign != l.decimal && !l.openAmount {
			names = append(names, g.name)
		}
	}
	f.reading.Grouping = strings.Join(names, "+")
	s.decideDates()
	s.leftOut()
}

func (s *sighting) decideDates() {
	f, l := s.f, &s.f.layout
	day, isDay := s.found[formDay]
	month, isMonth := s.found[formMonth]
	open, isOpen := s.found[formOpen]
	switch {
	case l.dates.order != "":
	case isDay && isMonth:
		l.openDate = true
		if day.line > month.line {
			day, month = month, day
		}
		f.laterf(month, "the date has another order of day and month than the one on line %d: write all dates the same way, or add --date-order dmy or --date-order mdy to find the others", day.line)
	case isMonth:
		l.dates.order = MonthFirst
	case isDay:
		l.dates.order = DayFirst
	case isOpen:
		l.openDate = true
		f.laterf(open, "date %q can have the day or the month first, and no date of the file decides it: add --date-order dmy or --date-order mdy", plain.Clip(s.open, 60))
	default:
		l.dates.order = DayFirst // of what is the same either way
	}
	var names []string
	for _, form := range []dateForm{formISO, formSerial} {
		if _, ok := s.found[form]; ok {
			names = append(names, string(form))
		}
	}
	_, either := s.found[formEither]
	if !l.openDate && (isDay || isMonth || isOpen || either) {
		names = append(names, l.dates.order)
	}
	f.reading.DateOrder = strings.Join(names, "+")
}

// leftOut names the columns that have values and no name of ours.
func (s *sighting) leftOut() {
	f, l := s.f, &s.f.layout
	for i, n := range s.values {
		name := l.headings[i]
		switch {
		case l.used[i] || n == 0:
			continue
		case f.o.IgnoreColumns:
			f.reading.LeftOut = append(f.reading.LeftOut, orUntitled(name, i))
		case name == "":
			f.beforef(l.line, l.at[i], "column %d has values (%d) and no heading: give it one, or add --ignore-columns to leave it out", i+1, n)
		default:
			f.beforef(l.line, l.at[i], "unknown column %q (%d values): add --columns NAME=%s, where NAME is one of %s, dimensions.…; or --ignore-columns to leave it out", plain.Clip(name, 60), n, plain.Clip(name, 60), strings.Join(fieldNames[:], ", "))
		}
	}
	slices.Sort(f.reading.LeftOut)
}

func orUntitled(name string, i int) string {
	if name == "" {
		return fmt.Sprintf("column %d", i+1)
	}
	return name
}

// laterf adds a problem that leaves the rest of the file to be looked at.
func (f *File) laterf(at place, format string, args ...any) {
	f.undecided = append(f.undecided, problemf(at, format, args...))
}

// isHeading reports whether a row is the heading again, as at the top of a printed page.
func (f *File) isHeading(r *row) bool {
	i := slices.IndexFunc(f.layout.headings, func(h string) bool { return h != "" })
	if i < 0 || i >= len(r.cells) || headingText(r.cells[i]) != f.layout.headings[i] {
		return false
	}
	for i, cell := range r.cells {
		if text := headingText(cell); i >= len(f.layout.headings) && text != "" || i < len(f.layout.headings) && text != f.layout.headings[i] {
			return false
		}
	}
	return true
}

type byteCounter struct {
	io.Reader
	n *int
}

func counted(in io.Reader, n *int) io.Reader { return byteCounter{in, n} }

func (c byteCounter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += n
	return n, err
}
