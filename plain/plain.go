// Package plain keeps text from doing anything but be read.
//
// Most of what Ledgerline prints was written by others: entry texts, names in
// files, answers of vendors. A terminal obeys such text: an escape sequence
// recolours, rewrites or links, a line break forges a row, a direction mark turns
// a name round. So whatever is printed passes one of these:
//
//   - [Line] for what stands on one line: a cell of a table, a value in a message
//   - [Writer] around an output, so that no caller can forget; it keeps line ends
//   - [JSON] for JSON, which stays valid and means the same
//
// What does not show is shown as an escape such as \u202e. Everything else stays
// as it is, in any script. HTML is html/template's.
//
// [Name] is the rule for what people feed in: no two names may differ only by
// what nobody sees.
//
// The package is pure: no I/O of its own, no state, standard library only.
package plain

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unseen are the characters that show nothing or turn what stands beside them:
// controls, format characters (bidi, zero-width, tags), separators of lines and
// paragraphs, private use, and what Unicode says to ignore where it is unknown.
var unseen = []*unicode.RangeTable{
	unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp,
	unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point, fillers,
}

// fillers are letters and symbols without ink that Unicode does not list as such.
var fillers = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}}}

// shows reports whether c can be printed after the character before it. An
// emoji's variation selector (U+FE0F) may follow a symbol, which is its normal use.
func shows(before, c rune) bool {
	switch {
	case c >= ' ' && c <= '~':
		return true
	case c == 0xfe0f:
		return unicode.In(before, unicode.So, unicode.Sm, unicode.Po) || before >= '0' && before <= '9'
	}
	return !unicode.In(c, unseen...)
}

// Line returns s as it can be printed on one line: what does not show becomes
// \n, \t, \u202e or \U000e0041, and a byte that is not UTF-8 becomes \xff.
func Line(s string) string {
	return escape(s, "", func(c rune, size int, raw byte) string {
		switch {
		case c == '\n':
			return `\n`
		case c == '\r':
			return `\r`
		case c == '\t':
			return `\t`
		case c == utf8.RuneError && size == 1:
			return fmt.Sprintf(`\x%02x`, raw)
		case c > 0xffff:
			return fmt.Sprintf(`\U%08x`, c)
		}
		return fmt.Sprintf(`\u%04x`, c)
	})
}

// lines is [Line] for a text of several lines: line ends and tabs stay.
func lines(s string) string {
	return escape(s, "\n\t", func(c rune, size int, raw byte) string {
		if c == utf8.RuneError && size == 1 {
			return Line(string([]byte{raw}))
		}
		return Line(string(c))
	})
}

// JSON escapes what does not show in encoded JSON. It decodes to the same value.
func JSON(encoded string) string {
	return escape(encoded, "\n\t\r", func(c rune, size int, _ byte) string {
		if c > 0xffff {
			c -= 0x10000
			return fmt.Sprintf(`\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
		}
		return fmt.Sprintf(`\u%04x`, c) // a byte that is not UTF-8 is U+FFFD, as encoding/json has it
	})
}

// escape replaces what does not show, except what is in keep.
func escape(s, keep string, as func(c rune, size int, raw byte) string) string {
	var b strings.Builder
	done := 0
	before := rune(0)
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		broken := c == utf8.RuneError && size == 1
		if broken || !shows(before, c) && !strings.ContainsRune(keep, c) {
			b.WriteString(s[done:i])
			b.WriteString(as(c, size, s[i]))
			done, c = i+size, 0
		}
		before = c
		i += size
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// Writer passes everything through [lines]. Each write is a text of its own: a
// character that is split over two writes is shown as its bytes.
type Writer struct{ Raw io.Writer }

// Write implements [io.Writer].
func (w Writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.Raw, lines(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// JSONWriter passes everything through [JSON], for a log of JSON lines. Each write
// is a line.
type JSONWriter struct{ Raw io.Writer }

// Write implements [io.Writer].
func (w JSONWriter) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.Raw, JSON(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Clip returns the first n characters of s, the last of them … if there are more.
func Clip(s string, n int) string {
	last := 0
	for i := range s {
		switch n--; {
		case n == 0:
			last = i
		case n < 0:
			return s[:last] + "…"
		}
	}
	return s
}
