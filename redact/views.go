package redact

import (
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
