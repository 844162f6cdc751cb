package classify

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"strings"
)

// bom is the UTF-8 byte order mark, which Xledger has been seen to send and
// encoding/json refuses.
var bom = []byte("\xef\xbb\xbf")

// members yields the members of a JSON object in order, duplicates included:
// an error must not hide behind a later member of the same name. The body must
// be valid JSON and an object. Names and values are slices of it, so that
// walking an answer allocates nothing.
func members(object []byte) iter.Seq2[[]byte, json.RawMessage] {
	return func(yield func([]byte, json.RawMessage) bool) {
		i := skipSpace(object, 0) + 1 // past {
		for {
			i = skipSpace(object, i)
			if i >= len(object) || object[i] == '}' {
				return
			}
			end := skipValue(object, i)
			name := object[i+1 : end-1]
			if bytes.IndexByte(name, '\\') >= 0 {
				name = []byte(unquote(object[i:end]))
			}
			i = skipSpace(object, end) + 1 // past :
			i = skipSpace(object, i)
			end = skipValue(object, i)
			if !yield(name, json.RawMessage(object[i:end])) {
				return
			}
			i = skipSpace(object, end)
			if i < len(object) && object[i] == ',' {
				i++
			}
		}
	}
}

// elements yields the elements of a JSON array, which must be valid.
func elements(array []byte) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		i := skipSpace(array, 0) + 1 // past [
		for {
			i = skipSpace(array, i)
			if i >= len(array) || array[i] == ']' {
				return
			}
			end := skipValue(array, i)
			if !yield(json.RawMessage(array[i:end])) {
				return
			}
			i = skipSpace(array, end)
			if i < len(array) && array[i] == ',' {
				i++
			}
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the end of the value that begins at i. It relies on the
// JSON being valid, so counting brackets outside strings is enough.
func skipValue(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
	default: // a number or a word
		for i < len(b) && bytes.IndexByte(afterScalar, b[i]) < 0 {
			i++
		}
		return i
	}
	for depth := 0; i < len(b); i++ {
		switch structure[b[i]] {
		case 0:
		case quote:
			i = skipString(b, i) - 1
		case opens:
			depth++
		case closes:
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// afterScalar are the characters that end a number or a word.
var afterScalar = []byte(",:]} \t\n\r")

// What a character means to the nesting of JSON.
const (
	quote = iota + 1
	opens
	closes
)

var structure = [256]byte{'"': quote, '{': opens, '[': opens, '}': closes, ']': closes}

// skipString returns the end of the string that begins at i: the next quote
// with an even number of backslashes before it.
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return len(b)
		}
		i += n
		escapes := 0
		for b[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
	return len(b)
}

// unquote returns the text of a JSON string.
func unquote(quoted []byte) string {
	if len(quoted) >= 2 && bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // valid JSON; a value that is no string leaves ""
	return s
}

// text returns a JSON value as text: a string's content, a number as written,
// nothing for everything else.
func text(value json.RawMessage) string {
	switch {
	case len(value) == 0:
		return ""
	case value[0] == '"':
		return unquote(value)
	case value[0] == '-' || value[0] >= '0' && value[0] <= '9':
		return string(value)
	}
	return ""
}

// isText reports whether a JSON value is a string.
func isText(value []byte) bool { return len(value) > 0 && value[0] == '"' }

// maxDepth is how deeply the JSON of an answer may be nested. Answers of vendors
// have a tenth of it; each level costs whoever reads them another pass.
const maxDepth = 64

// tooDeep reports whether JSON, valid or not, is nested more deeply than
// maxDepth.
func tooDeep(b []byte) bool {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch structure[b[i]] {
		case quote:
			i = skipString(b, i) - 1
		case opens:
			if depth++; depth > maxDepth {
				return true
			}
		case closes:
			depth--
		}
	}
	return false
}

// isObject reports whether valid JSON is an object.
func isObject(value []byte) bool {
	i := skipSpace(value, 0)
	return i < len(value) && value[i] == '{'
}

// isArray reports whether valid JSON is an array.
func isArray(value []byte) bool {
	i := skipSpace(value, 0)
	return i < len(value) && value[i] == '['
}

func isNull(value []byte) bool { return string(value) == "null" }

// isEmpty reports whether a value says nothing: null, false, zero, or a
// string, array or object with nothing in it.
func isEmpty(value json.RawMessage) bool {
	switch {
	case isNull(value) || string(value) == "false" || string(value) == `""`:
		return true
	case isArray(value) || isObject(value):
		i := skipSpace(value, 1)
		return value[i] == ']' || value[i] == '}'
	}
	n, err := strconv.ParseFloat(string(value), 64)
	return err == nil && n == 0
}

// looksLikeHTML is for the message only.
func looksLikeHTML(body []byte) bool {
	head := strings.ToLower(string(body[:min(len(body), 64)]))
	head = strings.TrimSpace(head)
	return strings.HasPrefix(head, "<!doctype") || strings.HasPrefix(head, "<html") || strings.HasPrefix(head, "<head")
}
