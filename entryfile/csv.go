package entryfile

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// row is a line of a table. Its cells stay, the slice of them is used again.
type row struct {
	line  int
	cells []string
	at    []int // column of each cell
}

// rows is a table.
type rows interface {
	// next reads the next row, and returns io.EOF at the end.
	next(*row) error
	close() error
}

// csvRows reads records of a CSV file. Line ends are \n, \r\n or \r; a quote counts only at the
// beginning of a cell, blanks before it left aside.
type csvRows struct {
	b    *bufio.Reader
	sep  byte
	line int // of the next byte
	buf  []byte
	ends []int
}

func newCSVRows(in io.Reader, sep byte) *csvRows {
	return &csvRows{b: bufio.NewReaderSize(in, 1<<16), sep: sep, line: 1}
}

func (c *csvRows) close() error { return nil }

// lineEnd reports whether x, which was read, ends a line, and reads the rest of the end.
func (c *csvRows) lineEnd(x byte) bool {
	if x != '\n' && x != '\r' {
		return false
	}
	if x == '\r' {
		if next, err := c.b.Peek(1); err == nil && next[0] == '\n' {
			_, _ = c.b.Discard(1) // it is there
		}
	}
	c.line++
	return true
}

func (c *csvRows) next(r *row) error {
	if mark, err := c.b.Peek(3); err == nil && string(mark) == "\ufeff" { // also of a file that another one was put after
		_, _ = c.b.Discard(3) // of bytes that are there
	}
	r.line, r.at = c.line, append(r.at[:0], 1)
	c.buf, c.ends = c.buf[:0], c.ends[:0]
	column, length, empty := 1, 0, true // empty: nothing was read of the record
	blank, done := true, false          // blank: nothing but blanks in the cell; done: behind its closing quote
	endCell := func() {
		c.ends = append(c.ends, len(c.buf))
		blank, done = true, false
	}
	for {
		x, err := c.b.ReadByte()
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case err != nil && empty:
			return io.EOF
		case err != nil || c.lineEnd(x):
			endCell()
			r.take(c)
			return nil
		}
		empty = false
		if length++; length > maxRecord {
			return wrongf(r.line, 1, "%v; is a quote not closed? The rest of the file was not read", errLong)
		}
		switch {
		case x == c.sep:
			endCell()
			r.at = append(r.at, column+1)
		case x == '"' && blank:
			start := 0
			if len(c.ends) > 0 {
				start = c.ends[len(c.ends)-1]
			}
			c.buf = c.buf[:start]
			if err := c.quoted(r.line, &column, &length); err != nil {
				return err
			}
			blank, done = false, true
		case done && x != ' ':
			return wrongf(c.line, column, "text after a closing quote: write a quote inside a cell twice (\"\"); the rest of the file was not read")
		case done:
		default:
			blank = blank && x == ' '
			c.buf = append(c.buf, x)
		}
		if x < 0x80 || x >= 0xc0 {
			column++
		}
	}
}

// quoted reads the rest of a cell whose opening quote was read.
func (c *csvRows) quoted(first int, column, length *int) error {
	line, at := c.line, *column
	for {
		x, err := c.b.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return wrongf(line, at, "a quote is not closed; the rest of the file was not read")
		case err != nil:
			return err
		}
		if *length++; *length > maxRecord {
			return wrongf(first, 1, "%v; is a quote not closed? The rest of the file was not read", errLong)
		}
		switch {
		case x == '"':
			next, err := c.b.Peek(1)
			if err != nil || next[0] != '"' {
				*column++
				return nil
			}
			_, _ = c.b.Discard(1) // it is there
			*column++
		case c.lineEnd(x):
			x, *column = '\n', 0
		}
		c.buf = append(c.buf, x)
		if x < 0x80 || x >= 0xc0 {
			*column++
		}
	}
}

// take makes the cells of a record.
func (r *row) take(c *csvRows) {
	text, start := string(c.buf), 0
	r.cells = r.cells[:0]
	for _, end := range c.ends {
		r.cells = append(r.cells, text[start:end])
		start = end
	}
}

// separators are those that are tried.
const separators = ";,\t|"

// separatorName is a separator as people know it.
func separatorName(sep byte) string {
	return map[byte]string{';': "semicolon", ',': "comma", '\t': "tab", '|': "bar"}[sep]
}

// sepLine is the separator that a line such as sep=; names, or 0.
func sepLine(first string) byte {
	first = strings.Trim(strings.TrimPrefix(first, "\ufeff"), "\"")
	if value, ok := strings.CutPrefix(strings.ToLower(first), "sep="); ok && len(value) == 1 && strings.Contains(separators, value) {
		return value[0]
	}
	return 0
}
