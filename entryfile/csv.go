package entryfile

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/plain"
)

// csv reads a file whose first line names the columns. It returns false if the caller
// wants no more.
func (r *entryReader) csv(b *bufio.Reader) (wanted bool, err error) {
	source := &recordReader{Reader: b, left: maxRecord}
	in := csv.NewReader(source)
	in.FieldsPerRecord, in.ReuseRecord = -1, true
	names, err := r.csvHead(in)
	if err != nil || len(r.errs) > 0 {
		return true, err // every line would be wrong
	}
	for line := 1; ; {
		source.left = maxRecord
		values, err := in.Read()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, r.csvError(line+1, err)
		}
		var column int
		line, column = in.FieldPos(0)
		if len(values) > len(names) {
			line, column := in.FieldPos(len(names))
			r.errorf(line, column, "%d values for %d columns; quote a value that has a comma inside", len(values), len(names))
			continue
		}
		cells := make(map[string]cell, len(names))
		for i, value := range values {
			line, column := in.FieldPos(i)
			cells[names[i]] = r.csvCell(names[i], cell{text: plain.Trim(value), kind: cellText, line: line, column: column})
		}
		if !r.entry(line, column, cells) {
			return false, nil
		}
	}
}

// csvHead reads the names of the columns.
func (r *entryReader) csvHead(in *csv.Reader) (names []string, err error) {
	head, err := in.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, r.csvError(1, err)
	}
	for i, name := range head {
		line, column := in.FieldPos(i)
		name = strings.ToLower(plain.Trim(name))
		switch {
		case !slices.Contains(Columns, name):
			r.errorf(line, column, "unknown column %q; want one of %s", plain.Clip(name, 60), strings.Join(Columns, ", "))
		case slices.Contains(names, name):
			r.errorf(line, column, "duplicate column %s", name)
		}
		names = append(names, name)
	}
	for _, name := range required {
		if !slices.Contains(names, name) {
			r.errorf(1, 1, "column %s is missing; the first line must name it", name)
		}
	}
	return names, nil
}

// csvCell reads the JSON object of a dimensions cell.
func (r *entryReader) csvCell(name string, c cell) cell {
	if name != "dimensions" || c.text == "" {
		return c
	}
	fields, bad := members([]byte(c.text))
	if bad != nil {
		r.errorf(c.line, c.column, `dimensions: not a JSON object: %v; want one such as {"department": "10"}`, bad)
		c.text = ""
		return c
	}
	for i := range fields {
		fields[i].column = c.column // quotes inside are doubled: the cell is the place
	}
	c.kind, c.fields = cellObject, fields
	return c
}

// csvError adds an error of the file after which the rest cannot be read, or returns
// one of reading it.
func (r *entryReader) csvError(line int, err error) error {
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		r.errorf(parse.Line, parse.Column, "%v; the rest of the file was not read", parse.Err)
	case errors.Is(err, errLong):
		r.errorf(line, 1, "%v; is a quote not closed? The rest of the file was not read", errLong)
	default:
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return nil
}

var errLong = fmt.Errorf("an entry of more than %d bytes", maxRecord)

// recordReader ends with an error when one entry is too long, so that a quote that is
// not closed does not bring the whole file into memory.
type recordReader struct {
	io.Reader
	left int
}

func (r *recordReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errLong
	}
	n, err := r.Reader.Read(p)
	r.left -= n
	return n, err
}
