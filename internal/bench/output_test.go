package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// promised are the lines that others count on: name, unit and target as report is called.
// Their names, units and targets stay, whatever else is measured.
var promised = []string{
	"plan_1000_new_at_5000000 x_empty atMost(1.5)",
	"invocation_throughput_concurrency_32 x_bare atLeast(0.92)",
	"invocation_throughput_same_metadata x atLeast(0.97)",
	"starter_call ms atMost(60)",
	"isolation_p99_failing x_quiet atMost(bound)", // by the machine's cores
	"isolation_p99_hanging x_quiet atMost(bound)",
	"schedules_500_claimed s atMost(60)",
	"export_entries_against_loop x_loop atLeast(0.8)",
	"export_cost_per_entry_1000000_to_10000 x atMost(1.2)",
	"codec_throughput x_plain atLeast(0.95)",
	"import_1000000 lines/s atLeast(50000)",
}

// reported are the lines in the source, of which the name is a literal, or one with a trouble's.
func reported(t *testing.T) (lines []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok || types.ExprString(c.Fun) != "report" {
				return true
			}
			require.Len(t, c.Args, 4, file)
			rest := types.ExprString(c.Args[2]) + " " + types.ExprString(c.Args[3])
			for _, by := range troubles {
				name := strings.ReplaceAll(types.ExprString(c.Args[0]), "t.name", strconv.Quote(by.name))
				lines = append(lines, strings.NewReplacer(`"`, "", " + ", "").Replace(name+" "+rest))
				if !strings.Contains(types.ExprString(c.Args[0]), "t.name") {
					break
				}
			}
			return true
		})
	}
	return lines
}

func TestPromisedLines(t *testing.T) {
	all := reported(t)
	count := make(map[string]int)
	for _, line := range all {
		name, _, _ := strings.Cut(line, " ")
		count[name]++
		require.Equal(t, 1, count[name], "two lines have the name %s", name)
	}
	require.Subset(t, all, promised)
}
