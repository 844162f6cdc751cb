package xledger

import (
	"strings"
	"testing"
)

// FuzzInspect: whatever a document is, one that holds the word mutation outside
// strings and comments must never be taken for a query.
func FuzzInspect(f *testing.F) {
	for _, s := range []string{
		"{ a }", "query Q($a: Int = 1) @d { a: b(x: {y: 1}) { c } }", "mutation { a }", "subscription { a }",
		"fragment F on T { a } query { ...F }", `{ a(x: "}{ mutation") }`, `{ a(x: """ " } """) }`, "# mutation\n{ a }", "{", "}", "", "mutation",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := inspect(s)
		if rest, ok := strings.CutPrefix(strings.TrimSpace(s), "mutation "); ok && strings.HasPrefix(rest, "{") && !out.mutation {
			t.Errorf("%q is taken for a query", s)
		}
		if !out.mutation && len(out.fields) == 0 {
			t.Errorf("%q: a query without a field", s)
		}
	})
}
