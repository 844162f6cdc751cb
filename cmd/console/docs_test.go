package main

import (
	"bytes"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table of settings in docs/console.md has the flags of --help, each with its variable.
func TestSettingsAreDocumented(t *testing.T) {
	var help bytes.Buffer
	_, err := parse([]string{"--help"}, func(string) string { return "" }, &help)
	require.Error(t, err)
	flags := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^  -([a-z-]+)[^\n]*\n[^\n]*`).FindAllStringSubmatch(help.String(), -1) {
		flags[m[1]] = ""
		if v := regexp.MustCompile(`\$([A-Z_]+)`).FindStringSubmatch(m[0]); v != nil {
			flags[m[1]] = v[1]
		}
	}
	for name, variable := range variables {
		require.Equal(t, variable, flags[name], "--help of --%s", name)
	}
	page, err := os.ReadFile("../../docs/console.md")
	require.NoError(t, err)
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| (?:`([A-Z_]+)`)? *\\|").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = m[2]
	}
	require.Equal(t, flags, documented)
}
