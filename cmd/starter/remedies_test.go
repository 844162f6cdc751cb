package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

var (
	inText     = regexp.MustCompile(`\bstarter( [a-z][a-z-]*[^;:,\n"]*)`)
	commandTag = regexp.MustCompile(`--?[a-z][a-z-]*`)
	aUUID      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-`)
)

// together are the flags that a command needs beside one that is named.
var together = map[string]map[string][]string{
	"starter entries list":       {"period": {"integration"}, "state": {"integration"}, "voucher": {"integration"}},
	"starter exports prove":      {"adopt": {"period", "integration"}},
	"starter exports resolve":    {"voucher": {"reason"}},
	"starter exports retry":      {"voucher": {"integration"}},
	"starter schedules backfill": {"from": {"to"}},
	"starter sync":               {"period": {"integration"}},
}

// textsOf are the texts of a file, those that are joined by + as one, with where they stand.
// A value in the middle is VALUE.
func textsOf(fset *token.FileSet, f *ast.File) map[token.Position]string {
	texts := make(map[token.Position]string)
	var join func(e ast.Expr) string
	join = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
				return text
			}
		case *ast.BinaryExpr:
			if e.Op == token.ADD {
				return join(e.X) + join(e.Y)
			}
		case *ast.ParenExpr:
			return join(e.X)
		}
		return "VALUE"
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.ADD {
				texts[fset.Position(n.Pos())] = join(n)
				return false
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				texts[fset.Position(n.Pos())] = join(n)
			}
		}
		return true
	})
	return texts
}

// TestRemediesAreCommands: a text that has starter and a command names a command that there is,
// with flags that it has, with those that it needs beside them, and no UUID to be copied.
func TestRemediesAreCommands(t *testing.T) {
	root, checked := newRoot(new(app)), 0
	fset := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		case strings.HasSuffix(path, ".md"):
			page, err := os.ReadFile(path)
			for _, line := range strings.Split(string(page), "\n") {
				if strings.HasPrefix(filepath.Base(path), "CHANGELOG") {
					break // what was there once
				}
				for _, m := range inText.FindAllStringSubmatch(strings.ReplaceAll(line, "`", ";"), -1) {
					checkCommand(t, root, path, m[1])
					checked++
				}
			}
			return err
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for at, text := range textsOf(fset, f) {
			for _, m := range inText.FindAllStringSubmatch(text, -1) {
				checkCommand(t, root, at.String(), m[1])
				checked++
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, checked, 200)
}

// checkCommand checks a command line in a text, as far as it is one: words after the command
// may be prose.
func checkCommand(t *testing.T, root *cobra.Command, at, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, "#") // a comment
	line, _, _ = strings.Cut(line, ". ")
	words := strings.Fields(line)
	command := root
	for len(words) > 0 {
		next, _, err := command.Find(words[:1])
		if err != nil || next == command {
			break
		}
		command, words = next, words[1:]
	}
	if command == root {
		return // "starter changes nothing"
	}
	rest := strings.Join(words, " ")
	named := make(map[string]bool)
	for _, flag := range commandTag.FindAllString(" "+rest, -1) {
		name := strings.TrimLeft(flag, "-")
		if !strings.Contains(" "+rest, " "+flag) && !strings.Contains(rest, "|"+flag) {
			continue // in a word
		}
		f := command.Flags().Lookup(name)
		if f == nil {
			f = command.InheritedFlags().Lookup(name)
		}
		if f == nil && len(name) == 1 {
			f = command.Flags().ShorthandLookup(name)
		}
		if f == nil && len(name) == 1 {
			f = command.InheritedFlags().ShorthandLookup(name)
		}
		if name == "help" {
			continue
		}
		if f == nil {
			t.Errorf("%s: %s has no flag %s: starter%s", at, command.CommandPath(), flag, line)
			continue
		}
		named[f.Name] = true
	}
	for name, needed := range together[command.CommandPath()] {
		for _, other := range needed {
			if named[name] && !named[other] && !strings.Contains(rest, "VALUE") {
				t.Errorf("%s: --%s of %s needs --%s beside it: starter%s", at, name, command.CommandPath(), other, line)
			}
		}
	}
	if aUUID.MatchString(rest) {
		t.Errorf("%s: a UUID to be copied: starter%s", at, line)
	}
}
