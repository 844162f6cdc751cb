package redact

import (
	"bytes"
	"html"
	"strconv"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/internal/lazy"
)

// unescape takes off one layer of percent signs, entities, backslashes and
// markup, and folds letters of full width and the like. It reports whether there was any.
func unescape(v view) (out view, changed bool) {
	for i := 0; i < len(v.b); {
		r, size, single := rune(0), 0, false
		if c := v.b[i]; c == '%' || c == '&' || c == '\\' || c == '<' || c == '\x1b' || c >= utf8.RuneSelf && c != brk {
			r, size, single = escape(v.b[i:])
		}
		if size == 0 {
			if changed {
				from, to := v.place(i)
				out.add(from, to, v.b[i])
			}
			i++
			continue
		}
		if !changed {
			changed = true
			out = v.head(i)
		}
		from, _ := v.place(i)
		_, to := v.place(i + size - 1)
		if single {
			out.add(from, to, byte(r))
		} else {
			out.rune(from, to, r)
		}
		i += size
	}
	return out, changed
}

// escape reads the escape with which b begins: what it stands for, whether that
// is a byte and not a character, and its length, 0 if there is none.
func escape(b []byte) (r rune, size int, single bool) {
	switch c := b[0]; {
	case c == '%' && len(b) > 1 && b[1] == 'u':
		if r, ok := number(b, 2, 4, 16); ok {
			return r, 6, false
		}
	case c == '%':
		if r, ok := number(b, 1, 2, 16); ok {
			return r, 3, true
		}
	case c == '&':
		return entity(b)
	case c == '\\':
		return backslash(b)
	case c == '<' || c == '\x1b':
		return '\n', len(markup().Find(b[:min(len(b), 16)])), true
	case c >= utf8.RuneSelf:
		r, size := utf8.DecodeRune(b)
		if plain := fold(r); plain != r {
			return plain, size, false
		}
	}
	return 0, 0, false
}

// markup stands within a text and is no part of it: a short tag, such as <br>
// and </b>, or a terminal's control sequence.
var markup = lazy.Regexp(`^(?:</?[A-Za-z]{1,6}[1-6]?\s*/?>|\x1b\[[0-9;?]*[ -/]*[@-~])`)

func backslash(b []byte) (r rune, size int, single bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	switch b[1] {
	case 'x':
		if r, ok := number(b, 2, 2, 16); ok {
			return r, 4, true
		}
	case 'u':
		if r, ok := number(b, 2, 4, 16); ok {
			if low, ok := number(b, 8, 4, 16); ok && r>>10 == 0xd800>>10 && low>>10 == 0xdc00>>10 && b[6] == '\\' && b[7] == 'u' {
				return 0x10000 + (r&0x3ff)<<10 + low&0x3ff, 12, false
			}
			return r, 6, false
		}
		if end := bytes.IndexByte(b[:min(len(b), 12)], '}'); end > 3 && b[2] == '{' {
			if r, ok := number(b, 3, end-3, 16); ok {
				return r, end + 1, false
			}
		}
	case 'U':
		if r, ok := number(b, 2, 8, 16); ok {
			return r, 10, false
		}
	case '0', '1', '2', '3':
		if r, ok := number(b, 1, 3, 8); ok {
			return r, 4, true
		}
	case 'a', 'b', 'f', 'n', 'r', 't', 'v':
		return '\n', 2, true
	case '\\', '/', '"', '\'':
		return rune(b[1]), 2, true
	}
	return 0, 0, false
}

// entity reads &#100; &#x64; &amp; and the like. A number may lack its
// semicolon.
func entity(b []byte) (r rune, size int, single bool) {
	end := 1
	for end < min(len(b), 34) && (isWordByte(b[end]) || b[end] == '#') {
		end++
	}
	if end < len(b) && b[end] == ';' {
		end++
	} else if end < 3 || b[1] != '#' {
		return 0, 0, false
	}
	decoded := html.UnescapeString(string(b[:end]))
	r, n := utf8.DecodeRuneInString(decoded)
	if r == '&' && n < len(decoded) || r == utf8.RuneError {
		return 0, 0, false
	}
	return r, end - (len(decoded) - n), false
}

// number reads digits of a base at b[at:at+digits].
func number(b []byte, at, digits, base int) (rune, bool) {
	if at+digits > len(b) || !isHex(b[at]) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[at:at+digits]), base, 32)
	return rune(n), err == nil && n <= utf8.MaxRune
}

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// fold returns the plain form of a letter, digit or sign of full width, in a
// mathematical alphabet or in a circle.
func fold(r rune) rune {
	switch {
	case r >= '！' && r <= '～':
		return r - '！' + '!'
	case r >= 0x1d400 && r < 0x1d6a4:
		r = (r - 0x1d400) % 52
		if r < 26 {
			return 'A' + r
		}
		return 'a' + r - 26
	case r >= 0x1d7ce && r <= 0x1d7ff:
		return '0' + (r-0x1d7ce)%10
	case r >= 'Ⓐ' && r <= 'Ⓩ':
		return r - 'Ⓐ' + 'A'
	case r >= 'ⓐ' && r <= 'ⓩ':
		return r - 'ⓐ' + 'a'
	}
	return r
}

// quotedPrintable takes off =XX and the line breaks that it puts in. It is a
// view of its own, because = stands before values too.
func quotedPrintable(v view) (out view, changed bool) {
	for i := max(0, bytes.IndexByte(v.b, '=')); i < len(v.b); i++ {
		c, size := byte(0), 0
		if v.b[i] == '=' {
			c, size = softBreak(v.b[i:])
		}
		if size > 0 && !changed {
			changed = true
			out = v.head(i)
		}
		if size > 0 {
			from, _ := v.place(i)
			_, to := v.place(i + size - 1)
			if c != 0 {
				out.add(from, to, c)
			}
			i += size - 1
		} else if changed {
			from, to := v.place(i)
			out.add(from, to, v.b[i])
		}
	}
	return out, changed
}

// softBreak reads =XX, or = at a line's end, which stands for nothing (0).
func softBreak(b []byte) (c byte, size int) {
	if r, ok := number(b, 1, 2, 16); ok {
		return byte(r), 3
	}
	for _, end := range []string{"=\r\n", "=\n", "= "} {
		if len(b) >= len(end) && string(b[:len(end)]) == end {
			return 0, len(end)
		}
	}
	return 0, 0
}
