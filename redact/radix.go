package redact

import "slices"

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
	if len(v.b)*r.bits < minReadable*8 {
		return all
	}
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
			if !r.promising(values, offset) {
				continue
			}
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

// promising reports whether [minReadable] bytes in a row can be read of those
// that the values hold from a bit on. It looks at every eighth and, while they
// can be read, at those before it, so at few of what was not encoded.
func (r *radix) promising(values []uint8, offset int) bool {
	n := (len(values)*r.bits - offset) / 8
	for last := minReadable - 1; last < n; {
		k := last
		for k > last-minReadable && r.readable(values, offset, k) {
			k--
		}
		if k == last-minReadable {
			return true
		}
		last = k + minReadable
	}
	return false
}

// readable is [readableAt] of byte k of those that the values hold from a bit on.
func (r *radix) readable(values []uint8, offset, k int) bool {
	c := r.byte(values, offset+8*k)
	if readable[c] || k == 0 || c != 0 && c&0xc0 != 0x80 {
		return readable[c]
	}
	return readableAt([]byte{r.byte(values, offset+8*k-8), c}, 1)
}

// byte returns the byte that the values hold at a bit.
func (r *radix) byte(values []uint8, bit int) byte {
	i := int(uint32(bit) / uint32(r.bits))
	acc := uint32(values[i])<<r.bits | uint32(values[i+1])
	left := 2*r.bits - 8 - (bit - i*r.bits)
	if left < 0 {
		acc, left = acc<<r.bits|uint32(values[i+2]), left+r.bits
	}
	return byte(acc >> left)
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
