package redact

import (
	"unicode"
	"unicode/utf8"
)

// normal is the letters and digits of a view, without case, each with its place
// in the view. A zero among them is a break.
type normal struct {
	char     []uint32
	from, to []int32
}

func normalize(v view) normal {
	n := normal{make([]uint32, 0, len(v.b)), make([]int32, 0, len(v.b)), make([]int32, 0, len(v.b))}
	for i := 0; i < len(v.b); {
		c, size := v.b[i], 1
		var char uint32
		switch {
		case c >= 'A' && c <= 'Z':
			char = uint32(c) + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			char = uint32(c)
		case c < utf8.RuneSelf:
			i++
			continue
		case c != brk:
			r, w := utf8.DecodeRune(v.b[i:])
			if r == utf8.RuneError && w == 1 {
				r = rune(c) // Latin-1
			}
			size = w
			if !isWord(r) {
				i += size
				continue
			}
			char = uint32(unicode.ToLower(unicode.ToUpper(r)))
		}
		n.char, n.from, n.to = append(n.char, char), append(n.from, int32(i)), append(n.to, int32(i+size))
		i += size
	}
	return n
}

// windows is the set of all parts of one length of some secrets, by a rolling
// hash: a text is read once, whatever number and length the secrets have.
type windows struct {
	length int
	power  uint64   // prime^length
	hashes []uint64 // open addressing, 0 is free
	count  int
}

const prime = 0x9E3779B97F4A7C15

func newWindows(length int) *windows {
	w := &windows{length: length, power: 1, hashes: make([]uint64, 64)}
	for range length {
		w.power *= prime
	}
	return w
}

// add puts all parts of chars into the set.
func (w *windows) add(chars []uint32) {
	w.roll(chars, func(_ int, h uint64) {
		if 2*w.count >= len(w.hashes) {
			old := w.hashes
			w.hashes, w.count = make([]uint64, 4*len(old)), 0
			for _, h := range old {
				if h != 0 {
					w.put(h)
				}
			}
		}
		w.put(h)
	})
}

func (w *windows) put(h uint64) {
	if i := w.slot(h); w.hashes[i] == 0 {
		w.hashes[i] = h
		w.count++
	}
}

// slot returns where h is, or the free place for it.
func (w *windows) slot(h uint64) int {
	mask := len(w.hashes) - 1
	i := int((h^h>>29)*prime>>32) & mask
	for w.hashes[i] != 0 && w.hashes[i] != h {
		i = (i + 1) & mask
	}
	return i
}

// find returns the parts of chars that are in the set, those that overlap as one.
func (w *windows) find(chars []uint32) (all []span) {
	w.roll(chars, func(i int, h uint64) {
		if w.hashes[w.slot(h)] == 0 {
			return
		}
		if n := len(all); n > 0 && i <= all[n-1].to {
			all[n-1].to = i + w.length
		} else {
			all = append(all, span{i, i + w.length})
		}
	})
	return all
}

// roll calls f with the start and the hash of each part that holds no break.
func (w *windows) roll(chars []uint32, f func(i int, h uint64)) {
	h, n := uint64(0), 0
	for i, c := range chars {
		if c == 0 {
			h, n = 0, 0
			continue
		}
		h = h*prime + uint64(c)
		if n++; n > w.length {
			h -= w.power * uint64(chars[i-w.length])
		}
		if n >= w.length && h != 0 {
			f(i-w.length+1, h)
		}
	}
}
