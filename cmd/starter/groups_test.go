package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// Whatever names no command exits 2 and says what there is, in every group.
func TestMistypedCommandsExitTwo(t *testing.T) {
	type mistake struct {
		args []string
		says []string
	}
	var mistakes []mistake
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		with := func(more ...string) []string { return append(append([]string{}, path...), more...) }
		if !c.HasSubCommands() {
			if c.Args != nil {
				mistakes = append(mistakes, mistake{with("a", "b", "c", "d"), []string{c.CommandPath()}})
			}
			return
		}
		all := strings.Join(commandsOf(c), ", ")
		name := commandsOf(c)[0]
		if c.Annotations["group"] != "" { // starter health does something by itself
			mistakes = append(mistakes, mistake{path, []string{"is missing a command; want one of " + all, "Available Commands:"}})
		}
		mistakes = append(mistakes, mistake{with("zzzzzz"), []string{c.CommandPath() + ` has no command "zzzzzz"; want one of ` + all}},
			mistake{with("zzzzzz", "list", "--no-such-flag", "x"), []string{"unknown flag: --no-such-flag"}},
			mistake{with(name + "x"), []string{`did you mean ` + name + `?`, "want one of " + all}},
			mistake{append([]string{"help"}, with("zzzzzz")...), []string{`has no command "zzzzzz"`}})
		for _, sub := range c.Commands() {
			if sub.Name() != "help" {
				walk(sub, with(sub.Name()))
			}
		}
	}
	root := newRoot(new(app))
	completeTree(root)
	walk(root, nil)
	require.Greater(t, len(mistakes), 60)
	for _, m := range mistakes {
		t.Run(strings.Join(m.args, " "), func(t *testing.T) {
			var out, words strings.Builder
			require.Equal(t, exitUsage, run(t.Context(), m.args, strings.NewReader(""), &out, &words), words.String())
			require.Empty(t, out.String())
			for _, s := range m.says {
				require.Contains(t, words.String(), s)
			}
		})
	}
}

// Help that is asked for is a result.
func TestHelpExitsZero(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}, {"help", "integrations", "apply"}, {"integrations", "--help"}, {"integrations", "apply", "-h"}, {"--version"}, {"completion", "bash"}} {
		var out, words strings.Builder
		require.Equal(t, exitOK, run(t.Context(), args, strings.NewReader(""), &out, &words), args)
		require.NotEmpty(t, out.String(), args)
		require.Empty(t, words.String(), args)
	}
}
