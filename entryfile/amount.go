package entryfile

import (
	"errors"
	"math/big"
	"strings"
)

// An amount is digits, at most one decimal sign, groups of three, and a sign before or after,
// or parentheses. Which of . and , is the decimal sign is for the whole file to say.

var (
	errAmount    = errors.New("want a decimal number such as -1250.50, with at most two places")
	errPlaces    = errors.New("has more than two decimal places: round it")
	errGroups    = errors.New("has groups that are not of three digits: want a number such as 1 234 567,50")
	errDigits    = errors.New("has more than 18 digits before the decimal sign: correct it")
	errWords     = errors.New("want the number alone: write the currency in a column of its own")
	errExponent  = errors.New("is in a spreadsheet's short form: format the column as a number with two decimals, and save again")
	errSpreadErr = errors.New("is a spreadsheet's error: correct the formula")
)

// unsign takes the sign of an amount off.
func unsign(s string) (negative bool, body string, err error) {
	body = s
	signs := 0
	if strings.HasPrefix(body, "(") && strings.HasSuffix(body, ")") {
		negative, body = true, trimBlanks(body[1:len(body)-1])
		signs++
	}
	for _, sign := range []string{"-", "\u2212", "\u2013", "+"} {
		for _, cut := range []func(string, string) (string, bool){strings.CutPrefix, strings.CutSuffix} {
			if rest, ok := cut(body, sign); ok {
				negative, body = sign != "+", trimBlanks(rest)
				signs++
			}
		}
	}
	if signs > 1 {
		err = errAmount
	}
	return negative, body, err
}

// groupSign is what groups thousands, or 0: blanks and apostrophes are one each.
func groupSign(c rune) byte {
	switch c {
	case ' ', '\u00a0', '\u202f', '\u2009':
		return ' '
	case '\'', '\u2019':
		return '\''
	case '.', ',':
		return byte(c)
	}
	return 0
}

// evidence is what an amount says of the decimal sign: '.' or ',' if it can be no other, '?' if it has one
// that may as well group, 0 if it has none.
func evidence(s string) byte {
	_, body, err := unsign(s)
	if err != nil {
		return 0
	}
	points, commas := strings.Count(body, "."), strings.Count(body, ",")
	other := map[byte]byte{'.': ',', ',': '.'}
	switch {
	case points+commas == 0:
		return 0
	case points > 0 && commas > 0: // the last one
		last := body[strings.LastIndexAny(body, ".,")]
		if strings.Count(body, string(last)) > 1 {
			return 0 // no number
		}
		return last
	case points > 1:
		return other['.']
	case commas > 1:
		return other[',']
	}
	at := strings.IndexAny(body, ".,")
	sign := body[at]
	before, after := body[:at], body[at+1:]
	switch {
	case !onlyDigits(after):
		return 0 // no number
	case len(after) != 3 || before == "" || !onlyDigits(before) || len(before) > 3 || before[0] == '0':
		return sign
	}
	return '?'
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// parseAmount reads an amount with a decimal sign, and returns it with a point.
// grouping is what groups its thousands, 0 if nothing does.
func parseAmount(s string, decimal byte) (amount string, grouping byte, err error) {
	negative, body, err := unsign(s)
	switch {
	case err != nil:
		return "", 0, err
	case spreadsheetError(s):
		return "", 0, errSpreadErr
	case exponent(body):
		return "", 0, errExponent
	case strings.ContainsFunc(body, func(c rune) bool { return (c < '0' || c > '9') && groupSign(c) == 0 }):
		return "", 0, letters(body)
	}
	whole, places := body, ""
	if at := strings.IndexByte(body, decimal); at >= 0 {
		whole, places = body[:at], body[at+1:]
		if !onlyDigits(places) {
			return "", 0, letters(body)
		}
	}
	digits, grouping, err := ungroup(whole)
	if err != nil {
		return "", 0, err
	}
	if digits == "" && places == "" {
		return "", 0, letters(body)
	}
	amount, err = canonical(negative, digits, places)
	return amount, grouping, err
}

// ungroup takes the groups out of the digits before a decimal sign.
func ungroup(whole string) (digits string, grouping byte, err error) {
	if onlyDigits(whole) || whole == "" {
		return whole, 0, nil
	}
	var b strings.Builder
	since := 0 // digits since the last sign
	for _, c := range whole {
		if c >= '0' && c <= '9' {
			since++
			b.WriteByte(byte(c))
			continue
		}
		sign := groupSign(c)
		switch {
		case sign == 0:
			return "", 0, letters(whole)
		case grouping != 0 && (sign != grouping || since != 3), grouping == 0 && (since == 0 || since > 3):
			return "", 0, errGroups
		}
		grouping, since = sign, 0
	}
	if since != 3 {
		return "", 0, errGroups
	}
	return b.String(), grouping, nil
}

// letters is the error of what has something else than digits.
func letters(s string) error {
	for _, c := range s {
		if (c >= '0' && c <= '9') || groupSign(c) != 0 {
			continue
		}
		if strings.ContainsAny(s, "0123456789") && (c >= 'A' || strings.ContainsRune("$£", c)) {
			return errWords
		}
	}
	return errAmount
}

// canonical writes an amount with a point and the places it has, at most two.
func canonical(negative bool, digits, places string) (string, error) {
	for len(places) > 2 && places[len(places)-1] == '0' {
		places = places[:len(places)-1]
	}
	digits = strings.TrimLeft(digits, "0")
	switch {
	case len(places) > 2:
		return "", errPlaces
	case len(digits) > 18:
		return "", errDigits
	case digits == "":
		digits = "0"
	}
	out := digits
	if places != "" {
		out += "." + places
	}
	if negative && !isZero(out) {
		out = "-" + out
	}
	return out, nil
}

func isZero(amount string) bool { return strings.Trim(amount, "-0.") == "" }

// TwoPlaces is an amount with two decimal places.
func TwoPlaces(amount string) string {
	whole, places, _ := strings.Cut(amount, ".")
	return whole + "." + (places + "00")[:2]
}

// exponent reports whether a text is a number such as 1.23457E+11.
func exponent(s string) bool {
	mantissa, power, ok := strings.Cut(strings.ToUpper(s), "E")
	if !ok {
		return false
	}
	power = strings.TrimLeft(power, "+-")
	mantissa = strings.TrimLeft(mantissa, "-")
	head, tail, dotted := strings.Cut(strings.Replace(mantissa, ",", ".", 1), ".")
	return onlyDigits(power) && onlyDigits(head) && len(head) == 1 && (!dotted || onlyDigits(tail)) && (dotted || strings.ContainsAny(s, "+-"))
}

var spreadsheetErrors = map[string]bool{"#N/A": true, "#REF!": true, "#VALUE!": true, "#DIV/0!": true, "#NAME?": true, "#NUM!": true, "#NULL!": true, "#SPILL!": true, "#CALC!": true, "#I/T": true, "#VERDI!": true, "#NAVN?": true, "#REFERANSE!": true}

// spreadsheetError reports whether a cell shows an error, or ##### of a column that is too narrow.
func spreadsheetError(s string) bool {
	return spreadsheetErrors[s] || len(s) > 2 && strings.Trim(s, "#") == ""
}

// storedNumber reports whether a cell of a workbook is a number as the file stores it.
func storedNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	if mantissa, power, ok := strings.Cut(s, "E"); ok {
		if !onlyDigits(strings.TrimLeft(power, "+-")) || len(power) > 4 {
			return false
		}
		s = mantissa
	}
	whole, places, dotted := strings.Cut(s, ".")
	return onlyDigits(whole) && (!dotted || onlyDigits(places))
}

// noise is how far a stored number may be from two places: more than what floating point adds to a
// sum, and far less than anybody means.
var noise = big.NewRat(1, 1_000_000)

// storedAmount reads a number of a workbook.
func storedAmount(s string) (string, error) {
	if len(s) > 40 {
		return "", errAmount
	}
	v, ok := new(big.Rat).SetString(s)
	if !ok {
		return "", errAmount
	}
	text := v.FloatString(2)
	rounded, _ := new(big.Rat).SetString(text)
	if off := new(big.Rat).Sub(v, rounded); off.Abs(off).Cmp(noise) > 0 {
		return "", errPlaces
	}
	negative := strings.HasPrefix(text, "-")
	digits, places, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	if len(digits) > 15 {
		return "", errors.New("has more digits than a spreadsheet keeps (15): write it as text")
	}
	return canonical(negative, digits, places)
}
