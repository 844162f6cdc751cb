package entryfile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A total that has the place of a voucher is called one, with what to do about it; an entry
// of a voucher with such a name is not.
func TestTotalsAreNamed(t *testing.T) {
	const head, entry = "Bilag;Dato;Konto;Beløp;Tekst;Linje\n", "V1;31.10.2026;1920;5,00;;1\nV1;31.10.2026;3900;-5,00;;2\n"
	read := func(rows string) error {
		_, err := all(open(t, "e.csv", head+rows, Options{IDFrom: []string{"Bilag", "Linje"}}))
		return err
	}
	for _, word := range []string{"Sum", "SUM", "sum:", " Total ", "Totalt", "TOTALT", "Sum total", "Saldo", "saldo:"} {
		err := read(entry + fmt.Sprintf("%s;;;0,00;;\n", word))
		require.ErrorContains(t, err, "account is missing: want ", word)
		require.Equal(t, 2, strings.Count(err.Error(), "; it looks like a total: delete the row"), err)
	}
	err := read(entry + "V2;;;0,00;Sum;1\n")
	require.ErrorContains(t, err, "account is missing")
	require.NotContains(t, err.Error(), "total")
	require.NoError(t, read(entry+"Sum;31.10.2026;1920;0,00;;1\n"))
}
