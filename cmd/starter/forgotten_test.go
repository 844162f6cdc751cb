package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// A remedy for a forgotten flag fits what was typed, and can be typed.
func TestForgottenFlags(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "entries")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	october := exports.MeantPeriod("oktober", integrations.Integration{}.Today(time.Now()))
	for line, says := range map[string]string{
		"sync xledger-main":                               "starter sync takes no arguments: name the integration with --integration xledger-main",
		"sync --integration xledger-main 2026-08":         "name the period with --period 2026-08",
		"sync 2026-W45 --integration xledger-main":        "name the period with --period 2026-W45",
		"sync xledger-main 2026-08":                       "name the integration with --integration xledger-main, and the period with --period 2026-08",
		"sync xledger-main oktober":                       "and the period with --period " + october,
		"entries import september.csv":                    "name the file with -f september.csv",
		"entries import --integration xledger-main a.tsv": "name the file with -f a.tsv",
		"entries import A.XLSX xledger-main":              "name the file with -f A.XLSX, and the integration with --integration xledger-main",
		"entries import " + file:                          "name the file with -f " + file,
		"entries import " + dir:                           "name the integration with --integration " + dir, // a folder is no file
		"entries check x.jsonl":                           "name the file with -f x.jsonl",
		"integrations apply eksempel.yaml":                "name the file with -f eksempel.yaml",
		"entries list 2026-10":                            "name the period with --period 2026-10",
		"exports list 10/2026":                            "name the period with --period 2026-10",
		"exports show 2026-10 xledger-main":               "takes a period or the ID of an export: name the integration with --integration xledger-main",
		"exports retry xledger-main 2026-10":              "takes a period or the ID of an export: name the integration with --integration xledger-main",
		"logs xledger-main":                               "name the integration with --integration xledger-main",
		"exports list a.csv":                              "takes no arguments, got 1",
		"sync --period 2026-10 2026-11":                   "takes no arguments, got 1",
		"ticks list 2026-10":                              "starter ticks list",
		"exports show --period 2026-10":                   "the period is an argument: starter exports show 2026-10",
		"exports retry --integration x --period=2026-10":  "the period is an argument: starter exports retry 2026-10",
		"exports show --period":                           "the period is an argument: starter exports show PERIOD",
		"entries withdraw --voucher 20201 --reason x":     "the voucher is an argument: starter entries withdraw 20201",
		"entries check -f x.csv --idfrom Bilag":           "unknown flag: --idfrom (did you mean --id-from?)",
		"sync --integraton x":                             "did you mean --integration?",
		"sync -period 2026-10":                            "did you mean --period?",
		"sync --outptu json":                              "did you mean --output?",
		"sync --zzzzzz":                                   "unknown flag: --zzzzzz; see starter sync --help",
	} {
		var out, words strings.Builder
		require.Equal(t, exitUsage, run(t.Context(), strings.Fields(line), strings.NewReader(""), &out, &words), line)
		require.Contains(t, words.String(), says, line)
		require.NotContains(t, words.String(), "--integration 2026", line)
	}
}

// Of every command, a flag with one letter left out or one too many is found.
func TestMisspeltFlagsAreFound(t *testing.T) {
	n := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if len(f.Name) > 4 && !f.Hidden {
				n++
				require.Contains(t, nearFlags(c, f.Name[:2]+f.Name[3:]), "--"+f.Name, c.CommandPath())
				require.Contains(t, nearFlags(c, f.Name+"s"), "--"+f.Name, c.CommandPath())
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(new(app)))
	require.Greater(t, n, 100)
}

// Months are answered with what to write, wherever a period is read.
func TestMonthsInWords(t *testing.T) {
	october := exports.MeantPeriod("oktober", integrations.Integration{}.Today(time.Now()))
	for _, c := range [][]string{
		{"sync", "--integration", "x", "--period"}, {"exports", "list", "--period"}, {"entries", "list", "--integration", "x", "--period"},
		{"exports", "prove", "--integration", "x", "--period"}, {"exports", "show"}, {"exports", "retry", "--integration", "x"}, {"exports", "prove"}, {"cancel"},
		{"exports", "resolve", "--voucher", "v", "--there", "--reason", "x"},
	} {
		for word, write := range map[string]string{"oktober": october, "October": october, "okt 2026": "2026-10", "10/2026": "2026-10", "10.2026": "2026-10", "31.10.2026": "2026-10-31"} {
			var out, words strings.Builder
			require.Equal(t, exitUsage, run(t.Context(), append(append([]string{}, c...), word), strings.NewReader(""), &out, &words), "%v %s: %s", c, word, words.String())
			require.Contains(t, words.String(), `"`+word+`": write `+write, c)
		}
	}
	var out, words strings.Builder
	require.Equal(t, exitUsage, run(t.Context(), []string{"sync", "--integration", "x"}, strings.NewReader(""), &out, &words))
	require.Contains(t, words.String(), "--period is missing: want a month 2026-10, an ISO week 2026-W45 or a day 2026-11-23")
	require.NotContains(t, words.String(), `""`)
}
