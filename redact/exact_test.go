package redact_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/redact"
)

// Ways in which a vendor may write what it received.
var echoes = map[string]func(string) string{
	"as it stands":             func(s string) string { return s },
	"upper case":               strings.ToUpper,
	"lower case":               strings.ToLower,
	"query":                    url.QueryEscape,
	"path":                     url.PathEscape,
	"percent throughout":       each("%%%02X"),
	"percent twice":            func(s string) string { return each("%%25%02x")(s) },
	"percent and u":            each("%%u%04x"),
	"HTML":                     html.EscapeString,
	"decimal entities":         each("&#%d;"),
	"hex entities":             each("&#x%X;"),
	"entities, no semicolon":   each("&#%d"),
	"padded entities":          each("&#%07d;"),
	"JSON":                     jsonInside,
	"JSON twice":               func(s string) string { return jsonInside(jsonInside(s)) },
	"backslash u":              each(`\u%04x`),
	"backslash x":              each(`\x%02x`),
	"backslash u in braces":    each(`\u{%x}`),
	"backslash octal":          each(`\%03o`),
	"backslash u, escaped":     each(`\\u%04x`),
	"quoted-printable":         quotedPrintable,
	"quoted-printable all":     each("=%02X"),
	"hex":                      func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":                      func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"hex with colons":          each("%02x:"),
	"hex with blanks":          each("%02X "),
	"0x":                       each("0x%02x, "),
	"bytes of Go":              func(s string) string { return fmt.Sprint([]byte(s)) },
	"base64":                   std,
	"base64 raw":               func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	"base64 url":               func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	"base64 shifted 1":         func(s string) string { return std("a" + s + "b") },
	"base64 shifted 2":         func(s string) string { return std("user:"[:2] + s) },
	"basic":                    func(s string) string { return std("user:" + s) },
	"base64 of JSON":           func(s string) string { return std(`{"user":"x","key":` + string(must(json.Marshal(s))) + `}`) },
	"base64 wrapped":           func(s string) string { return wrap(std(s), 8, "\r\n") },
	"base64 wrapped, blanks":   func(s string) string { return wrap(std(s), 10, "\n  ") },
	"base64 wrapped in JSON":   func(s string) string { return wrap(std(s), 10, `\n`) },
	"base64 of base64":         func(s string) string { return std(std(s)) },
	"base64 of base64 shifted": func(s string) string { return std("x" + std("yz"+s)) },
	"base64 three times":       func(s string) string { return std(std(std(s))) },
	"base64 in a query":        func(s string) string { return url.QueryEscape(std(s)) },
	"base64 of hex":            func(s string) string { return std(hex.EncodeToString([]byte(s))) },
	"hex of base64":            func(s string) string { return hex.EncodeToString([]byte(std(s))) },
	"base64 of UTF-16":         func(s string) string { return std(utf16le(s)) },
	"base32":                   func(s string) string { return base32.StdEncoding.EncodeToString([]byte(s)) },
	"base32 small, shifted":    func(s string) string { return strings.ToLower(base32.StdEncoding.EncodeToString([]byte("xyz" + s))) },
	"reversed":                 reverse,
	"full width":               fullWidth,
	"mathematical":             func(s string) string { return strings.Map(bold, s) },
	"line break":               func(s string) string { return s[:5] + "\n" + s[5:] },
	"folded":                   func(s string) string { return wrap(s, 7, "\r\n ") },
	"blanks":                   func(s string) string { return wrap(s, 4, " ") },
	"colons":                   func(s string) string { return wrap(s, 2, ":") },
	"each apart":               func(s string) string { return wrap(s, 1, " ") },
	"zero width":               func(s string) string { return wrap(s, 1, "\u200b") },
	"variation selectors":      func(s string) string { return wrap(s, 1, "\ufe0f") },
	"NUL":                      func(s string) string { return wrap(s, 1, "\x00") },
	"soft hyphens in HTML":     func(s string) string { return wrap(s, 3, "&shy;") },
	"JSON NUL":                 func(s string) string { return wrap(s, 1, `\u0000`) },
	"broken by tags":           func(s string) string { return wrap(s, 6, "<br/>") },
	"in color":                 func(s string) string { return "\x1b[1;31m" + wrap(s, 5, "\x1b[0m\x1b[31m") + "\x1b[0m" },
	"in color in JSON":         func(s string) string { return wrap(s, 5, `\u001b[31m`) },
	"without its last three":   func(s string) string { return s[:len(s)-3] },
	"without its first three":  func(s string) string { return s[3:] },
	"its middle":               func(s string) string { return s[1 : len(s)-1] },
	"twice":                    func(s string) string { return s + s },
}

// A secret of twelve letters and digits or more is masked however it is
// written, and what stands around stays.
func TestEchoes(t *testing.T) {
	secrets := map[string]string{
		"letters and digits": join("Qx7vT2", "mZ9kLp", "4Wc8Rn", "5Jb3"),
		"short":              join("k7Rq2", "Zp9Xw", "4Lm", "8n"),
		"signs":              join("p+7/xK", "==Lq&9", "<zT\"w4", `R\n2%`, "41b8C6!"),
		"an address":         join("https", "://", "hooks.example.no", "/T0AB/", "x7Kq9ZpLm2Wv"),
		"a number":           join("482913", "750264", "891"),
	}
	for kind, secret := range secrets {
		r := redact.New("other"+"-secret", secret)
		for name, echo := range echoes {
			if kind == "signs" && (name == "soft hyphens in HTML" || name == "in color in JSON" || name == "broken by tags") {
				continue // one falls into what looks like an escape in the secret
			}
			t.Run(kind+"/"+name, func(t *testing.T) {
				form := echo(secret)
				got := r.Text("The key " + form + " is unknown. Ring us.")
				require.Contains(t, got, redact.Mark, "of %q", form)
				require.True(t, strings.HasPrefix(got, "The key ") && strings.HasSuffix(got, " is unknown. Ring us."), "%q became %q", form, got)
				require.Less(t, longestCommon(got, form), 8, "%q became %q", form, got)
				require.Equal(t, got, r.Text(got), "twice")
			})
		}
	}
}

// What looks like a secret only in part stays.
func TestExactStays(t *testing.T) {
	long, pin := join("ledger", "line-", "production", "-4471"), "42"+"42"
	r := redact.New(long, pin, "dog")
	for _, text := range []string{
		"amount 424242 and 24242.00 of 4242.00 and 1,4242 in A4242B", "Ledgerline is down", "production 4", "the dog barks",
		"34323432", "NDI0Mg",
	} {
		require.Equal(t, text, r.Text(text))
		require.Equal(t, text, r.Exact(text))
	}
}

// Shorter secrets are compared as they stand, also where they are encoded.
func TestShortSecrets(t *testing.T) {
	pin, word, words := "42"+"42", join("hun", "ter", "2"), join("blå ", "b&r", "!")
	r := redact.New(pin, word, words)
	for _, text := range []string{
		"PIN §" + pin + "§ is wrong", "(§" + pin + "§)", "pin=§" + pin + "§&x=1", "x%3D§" + pin + "§%26", `\n§` + pin + "§", "§&#52;&#50;&#52;&#50;§ no",
		"word §" + word + "§.", "user §" + std("user:"+pin) + "§ no", "user §" + std("user:"+word) + "§ no", "alone §" + std(word) + "§ no",
		"§" + url.QueryEscape(words) + "§ x", "§" + url.PathEscape(words) + "§ x", "x §" + html.EscapeString(words) + "§ x", "x §" + jsonInside(words) + "§ x",
		"§" + each("%%%02x")(word) + "§ x", "§" + fullWidth(word) + "§ x",
	} {
		parts := strings.Split(text, "§")
		got := r.Text(strings.Join(parts, ""))
		require.NotContains(t, got, parts[1])
		require.Contains(t, got, redact.Mark, text)
		require.True(t, strings.HasPrefix(got, parts[0]) && strings.HasSuffix(got, parts[2]), "%q became %q", text, got)
	}
}

// A secret need not be UTF-8, and comes back as whoever reads it takes it.
func TestSecretInLatin1(t *testing.T) {
	for _, secret := range []string{join("abcdefgh", "\xe5", "ijklmnop", "\xe6\xf8", "qrstuvwx"), join("p\xe6s", "sord1!"), join("hemmelig", "\xe6", "hemmelig")} {
		r := redact.New(secret)
		require.Equal(t, "login [REDACTED] failed", r.Text("login "+secret+" failed"))
		require.Equal(t, "login [REDACTED] failed", r.Exact("login "+secret+" failed"))
		got, ok := r.JSON(t.Context(), must(json.Marshal([]string{secret})))
		require.True(t, ok)
		require.Equal(t, `["[REDACTED]"]`, string(got))
	}
}

// Wherever a bound of the input falls, no part of a secret is left.
func TestBounds(t *testing.T) {
	long := strings.Repeat(join("Zq8", "wX3", "vN7"), 128)
	for _, secret := range []string{join("Qx7vT2", "mZ9kLp", "4Wc8Rn", "5Jb3"), long} {
		r := redact.New(secret, "filler-"+"filler-filler")
		for _, bound := range []int{500, 1000, 4 << 10, 60 << 10, 64 << 10} {
			for _, fill := range []string{"€", "word ", "x", "filler-filler-filler "} {
				for _, back := range []int{0, 1, 10, 24, 25, 300, 1100} {
					n := max(0, bound-back)
					text := (strings.Repeat(fill, n/len(fill)) + strings.Repeat(" ", n%len(fill)) + secret + " end")
					if got := r.Text(text); longestCommon(got, secret) > 7 {
						t.Fatalf("%d before %d behind %q: %q", back, bound, fill, got)
					}
				}
			}
		}
	}
}

// A chain of encodings that nobody has thought of.
func FuzzEchoes(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed, uint8(seed), uint8(seed/3), uint8(seed*7))
	}
	wrappings := []string{"as it stands", "percent throughout", "decimal entities", "JSON", "backslash u", "hex", "base64", "base64 url", "base64 shifted 1",
		"base64 wrapped", "base32", "query", "HTML", "hex with colons", "quoted-printable all", "bytes of Go"}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-.~!&% "
	f.Fuzz(func(t *testing.T, seed uint64, a, b, c uint8) {
		random := rand.New(rand.NewPCG(seed, 1))
		secret := "A1b2" + join("C3d", "4E5f", "6") // so that it is long enough
		for range random.IntN(60) {
			i := random.IntN(len(letters))
			secret += letters[i : i+1]
		}
		secret = strings.Trim(secret, "+/=_-.~!&% ") // what stands at its ends and is neither a letter nor a digit is not looked for
		form := secret
		for _, n := range []uint8{a, b, c} {
			if name := wrappings[int(n)%len(wrappings)]; len(form) < 2000 {
				form = echoes[name](form)
			}
		}
		r := redact.New(secret)
		if once := r.Text("before it, " + form + ", after it"); r.Text(once) != once {
			t.Fatalf("not idempotent: %q", once)
		}
		got := r.Exact("before it, " + form + ", after it")
		if !strings.HasPrefix(got, "before it, ") || !strings.HasSuffix(got, ", after it") || !strings.Contains(got, redact.Mark) || len(got)-len("before it, , after it")-len(redact.Mark) > len(form)/2 { // encoded padding stays
			t.Fatalf("%q as %q became %q", secret, form, got)
		}
	})
}

// A long secret costs no more than reading it, and hostile text milliseconds.
func BenchmarkText(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	secret := ""
	for len(secret) < 16<<10 {
		secret += fmt.Sprintf("%x", random.Uint64())
	}
	message := strings.Repeat("The customer posting group must have a value for no. C00690. ", 17)[:1024]
	b.Run("16KBSecret", func(b *testing.B) {
		for b.Loop() {
			redact.New(secret).Text(message)
		}
	})
	token := redact.New(secret[:2048])
	for name, piece := range map[string]string{"prose": message, "letters": "a", "base64": std(std(std(message))), "percents": "%25", "entities": "&#97;", "ampersands": "&a", "escapes": `\u0061`,
		"quotes": `"password":"`, "equals": "=3D", "numbers": "97 ", "secret": secret[:2048], "at": "a@", "digits": "12345678901 ", "V": "V", "keys": "key=", "flags": "--key ", "stars": "name value "} {
		text := strings.Repeat(piece, 64<<10/len(piece)+1)[:64<<10]
		b.Run("64KB/"+name, func(b *testing.B) {
			for b.Loop() {
				token.Text(text)
			}
		})
	}
}

// BenchmarkHostileShapes is 4 KB of the beginnings of each shape.
func BenchmarkHostileShapes(b *testing.B) {
	for _, piece := range []string{`name="`, `name=a value `, `name:a,`, `key: a b `, `<a id="x" `, `<password `, `value="" name `, `value=""`, `<a>password</a>`, `"kty" d:`, `//hook`, `/hook/`, `//a/hook`, `a:b@`, `a:b`, "@", "://", "://aaaaaaaa", "a@b:", `-a `, `password `, `password (`, `[[[`, `password: [`, `bot1`, `+1`, `1 `, `1234 56 `, `NO93 `, `tel `, `mobile`, `phone1`, "-----BEGIN PRIVATE KEY", "begin private ", "Private-Lines: 1 ", "identified by ", `passwd'`, `:[`, `:::::`, `token => `, `%3d`, `&quot;password&quot;`, `=`, `eyJ`, `authorization:`, `cookie:"`, `bearer `, `<password>`, "q~", "1Q~", "a.", "{", `\`, `\"`, `\\\\"`, "</td><td>", "hook name val kty @ private passw key= ", "id:", "@://:", "://a:b@", `id:"`, `type=x,`} {
		text := strings.Repeat(piece, 4<<10/len(piece))
		b.Run(strings.ReplaceAll(piece, "/", "|"), func(b *testing.B) {
			for b.Loop() {
				redact.Text(text)
			}
		})
	}
}

// 64 KB take milliseconds; this finds only what is not linear at all.
func TestHostileTextEnds(t *testing.T) {
	for _, piece := range []string{"a", "%25", "&#97;", `\u0061`, "=3D", "97 ", `"password":"`, "key=", "eyJ.", "-----BEGIN PRIVATE KEY-----", "name\":\"token\",\"value", "0"} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := redact.New(strings.Repeat(piece, 20000), strings.Repeat("aB3", 8))
			r.Text(strings.Repeat(piece, 64<<10))
			r.Exact(strings.Repeat(piece, (256<<10)/len(piece)))
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%q takes time", piece)
		}
	}
}

func join(parts ...string) string { return strings.Join(parts, "") }

// each writes every byte by a format.
func each(format string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, format, c)
		}
		return strings.TrimRight(b.String(), " :,")
	}
}

func wrap(s string, n int, by string) string {
	var parts []string
	for len(s) > n {
		parts, s = append(parts, s[:n]), s[n:]
	}
	return strings.Join(append(parts, s), by)
}

func std(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func jsonInside(s string) string {
	b := must(json.Marshal(s))
	return string(b[1 : len(b)-1])
}

func quotedPrintable(s string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

func utf16le(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func fullWidth(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r <= '~' {
			return r + '！' - '!'
		}
		return r
	}, s)
}

func bold(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r - 'A' + 0x1d400
	case r >= 'a' && r <= 'z':
		return r - 'a' + 0x1d41a
	case r >= '0' && r <= '9':
		return r - '0' + 0x1d7ce
	}
	return r
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// longestCommon is the length of the longest text that both hold.
func longestCommon(a, b string) int {
	best := 0
	for i := range b {
		for i+best < len(b) && strings.Contains(a, b[i:i+best+1]) {
			best++
		}
	}
	return best
}
