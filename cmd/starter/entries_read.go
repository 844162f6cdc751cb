package main

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
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

var entryColumns = []string{"entry_id", "voucher_id", "entry_date", "account", "amount", "currency", "text", "dimensions"}

// required are the columns that must be there.
var required = entryColumns[:5]

const (
	maxFaults = 20      // of a file that are shown
	maxFault  = 400     // characters of one
	maxRecord = 1 << 20 // bytes of one entry in a file
	maxName   = 200     // characters of an ID or account
	maxText   = 500     // characters of a text: what is stored of it
)

// fileFaults is everything that is wrong with a file.
type fileFaults struct{ error }

func (f fileFaults) Unwrap() error { return f.error }

// cell is a value in a file and where it stands; columns count bytes from 1.
type cell struct {
	text         string
	fields       []member // of a JSON object
	kind         string   // text, number, object; "" if it is not there
	line, column int
}

// entryReader turns cells into entries and collects what is wrong. It keeps 20
// bytes for each entry, to notice one that comes twice, and nothing else.
type entryReader struct {
	name   string
	faults []error // the first maxFaults
	more   int
	lines  map[[16]byte]int32 // by hash of the entry's ID
	read   int                // bytes
	tell   func(bytes, entries int)
	yield  func(runlog.AccountingEntry, error) bool
}

func (r *entryReader) fault(line, column int, format string, args ...any) {
	if len(r.faults) == maxFaults {
		r.more++
		return
	}
	text := plain.Line(plain.Clip(fmt.Sprintf(format, args...), maxFault))
	r.faults = append(r.faults, fmt.Errorf("%s:%d:%d: %s", r.name, line, column, text))
}

// readEntries yields the entries of a file and, if anything is wrong with it,
// one error that names everything as "file:line:column: what; want what".
// From the first fault on it only looks for more. format is csv, jsonl, or ""
// to go by the name and then the first character.
func readEntries(name, format string, in io.Reader, tell func(bytes, entries int)) iter.Seq2[runlog.AccountingEntry, error] {
	return func(yield func(runlog.AccountingEntry, error) bool) {
		r := &entryReader{name: plain.Line(name), lines: make(map[[16]byte]int32), tell: tell, yield: yield}
		b := bufio.NewReaderSize(counter{in, &r.read}, maxRecord)
		if mark, err := b.Peek(3); err == nil && string(mark) == "\ufeff" {
			_, _ = b.Discard(3) // of bytes that are there
		}
		if format == "" {
			format = formatOf(name, b)
		}
		read := r.csv
		if format == "jsonl" {
			read = r.jsonLines
		}
		goOn, err := read(b)
		switch {
		case !goOn:
			return
		case err != nil:
			yield(runlog.AccountingEntry{}, err)
			return
		case len(r.faults) == 0 && len(r.lines) == 0:
			r.fault(1, 1, "no entries")
		}
		if r.more > 0 {
			r.faults = append(r.faults, fmt.Errorf("%s: and %d more", r.name, r.more))
		}
		if len(r.faults) > 0 {
			yield(runlog.AccountingEntry{}, fileFaults{errors.Join(r.faults...)})
		}
	}
}

// formatOf goes by a file's name, else by its first character.
func formatOf(name string, b *bufio.Reader) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		return "csv"
	case ".jsonl", ".ndjson":
		return "jsonl"
	}
	start, _ := b.Peek(512) // what there is, also of a short file
	if start = bytes.TrimLeft(start, " \t\r\n"); len(start) > 0 && start[0] == '{' {
		return "jsonl"
	}
	return "csv"
}

type counter struct {
	io.Reader
	n *int
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += n
	return n, err
}

var (
	decimal  = regexp.MustCompile(`^-?\d{1,18}(\.\d{1,2})?$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

// entry checks the cells of an entry and yields it if nothing is wrong with the
// file so far. It returns false if nobody wants more.
func (r *entryReader) entry(line, column int, cells map[string]cell) bool {
	get := func(name, want string, ok func(string) bool) string {
		c := cells[name]
		switch {
		case c.kind == "" || c.text == "" && c.kind == "text":
			if slices.Contains(required, name) {
				at := c
				if at.line == 0 {
					at.line, at.column = line, column
				}
				r.fault(at.line, at.column, "%s is missing: want %s", name, want)
			}
			return ""
		case c.kind != "text" && !(c.kind == "number" && name == "amount"):
			r.fault(c.line, c.column, "%s is a %s: want a text: %s", name, c.kind, want)
			return ""
		}
		bad := unclean(c.text) // of a text, which says more than a name
		if name != "text" {
			if err := plain.Seen(c.text); err != nil {
				bad = err.Error()
			}
		}
		if bad != "" {
			r.fault(c.line, c.column, "%s %s: want it without", name, bad)
		} else if !ok(c.text) {
			r.fault(c.line, c.column, "%s %q: want %s", name, clip(c.text, 60), want)
		}
		return c.text
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
			r.fault(at.line, at.column, "entry_id %q stands here twice; first in line %d", clip(e.EntryID, 60), first)
		} else {
			r.lines[key] = int32(line)
		}
	}
	if n := len(r.lines); n%1000 == 0 {
		r.tell(r.read, n)
	}
	return len(r.faults) > 0 || r.yield(e, nil)
}

// dimensions reads an object of texts.
func (r *entryReader) dimensions(c cell) map[string]string {
	if c.kind == "" || c.kind == "text" && c.text == "" {
		return nil
	}
	if c.kind != "object" {
		r.fault(c.line, c.column, `dimensions: want a JSON object of texts such as {"department": "10"}`)
		return nil
	}
	out := make(map[string]string)
	for _, m := range c.fields {
		at := m.cell
		name, wrong := plain.Name(m.name)
		_, twice := out[name]
		invisible := cmp.Or(wrong, plain.Seen(at.text))
		switch {
		case at.kind == "":
			continue // null
		case at.kind != "text":
			r.fault(c.line, at.column, "dimensions.%s is a %s: want a text", clip(m.name, 60), at.kind)
		case twice:
			r.fault(c.line, at.column, "dimensions.%s stands here twice", clip(m.name, 60))
		case invisible != nil:
			r.fault(c.line, at.column, "dimensions.%q %v: want names and values without", clip(name, 60), invisible)
		case name == "" || !short(name) || !short(at.text):
			r.fault(c.line, at.column, "dimensions.%q: want names and values of at most 200 characters", clip(name, 60))
		}
		out[name] = at.text
	}
	return out
}

func short(s string) bool { return utf8.RuneCountInString(s) <= maxName }

// unclean says which character keeps the text of an entry from being stored, and
// where in it: one that is not UTF-8, controls something, or turns the
// direction of what follows.
func unclean(s string) string {
	n := 0
	for i, c := range s {
		n++
		switch {
		case c == utf8.RuneError:
			return fmt.Sprintf("is not valid UTF-8 at its byte %d", i+1)
		case unicode.IsControl(c) || unicode.In(c, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			return fmt.Sprintf("has the control character %U at its character %d", c, n)
		}
	}
	return ""
}
