// Package entryfile reads files of accounting entries as finance people have them: Excel
// workbooks, CSV as Excel and accounting systems write it, and JSON Lines.
//
// A cell alone does not say what it means: 1.234 is a thousand in one file and a little more
// than one in another, and 03/04/2026 is in March or in April. So the file decides as a whole.
// [Open] reads it once and finds the encoding, the separator, the line that names the columns,
// the decimal sign and the order of dates; [File.Reading] says what it found. [File.Entries]
// reads it again and yields entries, at constant memory. What nothing in the file decides is
// refused, with the option that decides it: this package guesses nothing that changes an amount,
// a date or an ID.
//
// Everything that is wrong is a [Problem] with its line, its column and what to do, and all of
// them are found in one go.
package entryfile

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// Format is the format of a file.
type Format string

// The formats.
const (
	FormatCSV       Format = "csv"
	FormatXLSX      Format = "xlsx"
	FormatJSONLines Format = "jsonl"
)

// Options say how to read a file where it does not say so itself. The zero value leaves
// everything to the file.
type Options struct {
	Format        Format            // "" goes by the content and the name
	Sheet         string            // of a workbook; "" is the first one that is visible
	Encoding      string            // one of Encodings; "" goes by the content
	DecimalSign   string            // "," or "."
	DateOrder     string            // DayFirst or MonthFirst
	Columns       map[string]string // our name or dimensions.NAME to the heading in the file
	ColumnsOf     string            // where Columns are from, for errors; "" is --columns
	IDFrom        []string          // our names or headings of the columns of which entry IDs are made
	IgnoreColumns bool              // leave out columns that have no name of ours
	AllowDates    bool              // also dates that mean "none", and years outside 1990 to next year
	MaxErrors     int               // that an [Error] keeps; 0 is [ShownErrors]
	Progress      func(bytes, lines int)
	Now           time.Time // for the years that are allowed; zero is the clock's
}

// ColumnsFrom takes the names of columns from an integration's file, unless there are some.
func (o *Options) ColumnsFrom(in integrations.Integration) {
	if len(o.Columns) == 0 && len(in.Export.Columns) > 0 {
		o.Columns, o.ColumnsOf = in.Export.Columns, "export.columns of "+in.Name
	}
}

// The orders of dates that are written with numbers only.
const (
	DayFirst   = "dmy"
	MonthFirst = "mdy"
)

// An OptionError is an option that cannot be.
type OptionError struct{ Option, Message string }

// Error names the option and what is wrong with it.
func (e *OptionError) Error() string { return e.Option + " " + e.Message }

func (o Options) validate() error {
	switch {
	case o.Format != "" && !slices.Contains([]Format{FormatCSV, FormatXLSX, FormatJSONLines}, o.Format):
		return &OptionError{"format", fmt.Sprintf("%q: want csv, xlsx or jsonl", o.Format)}
	case o.Encoding != "" && encodings[o.Encoding] == nil:
		return &OptionError{"encoding", fmt.Sprintf("%q: want one of %s", o.Encoding, strings.Join(Encodings(), ", "))}
	case o.DecimalSign != "" && o.DecimalSign != "," && o.DecimalSign != ".":
		return &OptionError{"decimal-sign", fmt.Sprintf("%q: want , or .", o.DecimalSign)}
	case o.DateOrder != "" && o.DateOrder != DayFirst && o.DateOrder != MonthFirst:
		return &OptionError{"date-order", fmt.Sprintf("%q: want dmy (day first) or mdy (month first)", o.DateOrder)}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Columns)) {
		if !integrations.IsEntryColumn(name) {
			return &OptionError{"columns", fmt.Sprintf("%q: want one of our names before the =: %s, dimensions.NAME", name, strings.Join(fieldNames[:], ", "))}
		}
		if plain.Trim(o.Columns[name]) == "" {
			return &OptionError{"columns", fmt.Sprintf("%q: want the heading in the file after the =", name)}
		}
	}
	return nil
}

// File is an open file of entries.
type File struct {
	name      string // for people
	o         Options
	src       *source
	format    Format
	encoding  string // of a CSV file
	separator byte
	book      workbook
	layout    layout
	reading   Reading
	warnings  []string
	before    []Problem // found by Open: every line would be wrong
	undecided []Problem // what the file leaves open; its other values are looked at
	contents  integrations.Contents
}

// Open reads how a file is to be read. in is read to its end first, into a temporary file,
// unless it is a file itself. An error is one of reading, or an *[OptionError]; what is wrong
// with the file is what [File.Entries] yields.
func Open(name string, in io.Reader, o Options) (*File, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	f := &File{name: plain.Line(name), o: o}
	src, err := spool(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.name, err)
	}
	f.src = src
	if err := f.survey(name); err != nil {
		var wrong *Problem
		if !errors.As(err, &wrong) {
			return nil, errors.Join(fmt.Errorf("%s: %w", f.name, err), src.close())
		}
		f.before = append(f.before, *wrong)
	}
	return f, nil
}

// survey finds out how to read the file. A *[Problem] ends it.
func (f *File) survey(name string) error {
	format, err := f.src.format(name, f.o.Format)
	if err != nil {
		return err
	}
	f.format, f.reading.Format = format, format
	switch format {
	case FormatXLSX:
		return f.surveyWorkbook()
	case FormatJSONLines:
		return f.surveyJSON()
	}
	return f.surveyCSV()
}

// Close removes what was stored for reading.
func (f *File) Close() error {
	return errors.Join(f.book.close(), f.src.close())
}

// place is where a cell is.
func (f *File) place(line, column int) place {
	at := place{line: line, column: column}
	if f.format == FormatXLSX {
		at.cell, _ = excelize.CoordinatesToCellName(max(1, column), max(1, line)) // "" if there is no such cell
	}
	return at
}

// Name is the file's name, for people.
func (f *File) Name() string { return f.name }

// Size is how many bytes [Options.Progress] counts to, 0 if that is not known.
func (f *File) Size() int {
	if f.format == FormatXLSX {
		return 0
	}
	return int(f.src.size)
}

// Reading says how the file is read.
func (f *File) Reading() Reading { return f.reading }

// Warnings are what a person should know, such as rows that are hidden and were read.
func (f *File) Warnings() []string { return f.warnings }

// Contents is what the entries have that [File.Entries] has yielded when it was last called, for
// what says whether exports take them.
func (f *File) Contents() integrations.Contents { return f.contents }

// Entries yields the entries of the file and, if anything is wrong with it, one *[Error] that
// has everything. After the first problem it only looks for more. It can be called again.
func (f *File) Entries(progress func(bytes, entries int)) iter.Seq2[runlog.AccountingEntry, error] {
	if progress == nil {
		progress = func(int, int) {}
	}
	return func(yield func(runlog.AccountingEntry, error) bool) {
		f.contents = integrations.Contents{}
		r := newReader(f, progress, func(e runlog.AccountingEntry, err error) bool {
			if err == nil {
				f.contents.Note(e.Currency, e.Account, e.Dimensions)
			}
			return yield(e, err)
		})
		for _, p := range append(f.before[:len(f.before):len(f.before)], f.undecided...) {
			r.add(p)
		}
		wanted, err := true, error(nil)
		if len(f.before) == 0 {
			if f.format == FormatJSONLines {
				wanted, err = r.jsonLines()
			} else {
				wanted, err = r.table()
			}
		}
		switch {
		case !wanted:
			return
		case err == nil:
			err = f.src.unchanged()
		}
		if err != nil {
			yield(runlog.AccountingEntry{}, fmt.Errorf("%s: %w", f.name, err))
			return
		}
		if r.wrong.Count == 0 && len(r.lines) == 0 {
			r.errorf(max(1, f.layout.line), 1, "no entries%s", f.otherSheets())
		}
		if r.wrong.Count > 0 {
			yield(runlog.AccountingEntry{}, r.wrong)
		}
	}
}

// Reading says how a file is read.
type Reading struct {
	Format      Format            `json:"format"`
	Encoding    string            `json:"encoding,omitempty"`        // of a CSV file
	Separator   string            `json:"separator,omitempty"`       // of a CSV file: , ; | or tab
	Sheet       string            `json:"sheet,omitempty"`           // of a workbook
	HeadingLine int               `json:"headingLine,omitempty"`     // the line that names the columns
	DecimalSign string            `json:"decimalSign,omitempty"`     // "" if no amount has one
	Grouping    string            `json:"grouping,omitempty"`        // what groups thousands: blank, point, comma or apostrophe
	DateOrder   string            `json:"dateOrder,omitempty"`       // iso, dmy, mdy or serial, as many as there are, joined by +
	Columns     map[string]string `json:"columns,omitempty"`         // our name to the heading
	LeftOut     []string          `json:"leftOut,omitempty"`         // headings of columns that are not read
	IDFrom      []string          `json:"idFrom,omitempty"`          // headings of which the entry ID is made
	Headings    []string          `json:"headings,omitempty"`        // of all columns, if none is the entry ID
	NoID        bool              `json:"noId,omitempty"`            // no column is the entry ID, and none was named to make one of
	Suggested   []string          `json:"suggestedIdFrom,omitempty"` // then, columns that tell the lines apart, if the headings say so
}

// OpenFile opens the file at a path; - is stdin.
func OpenFile(path string, stdin io.Reader, o Options) (*File, error) {
	if path == "-" {
		return Open("-", stdin, o)
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, &OptionError{"file", err.Error()}
	}
	if info, err := in.Stat(); err == nil && info.IsDir() {
		return nil, errors.Join(&OptionError{"file", fmt.Sprintf("%s is a folder: want a file", plain.Line(path))}, in.Close())
	}
	f, err := Open(path, in, o)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	f.src.closer = in
	return f, nil
}
