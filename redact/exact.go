package redact

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSecret is the length in bytes up to which a secret is masked wherever it
// stands in a text. A longer one is masked too, but where a text is bounded a
// part of it could be left. An access token of Entra has about 2 KB.
const MaxSecret = 4 << 10

// longSecret is how many letters and digits make a secret unlike any other
// text, so that nothing else of it has to be compared.
const longSecret = 12

// exact finds the secrets of a call in a text, however they are written there.
//
// A secret with at least [longSecret] letters and digits is compared on those
// only, without case, forwards and backwards. Any part of it is masked that has
// as many of them as [window] says. A shorter secret is compared as it stands.
// Both are looked for in the text and in whatever can be decoded from it, see
// [views]. The cost is linear in the text and in the secrets. What costs more to
// look at than its bounds allow counts as a secret: nothing is shown unseen.
type exact struct {
	short   []string
	least   int        // length in bytes of the shortest text that could hold one; no form of a secret is shorter than it
	windows []*windows // by length
	lead    []string   // what stands before the first letter or digit of a long secret
	trail   []string   // and after the last
	numbers []decimal  // the secrets that are numbers
}

// shortestWindow is the least that [window] returns for a long secret.
const shortestWindow = longSecret - 3

// window is how many letters and digits in a row give a secret of n away: half
// of them, but no more than 32, and 12 unless that would hide an echo without
// its last three.
func window(n int) int {
	return min(max((n+1)/2, min(longSecret, n-3)), 32)
}

func newExact(secrets []string) exact {
	x := exact{least: shortestWindow}
	for _, s := range secrets {
		if d, ok := decimalOf(s); ok {
			x.numbers = append(x.numbers, d)
		}
		n := normalize(view{b: []byte(s)})
		if len(n.char) < longSecret {
			x.least = min(x.least, len(s))
			x.short = append(x.short, s)
			if strings.Contains(s, " ") {
				x.short = append(x.short, strings.ReplaceAll(s, " ", "+")) // a form's blank
			}
			continue
		}
		x.lead = append(x.lead, s[:n.from[0]])
		x.trail = append(x.trail, s[n.to[len(n.to)-1]:])
		x.add(n.char)
		// What looks like an escape in the secret is decoded in the text.
		if v, ok := unescape(view{b: []byte(s)}); ok {
			if n := normalize(v); len(n.char) >= longSecret {
				x.add(n.char)
			}
		}
	}
	return x
}

func (x *exact) add(chars []uint32) {
	length := window(len(chars))
	i, found := slices.BinarySearchFunc(x.windows, length, func(w *windows, n int) int { return w.length - n })
	if !found {
		x.windows = slices.Insert(x.windows, i, newWindows(length))
	}
	x.windows[i].add(chars)
	slices.Reverse(chars)
	x.windows[i].add(chars)
}

// mask puts [Mark] for each secret that begins in the first keep bytes of s,
// and returns what becomes of those; that is nothing to rely on if ctx is done.
func (x exact) mask(ctx context.Context, s string, keep int) string {
	return replace(s, x.spans(ctx, s), keep)
}

// replace puts [Mark] for each of the spans that begin in the first keep bytes
// of s, and returns what becomes of those.
func replace(s string, spans []span, keep int) string {
	var b strings.Builder
	end := 0
	for _, sp := range spans {
		if sp.from >= keep {
			break
		}
		b.WriteString(s[end:sp.from])
		b.WriteString(Mark)
		end = sp.to
	}
	if end == 0 {
		return s[:keep]
	}
	b.WriteString(s[end:max(end, keep)])
	return b.String()
}

// span is a part of the original text, in bytes.
type span struct{ from, to int }

// spans returns where the secrets stand in s, or might stand unseen, in order,
// without overlap.
func (x exact) spans(ctx context.Context, s string) []span {
	if len(x.windows) == 0 && len(x.short) == 0 || len(s) < x.least {
		return nil
	}
	var all []span
	unseen := views(ctx, s, func(v view) {
		if len(x.windows) > 0 {
			all = x.long(v, all)
		}
		for _, secret := range x.short {
			all = short(v, secret, all)
		}
	})
	return merge(append(all, unseen...))
}

// merge sorts spans and joins those that overlap.
func merge(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return a.from - b.from })
	merged := all[:0]
	for _, sp := range all {
		if n := len(merged); n > 0 && sp.from < merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, sp.to)
		} else {
			merged = append(merged, sp)
		}
	}
	return merged
}

// long appends where long secrets stand in v.
func (x exact) long(v view, all []span) []span {
	if len(v.b) < shortestWindow {
		return all
	}
	n := normalize(v)
	for _, w := range x.windows {
		for _, m := range w.find(n.char) {
			from, to := x.extend(v.b, int(n.from[m.from]), int(n.to[m.to-1]))
			all = append(all, v.span(from, to))
		}
	}
	return all
}

// extend widens b[from:to] by the signs with which a secret begins and ends.
func (x exact) extend(b []byte, from, to int) (int, int) {
	left, right := 0, 0
	for _, lead := range x.lead {
		n := 0
		for n < len(lead) && n < from && b[from-1-n] == lead[len(lead)-1-n] {
			n++
		}
		left = max(left, n)
	}
	for _, trail := range x.trail {
		n := 0
		for n < len(trail) && to+n < len(b) && b[to+n] == trail[n] {
			n++
		}
		right = max(right, n)
	}
	return from - left, to + right
}

// short appends where a short secret stands in v. At an end that is a letter or
// digit no other one may follow, and a number is not part of a decimal: the
// secret 4242 leaves 424242 and 4242.50 alone. What was decoded has no words;
// there the secret must have six characters, or stand alone.
func short(v view, secret string, all []span) []span {
	needle := []byte(secret)
	for i := 0; ; {
		n := bytes.Index(v.b[i:], needle)
		if n < 0 {
			return all
		}
		from, to := i+n, i+n+len(needle)
		if v.decoded && len(secret) >= 6 || standsAlone(v.b, from, to) {
			all = append(all, v.span(from, to))
			i = to
		} else {
			i = from + 1
		}
	}
}

func standsAlone(b []byte, from, to int) bool {
	first, _ := utf8.DecodeRune(b[from:])
	last, _ := utf8.DecodeLastRune(b[:to])
	before, size := utf8.DecodeLastRune(b[:from])
	after, next := utf8.DecodeRune(b[to:])
	if isWord(first) && isWord(before) || isWord(last) && isWord(after) {
		return false
	}
	number := !bytes.ContainsFunc(b[from:to], func(r rune) bool { return r < '0' || r > '9' })
	point := func(r rune) bool { return r == '.' || r == ',' }
	return !number || !(point(before) && from > size && isDigit(b[from-size-1]) || point(after) && to+next < len(b) && isDigit(b[to+next]))
}

func isWord(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r))
}
