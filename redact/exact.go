package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
)

// exact is the set of forms in which a call's secrets could be echoed.
type exact struct {
	all      []string // longest first
	replacer *strings.Replacer
}

// formsOf returns the forms of the secrets: raw, escaped for a query, a path,
// JSON (once and twice), HTML and XML, percent-encoded throughout, in hex and
// in base64, also inside a longer base64 text such as that of "user:secret".
func formsOf(secrets []string) exact {
	seen := make(map[string]bool)
	add := func(forms ...string) {
		for _, f := range forms {
			if len(f) >= 4 {
				seen[f] = true
			}
		}
	}
	for _, s := range secrets {
		add(s)
		add(bothCases(url.QueryEscape(s))...)
		add(bothCases(url.PathEscape(s))...)
		add(bothCases(percent(s))...)
		add(html.EscapeString(s), xmlEscape(s))
		for _, once := range jsonForms(s) {
			add(once)
			add(jsonForms(once)...)
			add(bothCases(url.QueryEscape(once))...)
		}
		h := hex.EncodeToString([]byte(s))
		add(h, strings.ToUpper(h))
		add(base64Forms(s)...)
	}
	all := make([]string, 0, len(seen))
	for f := range seen {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	pairs := make([]string, 0, 2*len(all))
	for _, f := range all {
		pairs = append(pairs, f, Mark) // the Replacer prefers what comes first
	}
	return exact{all, strings.NewReplacer(pairs...)}
}

// jsonForms returns a text as the inside of a JSON string: as Go writes it,
// without HTML escaping, with everything beyond ASCII escaped, and with
// escaped slashes.
func jsonForms(s string) []string {
	quoted, _ := json.Marshal(s)
	escaped := string(quoted[1 : len(quoted)-1])
	plain := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(escaped)
	ascii := ""
	for _, r := range plain {
		if r < 0x80 {
			ascii += string(r)
		} else if r < 0x10000 {
			ascii += fmt.Sprintf(`\u%04x`, r)
		} else {
			r -= 0x10000
			ascii += fmt.Sprintf(`\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	forms := []string{escaped, plain, ascii, strings.ReplaceAll(plain, "/", `\/`)}
	return append(forms, upperEscapes(escaped), upperEscapes(ascii))
}

// upperEscapes writes the digits of \uXXXX in upper case.
func upperEscapes(s string) string {
	parts := strings.Split(s, `\u`)
	for i := 1; i < len(parts); i++ {
		if len(parts[i]) >= 4 {
			parts[i] = strings.ToUpper(parts[i][:4]) + parts[i][4:]
		}
	}
	return strings.Join(parts, `\u`)
}

// bothCases returns a percent-encoded text with upper and lower case digits,
// and with %20 for +.
func bothCases(s string) []string {
	lower := []byte(s)
	for i := 0; i+2 < len(lower); i++ {
		if lower[i] == '%' {
			copy(lower[i+1:i+3], strings.ToLower(string(lower[i+1:i+3])))
		}
	}
	return []string{s, string(lower), strings.ReplaceAll(s, "+", "%20")}
}

// percent encodes every byte that is not a letter or digit.
func percent(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func xmlEscape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;").Replace(s)
}

// base64Forms returns the encodings of s, and for each of the three positions
// at which it can begin inside a longer text, the characters that do not depend
// on its neighbours.
func base64Forms(s string) []string {
	var forms []string
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		full := enc.EncodeToString([]byte(s))
		forms = append(forms, full, strings.TrimRight(full, "="))
		if len(s) < 6 {
			continue // the middle would be too short to be told from other text
		}
		for shift := range 3 {
			encoded := enc.WithPadding(base64.NoPadding).EncodeToString([]byte(strings.Repeat("\x00", shift) + s))
			from, to := (shift*8+5)/6, (shift+len(s))*8/6
			forms = append(forms, encoded[from:to])
		}
	}
	return forms
}
