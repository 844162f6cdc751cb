package redact_test

import (
	"bytes"
	"encoding/json"
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
		"part of a number":       {`{"amount": 424242, "x": 4242.00, "y": -4242}`, `{"amount": 424242, "x": 4242.00, "y": -4242}`},
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
			got, ok := r.JSON([]byte(c.body))
			require.True(t, ok)
			require.Equal(t, c.want, string(got))
			require.True(t, json.Valid(got))
		})
	}
	for _, body := range []string{"", "{", `{"a":4242`, "<html>" + long, `{"a":"` + long, "{} {}", `"\x"`} {
		got, ok := r.JSON([]byte(body))
		require.False(t, ok, body)
		require.Nil(t, got)
	}
	got, ok := (*redact.Redactor)(nil).JSON([]byte(`{"a": 4242}`))
	require.True(t, ok)
	require.Equal(t, `{"a": 4242}`, string(got))
}

// A literal whose spelling is a secret is one.
func TestJSONLiteral(t *testing.T) {
	got, ok := redact.New("null").JSON([]byte(`[null,"nullify"]`))
	require.True(t, ok)
	require.Equal(t, `["[REDACTED]","nullify"]`, string(got))
}

// The reference is encoding/json: what it reads before and after differs only
// in strings that hold a secret and in tokens that are one.
func FuzzJSON(f *testing.F) {
	pin, long := "42"+"42", join("Qx7vT2", "mZ9kLp", "4Wc8Rn", "5Jb3")
	for _, body := range []string{`{"a":[1,"` + long + `",4242,{"4242":null}],"b":"x\u0034242"}`, `[4242.0,"4242","\ud800"]`, "\"\xff4242\"", `{"":""}`, `"` + std(long) + `"`} {
		f.Add([]byte(body))
	}
	r := redact.New(pin, long)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := r.JSON(bytes.Clone(body))
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
				if is != was && !(is == redact.Mark && was.String() == pin) {
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

func BenchmarkJSON(b *testing.B) {
	row := `{"id":"20201-2","amount":1250.00,"text":"The customer posting group must have a value","at":"2026-11-23T12:00:00Z"},`
	body := []byte("[" + strings.Repeat(row, (1<<20)/len(row)) + "0]")
	r := redact.New(strings.Repeat(join("Zq8", "wX3", "vN7"), 228))
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		r.JSON(body)
	}
}
