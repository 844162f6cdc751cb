package redact

import (
	"bytes"
	"encoding/json"
	"slices"
)

// JSON masks the exact secrets in a JSON document and leaves it one: they are
// looked for in the values of strings and the names of members, and a number or
// literal is masked only if all of it is a secret; it becomes the string
// [Mark]. Everything else stays byte for byte. If body is no valid JSON, ok is
// false and nothing is returned: half a document cannot be trusted to show
// where its strings end.
func (r *Redactor) JSON(body []byte) (masked []byte, ok bool) {
	if !json.Valid(body) {
		return nil, false
	}
	if r == nil || len(r.secrets) == 0 {
		return body, true
	}
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); {
		end := tokenEnd(body, i)
		out = append(out, r.token(body[i:end])...)
		i = end
	}
	return out, true
}

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
func (r *Redactor) token(token []byte) []byte {
	if len(token) < 4 {
		return token
	}
	if token[0] != '"' {
		if slices.Contains(r.secrets, string(token)) {
			return []byte(`"` + Mark + `"`)
		}
		return token
	}
	text := string(token[1 : len(token)-1])
	if bytes.IndexByte(token, '\\') >= 0 {
		if json.Unmarshal(token, &text) != nil {
			return []byte(`"` + Mark + `"`)
		}
	}
	masked := r.mask(text)
	if masked == text {
		return token
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(masked) != nil {
		return []byte(`"` + Mark + `"`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
