package entryfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/plain"
)

// jsonLines reads a file with a JSON object in each line. It returns false if the caller
// wants no more.
func (r *reader) jsonLines() (wanted bool, err error) {
	read := 0
	b := bufio.NewReaderSize(counted(r.f.src.reader(), &read), maxRecord)
	r.at = func() int { return read }
	if mark, err := b.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = b.Discard(3) // of bytes that are there
	}
	for line := 1; ; line++ {
		text, err := b.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			r.errorf(line, 1, "%v: shorten it, or delete it; the rest of the file was not read", errLong)
			return true, nil
		case err != nil && !errors.Is(err, io.EOF):
			return true, err
		}
		if trimmed := bytes.TrimRight(text, "\r\n"); len(bytes.TrimSpace(trimmed)) > 0 && !r.jsonLine(line, trimmed) {
			return false, nil
		}
		if err != nil {
			return true, nil
		}
	}
}

func (r *reader) jsonLine(line int, text []byte) (wanted bool) {
	if !utf8.Valid(text) {
		at := 0
		for size := 0; ; at += size {
			var c rune
			if c, size = utf8.DecodeRune(text[at:]); c == utf8.RuneError && size == 1 {
				break
			}
		}
		r.errorf(line, at+1, "not valid UTF-8: save the file as UTF-8")
		return true
	}
	fields, bad := members(text)
	if bad != nil {
		r.errorf(line, bad.at+1, "%v; want one JSON object in a line", bad)
		return true
	}
	var cells [fieldCount]cell
	first := 1 + bytes.IndexByte(text, '{')
	for _, m := range fields {
		m.line = line
		switch c := field(slices.Index(Columns, m.name)); {
		case c < 0:
			r.errorf(line, m.key, "unknown field %q; want one of %s", plain.Clip(m.name, 60), strings.Join(Columns, ", "))
		case cells[c].line > 0:
			r.errorf(line, m.key, "duplicate field %s: write it once", m.name)
		default:
			cells[c] = m.cell
		}
	}
	return r.entry(line, first, &cells, nil)
}

// jsonAmount is an amount in JSON, which programs write.
var jsonAmount = regexp.MustCompile(`^-?\d{1,18}(\.\d{1,2})?$`)

// member is a member of a JSON object. Its columns count bytes in the text.
type member struct {
	name string
	key  int // column of the name
	cell
}

// jsonError is an error in JSON, at a byte of it, from 0.
type jsonError struct {
	at   int
	what string
}

func (m *jsonError) Error() string { return m.what }

func newJSONError(text []byte, err error) *jsonError {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return &jsonError{max(0, int(syntax.Offset)-1), syntax.Error()}
	}
	return &jsonError{len(text), "it ends too early"}
}

// members reads a JSON object. Numbers stay as they are written, to the digit.
func members(text []byte) ([]member, *jsonError) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	// next is where the next token begins.
	next := func() int {
		at := int(d.InputOffset())
		for at < len(text) && strings.IndexByte(" \t\r\n:,", text[at]) >= 0 {
			at++
		}
		return at
	}
	start, err := d.Token()
	if err != nil {
		return nil, newJSONError(text, err)
	}
	if start != json.Delim('{') {
		return nil, &jsonError{0, "not an object"}
	}
	var out []member
	for d.More() {
		m := member{key: next() + 1}
		name, err := d.Token()
		if err != nil {
			return nil, newJSONError(text, err)
		}
		m.name = name.(string) // the decoder accepts nothing else as a name
		m.column = next() + 1
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, newJSONError(text, err)
		}
		if bad := m.read(value); bad != nil {
			return nil, bad
		}
		out = append(out, m)
	}
	if _, err := d.Token(); err != nil {
		return nil, newJSONError(text, err)
	}
	if rest := bytes.TrimLeft(text[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, &jsonError{len(text) - len(rest), "text after the object"}
	}
	return out, nil
}

// read sets the member to a value.
func (m *member) read(value json.RawMessage) *jsonError {
	switch value[0] {
	case '"':
		m.kind = cellText
		if err := json.Unmarshal(value, &m.text); err != nil {
			return newJSONError(value, err)
		}
		m.text = plain.Trim(m.text)
	case '{':
		m.kind = cellObject
		inner, bad := members(value)
		if bad != nil {
			return bad
		}
		for i := range inner {
			inner[i].column += m.column - 1
		}
		m.fields = inner
	case '[':
		m.kind = cellList
	case 't', 'f':
		m.kind = cellBoolean
	case 'n':
	default:
		m.kind, m.text = cellNumber, string(value)
	}
	return nil
}
