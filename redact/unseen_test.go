package redact_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/redact"
)

// What costs so much to decode that not all of a text is looked at hides nothing: up
// to five layers are decoded, or nothing of them is shown.
func TestNothingIsShownUnseen(t *testing.T) {
	token := join("kD93mf", "Lq02Zx8T", "tYbVw71P", "seRuHnQaGc")
	r := redact.New(token)
	layers := map[string]func(string) string{"base64": std, "hex": func(s string) string { return hex.EncodeToString([]byte(s)) }, "percent": each("%%%02X")}
	for name, layer := range layers {
		enc := token
		for depth := 1; depth <= 5 && len(enc) < 3000; depth++ {
			enc = layer(enc)
			for _, pad := range []string{"V", "4242", "VVVV%41=41", "=41&amp;%2541", "=56=56VVVVVVVV", `\u0041=41VV`, "85 ", "&#86;", "NDI0Mg"} {
				for _, n := range []int{0, 300, 1500, 50000} {
					if n == 50000 && (pad != "V" || depth != 2) {
						continue // it takes long
					}
					pads := strings.Repeat(pad, n/len(pad))
					for _, text := range []string{enc + ` \u0041=41` + pads, pads + ` \u0041=41 ` + enc, enc + " é | " + pads} {
						got := r.Text(text)
						require.False(t, shows(got, enc), "%d times %s with %d of %q: %q", depth, name, n, pad, got)
						body, err := json.Marshal([]string{text, "seen"})
						require.NoError(t, err)
						masked, ok := r.JSON(t.Context(), body)
						require.True(t, ok && json.Valid(masked))
						require.False(t, shows(string(masked), enc), "%d times %s with %d of %q: %.300s", depth, name, n, pad, masked)
						require.True(t, strings.HasSuffix(string(masked), `,"seen"]`), "only what is dear is masked")
					}
				}
			}
		}
	}
}

// shows reports whether 16 bytes of a form stand in a text.
func shows(text, form string) bool {
	for i := 0; i+16 <= len(form); i++ {
		if strings.Contains(text, form[i:i+16]) {
			return true
		}
	}
	return false
}

// Texts that vendors really answer with cost little, and stay.
func TestLongTextsAreSeen(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	bytes := make([]byte, 24<<10)
	for i := range bytes {
		bytes[i] = byte(random.Uint32())
	}
	var numbers, ids, hexes strings.Builder
	for range 2000 {
		fmt.Fprintf(&numbers, "%d.%02d; ", random.IntN(100000), random.IntN(100))
		fmt.Fprintf(&ids, "%08x-%04x-4%03x-a%03x-%012x, ", random.Uint32(), random.IntN(1<<16), random.IntN(1<<12), random.IntN(1<<12), random.Uint64N(1<<48))
		fmt.Fprintf(&hexes, "%d %d ", random.IntN(256), 32+random.IntN(90))
	}
	prose := strings.Repeat("The customer posting group must have a value for no. C00690, i Ås & Vik <post@example.no>. ", 300)
	page := `<table width=50 style="color:#40AA41"><tr><td colspan=20>&nbsp;Sum: 4&#160;250,00 &amp; mva.</td><td><a href="https://example.no/?a=20%20b&amp;c=%C3%85s%2520&d=41=42">her</a></td></tr></table>` + "\r\n"
	pages := strings.Repeat(page, 100)
	xml := strings.Repeat("<cbc:ID schemeID=\"0192\">20201-2</cbc:ID>\n", 400)
	r := redact.New(join("kD93mf", "Lq02Zx8T", "tYbVw71P", "seRuHnQaGc"), join("hun", "ter", "2"))
	for name, text := range map[string]string{
		"prose": prose, "numbers": numbers.String(), "IDs": ids.String(), "lists of bytes": hexes.String(),
		"a page": pages, "a page in a page": html.EscapeString(pages), "twice": html.EscapeString(html.EscapeString(pages)), "a page in JSON": jsonInside(pages), "in JSON twice": jsonInside(jsonInside(pages)),
		"a page in a query": url.QueryEscape(pages), "a page by mail": quotedPrintable(pages), "a page by mail in JSON": jsonInside(quotedPrintable(pages)),
		"XML in base64": std(xml), "in base64 in JSON in base64": std(jsonInside(std(xml))), "three times": std(std(std(prose))), "a picture": std(string(bytes)), "a picture in hex": hex.EncodeToString(bytes),
		"a page with a picture": pages + `<img src="data:image/png;base64,` + std(string(bytes)) + `">` + pages, "a page with XML": html.EscapeString(pages + std(xml) + pages),
		"a log": strings.Repeat("2026-11-23T12:00:00Z INFO a.b.C: GET /api/v2.0/companies(3f0c1d0a-6c1e-4a57-9b59-c6dbe3c10b11)/journals?$filter=number%20eq%20%27A%27 200\n\tat A.b(C.java:41)\n", 200),
		"lines": strings.Repeat("-=", 5000) + strings.Repeat("_", 5000) + strings.Repeat("x", 5000) + strings.Repeat("0", 5000) + strings.Repeat("A", 5000),
		"few":   "a=41%20&amp;b", "percents": strings.Repeat("100 % ", 2000), "Cyrillic": strings.Repeat("Это не секрет. ", 2000), "escaped": jsonInside(jsonInside(strings.Repeat(`{"a":"\u00e5\n"}`, 1000))),
	} {
		if text != r.Exact(text) {
			t.Errorf("%s: of %d bytes of %.200q is left %.200q", name, len(text), text, r.Exact(text))
		}
		body, err := json.Marshal(map[string]string{"text": text})
		require.NoError(t, err)
		masked, ok := r.JSON(t.Context(), body)
		require.True(t, ok)
		require.Equal(t, string(masked) == string(body), text == r.Exact(text), name)
	}
}

// Without time nothing is given out.
func TestJSONEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := redact.New(join("kD93mf", "Lq02Zx8T", "tYbVw71P"))
	body := []byte(`{"a":["nothing in it",1]}`)
	got, ok := r.JSON(ctx, body)
	require.True(t, ok)
	require.Equal(t, string(body), string(got))
	cancel()
	got, ok = r.JSON(ctx, body)
	require.False(t, ok)
	require.Nil(t, got)
}
