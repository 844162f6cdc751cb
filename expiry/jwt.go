package expiry

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"time"
)

// maxToken is the longest token that is looked at, in bytes. It is far beyond
// what a header of a request can carry.
const maxToken = 16 << 10

// JWT reads when a token was issued and when it ends; issued is zero if it does
// not say. False: the value is no JSON Web Token, or has no usable end.
//
// The signature is not verified, and the value appears in no result and no error.
func JWT(value string) (issued, expires time.Time, ok bool) {
	if len(value) > maxToken {
		return issued, expires, false
	}
	parts := strings.Split(value, ".")
	if len(parts) != 3 {
		return issued, expires, false
	}
	header, payload := object(parts[0]), object(parts[1])
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if header == nil || payload == nil || err != nil || len(signature) == 0 {
		return issued, expires, false
	}
	if expires, ok = numericDate(payload["exp"]); !ok {
		return time.Time{}, time.Time{}, false
	}
	if at, said := numericDate(payload["iat"]); said && at.Before(expires) {
		issued = at
	}
	return issued, expires, true
}

// object decodes a part of a token that holds a JSON object; nil if it does not.
// Its names are compared exactly: "EXP" is not "exp".
func object(part string) map[string]json.RawMessage {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	return fields
}

// numericDate reads seconds since 1970, perhaps with a fraction, which is cut
// off. A number in quotes is none.
func numericDate(raw json.RawMessage) (time.Time, bool) {
	var seconds *float64
	if len(raw) == 0 || json.Unmarshal(raw, &seconds) != nil || seconds == nil || math.Abs(*seconds) > 1<<40 {
		return time.Time{}, false
	}
	at := time.Unix(int64(*seconds), 0).UTC()
	return at, sane(at)
}
