package exports

import (
	"maps"
	"math/big"
	"slices"
	"strings"
)

// AddAmounts is the sum of two lists of sums by currency, exact to the last digit. What is
// no decimal number counts as 0.
func AddAmounts(a, b map[string]string) map[string]string {
	sum := make(map[string]string)
	maps.Copy(sum, a)
	for currency, amount := range b {
		sum[currency] = addDecimals(sum[currency], amount)
	}
	return sum
}

// addDecimals adds two decimal numbers, and keeps as many decimals as the longer one has,
// two at least.
func addDecimals(a, b string) string {
	x, y := decimal(a), decimal(b)
	return x.Add(x, y).FloatString(max(2, decimals(a), decimals(b)))
}

// decimal reads a decimal number; 0 if it is none.
func decimal(s string) *big.Rat {
	if r, ok := new(big.Rat).SetString(s); ok && !strings.ContainsAny(s, "/eEpPxX_") {
		return r
	}
	return new(big.Rat)
}

// decimals is how many digits stand after the point.
func decimals(s string) int {
	_, after, _ := strings.Cut(s, ".")
	return len(after)
}

// Money is an amount as people read it: "NOK 120,400.00".
func Money(currency, amount string) string {
	digits := decimal(amount).FloatString(max(2, decimals(amount)))
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", rest
	}
	whole, after, _ := strings.Cut(digits, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return strings.TrimSpace(currency + " " + sign + whole + "." + after)
}

// MoneyList is sums by currency as people read them: "EUR 5.00 and NOK 3,200.00"; "" if
// there are none.
func MoneyList(amounts map[string]string) string {
	var list []string
	for _, currency := range slices.Sorted(maps.Keys(amounts)) {
		list = append(list, Money(currency, amounts[currency]))
	}
	return enumerate(list)
}

// enumerate joins what a sentence lists.
func enumerate(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " and " + list[last]
}
