package words_test

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/console/words"
)

var anArgument = regexp.MustCompile(`\{\w+\}|\(none\)`)

// A text of ours is recognized by how it is written somewhere else. If that changes there,
// people would be shown it as it is: so each is still written like that.
func TestTemplatesAreWritten(t *testing.T) {
	var all strings.Builder
	root := filepath.Join("..", "..")
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		own := strings.HasPrefix(path, filepath.Join(root, "console")) || strings.HasSuffix(path, "_test.go")
		if err != nil || d.IsDir() || own || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".sql" {
			return err
		}
		source, err := os.ReadFile(path)
		all.Write(source)
		return err
	}))
	sources := strings.ReplaceAll(all.String(), `\"`, `"`)
	require.Greater(t, len(sources), 1_000_000)
	for _, template := range words.Templates() {
		longest, last := "", ""
		for _, part := range anArgument.Split(template, -1) {
			if part = strings.TrimLeft(part, ": "); len(part) > len(longest) {
				longest = part
			}
			if part != "" {
				last = part
			}
		}
		// Some are put together of what stands in two places.
		beginning, end := longest[:min(20, len(longest))], last[max(0, len(last)-20):]
		require.Contains(t, sources, beginning, "nothing writes %q", template)
		require.Contains(t, sources, end, "nothing writes %q", template)
	}
}

// Whatever an adapter does not make a request of, it says in words that are known here.
func TestAdaptersReasonsHaveWords(t *testing.T) {
	good := adapters.Entry{Key: strings.Repeat("a", 32), Voucher: "v", Account: "1920", Amount: "1.00", Currency: "NOK", Date: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)}
	bad := map[string]func(e *adapters.Entry){
		"amount": func(e *adapters.Entry) { e.Amount = "1.005" }, "account": func(e *adapters.Entry) { e.Account = "" },
		"long account": func(e *adapters.Entry) { e.Account = strings.Repeat("1", 100) }, "letters": func(e *adapters.Entry) { e.Account = "19x" },
		"long dimension": func(e *adapters.Entry) { e.Dimensions = map[string]string{"project": strings.Repeat("P", 100)} },
		"large":          func(e *adapters.Entry) { e.Text = strings.Repeat("x", adapters.MaxRequest) },
	}
	said := 0
	for _, a := range vendors.New() {
		exporter, ok := a.(adapters.Exporter)
		require.True(t, ok)
		settings := make(map[string]string)
		for _, s := range exporter.Vendor().Settings {
			settings[s.Name] = cmp.Or(map[string]string{"prefix": "acme_", "table": "acme_lines"}[s.Name], "0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001")
		}
		for name, spoil := range bad {
			e := good
			spoil(&e)
			_, err := exporter.ExportBody(adapters.Form{Settings: settings}, []adapters.Entry{e})
			if err == nil {
				continue
			}
			said++
			require.True(t, words.Ours(err.Error()), "%s %s: %s", exporter.Vendor().Name, name, err)
		}
	}
	require.Greater(t, said, 6)
}
