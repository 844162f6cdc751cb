// Package environ keeps secrets of the environment out of what programs say.
//
// Passwords, keys and addresses with passwords come to the programs as environment
// variables, and texts of others repeat them: a parser says which value it could not
// read. Such a text names the variable instead, as $NAME, which is as good to whoever
// has set it.
//
// A variable that holds no secret is left alone, because its value can stand in a text
// by chance: the key 2026-11 in a time, a namespace or an organization in what is about it.
package environ

import (
	"cmp"
	"net"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/redact"
)

// ours reports whether our programs, or the libraries in them, read a variable.
func ours(name string) bool {
	return name == "DATABASE_URL" || strings.HasPrefix(name, "PG") || strings.HasPrefix(name, "TEMPORAL_") || strings.HasPrefix(name, "LEDGERLINE_") ||
		strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_")
}

// holders are the variables that hold secrets, whatever their value, as patterns of
// [path.Match].
var holders = []string{
	"DATABASE_URL", "LEDGERLINE_SOURCE_DATABASE_URL", "LEDGERLINE_SMTP_URL", // a password, in one of several forms
	"PGPASSWORD", "PGSSLPASSWORD",
	"TEMPORAL_API_KEY", "TEMPORAL_CODEC_AUTH", "TEMPORAL_GRPC_META_*", // headers
	"TEMPORAL_TLS_*_DATA", // a private key, perhaps in place of a certificate
	"OTEL_EXPORTER_OTLP_*HEADERS",
}

// credentials find a password, or the user info of an address, in any other variable.
var credentials = regexp.MustCompile(`(?i)password|//[^/\s]*@|:[^/\s:@]+@`)

// holdsSecret reports whether the value of a variable is hidden.
func holdsSecret(name, value string) bool {
	held := func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok }
	return ours(name) && (slices.ContainsFunc(holders, held) || credentials.MatchString(value))
}

// plainWords are values that say nothing, and that texts have of themselves.
var plainWords = []string{"true", "false", "default", "localhost", "127.0.0.1", "postgres", "postgresql", "ledgerline", "disable", "prefer", "require", "allow", "verify-ca", "verify-full"}

// Hide replaces the values of variables that hold secrets in a text by $NAME.
func Hide(text string) string { return Hider()(text) }

// Hider is [Hide] for many texts: it reads the environment once.
func Hider() func(text string) string { return hider(secrets) }

// Cause is the text of an error from a library that was given such values: their
// parts are hidden too, such as the host of an address, and it is redacted.
func Cause(err error) string { return redact.Text(CauseHider()(err.Error())) }

// RootCause is [Cause] of the end of an error's chain: what a connection error says
// before that repeats user and database. Where several tries have failed, say one with TLS
// and one without, each cause is said once.
func RootCause(err error) string {
	var causes []string
	for _, root := range roots(err) {
		if cause := Cause(root); !slices.Contains(causes, cause) {
			causes = append(causes, cause)
		}
	}
	return strings.Join(causes, "; ")
}

// roots are the ends of the chains of an error.
func roots(err error) (ends []error) {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			ends = append(ends, roots(one)...)
		}
	case interface{ Unwrap() error }:
		if next := e.Unwrap(); next != nil {
			return roots(next)
		}
	}
	if len(ends) == 0 {
		ends = []error{err}
	}
	return ends
}

// CauseHider hides the parts too, for many texts; it does not redact.
func CauseHider() func(text string) string { return hider(parts) }

// needle is a value, or a part of one, as it can stand in a text.
type needle struct{ value, name string }

// hider returns what hides the values of variables that hold secrets, and what of
// returns of each.
func hider(of func(value string) []string) func(text string) string {
	var all []needle
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if !holdsSecret(name, value) {
			continue
		}
		for _, v := range append([]string{value}, of(value)...) {
			if len(v) < 4 || slices.Contains(plainWords, strings.ToLower(v)) {
				continue // also found by chance
			}
			quoted := strconv.Quote(v)
			for _, form := range []string{v, quoted[1 : len(quoted)-1], plain.Line(v), url.QueryEscape(v), url.PathEscape(v)} {
				if n := (needle{form, name}); !slices.Contains(all, n) {
					all = append(all, n)
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b needle) int { return cmp.Compare(len(b.value), len(a.value)) })
	return func(text string) string {
		for _, n := range all {
			text = n.hide(text)
		}
		return text
	}
}

// sure is the length from which a value is not found by chance in a longer word.
const sure = 12

// hide replaces a value where it stands. A short one must be a word of its own:
// the database prod is not in production.
func (n needle) hide(text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, n.value)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(n.value)
		if len(n.value) < sure && (i > 0 && joins(text[i-1], text[i]) || end < len(text) && joins(text[end-1], text[end])) {
			b.WriteString(text[:end])
		} else {
			b.WriteString(text[:i] + "$" + n.name)
		}
		text = text[end:]
	}
}

// secrets are the parts of an address that are secret wherever they stand.
func secrets(value string) (list []string) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		return keyed(value, true)
	}
	if password, ok := u.User.Password(); ok {
		list = append(list, password)
	}
	return append(list, query(u, true)...)
}

// Split returns the members of a list, which commas and blanks separate.
func Split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// parts are all parts of an address, a list of addresses or of key=value pairs.
func parts(value string) (list []string) {
	if u, err := url.Parse(value); err == nil && u.Host != "" {
		password, _ := u.User.Password()
		list = append(list, u.User.Username(), password, u.Host, u.Hostname(), strings.Trim(u.Path, "/"))
		return append(list, query(u, false)...)
	}
	list = keyed(value, false)
	for _, one := range Split(value) {
		if host, _, err := net.SplitHostPort(one); err == nil {
			list = append(list, host)
		}
	}
	return list
}

func query(u *url.URL, secret bool) (list []string) {
	for key, values := range u.Query() {
		if !secret || strings.Contains(strings.ToLower(key), "password") {
			list = append(list, values...)
		}
	}
	return list
}

// keyed are the values of libpq's form, host=… password=….
func keyed(value string, secret bool) (list []string) {
	for _, pair := range strings.Fields(value) {
		if key, v, ok := strings.Cut(pair, "="); ok && (!secret || strings.Contains(strings.ToLower(key), "password")) {
			list = append(list, strings.Trim(v, "'"))
		}
	}
	return list
}

// joins reports whether two bytes are of one word.
func joins(a, b byte) bool { return word(a) && word(b) }

func word(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_'
}
