package main

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// wordsOf are what a word without a flag can be, in the order in which that is asked: the
// flag, what people call it, and whether a word is one, as it is to be written.
var wordsOf = []struct {
	flag, called string
	is           func(word string) (write string, ok bool)
}{
	{"period", "the period", func(word string) (string, bool) {
		if isPeriod(word) {
			return word, true
		}
		meant := meantPeriod(word)
		return meant, meant != ""
	}},
	{"file", "the file", func(word string) (string, bool) {
		found, err := os.Stat(word)
		return word, err == nil && !found.IsDir() || slices.Contains(fileEndings, strings.ToLower(filepath.Ext(word)))
	}},
	{"integration", "the integration", func(word string) (string, bool) { return word, true }},
}

// fileEndings are those of the files that commands take.
var fileEndings = []string{".csv", ".jsonl", ".tsv", ".txt", ".xlsx", ".yaml", ".yml"}

// meantPeriod is [exports.MeantPeriod] today.
func meantPeriod(word string) string {
	return exports.MeantPeriod(word, integrations.Integration{}.Today(time.Now()))
}

// forgottenFlags names the flags that are missing before words of a command line: "name the
// period with --period 2026-08"; "" if nothing is known of one of them. A flag that is given
// was not forgotten.
func forgottenFlags(c *cobra.Command, words []string) string {
	var named []string
	var used []string
	for _, word := range words {
		for _, w := range wordsOf {
			f, free := c.Flags().Lookup(w.flag), false
			if f != nil {
				free = !f.Changed && !slices.Contains(used, w.flag)
			}
			write, ok := w.is(word)
			if ok && free {
				flag := "--" + f.Name
				if f.Shorthand != "" {
					flag = "-" + f.Shorthand
				}
				remedy := w.called + " with " + flag + " " + shellWord(write)
				if voucher := c.Flags().Lookup("voucher"); w.flag == "integration" && voucher != nil && !voucher.Changed {
					remedy += ", or the voucher with --voucher " + shellWord(write)
				}
				named, used = append(named, remedy), append(used, w.flag)
			}
			if ok && (free || write == word) { // what is plainly a period is no integration
				break
			}
		}
	}
	if len(named) == 0 || len(named) < len(words) {
		return ""
	}
	return "name " + strings.Join(named, ", and ")
}

// withoutObject are the words besides the n that a command takes: the first ones, but of a
// command on an export its period, wherever it stands.
func withoutObject(c *cobra.Command, words []string, n int) []string {
	at := 0
	if n == 1 && slices.Contains(exportArguments, commandName(c)) {
		at = max(0, slices.IndexFunc(words, isPeriod))
	}
	return slices.Delete(slices.Clone(words), at, at+n)
}

// shellWord quotes a word that a shell would split.
func shellWord(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t'\"\\$`*?[](){}<>|&;!#~") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// argumentFlags are flags that people try for what is an argument, and of which commands.
var argumentFlags = map[string]struct {
	called   string
	commands []string
}{
	"period":  {"the period", exportArguments},
	"export":  {"the export", exportArguments},
	"voucher": {"the voucher", voucherArguments},
}

// voucherArguments are the commands whose argument is the ID of a voucher.
var voucherArguments = []string{"entries withdraw", "entries history"}

// flagError is the error of a flag that a command does not have, with what was meant. args
// are those of the program.
func flagError(c *cobra.Command, args []string, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage("%w; see %s --help", err, c.CommandPath())
	}
	name := unknown.GetSpecifiedName()
	if a, ok := argumentFlags[name]; ok && slices.Contains(a.commands, commandName(c)) {
		return usage("%w: %s is an argument: %s %s", err, a.called, c.CommandPath(), shellWord(cmp.Or(valueAfter(args, "--"+name), strings.ToUpper(name))))
	}
	if all := unknown.GetSpecifiedShortnames(); len(all) > 1 { // -period
		name = all
	}
	if near := nearFlags(c, name); len(near) > 0 {
		return usage("%w (did you mean %s?); see %s --help", err, strings.Join(near, " or "), c.CommandPath())
	}
	return usage("%w; see %s --help", err, c.CommandPath())
}

// nearFlags are the flags that a command has and whose names are like one, found as the
// nearest commands are; see [unknownCommand].
func nearFlags(c *cobra.Command, name string) (list []string) {
	names := &cobra.Command{SuggestionsMinimumDistance: 2}
	add := func(f *pflag.Flag) {
		if !f.Hidden {
			names.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	}
	c.LocalFlags().VisitAll(add)
	c.InheritedFlags().VisitAll(add)
	for _, near := range names.SuggestionsFor(name) {
		list = append(list, "--"+near)
	}
	return list
}

// valueAfter is the value that a flag has among arguments, "" if it has none.
func valueAfter(args []string, flag string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, flag+"="); ok {
			return value
		}
		if arg == flag && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			return args[i+1]
		}
	}
	return ""
}

// readPeriod reads the period of a flag or an argument.
func readPeriod(from, value string) (start, end time.Time, err error) {
	if value == "" {
		return start, end, usage("%s is missing: want a month 2026-10, an ISO week 2026-W45 or a day 2026-11-23", from)
	}
	if start, end, err = exports.ParsePeriod(value); err == nil {
		return start, end, nil
	}
	if meant := meantPeriod(value); meant != "" {
		return start, end, usage("%s %q: write %s", from, value, meant)
	}
	return start, end, usage("%s: %w", from, err)
}
