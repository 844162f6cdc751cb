package main

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Every command says the same of why an export waits, whatever its run will look at next.
func TestEveryCommandSaysWhyAnExportWaits(t *testing.T) {
	d := newDatabase(t)
	pool, err := runlog.Open(t.Context(), d.url("postgres"), 2)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	organization := uuid.MustParse(books)
	date := time.Date(2024, 2, 3, 0, 0, 0, 0, time.UTC)
	_, err = runlog.ImportEntries(t.Context(), pool, organization, func(yield func(runlog.AccountingEntry, error) bool) {
		for id, amount := range map[string]string{"v-1": "10.00", "v-2": "-10.00"} {
			if !yield(runlog.AccountingEntry{EntryID: id, VoucherID: "v", Date: date, Account: "3900", Amount: amount, Currency: "NOK"}, nil) {
				return
			}
		}
	}, runlog.ImportOptions{Actor: "test"})
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), `CREATE ROLE wk LOGIN IN ROLE ledgerline_worker`)
	require.NoError(t, err)
	worker, err := runlog.Open(t.Context(), d.url("wk"), 2)
	require.NoError(t, err)
	t.Cleanup(worker.Close)
	c, err := runlog.LoadChain(t.Context(), pool, organization, d.export)
	require.NoError(t, err)
	_, err = runlog.PlanExport(t.Context(), worker, nil, c.Last(), integrations.ExportSettings{}, 500, 500)
	require.NoError(t, err)

	env := map[string]string{"DATABASE_URL": d.url("rd"), "LEDGERLINE_ORG": "eksempel"}
	says := func(brief, reason, remedy string) {
		t.Helper()
		out, _, code := try(t, env, "exports", "list")
		require.Zero(t, code)
		require.Regexp(t, `February 2024 +main +`+brief+` +2 `, out)
		for _, format := range []string{"table", "json"} {
			for _, args := range [][]string{{"exports", "list"}, {"exports", "show", "2024-02"}, {"entries", "list", "--integration", "main"}} {
				out, _, code := try(t, env, append(args, "-o", format)...)
				require.Zero(t, code)
				require.NotContains(t, out, "waits until")
				require.NotRegexp(t, `v-1 .*is being exported`, out)
				if format == "json" || args[1] == "show" {
					require.Contains(t, out, reason, args)
				}
				if args[0] == "entries" {
					require.Contains(t, out, "waits: "+reason)
				}
				if format == "table" && args[0]+args[1] != "exportslist" {
					require.Contains(t, out, remedy, args)
				}
			}
		}
	}
	says("waits: no worker is running", "no worker is running", "start one; the export then continues by itself")
	// Its run looks again in an hour, which is not until when it waits.
	_, err = pool.Exec(t.Context(), `UPDATE ledgerline.bufdir_export_audit_log SET deferred_until = now() + interval '1 hour', deferred_for = 'paused' WHERE export_id = $1`, d.export)
	require.NoError(t, err)
	says("waits: no worker is running", "no worker is running", "start one; the export then continues by itself")
	_, _, err = runlog.PauseIntegration(t.Context(), pool, organization, c.Last().IntegrationID, "kari", "new accounts")
	require.NoError(t, err)
	says("waits: the integration is paused", "integration main is paused by kari since ", "starter integrations resume")
}

// The facts of many exports are those of each.
func TestFactsOfManyExports(t *testing.T) {
	d := newDatabase(t)
	pool, err := runlog.Open(t.Context(), d.url("rd"), 1)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	c, err := runlog.LoadChain(t.Context(), pool, uuid.MustParse(books), d.export)
	require.NoError(t, err)
	one, err := runlog.LoadWaitFacts(t.Context(), pool, c.Last())
	require.NoError(t, err)
	require.Equal(t, []any{"eksempel", "main", "2024-02", true}, []any{one.Organization, one.Integration, one.Period, one.NoWorker})
	ended := c.Last()
	ended.ID, ended.Status = uuid.New(), exports.Complete
	facts, err := runlog.ListWaitFacts(t.Context(), pool, uuid.MustParse(books), []exports.Export{ended, c.Last()})
	require.NoError(t, err)
	require.Equal(t, map[uuid.UUID]exports.WaitFacts{c.Last().ID: one}, facts)
	facts, err = runlog.ListWaitFacts(t.Context(), nil, uuid.MustParse(books), []exports.Export{ended})
	require.NoError(t, err, "nothing is asked")
	require.Empty(t, facts)
}
