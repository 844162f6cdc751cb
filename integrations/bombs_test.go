package integrations_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
)

// A small file never becomes a large one: aliases are not followed, and what is nested
// deep is refused.
func TestBombs(t *testing.T) {
	head := "organization: 7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10\nintegrations: "
	laughs := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ { // nine to the tenth
		laughs += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	for name, src := range map[string]string{
		"a billion laughs":    laughs + "organization: *j\n",
		"laughs as a list":    "x: 1\n" + laughs + head[strings.Index(head, "integrations"):] + "*j\n",
		"an alias of itself":  "a: &a [*a]\norganization: *a\n",
		"a merge with itself": "x: &x {<<: *x}\n",
		"a merge":             "x: &x {a: 1}\norganization: {<<: [*x, *x, *x]}\n",
		"lists nested deep":   head + strings.Repeat("[", 500_000),
		"maps nested deep":    head + strings.Repeat("{a: ", 250_000),
		"blocks nested deep":  head + "\n" + strings.Repeat("- ", 400_000),
		"a long value":        head + strings.Repeat("x", 1_000_000),
		"a long number":       head + "[{inFlight: " + strings.Repeat("9", 900_000) + "}]",
		"base64":              head + "!!binary " + strings.Repeat("A", 900_000),
		"comments":            strings.Repeat("#\n", 500_000),
		"more than 1 MB":      strings.Repeat("#\n", 600_000),
		"another type":        head + "!!python/object/apply:os.system [id]",
		"a NUL":               head + "\x00",
		"no UTF-8":            head + "\xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			list, err := integrations.Parse("x.yaml", []byte(src), integrations.Options{})
			runtime.ReadMemStats(&after)
			require.Error(t, err)
			require.Empty(t, list)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
		})
	}
}
