package redact

import (
	"strings"

	"github.com/ledgerline/ledgerline/internal/lazy"
)

// secretNames end the name of something secret, with what may stand between
// its words left out. What stands before them (db., TEMPORAL_, s in Hungarian
// notation) does not matter.
var secretNames = []string{
	"password", "passwd", "passphrase", "passcode", "passord", "passordet", "requirepass", "kodeord", "pwd", "secret", "hemmelighet", "token", "credential", "credentials", "signature",
	"apikey", "accesskey", "accountkey", "privatekey", "subscriptionkey", "functionskey", "encryptionkey", "signingkey",
	"sharedkey", "secretkey", "masterkey", "authkey", "storagekey", "licensekey", "sessionkey",
	"clientkey", "applicationkey", "appkey", "consumerkey", "integrationkey", "servicekey",
	"developerkey", "webhookkey", "hmackey", "deploykey", "apinøkkel", "klientnøkkel", "tilgangsnøkkel", "applikasjonsnøkkel",
	"clientassertion", "samlassertion", "sessionid", "connectionstring", "pinkode", "engangskode",
}

// secretWords are secret only as words of their own.
var secretWords = []string{"sig", "sid", "pw", "pass", "jwt", "otp", "fpc", "buid"}

// namesByEnd are the secretNames by their last byte.
var namesByEnd = func() (all [256][]string) {
	for _, name := range secretNames {
		last := name[len(name)-1]
		all[last] = append(all[last], name)
	}
	return all
}()

var (
	valueAtStart = lazy.Regexp(`^` + value)

	// beforeValue stands between a separator and the value: marks of emphasis, a
	// tag, a block, tag or anchor of YAML, the type in a dump of PHP or Go, and
	// what is called with a quoted value, such as SecretStr('…') or b'…'.
	beforeValue = lazy.Regexp(`^(?:[\s\p{Zs}*(\x60]+|</?(?:b|i|em|strong|code|pre|span|td|th|dd|div|p|br)\b[^<>]*>|<|[|>][-+]?\s+|!{1,2}[\w/]*\s+|&\w+\s+|\[\]\w*\{\s*` +
		`|(?:string|str)\([0-9]+\)\s*|[A-Za-z_][A-Za-z0-9_.:]*\(\s*\\*["']|[A-Za-z@$]{1,2}\\*["']|"{3}|'{3})+`)

	// beforeWeak stands between a name and a value without a separator.
	beforeWeak = lazy.Regexp(`^[ |(\[;]*(?:(?:is|was|er|var|set to|to|satt til) )?["']?`)

	flagName = lazy.Regexp(`(?:^|[\s"'=(\[])--?$`)
)

// keyValues finds pairs of a secret's name and its value. It goes by the
// separators, of which a text has few, and looks at the name before each: the
// groups are the name, what stands between, and the value.
func keyValues(s, lower string) (all [][]int) {
	end, flag := 0, false
	for i := 0; i < len(s); i++ {
		after := separatorAt(lower, i)
		switch {
		case s[i] == '-' && (i == 0 || !isWordByte(s[i-1])):
			flag = true
		case s[i] == ',' && (i == 0 || !isQuote(s[i-1])):
			continue
		}
		if after == 0 {
			continue
		}
		name := wrapped(s, end, i)
		from := nameBefore(lower, end, name)
		if from < 0 {
			flag = flag && s[i] != ' '
			continue
		}
		if isWeak(s[i]) && !(flag && s[i] == ' ' && isFlag(lower, end, from)) {
			after = i + len(beforeWeak().FindString(s[i:]))
			at := valueAtStart().FindStringIndex(s[after:])
			if name == i && at != nil && isStrong(s[after:after+at[1]]) {
				end = after + at[1]
				all = append(all, []int{from, end, from, name, name, after, after, end})
				i = end - 1
			}
			continue
		}
		flag = false
		if at := beforeValue().FindStringIndex(s[after:]); at != nil {
			after += at[1]
			if isQuote(s[after-1]) { // the value's own, with its escapes
				after--
				for after > i+1 && s[after-1] == '\\' {
					after--
				}
			}
		}
		at := valueAtStart().FindStringIndex(s[after:])
		if at == nil || s[i] == ' ' && s[after] == '-' || s[i] == ',' && !isQuote(s[after]) {
			continue
		}
		end = after + at[1]
		all = append(all, []int{from, end, from, name, name, after, after, end})
		i = end - 1
	}
	return all
}

// separatorAt returns the end of the separator that stands at i, or 0.
func separatorAt(lower string, i int) int {
	switch lower[i] {
	case ':', '=':
		if i+1 < len(lower) && (lower[i+1] == '=' || lower[i+1] == '>') {
			return i + 2
		}
		return i + 1
	case '-':
		if strings.HasPrefix(lower[i:], "->") {
			return i + 2
		}
	case '%':
		if strings.HasPrefix(lower[i:], "%3d") || strings.HasPrefix(lower[i:], "%3a") {
			return i + 3
		}
	case 0xe2:
		if strings.HasPrefix(lower[i:], "→") {
			return i + len("→")
		}
	case ',': // between two quoted texts
		return i + 1
	}
	if isWeak(lower[i]) {
		return i + 1
	}
	return 0
}

// isWeak reports whether c separates a name from its value only after a flag, or
// where the value is like nothing else.
func isWeak(c byte) bool { return c == ' ' || c == '|' || c == '(' || c == '[' || c == ';' }

// isStrong reports whether s is like no word, number or date.
func isStrong(s string) bool {
	var lower, upper, digit bool
	for i := 0; i < len(s); i++ {
		lower = lower || s[i] >= 'a' && s[i] <= 'z'
		upper = upper || isUpper(s[i])
		digit = digit || isDigit(s[i])
	}
	return digit && (lower && upper && len(s) >= 8 || (lower || upper) && len(s) >= 24)
}

// wrapped returns where the name ends that stands before i: blanks, and the
// quotes, brackets, stars and the tag around it, are passed over.
func wrapped(s string, from, i int) int {
	if isWeak(s[i]) || s[i] == ',' {
		for i > from && strings.IndexByte("\"'`\\", s[i-1]) >= 0 {
			i--
		}
		return i
	}
	for i > from && (isBlank(s[i-1]) || s[i-1] == '+') {
		i--
	}
	i = from + len(strings.TrimRight(s[from:i], "\u00a0\u202f"))
	for _, word := range []string{" provided", " is"} {
		if strings.HasSuffix(s[from:i], word) {
			i -= len(word)
		}
	}
	for i > from && strings.IndexByte("\"'`*)]}\\", s[i-1]) >= 0 {
		i--
	}
	if i > from && s[i-1] == '>' {
		if tag := strings.LastIndex(s[max(from, i-10):i], "</"); tag >= 0 {
			i = max(from, i-10) + tag
		}
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' }
func isQuote(c byte) bool { return c == '"' || c == '\'' }

// isFlag reports whether what ends in a secret's name at from begins with - or --.
func isFlag(lower string, end, from int) bool {
	for from > end && (isWordByte(lower[from-1]) || lower[from-1] == '.' || lower[from-1] == '-' && from-1 > end && isWordByte(lower[from-2])) {
		from--
	}
	return flagName().MatchString(lower[max(end, from-3):from])
}

// nameBefore returns where the secret's name begins that ends at end, or -1.
func nameBefore(lower string, from, end int) int {
	if end <= from {
		return -1
	}
	for _, name := range namesByEnd[lower[end-1]] {
		if i := suffix(lower[from:end], name); i >= 0 {
			return from + i
		}
	}
	for _, word := range secretWords {
		if strings.HasSuffix(lower[from:end], word) {
			if i := end - len(word); i == 0 || !isWordByte(lower[i-1]) {
				return i
			}
		}
	}
	return -1
}

// suffix returns where name begins at the end of s, with - and _ and blanks in
// s left out, or -1.
func suffix(s, name string) int {
	i := len(s)
	for n := len(name); n > 0; {
		if i == 0 {
			return -1
		}
		i--
		switch {
		case s[i] == name[n-1]:
			n--
		case (s[i] == '-' || s[i] == '_' || s[i] == ' ') && n < len(name):
		default:
			return -1
		}
	}
	return i
}

// keyValue masks the value of a secret's key. After a word that stands in
// ordinary sentences too ("invalid token: expected a name") a bare word must
// look like a secret.
func keyValue(m match) string {
	key, between, val := strings.ToLower(m.group(1)), m.group(2), m.group(3)
	pair := m.group(1) + between + quoted(val)
	switch {
	case isLiteral[strings.ToLower(val)]:
		return m.group(0)
	case strings.HasPrefix(between, ",") || strings.Contains(between, `",`) || strings.Contains(between, `',`):
		if !looksSecret(val) {
			return m.group(0)
		}
	case key == "pass" && !strings.ContainsAny(between, `=%"'\`) && !isStrong(val),
		mayBeNumber[key] && len(val) <= 10 && strings.Trim(val, "0123456789") == "":
		return m.group(0)
	case isStrong(val):
	case strings.TrimSpace(between) == "": // a flag; with one dash it may be a word
		if isSentence[strings.ToLower(strings.TrimRight(val, ".,:;"))] || !looksSecret(val) && !isQuote(val[0]) && !strings.Contains(m.before(40), "--") {
			return m.group(0)
		}
	case strings.ContainsAny(between, `=%"'\>]`) || !strings.HasSuffix(between, " ") || strings.ContainsAny(val[:1], `"'{\`):
	case looksSecret(val):
	case strings.HasPrefix(key, "pass"):
		if isSentence[strings.ToLower(val)] {
			return m.group(0)
		}
	case !strings.HasSuffix(key, "key") || strings.Contains(key, " "):
		return m.group(0)
	}
	return pair
}

// isLiteral are values that cannot be a secret.
var isLiteral = map[string]bool{"null": true, "true": true, "false": true, `""`: true, "''": true, "none": true, "undefined": true, "yes": true, "no": true}

// mayBeNumber are keys of a customer as often as of a program.
var mayBeNumber = map[string]bool{"clientkey": true, "client_key": true, "client key": true, "servicekey": true, "accountkey": true, "account_key": true, "account key": true}

// isSentence are words with which a sentence about passwords continues, and no
// password: "passord: minst 8 tegn kreves", "the flag --token is required".
var isSentence = set("a an and any are as at be by can cannot cant contains does expired expires failed for from has have if in incorrect invalid is length " +
	"may maximum minimum mismatch missing must needs not of on only option or parameter policy required requires rules shall should the to together too " +
	"use used value was were when will with wrong flag field " +
	"av bare en er et feil flagget for fra ha har hvis i ikke ja kan kreves lengde maks maksimum mangler med mellom min minimum minst må nei og påkrevd regler " +
	"skal som til ugyldig uten ved utløpt utgått kravet")

func set(words string) map[string]bool {
	all := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		all[w] = true
	}
	return all
}
