package ledgerline_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	namedTest    = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`")
	declaredTest = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)\(`)
)

// TestPromisesAreTested holds the pages of docs to tests that exist: a promise whose test
// was renamed or removed would stand there unproved.
func TestPromisesAreTested(t *testing.T) {
	declared := make(map[string]bool)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declaredTest.FindAllStringSubmatch(string(text), -1) {
			declared[m[1]] = true
		}
		return err
	})
	require.NoError(t, err)
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	named := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range namedTest.FindAllStringSubmatch(string(text), -1) {
			named++
			require.True(t, declared[m[1]], "%s names %s, which no file declares", page, m[1])
		}
	}
	require.Greater(t, named, 100)
}

// Whoever runs the tests on another server finds what to set there.
func TestSettingsOfAnotherServer(t *testing.T) {
	source, err := os.ReadFile("internal/e2e/main_test.go")
	require.NoError(t, err)
	page, err := os.ReadFile("docs/testing.md")
	require.NoError(t, err)
	settings := regexp.MustCompile(`(?m)^\s+"([a-z]+(?:\.[A-Za-z]+)+)": `).FindAllStringSubmatch(string(source), -1)
	require.Len(t, settings, 4)
	for _, m := range settings {
		require.Contains(t, string(page), "`"+m[1])
	}
}

var (
	heading   = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	anchor    = regexp.MustCompile(`<a id="([^"]+)">`)
	link      = regexp.MustCompile(`\]\(([^):\s]*?\.md)?(#[^)\s]+)?\)`)
	pageNamed = regexp.MustCompile(`\b((?:[\w.-]+/)*[\w-]+\.md)\b(#[\w-]+)?`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are where a link into a page can lead: its headings, as GitHub writes
// them, and what is marked.
func anchors(page string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(page, -1) {
		all["#"+strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	for _, m := range anchor.FindAllStringSubmatch(page, -1) {
		all["#"+m[1]] = true
	}
	return all
}

// TestReferencesLead: a page that a Go file names exists, and so does the place in
// it, also of each link from one page to another.
func TestReferencesLead(t *testing.T) {
	checked := 0
	leads := func(from, base, page, place string) {
		checked++
		text, err := os.ReadFile(filepath.Join(base, page))
		require.NoError(t, err, "%s names a page that does not exist", from)
		require.True(t, place == "" || anchors(string(text))[place], "%s: %s has no %s", from, page, place)
	}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata") {
			if err == nil {
				err = filepath.SkipDir
			}
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		switch {
		case strings.HasSuffix(path, ".go"):
			for _, m := range pageNamed.FindAllStringSubmatch(string(text), -1) {
				base := "." // comments name a page by its path in the repository
				if !strings.HasPrefix(m[1], "docs/") {
					base = "docs"
				}
				leads(path, base, strings.TrimLeft(m[1], "./"), m[2])
			}
		case strings.HasSuffix(path, ".md"):
			for _, m := range link.FindAllStringSubmatch(string(text), -1) {
				if m[1] == "" && m[2] == "" {
					continue
				}
				base, page := filepath.Dir(path), m[1]
				if page == "" {
					base, page = ".", path
				}
				leads(path, base, page, m[2])
			}
		}
		return err
	})
	require.NoError(t, err)
	require.Greater(t, checked, 100)
}
