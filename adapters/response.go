package adapters

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"
)

// Omission stands for the body of a success that is not passed on. The success stays
// one.
type Omission struct {
	Bytes  int    `json:"bytes"`            // of the body, after decompression
	SHA256 string `json:"sha256"`           // of the same, in hex
	Reason Reason `json:"reason,omitempty"` // "" in results from before there were reasons: [TooLarge]
}

// Reason is why a body is left out.
type Reason string

// The reasons.
const (
	TooLarge  Reason = "too_large"  // encoded, it is larger than [MaxBody], or the result with it than Temporal takes
	NotMasked Reason = "not_masked" // the secrets of the call could not be masked in it
)

// Omit stands for a body that is left out.
func Omit(body []byte, why Reason) *Omission {
	sum := sha256.Sum256(body)
	return &Omission{Bytes: len(body), SHA256: hex.EncodeToString(sum[:]), Reason: why}
}

// passable returns an answer's body as [Response] holds it, or what stands for
// it. The limit, [MaxBody], is on the encoded form: in a payload a < takes six
// bytes, and so does a control character in a text.
func passable(a Answer) (json.RawMessage, *Omission) {
	body := JSON(a.Body)
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	}
	if encodedLen(body) <= MaxBody {
		return body, nil
	}
	return nil, Omit(a.Body, TooLarge)
}

// ResponseOf is the response of an adapter whose answer is the vendor's.
func ResponseOf(a Answer) Response {
	r := Response{Status: a.Status}
	r.Body, r.Omitted = passable(a)
	return r
}

// encodedLen is how long a JSON value is at most once encoding/json has written
// it inside another one: it escapes what HTML and JavaScript could misread, and
// drops blanks, which are counted here all the same.
func encodedLen(value []byte) int {
	n := len(value)
	for _, c := range value {
		if c == '<' || c == '>' || c == '&' {
			n += len(`\u003c`) - 1
		}
	}
	separators := bytes.Count(value, []byte("\u2028")) + bytes.Count(value, []byte("\u2029"))
	return n + separators*(len(`\u2028`)-len("\u2028"))
}

// JSON returns a body as a value for [Response.Body]: JSON as it is, anything
// else as a JSON string, and nil for nothing.
func JSON(body []byte) json.RawMessage {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	case json.Valid(body):
		return body
	}
	text, _ := json.Marshal(string(bytes.ToValidUTF8(body, []byte("\ufffd"))))
	return text
}
