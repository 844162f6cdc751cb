package redact

import (
	"regexp"
	"strings"
)

// secretNames end the name of something secret, with - and _ left out. What
// may stand before them (db., TEMPORAL_, s in Hungarian notation) does not
// matter. They are [secretKey] for those that are found by their separator.
var secretNames = []string{
	"password", "passwd", "passphrase", "passord", "pwd", "secret", "token", "credential", "credentials", "signature",
	"apikey", "accesskey", "accountkey", "privatekey", "subscriptionkey", "functionskey", "encryptionkey", "signingkey",
	"sharedkey", "secretkey", "masterkey", "authkey", "storagekey", "licensekey", "sessionkey",
	"clientassertion", "samlassertion", "sessionid", "connectionstring",
}

// secretWords are secret only as words of their own.
var secretWords = []string{"sig", "sid", "pw", "jwt", "otp", "fpc", "buid"}

var valueAtStart = regexp.MustCompile(`^` + value)

// keyValues finds pairs of a secret's name and its value. It goes by the
// separators, of which a text has few, and looks at the name before each: the
// groups are the name, what stands between, and the value.
func keyValues(s, lower string) (all [][]int) {
	end := 0
	for i := 0; i < len(s); i++ {
		after := separatorAt(lower, i)
		if after == 0 {
			continue
		}
		name := i
		for name > end && isBlank(s[name-1]) {
			name--
		}
		if name > end && (s[name-1] == '"' || s[name-1] == '\'') {
			name--
		}
		for name > end && s[name-1] == '\\' {
			name--
		}
		from := nameBefore(lower, end, name)
		if from < 0 {
			continue
		}
		for after < len(s) && isBlank(s[after]) {
			after++
		}
		if at := valueAtStart.FindStringIndex(s[after:]); at != nil {
			end = after + at[1]
			all = append(all, []int{from, end, from, name, name, after, after, end})
			i = end - 1
		}
	}
	return all
}

// separatorAt returns the end of the separator that stands at i, or 0.
func separatorAt(lower string, i int) int {
	switch lower[i] {
	case ':':
		if strings.HasPrefix(lower[i:], ":=") {
			return i + 2
		}
		return i + 1
	case '=':
		return i + 1
	case '%':
		if strings.HasPrefix(lower[i:], "%3d") || strings.HasPrefix(lower[i:], "%3a") {
			return i + 3
		}
	}
	return 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' }

// nameBefore returns where the secret's name begins that ends at end, or -1.
func nameBefore(lower string, from, end int) int {
	for _, name := range secretNames {
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

// suffix returns where name begins at the end of s, with - and _ in s left out,
// or -1.
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
		case (s[i] == '-' || s[i] == '_') && n < len(name):
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
	prose := !strings.ContainsAny(between, `=%"'\`) && strings.HasSuffix(between, " ") && !strings.ContainsAny(val[:1], `"'{\[`)
	if prose && !strings.HasPrefix(key, "pass") && !strings.HasSuffix(key, "key") && !looksSecret(val) {
		return m.group(0)
	}
	if isLiteral[strings.ToLower(val)] {
		return m.group(0)
	}
	return m.group(1) + between + quoted(val)
}

// isLiteral are values that cannot be a secret.
var isLiteral = map[string]bool{"null": true, "true": true, "false": true, `""`: true, "''": true, "none": true, "undefined": true}
