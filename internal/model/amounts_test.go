package model

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// cents writes an amount in cents as the vendor must get it: two decimals, no
// exponent, no group separator.
func cents(n *big.Int) string {
	sign, digits := "", fmt.Sprintf("%03d", new(big.Int).Abs(n))
	if n.Sign() < 0 {
		sign = "-"
	}
	return sign + digits[:len(digits)-2] + "." + digits[len(digits)-2:]
}

// amounts draws the lines of a voucher that sum to zero: up to 17 digits before
// the point, and 18 in the line that balances the others.
func amounts(t *rapid.T) []*big.Int {
	sum := new(big.Int)
	var all []*big.Int
	for range rapid.IntRange(1, 4).Draw(t, "lines") {
		digits := rapid.StringMatching(`-?[1-9][0-9]{0,18}`).Draw(t, "cents")
		n, _ := new(big.Int).SetString(digits, 10)
		all, sum = append(all, n), sum.Add(sum, n)
	}
	return append(all, sum.Neg(sum))
}

// Amounts reach the vendor digit for digit; sums and SHA-256 are those of an
// independent computation.
func TestAmounts(t *testing.T) {
	p := newParts(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, p)
		want := make(map[string]string) // amounts by the vendor's key
		var canonical []string
		debit := new(big.Int)
		day := time.Date(2026, 8, 15, 0, 0, 0, 0, time.UTC)
		for v := range rapid.IntRange(1, 5).Draw(rt, "vouchers") {
			whole := &voucher{id: fmt.Sprintf("v%03d", v)}
			w.vouchers = append(w.vouchers, whole)
			for i, n := range amounts(rt) {
				l := line{fmt.Sprintf("v%03d-%d", v, i), "3000", cents(n), day}
				w.add(l)
				whole.lines = append(whole.lines, l)
				sum := sha256.Sum256([]byte(w.specs[0].ID.String() + "/" + l.id))
				key := hex.EncodeToString(sum[:])[:32]
				want[key] = l.amount
				canonical = append(canonical, strings.Join([]string{key, l.id[:4], l.account, l.amount, "NOK", "2026-08-15"}, "\t")+"\n")
				if n.Sign() > 0 {
					debit.Add(debit, n)
				}
			}
		}
		r := w.begins(w.input(w.specs[0], "2026-08", nil), "")
		w.finish(r)
		export := r.progress.Export
		require.Equal(rt, exports.Complete, export.Status)
		require.Equal(rt, want, w.stored(want))
		require.Equal(rt, map[string]string{"NOK": cents(debit)}, export.Amounts)
		slices.Sort(canonical)
		sum := sha256.Sum256([]byte(strings.Join(canonical, "")))
		require.Equal(rt, hex.EncodeToString(sum[:]), export.SHA256)

		again, err := runlog.Recount(context.Background(), w.database.Worker, export)
		require.NoError(rt, err)
		require.Equal(rt, []any{len(want), export.SHA256, export.Amounts}, []any{again.Exported, again.SHA256, again.Amounts})
	})
}

// stored are the amounts that the vendor has, by key.
func (w *world) stored(of map[string]string) map[string]string {
	all := make(map[string]string)
	for key := range of {
		for _, r := range w.vendor.Records(key) {
			require.NotContains(w.t, all, key)
			var fields map[string]json.RawMessage
			require.NoError(w.t, json.Unmarshal(r.Content, &fields))
			for name, v := range fields {
				if strings.HasSuffix(name, "amount") {
					all[key] = strings.Trim(string(v), `"`)
				}
			}
		}
	}
	return all
}
