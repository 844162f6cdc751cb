// Package redact removes credentials and personal data from text before it is
// stored or shown, and cuts it to length.
//
// Two things are masked: the exact secrets of a call, which the caller knows,
// however they are encoded where they are echoed; and shapes, which give away a
// secret or a person that nobody named to us. The order matters, and is the same
// for every text: bound at 64 KB (hostile text must not cost time), make valid
// UTF-8, strip what is invisible (it could split a secret or forge a log line),
// mask exact secrets, bound at 4 KB, mask shapes, and only then cut to [MaxLen],
// because a cut before could leave half a secret that nothing matches.
//
// An answer that a program reads is masked as a structure: [Redactor.JSON].
//
// What is no secret stays as it is: a message that nobody can read helps
// nobody. Where that is in doubt, the text is masked.
//
// The package is pure: no I/O, no state, no clock, standard library only.
package redact

import (
	"context"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/ledgerline/ledgerline/internal/lazy"
)

// MaxLen is the most that is kept of a text, in characters.
const MaxLen = 500

// A text is looked at up to these bounds, in bytes. Secrets are looked for in
// maxInput, of which all but the last [MaxSecret] is kept, so that a secret
// that begins in what is kept is seen whole. Shapes cost more and are looked
// for in maxShapes of what is left, from which [MaxLen] characters are kept.
const (
	maxInput  = 64 << 10
	maxShapes = 4 << 10
)

// Mark stands where something was masked.
const Mark = "[REDACTED]"

// Redactor masks the exact secrets of one call, and then shapes. It is
// immutable and safe for concurrent use. A nil Redactor masks shapes only.
type Redactor struct {
	secrets []string
	exact   func() exact
}

// New returns a Redactor for the given secrets. Secrets shorter than four
// characters are ignored: masking them would shred the text around.
func New(secrets ...string) *Redactor {
	r := &Redactor{}
	for _, s := range secrets {
		if s = strings.TrimSpace(s); len(s) >= 4 {
			r.secrets = append(r.secrets, s)
			if !utf8.ValidString(s) { // as who reads it as UTF-8 repeats it
				r.secrets = append(r.secrets, strings.ToValidUTF8(s, "\ufffd"), string([]rune(s)))
			}
		}
	}
	r.exact = sync.OnceValue(func() exact { return newExact(r.secrets) })
	return r
}

// Text returns s fit to be stored: at most [MaxLen] characters of valid UTF-8
// on one line, without control characters, secrets or personal data. Applying
// it again changes nothing.
func (r *Redactor) Text(s string) string {
	if s == "" {
		return ""
	}
	capped := len(s) > maxInput
	s = strip(strings.ToValidUTF8(s[:min(len(s), maxInput)], "\ufffd"))
	keep := len(s)
	if capped {
		keep = max(0, keep-MaxSecret)
	}
	masked := r.maskTo(s, keep)
	stable := masked == s
	if s = masked; capped || len(s) > maxShapes {
		s, capped = bound(s), true
	}
	// A cut, or a line end that becomes a space, can make a shape where there
	// was none. Masking until nothing changes makes the result a fixed point.
	for range 5 {
		next := cut(oneLine(shapes(s)), capped)
		if next == s && stable {
			return s
		}
		s, capped = r.mask(next), false
		stable = s == next
	}
	return Mark
}

// Exact masks only the exact secrets and does not cut. [Redactor.JSON] is for
// answers.
func (r *Redactor) Exact(s string) string { return r.mask(s) }

// Text masks shapes only.
func Text(s string) string { return (*Redactor)(nil).Text(s) }

func (r *Redactor) mask(s string) string { return r.maskTo(s, len(s)) }

// maskTo masks the secrets that begin in the first keep bytes of s, and returns
// what becomes of those.
func (r *Redactor) maskTo(s string, keep int) string {
	if r == nil || len(r.secrets) == 0 {
		return s[:keep]
	}
	return r.exact().mask(context.Background(), s, keep)
}

// bound cuts a text for [shapes], and with it the word that the cut went
// through: half a secret must not be left standing at the end.
func bound(s string) string {
	s = s[:min(len(s), maxShapes)]
	if i := strings.LastIndexAny(s, " \t\r\n\"',;&<>"); i >= len(s)-256 {
		s = s[:i+1]
	}
	return strings.ToValidUTF8(s, "")
}

// strip removes what does not show: control and format characters (bidi
// overrides, zero-width spaces), and fillers. Line ends stay for now, because a
// header's value ends with its line.
func strip(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= ' ' && r <= '~':
			return r
		case r == '\n', r == '\u2028', r == '\u2029', r == '\u0085':
			return '\n'
		case r == '\t', r == '\v', r == '\f':
			return ' '
		case unicode.In(r, unseen...):
			return -1
		}
		return r
	}, strings.ReplaceAll(controlSequences(s), "\r", "\n"))
}

// controlSequences removes those of a terminal, such as colors: without its
// escape character the rest would stand as text.
func controlSequences(s string) string {
	if strings.IndexByte(s, '\x1b') < 0 {
		return s
	}
	return sequence().ReplaceAllString(s, "")
}

var sequence = lazy.Regexp(`\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)?)`)

// unseen is what does not show, as package plain has it; U+2800 has no ink.
var unseen = []*unicode.RangeTable{
	unicode.Cc, unicode.Cf, unicode.Co, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point,
	{R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}}},
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// cut shortens to MaxLen characters and marks that it did. It does not cut
// through a mark.
func cut(s string, already bool) string {
	n := utf8.RuneCountInString(s)
	if n <= MaxLen && !already {
		return s
	}
	if n >= MaxLen {
		keep := 0
		for i := range s {
			if keep == MaxLen-1 {
				s = s[:i]
				break
			}
			keep++
		}
		if i := strings.LastIndexByte(s, '['); i >= 0 && strings.HasPrefix(Mark, s[i:]) && s[i:] != Mark {
			s = s[:i]
		}
	}
	return strings.TrimSuffix(s, "…") + "…"
}
