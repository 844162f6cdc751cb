package redact

import (
	"regexp"
	"strings"
)

// rule masks one shape. A rule runs only on a text that holds one of its
// needles (lower case; none means always): ordinary text runs few regular
// expressions.
type rule struct {
	name    string
	needles []string
	re      *regexp.Regexp
	mask    func(m match) string // what to put for a match
}

// match is one match of a rule's expression: the whole text, and the bounds of
// the groups as FindSubmatchIndex returns them.
type match struct {
	text string
	at   []int
}

// group returns group i of the match, "" if it did not take part.
func (m match) group(i int) string {
	if m.at[2*i] < 0 {
		return ""
	}
	return m.text[m.at[2*i]:m.at[2*i+1]]
}

// before returns up to n bytes before the match, in lower case.
func (m match) before(n int) string {
	return strings.ToLower(m.text[max(0, m.at[0]-n):m.at[0]])
}

// shapes masks all shapes in s.
func shapes(s string) string {
	lower := strings.ToLower(s)
	for _, r := range rules {
		if r.applies(lower) {
			s = r.apply(s)
		}
	}
	return s
}

func (r rule) applies(lower string) bool {
	if len(r.needles) == 0 {
		return true
	}
	for _, n := range r.needles {
		if strings.Contains(lower, n) {
			return true
		}
	}
	return false
}

func (r rule) apply(s string) string {
	all := r.re.FindAllStringSubmatchIndex(s, -1)
	if all == nil {
		return s
	}
	var b strings.Builder
	end := 0
	for _, at := range all {
		b.WriteString(s[end:at[0]])
		b.WriteString(r.mask(match{s, at}))
		end = at[1]
	}
	b.WriteString(s[end:])
	return b.String()
}

// whole masks all of a match.
func whole(match) string { return Mark }

// second keeps the first group and masks the rest of the match.
func second(m match) string { return m.group(1) + Mark }

// Pieces of the expressions below.
const (
	// sep stands between a key and its value: quotes in any number of escapes,
	// then a colon or an equals sign, which may be percent-encoded.
	sep = `(?:\\*["'])?\s*(?::=|[:=]|%3[dDaA])\s*`

	// value is what follows: already masked, a JSON string inside a JSON
	// string, a quoted string that may not be closed, an ADO value in braces
	// (}} is a brace in it), or a word.
	value = `(?:\[REDACTED\]` +
		`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?` +
		`|"(?:[^"\\]|\\.)*"?` +
		`|'(?:[^'\\]|\\.|'')*'?` +
		`|\{(?:[^}]|\}\})*\}?` +
		`|[^\s"'&;,<>(){}\[\]\\|]+)`

	// list is a JSON array, or a header's values as Go prints them.
	list = `\[[^\]]*\]?`

	// secretKey ends the name of something secret. What may stand before it
	// (db., TEMPORAL_, s in Hungarian notation) does not matter.
	secretKey = `password|passwd|passphrase|passord|pwd|` +
		`client[_-]?secret|secret|token|` +
		`(?:api|access|account|private|subscription|functions|encryption|signing|shared|shared[_-]?access|secret|master|auth|storage|license|session)[_-]?key|` +
		`credentials?|signature|(?:client|saml)[_-]?assertion|session[_-]?id|connection[_-]?string|` +
		`\b(?:sig|sid|pw|jwt|otp|fpc|buid)`
)

// keyNeedles are lower-case pieces of which each key that [secretKey] matches
// holds one.
var keyNeedles = []string{
	"passw", "passphrase", "passord", "pwd", "secret", "token", "key", "credential", "signature", "assertion",
	"session", "connection", "sig", "sid", "pw", "jwt", "otp", "fpc", "buid",
}

// rules in the order in which they run: what is wider comes first.
var rules = []rule{
	{"pem", []string{"private key"},
		regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)`), whole},

	{"authorization", []string{"authorization"},
		regexp.MustCompile(`(?i)(authorization` + sep + `)(?:\[REDACTED\]|` + list +
			`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?` +
			`|(?:digest|aws4-hmac-sha256|sharedaccesssignature|sharedkey(?:lite)?|oauth|hawk|ntlm|negotiate)\b[^\n]*` +
			`|(?:bearer|basic|token|apikey|key)\s+[^\s"'\\,;&<>\]}]+|[^\s"'\\,;&<>\]}]+)`), keepQuotes},

	{"cookie", []string{"cookie"},
		regexp.MustCompile(`(?i)(cookie2?` + sep + `)(?:\[REDACTED\]|` + list +
			`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\n]+)`), keepQuotes},

	{"curl-user", []string{"-u", "--user"},
		regexp.MustCompile(`((?:^|\s)(?:-u|--user|--proxy-user)[\s=]+["']?[^\s:"']*:)[^\s"']+`), second},

	{"url-password", []string{"://"},
		regexp.MustCompile(`(://[^\s:/?#@"'<>]*:)([^\s"'<>]+)@`), urlPassword},

	{"xml", []string{"<"},
		regexp.MustCompile(`(?i)(<[\w:.-]*(?:` + secretKey + `)(?:\s[^<>]*)?>)(?:\s*<!\[CDATA\[.*?\]\]>|[^<]+)`), second},

	{"key-value", keyNeedles,
		regexp.MustCompile(`(?i)(` + secretKey + `)(` + sep + `)(` + value + `)`), keyValue},

	{"oauth-code", []string{"code"},
		regexp.MustCompile(`(?i)((?:^|[?&\s"'])(?:code|state_token)=)[^\s&"'<>]{20,}`), second},

	{"scheme", []string{"bearer", "basic", "negotiate", "sharedaccesssignature", "token"},
		regexp.MustCompile(`(?i)(\b(?:bearer|basic|negotiate|sharedaccesssignature|token)(?:\s+|%20|\+))([A-Za-z0-9._~+/=%-]{8,})`), scheme},

	{"jwt", []string{"eyj"},
		regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*`), whole},

	{"vendor-key", []string{"akia", "asia", "gh", "xox", "sg.", "hvs.", "hvb.", "glpat", "npm_", "aiza", "ya29.", "_live_", "_test_", "8q~", "sk-", "dop_v1", "shpat_", "whsec_"},
		regexp.MustCompile(`\b(?:(?:AKIA|ASIA)[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}` +
			`|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|SG\.[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)?|hv[sb]\.[A-Za-z0-9_-]{16,}` +
			`|glpat-[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{10,}` +
			`|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{20,}|dop_v1_[a-f0-9]{32,}|shpat_[a-fA-F0-9]{20,}|whsec_[A-Za-z0-9+/=]{16,})`), whole},

	// Entra client secrets have no prefix; the version mark stands at the fourth place.
	{"entra-secret", []string{"q~"},
		regexp.MustCompile(`[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{20,}`), whole},

	{"email", []string{"@", "%40"},
		regexp.MustCompile(`[\p{L}\p{N}._+'-]+(?:@|%40)(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}`), whole},

	{"iban", nil, regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{2,4}){2,8}(?:[ -]?[A-Z0-9]{1,4})?\b`), iban},

	{"identity-number", nil, regexp.MustCompile(`\b[0-9]{6}[ -]?[0-9]{5}\b`), identityNumber},

	{"bank-account", nil, regexp.MustCompile(`\b[0-9]{4}[. ]?[0-9]{2}[. ]?[0-9]{5}\b`), bankAccount},

	{"phone", []string{"+", "0047"}, regexp.MustCompile(`(?:\+[0-9]{2,3}|\b0047)(?:[ -]?\(?[0-9]\)?){8,12}\b`), whole},

	{"labelled-phone", []string{"mob", "phone", "tlf", "tel", "fax", "sms", "msisdn", "ring"},
		regexp.MustCompile(`(?i)(\b(?:mobile?|(?:tele)?phone|telefon|tlf|tel|fax|sms|msisdn)[a-z_.]{0,10}(?:\\*["'])?\s*[:=.]?\s*(?:\\*["'])?)([0-9]{2}(?:[ ]?[0-9]{2}){3}|[0-9]{3}[ ]?[0-9]{2}[ ]?[0-9]{3})\b`), second},
}

// keepQuotes masks a header's value and keeps the quotes or brackets around it,
// so that what follows stays readable.
func keepQuotes(m match) string {
	return m.group(1) + quoted(m.text[m.at[3]:m.at[1]])
}

// quoted masks a value within its quotes.
func quoted(v string) string {
	open := len(v) - len(strings.TrimLeft(v, `\`))
	if open < len(v) && (v[open] == '"' || v[open] == '\'') {
		mark := v[:open+1]
		if len(v) > len(mark) && strings.HasSuffix(v, mark) {
			return mark + Mark + mark
		}
		return mark + Mark
	}
	return Mark
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

// scheme masks the credential after an authentication scheme, where it looks
// like one: "Bearer token is missing" stays.
func scheme(m match) string {
	if !looksSecret(m.group(2)) {
		return m.group(0)
	}
	return m.group(1) + Mark
}

// looksSecret tells a credential from a word: it has a digit, or an upper-case
// letter after a lower-case one, or base64 padding.
func looksSecret(s string) bool {
	lower := false
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9', c == '=':
			return true
		case c >= 'a' && c <= 'z':
			lower = true
		case lower && c >= 'A' && c <= 'Z':
			return true
		}
	}
	return false
}

// urlPassword masks user:password@ in an address. What follows host:port/ is
// a path, even if an @ stands in it.
func urlPassword(m match) string {
	password := m.group(2)
	digits := strings.IndexFunc(password, func(r rune) bool { return r < '0' || r > '9' })
	if digits > 0 && digits <= 5 && (password[digits] == '/' || password[digits] == '?') {
		return m.group(0)
	}
	return m.group(1) + Mark + "@"
}
