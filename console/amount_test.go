package console

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/words"
	"github.com/ledgerline/ledgerline/integrations"
)

// A form reads each amount that pages write, in either language; what could mean two things is
// refused.
func TestAmountsOfForms(t *testing.T) {
	for _, l := range words.Languages {
		p := words.For(l, integrations.Integration{}.Zone())
		for _, amount := range []string{"0.00", "-1.00", "845.50", "-3200.00", "12500.00", "1234567.89"} {
			is, ok := amountOf(p.Amount(amount))
			require.True(t, ok, "%s in %s", p.Amount(amount), l)
			require.Equal(t, amount, is)
		}
	}
	for _, wrong := range []string{"1.234", "1,234", "1,234,567", "1.234.567", "1,2345.00", "", "x"} {
		_, ok := amountOf(wrong)
		require.False(t, ok, wrong)
	}
}
