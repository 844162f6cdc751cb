// Package entryfile reads files of accounting entries.
package entryfile

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// Columns are the names of the columns of a file.
var Columns = []string{"entry_id", "voucher_id", "entry_date", "account", "amount", "currency", "text", "dimensions"}

// required are the columns that must be there.
var required = Columns[:5]

const (
	MaxErrors    = 20      // of a file that are shown
	maxErrorText = 400     // characters of one
	maxRecord    = 1 << 20 // bytes of one entry in a file
	maxName      = 200     // characters of an ID or account
	maxText      = 500     // characters of a text: what is stored of it
)

// Error is everything that is wrong with a file.
type Error struct{ error }

// Unwrap returns the errors of the file.
func (f Error) Unwrap() error { return f.error }

// cell is a value in a file and its place; columns count bytes from 1.
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

// entryReader turns cells into entries and collects what is wrong. It keeps 20
// bytes for each entry, to notice a duplicate, and nothing else.
type entryReader struct {
	name     string
	errs     []error            // the first MaxErrors
	more     int                // errors that are not in errs
	lines    map[[16]byte]int32 // by hash of the entry's ID
	read     int                // bytes
	progress func(bytes, entries int)
	yield    func(runlog.AccountingEntry, error) bool
}

// errorf adds an error of the file.
func (r *entryReader) errorf(line, column int, format string, args ...any) {
	if len(r.errs) == MaxErrors {
		r.more++
		return
	}
	text := plain.Line(plain.Clip(fmt.Sprintf(format, args...), maxErrorText))
	r.errs = append(r.errs, fmt.Errorf("%s:%d:%d: %s", r.name, line, column, text))
}

// Format is the format of a file; "" goes by its name or its first character.
type Format string

// The formats.
const (
	FormatCSV       Format = "csv"
	FormatJSONLines Format = "jsonl"
)

// Read yields the entries of a file and, if anything is wrong with it, one
// error that lists everything as "file:line:column: what; want what". After the first
// error it only looks for more.
func Read(name string, format Format, in io.Reader, progress func(bytes, entries int)) iter.Seq2[runlog.AccountingEntry, error] {
	return func(yield func(runlog.AccountingEntry, error) bool) {
		r := &entryReader{name: plain.Line(name), lines: make(map[[16]byte]int32), progress: progress, yield: yield}
		b := bufio.NewReaderSize(byteCounter{in, &r.read}, maxRecord)
		if mark, err := b.Peek(3); err == nil && string(mark) == "\ufeff" {
			_, _ = b.Discard(3) // of bytes that are there
		}
		if format == "" {
			format = formatOf(name, b)
		}
		read := r.csv
		if format == FormatJSONLines {
			read = r.jsonLines
		}
		wanted, err := read(b)
		switch {
		case !wanted:
			return
		case err != nil:
			yield(runlog.AccountingEntry{}, err)
			return
		case len(r.errs) == 0 && len(r.lines) == 0:
			r.errorf(1, 1, "no entries")
		}
		if r.more > 0 {
			r.errs = append(r.errs, fmt.Errorf("%s: and %d more", r.name, r.more))
		}
		if len(r.errs) > 0 {
			yield(runlog.AccountingEntry{}, Error{errors.Join(r.errs...)})
		}
	}
}

// formatOf goes by a file's name, else by its first character.
func formatOf(name string, b *bufio.Reader) Format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		return FormatCSV
	case ".jsonl", ".ndjson":
		return FormatJSONLines
	}
	start, _ := b.Peek(512) // what there is, also of a short file
	if start = bytes.TrimLeft(start, " \t\r\n"); len(start) > 0 && start[0] == '{' {
		return FormatJSONLines
	}
	return FormatCSV
}

type byteCounter struct {
	io.Reader
	n *int
}

func (c byteCounter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += n
	return n, err
}

var (
	decimal  = regexp.MustCompile(`^-?\d{1,18}(\.\d{1,2})?$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

// entry checks the cells of an entry and yields it if the file has no error so far. It
// returns false if the caller wants no more.
func (r *entryReader) entry(line, column int, cells map[string]cell) bool {
	get := func(name, want string, ok func(string) bool) string {
		c := cells[name]
		if c.line == 0 {
			c.line, c.column = line, column
		}
		return r.value(name, c, want, ok)
	}
	e := runlog.AccountingEntry{
		EntryID:   get("entry_id", "a name of at most 200 characters", short),
		VoucherID: get("voucher_id", "a name of at most 200 characters", short),
		Account:   get("account", "an account of at most 200 characters", short),
		Amount:    get("amount", "a decimal number such as -1250.50, with at most two places", decimal.MatchString),
		Currency:  get("currency", "three letters such as NOK", currency.MatchString),
	}
	get("entry_date", "a date such as 2026-10-31", func(s string) (ok bool) {
		var err error
		e.Date, err = time.Parse(time.DateOnly, s)
		return err == nil
	})
	e.Text = get("text", "at most 500 characters", func(s string) bool { return utf8.RuneCountInString(s) <= maxText })
	e.Dimensions = r.dimensions(cells["dimensions"])
	if e.Currency == "" {
		e.Currency = "NOK"
	}
	if e.EntryID != "" {
		sum := sha256.Sum256([]byte(e.EntryID))
		key := [16]byte(sum[:16])
		at := cells["entry_id"]
		if first, twice := r.lines[key]; twice {
			r.errorf(at.line, at.column, "duplicate entry_id %q (first on line %d)", plain.Clip(e.EntryID, 60), first)
		} else {
			r.lines[key] = int32(line)
		}
	}
	if n := len(r.lines); n%1000 == 0 {
		r.progress(r.read, n)
	}
	return len(r.errs) > 0 || r.yield(e, nil)
}

// value checks a cell and returns its text.
func (r *entryReader) value(name string, c cell, want string, ok func(string) bool) string {
	switch {
	case c.kind == cellAbsent || c.text == "" && c.kind == cellText:
		if slices.Contains(required, name) {
			r.errorf(c.line, c.column, "%s is missing: want %s", name, want)
		}
		return ""
	case c.kind != cellText && !(c.kind == cellNumber && name == "amount"):
		r.errorf(c.line, c.column, "%s is %s: want a text: %s", name, c.kind.withArticle(), want)
		return ""
	}
	bad := plain.Text(c.text) // a text may have more characters than a name
	if name != "text" {
		bad = cmp.Or(bad, plain.Seen(c.text))
	}
	if bad != nil {
		r.errorf(c.line, c.column, "%s %v: want it without", name, bad)
	} else if !ok(c.text) {
		r.errorf(c.line, c.column, "%s %q: want %s", name, plain.Clip(c.text, 60), want)
	}
	return c.text
}

// dimensions reads an object of texts.
func (r *entryReader) dimensions(c cell) map[string]string {
	if c.kind == cellAbsent || c.kind == cellText && c.text == "" {
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
			r.errorf(c.line, at.column, "duplicate dimension %s", plain.Clip(m.name, 60))
		case invisible != nil:
			r.errorf(c.line, at.column, "dimensions.%q %v: want names and values without", plain.Clip(name, 60), invisible)
		case name == "" || !short(name) || !short(at.text):
			r.errorf(c.line, at.column, "dimensions.%q: want names and values of at most 200 characters", plain.Clip(name, 60))
		}
		out[name] = at.text
	}
	return out
}

func short(s string) bool { return utf8.RuneCountInString(s) <= maxName }
