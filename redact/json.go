package redact

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON masks the exact secrets in a JSON document and leaves it one: they are
// looked for in the values of strings and the names of members. A number or
// literal becomes the string [Mark] if it is a secret, however the number is
// written, or has part of one with at least [longSecret] digits. Everything else
// stays byte for byte. If body is no valid JSON, ok is false and nothing is
// returned: half a document cannot be trusted to show where its strings end.
//
// ok is false too if ctx is done before all of body was looked at. It notices
// within about 100 ms for each MB of the longest string.
func (r *Redactor) JSON(ctx context.Context, body []byte) (masked []byte, ok bool) {
	if !json.Valid(body) {
		return nil, false
	}
	if r == nil || len(r.secrets) == 0 {
		return body, true
	}
	x := r.exact()
	stays := make(map[string]bool, maxStays) // tokens in which there is nothing, such as the names of members
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); {
		end := tokenEnd(body, i)
		token := body[i:end]
		i = end
		if len(token) == 1 || stays[string(token)] {
			out = append(out, token...)
			continue
		}
		mask := x.token(ctx, token)
		if ctx.Err() != nil {
			return nil, false
		}
		if len(token) <= maxStays && len(stays) < maxStays && bytes.Equal(mask, token) {
			stays[string(token)] = true
		}
		out = append(out, mask...)
	}
	return out, true
}

// maxStays is how many tokens of a document are remembered, and up to which length.
const maxStays = 64

// tokenEnd returns the end of the string, number or literal at body[i]; any
// other byte stands for itself.
func tokenEnd(body []byte, i int) int {
	if body[i] == '"' {
		for i++; body[i] != '"'; i++ {
			if body[i] == '\\' {
				i++
			}
		}
		return i + 1
	}
	end := i
	for end < len(body) && bytes.IndexByte([]byte(" \t\r\n,:[]{}\""), body[end]) < 0 {
		end++
	}
	return max(end, i+1)
}

// token masks a token of valid JSON.
func (x exact) token(ctx context.Context, token []byte) []byte {
	text, isText := string(token), token[0] == '"'
	if isText {
		text = text[1 : len(text)-1]
		// As readers of JSON see it: also where bytes are no UTF-8, which they replace.
		if (bytes.IndexByte(token, '\\') >= 0 || !utf8.Valid(token)) && json.Unmarshal(token, &text) != nil {
			return quotedMark
		}
	}
	masked := x.mask(ctx, text, len(text))
	if !isText {
		if d, ok := decimalOf(text); masked != text || ok && slices.Contains(x.numbers, d) {
			return quotedMark
		}
		return token
	}
	if masked == text {
		return token
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(masked) != nil {
		return quotedMark
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

var quotedMark = []byte(`"` + Mark + `"`)

// decimal is a number without its sign, digits * 10^exponent. The digits begin
// and end with no zero, so that a number has one decimal however it is written.
type decimal struct {
	digits   string
	exponent int
}

// decimalOf reads a number as JSON writes it. ok is false for anything else, and
// for zero, which is nobody's secret.
func decimalOf(s string) (d decimal, ok bool) {
	s = strings.TrimLeft(s, "+-")
	if s == "" || !isDigit(s[0]) || !json.Valid([]byte(s)) {
		return d, false
	}
	mantissa, exponent := s, "0"
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa, exponent = s[:i], s[i+1:]
	}
	n, err := strconv.Atoi(exponent)
	if err != nil {
		return d, false
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	d.digits = strings.TrimRight(all, "0")
	d.exponent = n - len(fraction) + len(all) - len(d.digits)
	d.digits = strings.TrimLeft(d.digits, "0")
	return d, d.digits != ""
}
