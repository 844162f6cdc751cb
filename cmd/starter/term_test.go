package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Everything is written by term.go, so that no command can forget to escape.
func TestOnlyTermWrites(t *testing.T) {
	writers := map[string]string{"fmt": "Print Printf Println Fprint Fprintf Fprintln", "io": "WriteString Copy CopyN CopyBuffer", "json": "NewEncoder",
		"tabwriter": "NewWriter", "os": "Stdout Stderr", "csv": "NewWriter", "bufio": "NewWriter", "template": "New"}
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	seen := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") || f.Name() == "term.go" {
			continue
		}
		seen++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, f.Name(), nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && len(call.Args) > 0 {
				if _, builder := call.Args[0].(*ast.UnaryExpr); builder {
					return false // into a strings.Builder
				}
			}
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if p, ok := s.X.(*ast.Ident); ok && strings.Contains(" "+writers[p.Name]+" ", " "+s.Sel.Name+" ") && f.Name() != "main.go" {
				t.Errorf("%s: %s.%s: write with say, table or printJSON", set.Position(s.Pos()), p.Name, s.Sel.Name)
			}
			return true
		})
	}
	require.Greater(t, seen, 20)
}

// What say writes is one line: a line end in its format would be shown as the two
// characters \n.
func TestSaySaysOneLine(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	seen := 0
	for _, name := range files {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			called := ""
			switch f := call.Fun.(type) {
			case *ast.Ident:
				called = f.Name
			case *ast.SelectorExpr:
				called = f.Sel.Name
			}
			if called != "say" {
				return true
			}
			seen++
			for _, arg := range call.Args {
				ast.Inspect(arg, func(n ast.Node) bool {
					if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && strings.Contains(text.Value, `\n`) {
						t.Errorf("%s: say writes one line: say \"\" for an empty one, or sayLines", set.Position(text.Pos()))
					}
					return true
				})
			}
			return true
		})
	}
	require.Greater(t, seen, 100)
}
