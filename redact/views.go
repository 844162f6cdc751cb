package redact

import (
	"bytes"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// view is a text that was decoded from another one, and for each of its bytes
// where it comes from in the original. Without places it is the original.
type view struct {
	b        []byte
	from, to []int32
	decoded  bool // from an encoding in which words have no ends, such as base64
}

// brk separates what is not connected: what stood around a mark, or parts of a
// view. It is no byte of valid UTF-8.
const brk = 0xFF

func (v *view) add(from, to int32, c byte) {
	v.b, v.from, v.to = append(v.b, c), append(v.from, from), append(v.to, to)
}

func (v *view) rune(from, to int32, r rune) {
	var b [utf8.UTFMax]byte
	for _, c := range b[:utf8.EncodeRune(b[:], r)] {
		v.add(from, to, c)
	}
}

// head returns a copy of the first n bytes, with room for the rest.
func (v view) head(n int) view {
	out := view{make([]byte, 0, len(v.b)), make([]int32, 0, len(v.b)), make([]int32, 0, len(v.b)), v.decoded}
	out.b = append(out.b, v.b[:n]...)
	for i := range n {
		from, to := v.place(i)
		out.from, out.to = append(out.from, from), append(out.to, to)
	}
	return out
}

// place returns where byte i comes from.
func (v view) place(i int) (from, to int32) {
	if v.from == nil {
		return int32(i), int32(i + 1)
	}
	return v.from[i], v.to[i]
}

// span returns where b[from:to] comes from.
func (v view) span(from, to int) span {
	first, _ := v.place(from)
	_, last := v.place(to - 1)
	return span{int(first), int(last)}
}

// Bounds of [views]: how many encodings are taken off one after the other, how
// many bytes are decoded in all for each byte of the text, and how many
// printable bytes in a row show that something was decoded and not only
// rearranged.
const (
	maxLayers   = 5
	maxDecoded  = 8
	minReadable = 8
)

// views calls f with s and with all that can be decoded from it, one encoding
// after the other: percent signs, entities, escapes of JSON and of programming
// languages, letters of full width, quoted-printable, base64 of both alphabets
// at each of its four alignments, base32, hex, and runs of bytes as numbers.
// What stands between, such as line breaks and colons, is passed over. What
// was masked is a break.
func views(s string, f func(view)) {
	original := view{b: []byte(strings.ReplaceAll(s, Mark, strings.Repeat("\xff", len(Mark))))}
	layer := []view{original}
	budget := maxDecoded*len(s) + 1<<10
	sc := scratch{make([]byte, 0, len(s)), make([]byte, 0, len(s)), make([]int32, 0, len(s))}
	for depth := 0; len(layer) > 0; depth++ {
		var next []view
		for _, v := range layer {
			f(v)
			if depth == maxLayers || budget < 0 {
				continue
			}
			for _, d := range sc.decode(v) {
				budget -= len(d.b)
				next = append(next, d)
			}
		}
		layer = next
	}
}

// scratch is memory that decoding uses again.
type scratch struct {
	values, read []byte
	at           []int32
}

func (sc *scratch) decode(v view) (all []view) {
	if d, ok := unescape(v); ok {
		all = append(all, d)
	}
	if d, ok := quotedPrintable(v); ok {
		all = append(all, d)
	}
	if d := numbers(v); len(d.b) > 0 {
		all = append(all, d)
	}
	for _, r := range radixes {
		all = r.decode(v, sc, all)
	}
	return all
}

// unescape takes off one layer of percent signs, entities and backslashes, and
// folds letters of full width and the like. It reports whether there was any.
func unescape(v view) (out view, changed bool) {
	for i := 0; i < len(v.b); {
		r, size, single := rune(0), 0, false
		if c := v.b[i]; c == '%' || c == '&' || c == '\\' || c >= utf8.RuneSelf && c != brk {
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
	case c >= utf8.RuneSelf:
		r, size := utf8.DecodeRune(b)
		if plain := fold(r); plain != r {
			return plain, size, false
		}
	}
	return 0, 0, false
}

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

// numbers reads a list of bytes as numbers, as Go prints them: [104 117 110].
func numbers(v view) view {
	var out view
	runs := 0
	for i := 1; i < len(v.b); i++ {
		if isDigit(v.b[i-1]) && !isDigit(v.b[i]) {
			runs++
		}
	}
	if runs < minReadable-1 {
		return out
	}
	var read []byte
	var at []span
	for i := 0; i < len(v.b); i++ {
		from, n := i, 0
		for ; i < len(v.b) && isDigit(v.b[i]); i++ {
			n = min(10*n+int(v.b[i]-'0'), 256)
		}
		if i > from {
			if n > 255 {
				n = 1 // nothing that can be read
			}
			read, at = append(read, byte(n)), append(at, span{from, i})
		}
		if i < len(v.b) && v.b[i] == brk {
			read, at = append(read, brk), append(at, span{i, i + 1})
		}
	}
	out.addReadable(read, func(i int) span { return v.span(at[i].from, at[i].to) })
	return out
}

// addReadable adds the parts of read that can be read: at least [minReadable]
// printable bytes in a row.
func (v *view) addReadable(read []byte, place func(int) span) {
	v.decoded = true
	run := 0
	for i := 0; i <= len(read); i++ {
		if i < len(read) && readableAt(read, i) {
			run++
			continue
		}
		if run >= minReadable {
			v.b, v.from, v.to = slices.Grow(v.b, run+1), slices.Grow(v.from, run+1), slices.Grow(v.to, run+1)
			for k := i - run; k < i; k++ {
				at := place(k)
				v.add(int32(at.from), int32(at.to), read[k])
			}
			v.add(0, 0, brk)
		}
		run = 0
	}
}

func readableAt(read []byte, i int) bool {
	c := read[i]
	if readable[c] || i == 0 {
		return readable[c]
	}
	before := read[i-1]
	return c == 0 && before != 0 || c&0xc0 == 0x80 && before >= 0xc3 && before < 0xe0
}

// readable are printable bytes, blanks, and bytes that begin a character of two.
// A single NUL is too, because UTF-16 has one in every other place.
var readable = func() (ok [256]bool) {
	for c := range ok {
		ok[c] = c >= ' ' && c <= '~' || c == '\n' || c == '\r' || c == '\t' || c >= 0xc3 && c < 0xe0
	}
	return ok
}()

// radix is an encoding that cuts a text into groups of bits.
type radix struct {
	bits, step int        // step between the places at which a byte can begin
	value      [256]uint8 // of each character
}

// Values of a character that has no bits.
const (
	skipped = 0x80
	broken  = 0x81
)

var radixes = []*radix{
	newRadix(6, 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "-_", 62),
	newRadix(5, 1, "abcdefghijklmnopqrstuvwxyz234567", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 0),
	newRadix(4, 4, "0123456789abcdef", "ABCDEF", 10),
}

// newRadix returns a radix with the given characters, and others that stand for
// the values from first on.
func newRadix(bits, step int, alphabet, others string, first int) *radix {
	r := &radix{bits: bits, step: step}
	for c := range r.value {
		r.value[c] = skipped
	}
	r.value[brk] = broken
	for i := range alphabet {
		r.value[alphabet[i]] = uint8(i)
	}
	for i := range others {
		r.value[others[i]] = uint8(first + i)
	}
	return r
}

// decode appends what v holds at each place at which a byte can begin.
func (r *radix) decode(v view, sc *scratch, all []view) []view {
	var out [8]view
	values, at, read := sc.values[:0], sc.at[:0], sc.read
	for i := 0; i <= len(v.b); i++ {
		x := uint8(broken)
		if i < len(v.b) {
			x = r.value[v.b[i]]
			if x == skipped || r.bits == 4 && v.b[i] == '0' && i+1 < len(v.b) && v.b[i+1] == 'x' {
				continue
			}
		}
		if x != broken {
			values, at = append(values, x), append(at, int32(i))
			continue
		}
		for offset := 0; offset < 8 && len(values)*r.bits >= minReadable*8; offset += r.step {
			read = r.bytes(read[:0], values, offset)
			out[offset].addReadable(read, func(k int) span {
				bit := 8*k + offset
				end := int(at[(bit+7)/r.bits]) + 1
				for end < len(v.b) && v.b[end] == '=' { // the padding goes with the last byte
					end++
				}
				return v.span(int(at[bit/r.bits]), end)
			})
		}
		values, at = values[:0], at[:0]
	}
	sc.values, sc.at, sc.read = values, at, read
	for i := range out {
		if len(out[i].b) > 0 {
			all = append(all, out[i])
		}
	}
	return all
}

// bytes appends the bytes that the values hold from a bit on.
func (r *radix) bytes(read []byte, values []uint8, offset int) []byte {
	bits, acc, n := r.bits&7, uint32(0), -offset
	for _, x := range values {
		acc = acc<<bits | uint32(x)
		if n += bits; n >= 8 {
			n -= 8
			read = append(read, byte(acc>>(n&7)))
		}
	}
	return read
}
