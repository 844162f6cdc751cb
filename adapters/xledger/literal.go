package xledger

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Values are literals in a document: the names of Xledger's types, which a
// document with variables needs, are not public (docs/vendors.md#xledger-api).

// object is an input object whose fields keep their order.
type object []field

type field struct {
	name  string
	value any // a text, a [number], an object or a []object
}

// number is a decimal number, as it is to be written.
type number string

var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// literal writes a value as GraphQL (October 2021, §2.9).
func literal(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		text(b, v)
	case number:
		b.WriteString(string(v))
	case object:
		b.WriteByte('{')
		for i, f := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f.name)
			b.WriteByte(':')
			literal(b, f.value)
		}
		b.WriteByte('}')
	case []object:
		list(b, v)
	case []string:
		list(b, v)
	default:
		panic(fmt.Sprintf("a %T cannot be written", v)) // values of our own
	}
}

func list[T any](b *strings.Builder, values []T) {
	b.WriteByte('[')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		literal(b, v)
	}
	b.WriteByte(']')
}

// text writes a string literal. It is the only place where something that comes
// from outside enters a document. Whatever is not valid UTF-8 becomes U+FFFD; a
// character beyond U+FFFF is written as it is, since not every server reads the two
// escapes that stand for it.
func text(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s { // of an invalid byte it is U+FFFD
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case disputed(r): // and not every one may stand in a document
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

// written returns a value as the vendor takes it: as a number if its schema says
// so. ok is false if it is none.
func written(how, value string) (v any, ok bool) {
	switch how {
	case asInteger:
		_, err := strconv.ParseInt(value, 10, 32)
		return number(value), err == nil && decimal.MatchString(value)
	case asNumber:
		return number(value), decimal.MatchString(value)
	}
	return value, true
}
