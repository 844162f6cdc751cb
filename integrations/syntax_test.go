package integrations_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ledgerline/ledgerline/integrations"
)

// broken are lines that make a file no YAML, with what is said of them. They stand after
// a line of an integration's fields, which are indented by four blanks.
var broken = map[string]struct{ line, says string }{
	"tab":                 {"\tinFlight: 2m", "a tab is used for indentation; YAML wants blanks"},
	"blanks and a tab":    {"  \tinFlight: 2m", "a tab is used for indentation; YAML wants blanks"},
	"four blanks and tab": {"    \tinFlight: 2m", "tab"},
	"less indented":       {"   inFlight: 2m", "this is not YAML: want the next item"},
	"more indented":       {"      inFlight: 2m", "align"},
	"no colon":            {"    inFlight", "want name: value"},
	"two colons":          {"    inFlight: a: b", "in quotes"},
	"at sign":             {"    inFlight: @x", "in quotes"},
	"backtick":            {"    inFlight: `x`", "in quotes"},
	"percent":             {"    inFlight: %x", "in quotes"},
	"quote not closed":    {"    inFlight: \"2m", "is not closed"},
	"single not closed":   {"    inFlight: '2m", "quote"},
	"after a quote":       {"    inFlight: \"2m\" x", "not"},
	"escape":              {`    inFlight: "\q"`, "single quotes"},
	"list not closed":     {"    inFlight: [2m", "not"},
	"mapping not closed":  {"    inFlight: {a: 2m", "not"},
	"list on the line":    {"    inFlight: - x", "line of its own"},
	"closed too much":     {"    inFlight: 2m]}: x: y", ""},
	"alias":               {"    inFlight: *x", "alias"},
	"anchor of nothing":   {"    inFlight: &", ""},
}

// The line that is said is the one that is wrong, wherever in a file it stands.
func TestSyntaxErrorsNameTheirLine(t *testing.T) {
	lines := strings.SplitAfter(good, "\n")
	lines = lines[:len(lines)-1]
	flow := strings.SplitAfter(strings.Replace(good, "settings: {tenantId: t, clientId: c}", "settings: {tenantId: t,\n      clientId: c}", 1), "\n")
	flow = flow[:len(flow)-1]
	for name, c := range broken {
		for file, lines := range map[string][]string{"short": lines, "with a mapping over two lines": flow, "two documents": append(append([]string{}, lines...), append([]string{"---\n"}, lines...)...)} {
			for _, after := range []int{4, 5, len(lines) - 2} { // line 4 is a name, 5 an adapter
				for _, end := range []string{"\n", "\r\n"} {
					src := strings.Join(lines[:after], "") + c.line + "\n" + strings.Join(lines[after:], "")
					src = strings.ReplaceAll(src, "\n", end)
					_, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
					at := fmt.Sprintf("%s, %s, after line %d", name, file, after)
					assert.ErrorContains(t, err, fmt.Sprintf("x.yaml:%d: ", after+1), at)
					assert.ErrorContains(t, err, c.says, at)
				}
			}
		}
	}
}
