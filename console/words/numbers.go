package words

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// noBreak is the space at which no line ends.
const noBreak = "\u00a0"

// signs are how numbers are written in a language.
var signs = map[Language]struct{ group, decimal, minus, currency string }{
	Bokmal:  {noBreak, ",", "\u2212", noBreak},
	English: {",", ".", "-", " "},
}

// Number is a whole number: "22 780" or "22,780".
func (p *Printer) Number(n int) string {
	digits := strconv.Itoa(n)
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		return signs[p.language].minus + p.grouped(rest)
	}
	return p.grouped(digits)
}

// grouped puts the sign of thousands into digits.
func (p *Printer) grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + signs[p.language].group + digits[i:]
	}
	return digits
}

// decimal is a number as the record writes it.
var decimal = regexp.MustCompile(`^(-?)0*(\d+)(?:\.(\d*))?$`)

// Amount is an amount, with all its decimals and two at least: "22 780,00" or "22,780.00". What
// is no decimal number stays as it is.
func (p *Printer) Amount(amount string) string {
	m := decimal.FindStringSubmatch(amount)
	if m == nil {
		return amount
	}
	sign := ""
	if m[1] != "" {
		sign = signs[p.language].minus
	}
	cents := m[3] + strings.Repeat("0", max(0, 2-len(m[3])))
	return sign + p.grouped(m[2]) + signs[p.language].decimal + cents
}

// Sum is an amount with its currency: "NOK 22 780,00".
func (p *Printer) Sum(currency, amount string) string {
	if currency == "" {
		return p.Amount(amount)
	}
	return currency + signs[p.language].currency + p.Amount(amount)
}

// Money is sums by currency: "EUR 5,00 og NOK 3 200,00"; "" if there are none.
func (p *Printer) Money(amounts map[string]string) string {
	var list []string
	for _, currency := range slices.Sorted(maps.Keys(amounts)) {
		list = append(list, p.Sum(currency, amounts[currency]))
	}
	return p.List(list)
}

// List joins what a sentence lists: "a, b og c".
func (p *Printer) List(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " " + p.T("list.and") + " " + list[last]
}
