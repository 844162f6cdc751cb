package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// completeTree adds the commands help and completion, which write to where root writes
// now, and makes every group refuse what is mistyped.
func completeTree(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.SetUsageTemplate(groupUsage(root.UsageTemplate()))
	refuseMistyped(root)
}

// refuseMistyped makes every command below c, and c itself, refuse a command line that
// names nothing, with exit code 2: a script whose variable is empty or mistyped must not
// go on as if something had been done. cobra would print the help of a group and exit 0.
func refuseMistyped(c *cobra.Command) {
	switch {
	case c.Name() == "help":
		c.Run, c.RunE = nil, showHelp
	case c.HasSubCommands() && !c.Runnable():
		c.Args, c.RunE = cobra.ArbitraryArgs, runGroup
		c.Annotations = map[string]string{"group": "yes"}
	case c.HasSubCommands(): // one that also does something by itself
		c.Args = noCommandBelow
	case c.Args != nil:
		c.Args = usageArgs(c.Args)
	}
	for _, sub := range c.Commands() {
		refuseMistyped(sub)
	}
}

// groupUsage is cobra's template of a usage, in which a group is not shown as a command
// that runs by itself.
func groupUsage(template string) string {
	return strings.Replace(template, "{{if .Runnable}}", `{{if and .Runnable (not (index .Annotations "group"))}}`, 1)
}

// runGroup refuses a group without one of its commands, and one that it does not have.
func runGroup(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		c.SetOut(c.ErrOrStderr()) // it is no result
		if err := c.Help(); err != nil {
			return err
		}
		return usage("%s is missing a command; want one of %s", c.CommandPath(), strings.Join(commandsOf(c), ", "))
	}
	return unknownCommand(c, args[0])
}

// noCommandBelow refuses what stands after a command where another one could.
func noCommandBelow(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(c, args[0])
	}
	return nil
}

// unknownCommand names the nearest commands, and all that there are.
func unknownCommand(c *cobra.Command, word string) error {
	c.SuggestionsMinimumDistance = 2
	near := ""
	if list := c.SuggestionsFor(word); len(list) > 0 {
		near = fmt.Sprintf(" (did you mean %s?)", strings.Join(list, " or "))
	}
	return usage("%s has no command %q%s; want one of %s", c.CommandPath(), word, near, strings.Join(commandsOf(c), ", "))
}

// commandsOf are the names of a group's commands.
func commandsOf(c *cobra.Command) (names []string) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// usageArgs is a check of arguments whose every error is one of the command line.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		err := check(c, args)
		if exit := (exitError{}); err == nil || errors.As(err, &exit) {
			return err
		}
		return usage("%w; see %s --help", err, c.CommandPath())
	}
}

// showHelp is the command help.
func showHelp(c *cobra.Command, args []string) error {
	at := c.Root()
	for i, word := range args {
		next, rest, err := at.Find(args[i : i+1])
		if err != nil || len(rest) > 0 || next == at {
			if !at.HasSubCommands() {
				return usage("%s has no commands below it; see %s --help", at.CommandPath(), at.CommandPath())
			}
			return unknownCommand(at, word)
		}
		at = next
	}
	at.InitDefaultHelpFlag()
	at.InitDefaultVersionFlag()
	return at.Help()
}
