package runlog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
)

// A source can bring names that an import would refuse. Their vouchers are
// refused and not sent, by the same rule as plain.Name: tried with every
// character up to U+FFFF and some beyond.
func TestInvisibleInSource(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	add := func(entry, voucher, account, dimensions string) {
		t.Helper()
		_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, dimensions)
			VALUES ($1, $2, $3, '2026-10-01', $4, 0, 'NOK', $5)`, b.org, entry, voucher, account, dimensions)
		require.NoError(t, err)
	}
	for i, c := range []string{"\u00a0", "\u00ad", "\u202e", "\U000e0041"} {
		add(fmt.Sprint("entry", i, c), fmt.Sprint("a", i), "1920", "{}")
		add(fmt.Sprint("voucher", i), fmt.Sprint("b", i, c), "1920", "{}")
		add(fmt.Sprint("account", i), fmt.Sprint("c", i), "1920"+c, "{}")
		add(fmt.Sprint("value", i), fmt.Sprint("d", i), "1920", `{"a": "x`+c+`"}`)
		add(fmt.Sprint("name", i), fmt.Sprint("e", i), "1920", `{"a`+c+`": "x"}`)
	}
	add("Ærlig 1", "bilag 2", "1920", `{"a": "Ålesund"}`)
	e := b.claim("2026-10", nil)
	entries := b.plan(e, integrations.ExportSettings{Dimensions: map[string]string{"a": "glObject1"}}, 500)
	require.Len(t, entries, 21)
	refused := 0
	for _, line := range entries {
		if line == "Ærlig 1:1:planned" {
			continue
		}
		refused++
		require.Regexp(t, `:0:rejected:line .*: a name in it has the invisible character U\+(00A0|00AD|202E|E0041); correct it in the source$`, line)
	}
	require.Equal(t, 20, refused)

	// PostgreSQL and Go agree on every character, but for those that PostgreSQL cannot store.
	var hits []int32
	require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT array_agg(code) FROM generate_series(1, 65535) AS code WHERE code NOT BETWEEN 55296 AND 57343 AND chr(code) ~ $1`, plain.Class()).Scan(&hits))
	refusedHere := make(map[int32]bool)
	for _, c := range hits {
		refusedHere[c] = true
	}
	for c := rune(1); c <= 0xffff; c++ {
		if c >= 0xd800 && c <= 0xdfff {
			continue
		}
		_, err := plain.Name("a" + string(c) + "b")
		require.Equal(t, err != nil, refusedHere[c], "%U", c)
	}
}
