package plain

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is the rule for what names a thing: IDs, accounts, vouchers, dimensions,
// currencies, zones. Blanks around it are dropped, of whatever kind; inside it
// only the plain blank (U+0020) may stand, and nothing that does not show. The
// error says which character, and where.
func Name(s string) (string, error) {
	s = Trim(s)
	return s, Seen(s)
}

// Trim drops the blanks around s: U+0020, U+00A0, U+202F and their kind, and the
// byte order mark, which files bring. Controls stay, to be refused.
func Trim(s string) string {
	return strings.TrimFunc(s, func(c rune) bool { return c == 0xfeff || unicode.Is(unicode.Zs, c) })
}

// Seen says which character of s does not show, or nil: "has the invisible
// character U+200B (zero width space) at its character 3".
func Seen(s string) error {
	n := 0
	for i, c := range s {
		n++
		switch {
		case c == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			return fmt.Errorf("is not valid UTF-8 at its byte %d", i+1)
		case c == utf8.RuneError:
			return fmt.Errorf("has U+FFFD, which stands for something that could not be read, at its character %d", n)
		case unicode.IsControl(c):
			return fmt.Errorf("has the control character %U at its character %d", c, n)
		case c != ' ' && unicode.In(c, unicode.Zs) || unicode.In(c, unseen...):
			return fmt.Errorf("has the invisible character %U%s at its character %d", c, called(c), n)
		}
	}
	return nil
}

func called(c rune) string {
	switch name := names[c]; {
	case name != "":
		return " (" + name + ")"
	case unicode.Is(unicode.Bidi_Control, c):
		return " (text direction)"
	}
	return ""
}

// names are of those that occur.
var names = map[rune]string{
	0x00a0: "no-break space", 0x00ad: "soft hyphen", 0x200b: "zero width space", 0x200c: "zero width non-joiner", 0x200d: "zero width joiner",
	0x202f: "narrow no-break space", 0x2060: "word joiner", 0x3000: "ideographic space", 0xfeff: "byte order mark", 0xfe0f: "variation selector",
}

// Class is what [Seen] refuses as a bracket expression of PostgreSQL's regular
// expressions, for a database in UTF-8.
func Class() string {
	var b strings.Builder
	add := func(from, to rune) {
		if from == 0 {
			from = 1 // PostgreSQL has no NUL in a text
		}
		fmt.Fprintf(&b, `\U%08x`, from)
		if to > from {
			fmt.Fprintf(&b, `-\U%08x`, to)
		}
	}
	ranges := func(from, to, stride rune) {
		if stride == 1 {
			add(from, to)
			return
		}
		for c := from; c <= to; c += stride {
			add(c, c)
		}
	}
	for _, t := range append([]*unicode.RangeTable{unicode.Zs}, unseen...) {
		for _, r := range t.R16 {
			from := rune(r.Lo)
			if from == ' ' {
				from += rune(r.Stride) // the plain blank is the first of its range
			}
			if from <= rune(r.Hi) {
				ranges(from, rune(r.Hi), rune(r.Stride))
			}
		}
		for _, r := range t.R32 {
			ranges(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	b.WriteString(`\ufffd`)
	return "[" + b.String() + "]"
}

// Text says which character of a text for people cannot be stored, and where it is: one
// that is not UTF-8, is a control character, or changes the direction of the text.
func Text(s string) error {
	n := 0
	for i, c := range s {
		n++
		switch {
		case c == utf8.RuneError:
			return fmt.Errorf("is not valid UTF-8 at its byte %d", i+1)
		case unicode.IsControl(c) || unicode.In(c, unicode.Bidi_Control, unicode.Zl, unicode.Zp):
			return fmt.Errorf("has the control character %U at its character %d", c, n)
		}
	}
	return nil
}
