package redact

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whether anything can be read is known without decoding, and is the same.
func TestPromising(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	read, skipped := 0, 0
	for range 20000 {
		for _, r := range radixes {
			text := make([]byte, 8+random.IntN(24))
			for i := range text { // what reads well, and now and then what does not
				text[i] = "aZ0\x00\xc3\xa6\x80\x01\xff "[min(random.IntN(24), 9)]
			}
			var values []uint8
			for bit := random.IntN(r.bits); bit+r.bits <= 8*len(text); bit += r.bits {
				value := uint8(0)
				for k := bit; k < bit+r.bits; k++ {
					value = value<<1 | text[k/8]>>(7-k%8)&1
				}
				values = append(values, value)
			}
			for offset := 0; offset < 8; offset += r.step {
				var v view
				v.addReadable(r.bytes(nil, values, offset), func(int) span { return span{} })
				require.Equal(t, len(v.b) > 0, r.promising(values, offset), "%x from bit %d", values, offset)
				if len(v.b) > 0 {
					read++
				} else {
					skipped++
				}
			}
		}
	}
	require.Greater(t, min(read, skipped), 1000)
}
