package redact

import (
	"regexp"
	"strings"
)

// secretNames end the name of something secret, with what may stand between
// its words left out. What stands before them (db., TEMPORAL_, s in Hungarian
// notation) does not matter.
var secretNames = []string{
	"password", "passwd", "passphrase", "passcode", "passord", "kodeord", "pwd", "secret", "hemmelighet", "token", "credential", "credentials", "signature",
	"apikey", "accesskey", "accountkey", "privatekey", "subscriptionkey", "functionskey", "encryptionkey", "signingkey",
	"sharedkey", "secretkey", "masterkey", "authkey", "storagekey", "licensekey", "sessionkey",
	"clientkey", "applicationkey", "appkey", "consumerkey", "customerkey", "partnerkey", "integrationkey", "servicekey", "userkey",
	"developerkey", "webhookkey", "hmackey", "deploykey", "apinøkkel", "klientnøkkel", "tilgangsnøkkel", "applikasjonsnøkkel",
	"clientassertion", "samlassertion", "sessionid", "connectionstring", "pinkode", "engangskode",
}

// secretWords are secret only as words of their own.
var secretWords = []string{"sig", "sid", "pw", "jwt", "otp", "fpc", "buid"}

// namesByEnd are the secretNames by their last byte.
var namesByEnd = func() (all [256][]string) {
	for _, name := range secretNames {
		last := name[len(name)-1]
		all[last] = append(all[last], name)
	}
	return all
}()

var (
	valueAtStart = regexp.MustCompile(`^` + value)

	// beforeValue stands between a separator and the value: marks of emphasis,
	// of a block in YAML, the type in a dump of PHP, and what is called with a
	// quoted value, such as SecretStr('…') or b'…'.
	beforeValue = regexp.MustCompile("^(?:[ \\n*`]+|[|>][-+]?\\s+|(?:string|str)\\([0-9]+\\)\\s*|[A-Za-z_][A-Za-z0-9_.:]*\\(\\s*(?:\\\\*[\"'])|[A-Za-z@$]{1,2}(?:\\\\*[\"']))+")

	flagName = regexp.MustCompile(`(?:^|[\s"'=(\[])--?$`)
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
		case s[i] == ' ' && !flag, s[i] == ',' && (i == 0 || !isQuote(s[i-1])):
			continue
		case s[i] == ' ':
			flag = false
		}
		if after == 0 {
			continue
		}
		name := wrapped(s, end, i)
		from := nameBefore(lower, end, name)
		if from < 0 || s[i] == ' ' && !isFlag(lower, end, from) {
			continue
		}
		if at := beforeValue.FindStringIndex(s[after:]); at != nil {
			after += at[1]
			for after > i+1 && (isQuote(s[after-1]) || s[after-1] == '\\') {
				after--
			}
		}
		at := valueAtStart.FindStringIndex(s[after:])
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
	case ' ', ',': // after a flag, and between two quoted texts
		return i + 1
	}
	return 0
}

// wrapped returns where the name ends that stands before i: blanks, and the
// quotes, brackets, stars and the tag around it, are passed over.
func wrapped(s string, from, i int) int {
	for i > from && isBlank(s[i-1]) && s[min(i, len(s)-1)] != ',' {
		i--
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
	return flagName.MatchString(lower[max(end, from-3):from])
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
	case strings.TrimSpace(between) == "": // a flag
		if isSentence[strings.ToLower(strings.TrimRight(val, ".,:;"))] {
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

// isSentence are words with which a sentence about passwords goes on, and no
// password: "passord: minst 8 tegn kreves", "the flag --token is required".
var isSentence = set("a an and any are as at be by can cannot cant contains does expired expires failed for from has have if in incorrect invalid is length " +
	"may maximum minimum mismatch missing must needs not of on only option or parameter policy required requires rules shall should the to too " +
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
