package redact

import (
	"regexp"
	"slices"
	"strings"
)

// rule masks one shape. A regular expression over a whole text is slow, so each
// rule says where it is worth running: with starts, only at the places where
// one of them stands; with find, where that says; otherwise over the whole of a
// text that holds one of the needles, or for which gate is true. Needles and
// starts are in lower case.
type rule struct {
	name    string
	needles []string
	starts  []string
	word    bool // a start must not be inside a word
	gate    func(s string) bool
	find    func(s, lower string) [][]int // as FindAllStringSubmatchIndex does
	re      *regexp.Regexp                // anchored if there are starts
	mask    func(m match) string          // what to put for a match
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
	lower := lowerASCII(s)
	for _, r := range rules {
		if masked := r.apply(s, lower); masked != s {
			s, lower = masked, lowerASCII(masked)
		}
	}
	return s
}

func (r rule) apply(s, lower string) string {
	all := r.matches(s, lower)
	if len(all) == 0 {
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

func (r rule) matches(s, lower string) [][]int {
	switch {
	case r.find != nil:
		return r.find(s, lower)
	case r.starts != nil:
		return r.anchored(s, lower)
	case r.gate != nil && !r.gate(s) || r.needles != nil && !containsAny(lower, r.needles):
		return nil
	}
	return r.re.FindAllStringSubmatchIndex(s, -1)
}

// anchored runs the expression at each start, from left to right.
func (r rule) anchored(s, lower string) (all [][]int) {
	end := 0
	for _, i := range positions(lower, r.starts) {
		if i < end || r.word && i > 0 && isWordByte(s[i-1]) {
			continue
		}
		if at := r.re.FindStringSubmatchIndex(s[i:]); at != nil {
			all = append(all, shift(at, i))
			end = i + at[1]
		}
	}
	return all
}

// positions returns where any of the words stands, in order.
func positions(s string, words []string) []int {
	var at []int
	for _, w := range words {
		for i := 0; ; i++ {
			n := strings.Index(s[i:], w)
			if n < 0 {
				break
			}
			i += n
			at = append(at, i)
		}
	}
	slices.Sort(at)
	return at
}

// shift moves the bounds of groups by n.
func shift(at []int, n int) []int {
	for i := range at {
		if at[i] >= 0 {
			at[i] += n
		}
	}
	return at
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// lowerASCII is strings.ToLower that keeps every byte in its place.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
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

// rules in the order in which they run: what is wider comes first.
var rules = []rule{
	{name: "pem", needles: []string{"private key"}, mask: whole,
		re: regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)`)},

	{name: "authorization", starts: []string{"authorization"}, mask: keepQuotes,
		re: regexp.MustCompile(`^(?i)(authorization` + sep + `)(?:\[REDACTED\]|` + list +
			`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?` +
			`|(?:digest|aws4-hmac-sha256|sharedaccesssignature|sharedkey(?:lite)?|oauth|hawk|ntlm|negotiate)\b[^\n]*` +
			`|(?:bearer|basic|token|apikey|key)\s+[^\s"'\\,;&<>\]}]+|[^\s"'\\,;&<>\]}]+)`)},

	{name: "cookie", starts: []string{"cookie"}, mask: keepQuotes,
		re: regexp.MustCompile(`^(?i)(cookie2?` + sep + `)(?:\[REDACTED\]|` + list +
			`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\n]+)`)},

	{name: "curl-user", needles: []string{"-u ", "-u=", "-u\n", "-user"}, mask: second,
		re: regexp.MustCompile(`((?:^|\s)(?:-u|--user|--proxy-user)[\s=]+["']?[^\s:"']*:)[^\s"']+`)},

	{name: "url-password", starts: []string{"://"}, mask: urlPassword,
		re: regexp.MustCompile(`^(://[^\s:/?#@"'<>]*:)([^\s"'<>]+)@`)},

	{name: "xml", starts: []string{"<"}, mask: second,
		re: regexp.MustCompile(`^(?i)(<[\w:.-]*(?:` + secretKey + `)(?:\s[^<>]*)?>)(?:\s*<!\[CDATA\[.*?\]\]>|[^<]+)`)},

	{name: "key-value", find: keyValues, mask: keyValue},

	{name: "oauth-code", needles: []string{"code=", "state_token="}, mask: second,
		re: regexp.MustCompile(`(?i)((?:^|[?&\s"'])(?:code|state_token)=)[^\s&"'<>]{20,}`)},

	{name: "scheme", starts: []string{"bearer", "basic", "negotiate", "sharedaccesssignature", "token"}, word: true, mask: scheme,
		re: regexp.MustCompile(`^(?i)((?:bearer|basic|negotiate|sharedaccesssignature|token)(?:\s+|%20|\+))([A-Za-z0-9._~+/=%-]{8,})`)},

	{name: "jwt", starts: []string{"eyj"}, word: true, mask: whole,
		re: regexp.MustCompile(`^eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)*`)},

	{name: "vendor-key", word: true, mask: whole,
		starts: []string{"akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "xapp-", "sg.", "hvs.", "hvb.",
			"glpat-", "npm_", "aiza", "ya29.", "sk_live_", "sk_test_", "rk_live_", "rk_test_", "sk-", "dop_v1_", "shpat_", "whsec_"},
		re: regexp.MustCompile(`^(?:(?:AKIA|ASIA)[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}` +
			`|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|SG\.[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)?|hv[sb]\.[A-Za-z0-9_-]{16,}` +
			`|glpat-[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{10,}` +
			`|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|sk-[A-Za-z0-9_-]{20,}|dop_v1_[a-f0-9]{32,}|shpat_[a-fA-F0-9]{20,}|whsec_[A-Za-z0-9+/=]{16,})`)},

	// Entra client secrets have no prefix; the version mark stands at the fourth place.
	{name: "entra-secret", needles: []string{"q~"}, mask: whole,
		re: regexp.MustCompile(`[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{20,}`)},

	{name: "email", find: emails, mask: whole},

	{name: "iban", gate: holdsIBANStart, mask: iban,
		re: regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{2,4}){2,8}(?:[ -]?[A-Z0-9]{1,4})?\b`)},

	{name: "identity-number", gate: holdsLongNumber, mask: identityNumber, re: regexp.MustCompile(`\b[0-9]{6}[ -]?[0-9]{5}\b`)},

	{name: "bank-account", gate: holdsLongNumber, mask: bankAccount, re: regexp.MustCompile(`\b[0-9]{4}[. ]?[0-9]{2}[. ]?[0-9]{5}\b`)},

	{name: "phone", starts: []string{"+"}, mask: whole, re: regexp.MustCompile(`^\+[0-9]{2,3}(?:[ -]?\(?[0-9]\)?){8,12}\b`)},

	{name: "phone-0047", starts: []string{"0047"}, word: true, mask: whole, re: regexp.MustCompile(`^0047(?:[ -]?\(?[0-9]\)?){8,12}\b`)},

	{name: "labelled-phone", starts: []string{"mob", "phone", "telephone", "telefon", "tlf", "tel", "fax", "sms", "msisdn"}, word: true, mask: second,
		re: regexp.MustCompile(`^(?i)((?:mobile?|(?:tele)?phone|telefon|tlf|tel|fax|sms|msisdn)[a-z_.]{0,10}(?:\\*["'])?\s*[:=.]?\s*(?:\\*["'])?)([0-9]{2}(?:[ ]?[0-9]{2}){3}|[0-9]{3}[ ]?[0-9]{2}[ ]?[0-9]{3})\b`)},
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
