package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Whoever adds a command that takes an integration as its argument gets it completed, and no
// flag or argument but those of files offers the files of a folder.
func TestEverythingIsCompleted(t *testing.T) {
	n := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		name := commandName(c)
		if f := c.Flags().Lookup("integration"); f != nil && strings.HasSuffix(f.Usage, "in place of the argument") {
			require.Contains(t, integrationArguments, name)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			_, has := c.GetFlagCompletionFunc(f.Name)
			require.Equal(t, !slices.Contains(fileFlags, f.Name), has, "%s --%s", name, f.Name)
			n++
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(new(app)))
	require.Greater(t, n, 100)
}

// exports retry --voucher is about what was refused, exports resolve about what is open.
func TestVouchersAreCompleted(t *testing.T) {
	d := newDatabase(t)
	env := map[string]string{"DATABASE_URL": d.url("rd"), "LEDGERLINE_ORG": "eksempel"}
	pool, err := runlog.Open(t.Context(), d.url("postgres"), 1)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	for voucher, amount := range map[string]string{"odd": "7", "even": "0"} { // one is refused, since it does not sum to zero
		_, err = pool.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text)
			VALUES ($1, $2, $2, '2024-02-03', '1920', $3::text::numeric, 'NOK', '')`, books, voucher, amount)
		require.NoError(t, err)
	}
	e, err := runlog.LoadExport(t.Context(), pool, uuid.MustParse(books), d.export)
	require.NoError(t, err)
	_, err = runlog.PlanExport(t.Context(), pool, nil, e, integrations.ExportSettings{}, 10, 10)
	require.NoError(t, err)
	for line, want := range map[string]string{
		"exports retry 2024-02 --voucher ":                    "odd",
		"exports retry 2024-02 --integration main --voucher ": "odd",
		"exports retry " + d.export.String() + " --voucher ":  "odd",
		"exports resolve 2024-02 --voucher ":                  "even",
		"exports retry 2024-02 --voucher x":                   "",
		"exports retry --voucher ":                            "",
		"exports retry 2030-01 --voucher ":                    "",
		"entries list --voucher ":                             "",
	} {
		out, _, code := try(t, env, append([]string{"__complete"}, strings.Split(line, " ")...)...)
		require.Zero(t, code)
		words, directive, _ := strings.Cut("\n"+out, "\n:")
		require.Equal(t, want, strings.TrimSpace(words), line)
		require.Contains(t, []string{"4", "36"}, strings.TrimSpace(directive), "%s: no files", line)
	}
}
