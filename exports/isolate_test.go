package exports

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMasked(t *testing.T) {
	for _, same := range [][]string{
		{"Voucher 7 does not balance: difference 10.00", "Voucher 12345 does not balance: difference 1 234,50"},
		{"Account '3000' is locked", "Account 'X-17 b' is locked"},
		{"x  CorrelationId:  0a0a0a0a-1b1b-4c2c-8d3d-4e4e4e4e4e4e.", "x  CorrelationId:  1f0a0a0a-1b1b-4c2c-8d3d-4e4e4e4e4eff."},
		{`field "a"`, `field "b \n c"`}, {"konto «3000» er sperret", "konto «abc» er sperret"},
	} {
		require.Equal(t, mask(same[0]), mask(same[1]))
	}
	require.NotEqual(t, mask("the period is closed"), mask("the account is closed"))
}
