package redact_test

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/redact"
)

// A document stays one, and what is no secret in it stays byte for byte.
func TestJSON(t *testing.T) {
	pin, long := "42"+"42", join("Qx7vT2", "mZ9kLp", "4Wc8Rn", "5Jb3")
	number, signs := join("482913", "750264", "891"), join(`a"b`, `\c<&`, `>d/é`, "1")
	r := redact.New(pin, long, number, signs)
	for name, c := range map[string]struct{ body, want string }{
		"part of a number":       {`{"amount": 424242, "x": 4242.50, "y": -42.42, "z": [1` + pin + `, 4242e2, 0.4242]}`, `{"amount": 424242, "x": 4242.50, "y": -42.42, "z": [14242, 4242e2, 0.4242]}`},
		"as another number":      {`[4242.00,-4242,4242e0,4.242e3,42420E-1]`, `["[REDACTED]","[REDACTED]","[REDACTED]","[REDACTED]","[REDACTED]"]`},
		"part of a long number":  {`[1` + number + `,-` + number + `.0,0.` + number + `,` + number[:1] + `.` + number[1:] + `e14,` + number[:14] + `00]`, `["[REDACTED]","[REDACTED]","[REDACTED]","[REDACTED]","[REDACTED]"]`},
		"less of a long number":  {`[` + number[:8] + `,` + number[7:] + `.5e1]`, `[` + number[:8] + `,` + number[7:] + `.5e1]`},
		"all of a number":        {`{"pin":4242,"n":` + number + `}`, `{"pin":"[REDACTED]","n":"[REDACTED]"}`},
		"at the top":             {` 4242 `, ` "[REDACTED]" `},
		"value":                  {`{"a" : "key ` + long + ` no" }`, `{"a" : "key [REDACTED] no" }`},
		"name of a member":       {`{"` + long + `":1,"` + long + `":2}`, `{"[REDACTED]":1,"[REDACTED]":2}`},
		"escaped":                {`["` + each(`\u%04x`)(long) + `","\/"]`, `["[REDACTED]","\/"]`},
		"signs":                  {`["` + jsonInside(signs) + ` <é>"]`, `["[REDACTED] <é>"]`},
		"JSON in JSON":           {`{"m":"{\"key\":\"` + long + `\"}"}`, `{"m":"{\"key\":\"[REDACTED]\"}"}`},
		"base64":                 {`["` + std("user:"+long) + `"]`, `["dXNlcj[REDACTED]"]`},
		"spelling of numbers":    {"[1.0,1E+2,\t-0, 100000000000000000000000.10]\r\n", "[1.0,1E+2,\t-0, 100000000000000000000000.10]\r\n"},
		"literals":               {`[true,false,null,"",{}]`, `[true,false,null,"",{}]`},
		"order and repetition":   {`{"b":1,"a":2,"b":3}`, `{"b":1,"a":2,"b":3}`},
		"escapes that stay":      {`["\u00e5\u2028\n\/"]`, `["\u00e5\u2028\n\/"]`},
		"line ends in a secret":  {`["` + long[:9] + `\r\n` + long[9:] + `"]`, `["[REDACTED]"]`},
		"a secret across values": {`["42","42"]`, `["42","42"]`},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := r.JSON(t.Context(), []byte(c.body))
			require.True(t, ok)
			require.Equal(t, c.want, string(got))
			require.True(t, json.Valid(got))
		})
	}
	for _, body := range []string{"", "{", `{"a":4242`, "<html>" + long, `{"a":"` + long, "{} {}", `"\x"`} {
		got, ok := r.JSON(t.Context(), []byte(body))
		require.False(t, ok, body)
		require.Nil(t, got)
	}
	got, ok := (*redact.Redactor)(nil).JSON(t.Context(), []byte(`{"a": 4242}`))
	require.True(t, ok)
	require.Equal(t, `{"a": 4242}`, string(got))
}

// A literal whose spelling is a secret is one.
func TestJSONLiteral(t *testing.T) {
	got, ok := redact.New("null").JSON(t.Context(), []byte(`[null,"nullify"]`))
	require.True(t, ok)
	require.Equal(t, `["[REDACTED]","nullify"]`, string(got))
}

// The reference is encoding/json: what it reads before and after differs only
// in strings that hold a secret and in tokens that are one.
func FuzzJSON(f *testing.F) {
	pin, long := "42"+"42", join("Qx7vT2", "mZ9kLp", "4Wc8Rn", "5Jb3")
	for _, body := range []string{`{"a":[1,"` + long + `",4242,{"4242":null}],"b":"x\u0034242"}`, `[4242.0,"4242","\ud800"]`, "\"\xff4242\"", `{"":""}`, `"` + std(long) + `"`,
		"\"0xwNFdjOFJu\xffNUpCM0\""} { // a byte that is no UTF-8 stands for one that is, and then it holds a secret
		f.Add([]byte(body))
	}
	r := redact.New(pin, long)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := r.JSON(t.Context(), bytes.Clone(body))
		if ok != json.Valid(body) {
			t.Fatalf("ok is %v for %q", ok, body)
		}
		if !ok {
			return
		}
		if !json.Valid(got) {
			t.Fatalf("%q became %q", body, got)
		}
		before, after := tokens(t, body), tokens(t, got)
		if len(before) != len(after) {
			t.Fatalf("%q became %q", body, got)
		}
		for i, was := range before {
			is := after[i]
			switch was := was.(type) {
			case string:
				if s, ok := is.(string); !ok || s != r.Exact(was) || strings.Contains(s, long) {
					t.Fatalf("%q became %q", was, is)
				}
			case json.Number:
				if is != was && !(is == redact.Mark && equal(was.String(), pin)) {
					t.Fatalf("%q became %q", was, is)
				}
			default:
				if is != was {
					t.Fatalf("%v became %v", was, is)
				}
			}
		}
	})
}

// equal reports whether a number is the other one but for its sign.
func equal(a, b string) bool {
	x, errX := strconv.ParseFloat(strings.TrimPrefix(a, "-"), 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}

func tokens(t *testing.T, body []byte) (all []json.Token) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return all
		}
		all = append(all, token)
	}
}

// BenchmarkJSON1MB is what vendors answer, and what costs most.
func BenchmarkJSON1MB(b *testing.B) {
	r := redact.New(strings.Repeat(join("Zq8", "wX3", "vN7"), 228), join("Qx7vT2", "mZ9kLp", "4Wc8Rn", "5Jb3"), join("hun", "ter", "2"))
	for name, row := range map[string]string{
		"OData": `{"@odata.etag":"W/\"JzE5OzY0NTE4MDk4NTE=\"","id":"3f0c1d0a-6c1e-4a57-9b59-#","number":"20201-#","amount":1250.00,"currencyCode":"NOK",` +
			`"description":"The customer posting group # must have a value","postingDate":"2026-11-23","lastModifiedDateTime":"2026-11-23T12:00:00Z"}`,
		"GraphQL":        `{"node":{"dbId":"#","code":"3900","description":"Salg av varer #, høy sats","amount":"-1250.00","period":{"fromDate":"2026-11-01"},"owner":{"description":"Ås & Vik AS"}}}`,
		"short strings":  `"VV#"`,
		"one string":     `xxxxxxxxxxxxxx`,
		"base64":         std(strings.Repeat("<cbc:ID>20201-2</cbc:ID>", 50)),
		"dear to decode": `=56=56VVVVVVVV`,
	} {
		body := []byte(`["` + strings.Repeat(row, (1<<20)/len(row)) + `"]`)
		if strings.Contains(row, "#") {
			body = []byte("[")
			for n := 7_000_000_000_000; len(body) < 1<<20; n += 7_654_321 {
				body = append(body, strings.ReplaceAll(row, "#", strconv.FormatInt(int64(n), 36))+","...)
			}
			body = append(body, "0]"...)
		}
		require.True(b, json.Valid(body))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				r.JSON(b.Context(), body)
			}
		})
	}
}
