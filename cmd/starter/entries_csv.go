package main

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

// csv reads a file whose first line names the columns. It returns false if
// nobody wants more.
func (r *entryReader) csv(b *bufio.Reader) (goOn bool, err error) {
	source := &recordReader{Reader: b, left: maxRecord}
	in := csv.NewReader(source)
	in.FieldsPerRecord, in.ReuseRecord = -1, true
	head, err := in.Read()
	if err != nil && !errors.Is(err, io.EOF) {
		return true, r.csvError(1, err)
	}
	var names []string
	for i, name := range head {
		line, column := in.FieldPos(i)
		name = strings.ToLower(plain.Trim(name))
		switch {
		case !slices.Contains(entryColumns, name):
			r.errorf(line, column, "column %q; known are %s", clip(name, 60), strings.Join(entryColumns, ", "))
		case slices.Contains(names, name):
			r.errorf(line, column, "column %s stands here twice", name)
		}
		names = append(names, name)
	}
	for _, name := range required {
		if !slices.Contains(names, name) {
			r.errorf(1, 1, "column %s is missing; the first line must name it", name)
		}
	}
	if len(r.errs) > 0 {
		return true, nil // every line would be wrong
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
			c := cell{text: plain.Trim(value), kind: "text", line: line, column: column}
			if names[i] == "dimensions" && c.text != "" {
				fields, bad := members([]byte(c.text))
				if bad != nil {
					r.errorf(line, column, `dimensions: not a JSON object: %v; want one such as {"department": "10"}`, bad)
					c.text = ""
				} else {
					c.kind = "object"
					for j := range fields {
						fields[j].column = column // quotes inside are doubled: the cell is the place
					}
					c.fields = fields
				}
			}
			cells[names[i]] = c
		}
		if !r.entry(line, column, cells) {
			return false, nil
		}
	}
}

// csvError is a fault of the file after which the rest cannot be read, or an
// error of reading.
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

// recordReader ends with an error when one entry takes too much, so that a quote that
// is not closed does not bring the whole file into memory.
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
