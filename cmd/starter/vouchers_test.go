package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// remedy is the command at the end of an error.
var remedy = regexp.MustCompile(`starter ([a-z]+ [a-z]+ .*)\n$`)

// Every command that names a voucher says that there is no such voucher, exits 1, and names a
// command that works.
func TestVouchersThatAreNotThere(t *testing.T) {
	d := newDatabase(t)
	env := map[string]string{"DATABASE_URL": d.url("op"), "LEDGERLINE_ORG": "eksempel"}
	pool, err := runlog.Open(t.Context(), d.url("postgres"), 1)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = pool.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text)
		VALUES ($1, 'e', 'there', '2024-02-03', '1920', 7, 'NOK', '')`, books)
	require.NoError(t, err)
	e, err := runlog.LoadExport(t.Context(), pool, uuid.MustParse(books), d.export)
	require.NoError(t, err)
	_, err = runlog.PlanExport(t.Context(), pool, nil, e, integrations.ExportSettings{}, 10, 10)
	require.NoError(t, err)
	_, err = runlog.CloseExport(t.Context(), pool, e)
	require.NoError(t, err)
	period := e.Period
	require.Equal(t, "2024-02", exports.ByMonth.Containing(e.PeriodStart))
	for _, line := range []string{
		"entries history FINNESIKKE", "entries history FINNESIKKE -o json", "entries withdraw FINNESIKKE --reason x", "entries list --integration main --voucher FINNESIKKE",
		"exports retry " + period + " --integration main --voucher FINNESIKKE", "exports resolve " + period + " --voucher FINNESIKKE --there --reason x",
	} {
		out, words, code := try(t, env, strings.Fields(line)...)
		require.Equal(t, exitFailed, code, "%s: %s", line, out+words)
		require.Regexp(t, `no (refused )?voucher FINNESIKKE`, words, line)
		then := remedy.FindStringSubmatch(words)
		require.NotNil(t, then, "%s names no command: %s", line, words)
		_, words, code = try(t, env, strings.Fields(then[1])...)
		require.Zero(t, code, "%s: %s", then[1], words)
	}
	_, words, code := try(t, env, "exports", "resolve", period, "--integration", "main", "--there", "--reason", "x")
	require.Equal(t, exitUsage, code)
	require.Contains(t, words, "see starter exports show 2024-02 --integration main")
	out, words, code := try(t, env, "entries", "history", "there")
	require.Zero(t, code, words)
	require.Contains(t, out, "voucher there was not corrected")
	_, words, code = try(t, env, "entries", "list", "--integration", "main", "--voucher", "there", "--period", "2030-01")
	require.Zero(t, code, "a filter may select nothing")
	require.Contains(t, words, "all of it: starter entries list --integration main --voucher there")
}
