package redact

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/internal/lazy"
)

// identityNumber masks a Norwegian national identity number: a fødselsnummer, a
// D-number (day + 40), an H-number (month + 40) or a synthetic one (month + 80,
// + 65). Both check digits must be right, or an invoice number would go too. In
// numbers that are given out from 2032 on the first sum may leave 0 to 3
// (skatteetaten.no, "Nye fødselsnummer og d-nummer fra 2032").
func identityNumber(m match) string {
	d := digits(m.group(0))
	day, month := 10*d[0]+d[1], 10*d[2]+d[3]
	if day > 40 {
		day -= 40
	}
	for _, plus := range []int{80, 65, 40} {
		if month > plus {
			month -= plus
			break
		}
	}
	valid := day >= 1 && day <= 31 && month >= 1 && month <= 12 &&
		weighted(d[:10], 3, 7, 6, 1, 8, 9, 4, 5, 2, 1)%11 <= 3 &&
		weighted(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0
	if !valid {
		return m.group(0)
	}
	return Mark
}

// aUUID is what many vendors' references look like.
var aUUID = lazy.Regexp(`\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b`)

// phoneOutsideUUID masks a phone number that begins with 0047, unless it is a part of a
// UUID: a reference with a hole in it is none.
func phoneOutsideUUID(m match) string {
	from := max(0, m.at[0]-10) // the first group, and what is before it
	for _, at := range aUUID().FindAllStringIndex(m.text[from:min(len(m.text), from+50)], -1) {
		if from+at[0] <= m.at[0] && m.at[1] <= from+at[1] {
			return m.group(0)
		}
	}
	return Mark
}

// accountLabels announce a bank account. Eleven digits in a row are more often
// a customer identification (KID) or another number, of which one in eleven
// has a right check digit by chance.
var accountLabels = []string{"konto", "account", "bank", "bban"}

// bankAccount masks a Norwegian bank account number: grouped 4.2.5 by points
// or blanks, or plain after a label.
func bankAccount(m match) string {
	found := m.group(0)
	d := digits(found)
	if weighted(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 != 0 {
		return found
	}
	if len(found) > len(d) {
		return Mark
	}
	before := m.before(24)
	for _, label := range accountLabels {
		if strings.Contains(before, label) {
			return Mark
		}
	}
	return found
}

func digits(s string) []int {
	d := make([]int, 0, 11)
	for _, c := range s {
		if c >= '0' && c <= '9' {
			d = append(d, int(c-'0'))
		}
	}
	return d
}

func weighted(d []int, weights ...int) int {
	sum := 0
	for i, n := range d {
		sum += n * weights[i]
	}
	return sum
}

// ibanLength is the length of an IBAN by country (ISO 13616 registry); without
// it, text after the number could not be told from the number.
var ibanLength = map[string]int{
	"NO": 15, "SE": 24, "DK": 18, "FI": 18, "IS": 26, "FO": 18, "GL": 18,
	"DE": 22, "GB": 22, "IE": 22, "NL": 18, "BE": 16, "LU": 20, "FR": 27, "ES": 24, "PT": 25, "IT": 27,
	"AT": 20, "CH": 21, "LI": 21, "PL": 28, "CZ": 24, "SK": 24, "HU": 28, "SI": 19, "HR": 21, "RO": 24, "BG": 22,
	"EE": 20, "LV": 21, "LT": 20, "GR": 27, "CY": 28, "MT": 31, "MC": 27, "SM": 27, "UA": 29, "TR": 26,
}

// iban masks an IBAN whose length and check digits are right, and leaves what
// follows it.
func iban(m match) string {
	found := m.group(0)
	want, ok := ibanLength[found[:2]]
	if !ok {
		return found
	}
	var compact strings.Builder
	for i := 0; i < len(found); i++ {
		if !isDigit(found[i]) && !isUpper(found[i]) {
			continue
		}
		compact.WriteByte(found[i])
		if compact.Len() == want {
			if mod97(compact.String()) != 1 {
				return found
			}
			return Mark + found[i+1:]
		}
	}
	return found
}

// mod97 computes the remainder of ISO 7064 with the first four characters
// moved to the end and letters read as 10 to 35.
func mod97(s string) int {
	r := 0
	for _, c := range s[4:] + s[:4] {
		if c >= 'A' {
			r = (r*100 + int(c-'A') + 10) % 97
		} else {
			r = (r*10 + int(c-'0')) % 97
		}
	}
	return r
}

var domain = lazy.Regexp(`^(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}`)

// emails finds addresses by their @, which may be percent-encoded.
func emails(s, _ string) (all [][]int) {
	end := 0
	for _, i := range positions(s, []string{"@", "%40"}) {
		from := i
		for from > end {
			r, size := utf8.DecodeLastRuneInString(s[end:from])
			if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune("._+'-", r) {
				break
			}
			from -= size
		}
		after := i + 1
		if s[i] == '%' {
			after = i + 3
		}
		if from >= i {
			continue
		}
		if at := domain().FindStringIndex(s[after:]); at != nil {
			end = after + at[1]
			all = append(all, []int{from, end})
		}
	}
	return all
}

// holdsIBANStart reports whether two capitals and two digits stand in a row.
func holdsIBANStart(s string) bool {
	for i := 3; i < len(s); i++ {
		if isDigit(s[i]) && isDigit(s[i-1]) && isUpper(s[i-2]) && isUpper(s[i-3]) {
			return true
		}
	}
	return false
}

// holdsLongNumber reports whether eleven digits stand together, in groups that
// are one character apart.
func holdsLongNumber(s string) bool {
	digits, between := 0, 0
	for i := 0; i < len(s); i++ {
		if isDigit(s[i]) {
			digits++
		}
	}
	if digits < 11 {
		return false
	}
	digits = 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits, between = digits+1, 0
		case between == 0 && (r == '.' || r == '-' || unicode.Is(unicode.Zs, r)):
			between = 1
		default:
			digits, between = 0, 1
		}
		if digits >= 11 {
			return true
		}
	}
	return false
}

// labelledPhone masks a number after a label. The short ones must be words of
// their own; longer ones may end a name, as address1_telephone1 does.
func labelledPhone(m match) string {
	label := strings.ToLower(m.group(1))
	before := m.before(1)
	inWord := before != "" && before != "_" && isWordByte(before[0])
	if inWord && !strings.HasPrefix(label, "phone") && !strings.HasPrefix(label, "mobil") && !strings.HasPrefix(label, "telefon") {
		return m.group(0)
	}
	return m.group(1) + Mark
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
