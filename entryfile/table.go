package entryfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ledgerline/ledgerline/plain"
)

var errLong = fmt.Errorf("an entry of more than %d bytes", maxRecord)

// table reads a CSV file or a sheet. It returns false if the caller wants no more.
func (r *reader) table() (wanted bool, err error) {
	in, at, err := r.f.open()
	if err != nil {
		return true, err
	}
	defer in.close()
	r.at = at
	for next := (row{}); ; {
		err := in.next(&next)
		var wrong *Problem
		switch {
		case errors.As(err, &wrong):
			r.add(*wrong)
			return true, nil
		case err != nil:
			if isEnd(err) {
				err = nil
			}
			return true, err
		case next.line <= r.f.layout.line || blankRow(&next) || r.f.isHeading(&next):
			continue
		}
		if !r.readRow(&next) {
			return false, nil
		}
	}
}

// firstText is the first cell of a row that has something, without blanks around it.
func firstText(in *row) string {
	for _, text := range in.cells {
		if text = trimBlanks(text); text != "" {
			return text
		}
	}
	return ""
}

// readRow reads a row of a table.
func (r *reader) readRow(in *row) (wanted bool) {
	r.row = in
	l := &r.f.layout
	for i := len(l.headings); i < len(in.cells); i++ {
		if trimBlanks(in.cells[i]) != "" {
			r.errorf(in.line, in.at[i], "%d values for %d columns%s", len(in.cells), len(l.headings), r.quote())
			return true
		}
	}
	var cells [fieldCount]cell
	for c := range fieldCount {
		i := l.column[c]
		if i < 0 || i >= len(in.cells) {
			continue
		}
		at := cell{text: in.cells[i], kind: cellText, line: in.line, column: in.at[i]}
		if c == fText || c == fDimensions {
			at.text = trimBlanks(at.text)
		} else {
			at.text = bare(at.text)
		}
		if at.text != "" {
			at.kind = r.f.book.kindOf(in.line, c)
		}
		cells[c] = at
	}
	if r.notAnEntry(in, &cells) {
		return true
	}
	r.readDimensions(&cells[fDimensions])
	if len(l.idFrom) > 0 {
		cells[fEntryID].text = r.rawParts(in)
	}
	return r.entry(in.line, in.at[0], &cells, r.ownColumns(in))
}

// quote is the remedy for a row with too many values.
func (r *reader) quote() string {
	if r.f.format == FormatXLSX {
		return ""
	}
	return fmt.Sprintf("; quote a value that has a %s inside", separatorName(r.f.separator))
}

// notAnEntry reports lines that people put below or between entries.
func (r *reader) notAnEntry(in *row, cells *[fieldCount]cell) bool {
	empty := func(list ...field) bool {
		for _, c := range list {
			if !cells[c].empty() {
				return false
			}
		}
		return true
	}
	switch {
	case !empty(fVoucherID, fAccount) && !empty(fVoucherID, fDate, fEntryID):
		return false
	case !empty(fAmount, fDebit, fCredit) && empty(fEntryID, fVoucherID):
		for _, c := range []field{fAmount, fDebit, fCredit} {
			if !cells[c].empty() {
				r.errorf(in.line, cells[c].column, "%s %q without an entry ID and a voucher: if the line is a total, delete it", fieldNames[c], plain.Clip(cells[c].text, 60))
				break
			}
		}
		return true
	case empty(fAmount, fDebit, fCredit, fDate, fVoucherID):
		for i, text := range in.cells {
			if text = oneLine(trimBlanks(text)); text != "" {
				r.errorf(in.line, in.at[i], "the line is no entry, it has only %q: delete it", plain.Clip(text, 60))
				return true
			}
		}
	}
	return false
}

// readDimensions reads the JSON object of a dimensions cell.
func (r *reader) readDimensions(c *cell) {
	if c.empty() {
		return
	}
	fields, bad := members([]byte(c.text))
	if bad != nil {
		r.errorf(c.line, c.column, `dimensions: not a JSON object: %v; want one such as {"department": "10"}`, bad)
		c.text = ""
		return
	}
	for i := range fields {
		fields[i].column = c.column // quotes inside are doubled: the cell is the place
	}
	c.kind, c.fields = cellObject, fields
}

// ownColumns reads the dimensions that have columns of their own.
func (r *reader) ownColumns(in *row) (out map[string]string) {
	for _, d := range r.f.layout.dimensions {
		if d.column >= len(in.cells) {
			continue
		}
		value := bare(in.cells[d.column])
		if value == "" {
			continue
		}
		err := visible(value, false)
		if err == nil {
			err = name(value)
		}
		switch {
		case errors.Is(err, errWant):
			r.errorf(in.line, in.at[d.column], "%s%s: want at most %d characters", dimensionPrefix, d.name, maxName)
		case err != nil:
			r.errorf(in.line, in.at[d.column], "%s%s %q %v", dimensionPrefix, d.name, plain.Clip(value, 60), err)
		}
		if out == nil {
			out = make(map[string]string)
		}
		out[d.name] = value
	}
	return out
}

// rawParts are the values of the columns of --id-from that have no name of ours.
func (r *reader) rawParts(in *row) string {
	var out []string
	for _, p := range r.f.layout.idFrom {
		if p.column < 0 {
			continue
		}
		value := ""
		if p.column < len(in.cells) {
			value = bare(in.cells[p.column])
		}
		err := visible(value, false)
		if err == nil && value != "" {
			err = name(value)
		}
		if err != nil {
			r.errorf(in.line, in.at[min(p.column, len(in.at)-1)], "%s %q cannot be a part of an entry ID: it %v", plain.Clip(r.f.layout.headings[p.column], 60), plain.Clip(value, 60), err)
		}
		out = append(out, value)
	}
	return strings.Join(out, "\x00")
}

// bare is a value without blanks around it and without what programs put before a value so that a
// spreadsheet takes it for text: '1920 and ="1920".
func bare(s string) string {
	s = trimBlanks(s)
	if len(s) < 2 {
		return s
	}
	if s[0] == '\'' && strings.IndexByte("0123456789+-=@", s[1]) >= 0 {
		return s[1:]
	}
	if inner, ok := strings.CutPrefix(s, `="`); ok && strings.HasSuffix(inner, `"`) {
		return trimBlanks(inner[:len(inner)-1])
	}
	return s
}
