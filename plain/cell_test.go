package plain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/plain"
)

func TestCell(t *testing.T) {
	for _, same := range []string{"", "Rent", "Kari's", "0", "100.10", "1920", "A-1", "a=b", "'x", "é", "12-3"} {
		require.Equal(t, same, plain.Cell(same))
	}
	for _, formula := range []string{
		"=1+1", "-100.10", "+5", "  =1", "=cmd|' /C calc'!A0", "+47 22 00", "-1+1", "-", "--1", "+-1", "-1.5.5", "-1.", "-.5", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-1 =1", "＝1",
		"+1;=2", "-1e5", "-2,3,4", "+1\n=2",
	} {
		require.Equal(t, "'"+formula, plain.Cell(formula))
	}
}

func FuzzCell(f *testing.F) {
	f.Add("=1")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, s string) {
		got := plain.Cell(s)
		require.Contains(t, []string{s, "'" + s}, got)
		if got == s && s != "" {
			require.NotContains(t, "=+-@\t\r\n", s[:1])
		}
	})
}
