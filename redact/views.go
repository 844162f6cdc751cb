package redact

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
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

// parts appends where the parts of a view come from.
func (v view) parts(all []span) []span {
	for from := 0; from < len(v.b); {
		to := len(v.b)
		if n := bytes.IndexByte(v.b[from:], brk); n >= 0 {
			to = from + n
		}
		if from < to {
			all = append(all, v.span(from, to))
		}
		from = to + 1
	}
	return all
}

// Bounds of [views]: how many encodings are taken off one after the other, how
// many bytes are decoded in all for each byte of the text, and how many
// printable bytes in a row show that something was decoded and not only
// rearranged.
const (
	maxLayers   = 5
	maxDecoded  = 12
	minReadable = 8
)

// views calls f with s and with all that can be decoded from it, one encoding
// after the other: percent signs, entities, escapes of JSON and of programming
// languages, letters of full width, quoted-printable, base64 of both alphabets
// at each of its four alignments, base32, hex, and runs of bytes as numbers.
// What stands between, such as line breaks and colons, is passed over. What
// was masked is a break.
//
// Of a text that costs more than its bounds allow not all is decoded: unseen is
// where that stands from which more might have been. Once ctx is done, it stops.
func views(ctx context.Context, s string, f func(view)) (unseen []span) {
	original := view{b: []byte(strings.ReplaceAll(s, Mark, strings.Repeat("\xff", len(Mark))))}
	all := []view{original}
	budget := maxDecoded*len(s) + 1<<10
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	for depth, i := 0, 0; i < len(all); depth++ {
		for end := len(all); i < end; i++ {
			if ctx.Err() != nil {
				return nil
			}
			v := all[i]
			f(v)
			switch {
			case depth == maxLayers:
			case budget < 0:
				unseen = v.parts(unseen)
			default:
				for _, d := range sc.decode(ctx, v) {
					if !slices.ContainsFunc(all, d.equal) { // by another way
						budget -= len(d.b)
						all = append(all, d)
					}
				}
			}
		}
	}
	return unseen
}

func (v view) equal(o view) bool {
	return len(v.b) == len(o.b) && bytes.Equal(v.b, o.b) && slices.Equal(v.from, o.from) && slices.Equal(v.to, o.to)
}

// scratch is memory that decoding uses again.
type scratch struct {
	values, read []byte
	at           []int32
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (sc *scratch) decode(ctx context.Context, v view) (all []view) {
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
		if ctx.Err() != nil { // of a long text each takes milliseconds
			return nil
		}
		all = r.decode(v, sc, all)
	}
	return all
}
