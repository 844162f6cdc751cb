package redact

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ledgerline/ledgerline/internal/lazy"
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
	re      func() *regexp.Regexp         // anchored if there are starts
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
	return r.re().FindAllStringSubmatchIndex(s, -1)
}

// anchored runs the expression at each start, from left to right.
func (r rule) anchored(s, lower string) (all [][]int) {
	end := 0
	for _, i := range positions(lower, r.starts) {
		if i < end || r.word && i > 0 && isWordByte(s[i-1]) {
			continue
		}
		if at := r.re().FindStringSubmatchIndex(s[i:]); at != nil {
			if m := (match{s, shift(at, i)}); r.mask(m) != m.group(0) { // else another one may begin inside
				all = append(all, m.at)
				end = m.at[1]
			}
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

var dsnAtStart = lazy.Regexp(`^([\w.-]+[:/])([^\s"'<>]+)(@(?:[a-z0-9+]+\(|[\w.-]+:[0-9]{2,5}\b|[\w.-]+/\w|//|[A-Za-z][\w.-]*))`)

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
		if at := dsnAtStart().FindStringSubmatchIndex(s[word:]); at != nil {
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
	if strings.Trim(m.group(1), "0123456789.:") == "" || !strings.ContainsAny(m.group(3), "(:/") && !isStrong(m.group(2)) {
		return m.group(0)
	}
	return m.group(1) + Mark + m.group(3)
}

// path masks what follows a part of a path such as key or token.
func path(m match) string {
	if !isStrong(m.group(2)) {
		return m.group(0)
	}
	return m.group(1) + Mark
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

// urlToken masks a credential that stands for user and password.
func urlToken(m match) string {
	if !isStrong(m.group(2)) {
		return m.group(0)
	}
	return m.group(1) + Mark + "@"
}

var urlPasswordAtStart = lazy.Regexp(`^(://[^\s:/?#@"'<>]*:)([^\s"'<>]+)@`)

// urlPasswords looks at each :// that an @ follows in the same word; without
// one, each would be read to the end of the text.
func urlPasswords(s, _ string) (all [][]int) {
	end, word, at := 0, 0, 0
	for _, i := range positions(s, []string{"://"}) {
		if i >= word {
			word = len(s)
			if n := strings.IndexAny(s[i:], " \n\"'<>"); n >= 0 {
				word = i + n
			}
			at = i + strings.LastIndexByte(s[i:word], '@')
		}
		if i < end || i >= at {
			continue
		}
		if m := urlPasswordAtStart().FindStringSubmatchIndex(s[i:word]); m != nil {
			all = append(all, shift(m, i))
			end = i + m[1]
		}
	}
	return all
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
