package redact

import (
	"regexp"
	"slices"
	"strings"
)

// rule masks one shape. A regular expression over a whole text is slow, so each
// rule says where it is worth running: with needles, only if the text holds one of
// them; with starts, only at the places where one of those stands; with find,
// where that says; otherwise over the whole of a text for which gate is true. Needles and
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

// shapes masks all shapes in s, as it stands and as it reads once percent signs,
// entities and escapes are decoded.
func shapes(s string) string {
	lower := lowerASCII(s)
	for _, r := range rules {
		if masked := r.apply(s, lower); masked != s {
			s, lower = masked, lowerASCII(masked)
		}
	}
	return replace(s, encodedShapes(s), len(s))
}

// encodedShapes returns where shapes stand in s that show only when it is decoded.
func encodedShapes(s string) (all []span) {
	v := view{b: []byte(s)}
	for range 3 {
		decoded, ok := unescape(v)
		if !ok {
			break
		}
		v = decoded
		text := string(v.b)
		lower := lowerASCII(text)
		for _, r := range rules {
			for _, at := range r.matches(text, lower) {
				if from, to := masked(r.mask(match{text, at}), text, at[0], at[1]); from < to && text[from:to] != Mark {
					all = append(all, v.span(from, to))
				}
			}
		}
	}
	return merge(all)
}

// masked returns which part of text[from:to] is not in what a rule has put for
// it.
func masked(with, text string, from, to int) (int, int) {
	was := text[from:to]
	if with == was {
		return from, from
	}
	before, after, found := strings.Cut(with, Mark)
	if !found || !strings.HasPrefix(was, before) || !strings.HasSuffix(was[len(before):], after) {
		return from, to
	}
	return from + len(before), to - len(after)
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
	case r.needles != nil && !containsAny(lower, r.needles):
		return nil
	case r.find != nil:
		return r.find(s, lower)
	case r.starts != nil:
		return r.anchored(s, lower)
	case r.gate != nil && !r.gate(s):
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
	sep = `(?:\\*["'])?\]?\s*(?::=|=>|->|[:=]|%3[dDaA])\s*`

	// value is what follows: already masked, a JSON string inside a JSON
	// string, a quoted string that may not be closed, an ADO value in braces
	// (}} is a brace in it), a list, or a word.
	value = `(?:\[REDACTED\]` +
		`|\\+"(?:[^"\\]|\\+[^"\\])*(?:\\*")?` +
		`|"(?:[^"\\]|\\.)*"?` +
		`|'(?:[^'\\]|\\.|'')*'?` +
		`|\{(?:[^}]|\}\})*\}?` +
		`|\[[^\[\]]*(?:\]|$)` +
		`|[^\s"'&;,<>(){}\[\]\\|]+)`

	// list is a JSON array, or a header's values as Go prints them.
	list = `\[[^\]]*\]?`

	// blank is any blank: Norwegian programs group digits with U+00A0 and
	// U+202F. gap is what else may stand between groups.
	blank = `[ \p{Zs}]`
	gap   = `[ .\p{Zs}-]`

	// secretKey ends the name of something secret. What may stand before it
	// (db., TEMPORAL_, s in Hungarian notation) does not matter.
	secretKey = `password|passwd|passphrase|passord|pwd|` +
		`client[_-]?secret|secret|token|` +
		`(?:api|access|account|private|subscription|functions|encryption|signing|shared|shared[_-]?access|secret|master|auth|storage|license|session|` +
		`client|application|app|consumer|customer|partner|integration|service|user|developer|webhook|hmac|deploy)[_-]?key|` +
		`credentials?|signature|(?:client|saml)[_-]?assertion|session[_-]?id|connection[_-]?string|` +
		`\b(?:sig|sid|pw|jwt|otp|fpc|buid)`
)

// rules in the order in which they run: what is wider comes first.
var rules = []rule{
	// A certificate and a public key are no secrets.
	{name: "pem", needles: []string{"private"}, mask: whole,
		re: regexp.MustCompile(`(?s)-{4,5}[ +]?BEGIN[ +][A-Z0-9 +]*PRIVATE[ +]KEY(?:[ +]BLOCK)?[ +]?-{4,5}.*?(?:-{4,5}[ +]?END[ +][A-Z0-9 +]*PRIVATE[ +]KEY(?:[ +]BLOCK)?[ +]?-{4,5}|$)`)},

	{name: "putty", needles: []string{"private-lines"}, mask: second, re: regexp.MustCompile(`(?s)(Private-Lines: ?[0-9]+\s).*?(?:Private-MAC: ?[0-9a-f]+|$)`)},

	// The private members of a JSON Web Key (RFC 7518, section 6).
	{name: "jwk", needles: []string{"kty"}, mask: second,
		re: regexp.MustCompile(`((?:^|[{,\s])\\*["']?(?:d|p|q|dp|dq|qi|k)\\*["']?\s*[:=]\s*\\*["']?)[A-Za-z0-9_+/=-]{8,}`)},

	{name: "xml-key", needles: []string{"rsakeyvalue"}, mask: second,
		re: regexp.MustCompile(`(<(?:D|P|Q|DP|DQ|InverseQ)>)[^<]+`)},

	// A name and its value that are members beside each other, in either order.
	{name: "name-value", needles: []string{"val", "content", "default"}, starts: siblingNames, word: true, mask: sibling,
		re: regexp.MustCompile(`^(?i)(\w+["']?\s*(?:=>|[:=])\s*["']?)([\w .\[\]-]{1,80}?)` +
			`(["']?(?:\s*[,;]?\s*["']?[\w.-]+["']?\s*(?:=>|[:=])\s*(?:"[^"]*"|'[^']*'|[\w.]+)){0,3}?\s*[,;]?\s*["']?(?:values?|val|content|default)["']?\s*(?:=>|[:=])\s*)(` + value + `)`)},
	{name: "value-name", starts: []string{"val", "content", "default"}, word: true, mask: siblingBefore,
		re: regexp.MustCompile(`^(?i)((?:values?|val|content|default)["']?\s*(?:=>|[:=])\s*)("[^"]*"|'[^']*')` +
			`(\s*[,;]?\s*["']?(?:` + strings.Join(siblingNames, "|") + `)["']?\s*(?:=>|[:=])\s*["'])([^"'<>]{1,80})["']`)},
	{name: "name-value-elements", needles: []string{"</"}, mask: sibling,
		re: regexp.MustCompile(`(?i)(<(?:[\w.-]+:)?\w+(?:\s[^<>]*)?>\s*)([^<>]{1,80}?)(\s*:?\s*</[\w.:-]+>\s*<(?:[\w.-]+:)?(?:value|val|td|dd|span|content|string|div)(?:\s[^<>]*)?>)([^<]+)`)},

	{name: "sql-password", needles: []string{"passw", "identified"}, mask: second,
		re: regexp.MustCompile(`(?i)((?:\bpassw(?:ord|d)(?:\s+|\s*\(\s*)|\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?|\bpassword\s+for\s+\S+\s*=\s*(?:password\s*\(\s*)?)[EeNn]?)(?:'(?:[^'\\]|\\.|'')*'?|"[^\s",:}\]][^"]*"?)`)},

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

	// The address of a database without a scheme: user:password@tcp(host:3306)/db.
	{name: "dsn", needles: []string{"@"}, find: dsns, mask: dsn},

	// Addresses that are a credential themselves: what follows a hook.
	{name: "webhook", needles: []string{"hook"}, mask: webhook,
		re: regexp.MustCompile(`(?i)(//(?:[^\s/"'<>?#]*hook[^\s/"'<>?#]*/(?:(?:services|workflows|triggers|hooks?|catch|webhook)/)*|[^\s"'<>?#]*?/[\w-]*hook[\w-]*/))([^\s"'<>?#,;]+)`)},
	{name: "telegram", needles: []string{"bot"}, mask: second, re: regexp.MustCompile(`(?i)(\bbot)[0-9]{6,}(?::|%3a)[A-Za-z0-9_-]{16,}`)},
	{name: "telegram-token", gate: holdsLongNumber, mask: whole, re: regexp.MustCompile(`\b[0-9]{8,12}:AA[A-Za-z0-9_-]{30,}`)},

	{name: "key-value", find: keyValues, mask: keyValue},

	{name: "oauth-code", needles: []string{"code=", "state_token="}, mask: second,
		re: regexp.MustCompile(`(?i)((?:^|[?&\s"'])(?:code|state_token)=)[^\s&"'<>]{20,}`)},

	{name: "scheme", starts: []string{"bearer", "basic", "negotiate", "sharedaccesssignature", "token"}, word: true, mask: scheme,
		re: regexp.MustCompile(`^(?i)((?:bearer|basic|negotiate|sharedaccesssignature|token)(?:[\s\p{Zs}]+|%20|\+))([A-Za-z0-9._~+/=%-]{8,})`)},

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
		re: regexp.MustCompile(`\b[A-Z]{2}[0-9]{2}(?:` + gap + `?[A-Z0-9]{2,4}){2,8}(?:` + gap + `?[A-Z0-9]{1,4})?\b`)},

	{name: "identity-number", gate: holdsLongNumber, mask: identityNumber, re: regexp.MustCompile(`\b[0-9]{6}` + gap + `?[0-9]{5}\b`)},

	{name: "bank-account", gate: holdsLongNumber, mask: bankAccount, re: regexp.MustCompile(`\b[0-9]{4}` + gap + `?[0-9]{2}` + gap + `?[0-9]{5}\b`)},

	{name: "phone", starts: []string{"+"}, mask: whole, re: regexp.MustCompile(`^\+[0-9]{2,3}(?:` + gap + `?\(?[0-9]\)?){8,12}\b`)},

	{name: "phone-0047", starts: []string{"0047"}, word: true, mask: whole, re: regexp.MustCompile(`^0047(?:` + gap + `?\(?[0-9]\)?){8,12}\b`)},

	{name: "labelled-phone", starts: []string{"mob", "phone", "telefon", "tlf", "tel", "fax", "sms", "msisdn"}, mask: labelledPhone,
		re: regexp.MustCompile(`^(?i)((?:mobile?|(?:tele)?phone|telefon|tlf|tel|fax|sms|msisdn)[a-z0-9_.]{0,14}?(?:\\*["'])?[\s\p{Zs}]*[:=.]?[\s\p{Zs}]*(?:\\*["'])?)` +
			`((?:[0-9]{2}(?:` + blank + `?[0-9]{2}){3}|[0-9]{3}` + blank + `?[0-9]{2}` + blank + `?[0-9]{3}|[0-9]{4}` + blank + `[0-9]{4}))\b`)},
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

// siblingNames are the members that name what a sibling has the value of.
var siblingNames = []string{"name", "key", "header", "field", "param", "parameter", "property", "setting", "variable", "id", "label", "type"}

// sibling masks the value of a member whose sibling is a secret's name.
func sibling(m match) string {
	if name := strings.ToLower(strings.TrimSpace(m.group(2))); nameBefore(name, 0, len(name)) < 0 || isLiteral[strings.ToLower(m.group(4))] {
		return m.group(0)
	}
	return m.group(1) + m.group(2) + m.group(3) + quoted(m.group(4))
}

// siblingBefore is [sibling] where the value comes first.
func siblingBefore(m match) string {
	if name := strings.ToLower(m.group(4)); nameBefore(name, 0, len(name)) < 0 {
		return m.group(0)
	}
	return m.group(1) + quoted(m.group(2)) + m.text[m.at[6]:m.at[1]]
}

var dsnAtStart = regexp.MustCompile(`^([\w.-]+[:/])([^\s"'<>]+)(@(?:[a-z0-9+]+\(|[\w.-]+:[0-9]{2,5}\b|[\w.-]+/\w|//))`)

// dsns looks at the words in which an @ stands.
func dsns(s, _ string) (all [][]int) {
	const ends = " \n\"'=([,;>"
	for from := 0; from < len(s); {
		i := strings.IndexByte(s[from:], '@')
		if i < 0 {
			break
		}
		word, end := from+strings.LastIndexAny(s[from:from+i], ends)+1, len(s)
		if n := strings.IndexAny(s[from+i:], ends); n >= 0 {
			end = from + i + n
		}
		if at := dsnAtStart.FindStringSubmatchIndex(s[word:]); at != nil {
			all = append(all, shift(at, word))
			end = max(end, word+at[1])
		}
		from = end
	}
	return all
}

// dsn masks the password of user:password@host; after a / only what Oracle
// writes so, user/password@//host.
func dsn(m match) string {
	slash := strings.HasSuffix(m.group(1), "/")
	if slash != (m.group(3) == "@//") || strings.HasPrefix(m.group(2), "//") {
		return m.group(0)
	}
	return m.group(1) + Mark + m.group(3)
}

// webhook masks the rest of a path in which a part is long and looks secret.
func webhook(m match) string {
	for _, part := range strings.FieldsFunc(m.group(2), func(r rune) bool { return r == '/' || r == '@' }) {
		if len(part) >= 16 && looksSecret(part) {
			return m.group(1) + Mark
		}
	}
	return m.group(0)
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
