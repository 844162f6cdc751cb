package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// Programs get what the table of integrations shows, and a time is given as people say it.
func TestListsForPrograms(t *testing.T) {
	d := newDatabase(t)
	pool, err := runlog.Open(t.Context(), d.url("op"), 1)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	env := map[string]string{"DATABASE_URL": d.url("rd"), "LEDGERLINE_ORG": "eksempel"}
	type listed struct {
		Name            string
		ScheduleInWords string
		Paused          *runlog.Pause
	}
	list := func() (l []listed, table string) {
		t.Helper()
		out, _, code := try(t, env, "integrations", "list", "-o", "json")
		require.Zero(t, code)
		require.NoError(t, json.Unmarshal([]byte(out), &l))
		require.Contains(t, out, `"paused"`)
		table, _, code = try(t, env, "integrations", "list")
		require.Zero(t, code)
		return l, table
	}
	got, table := list()
	require.Equal(t, []any{"main", (*runlog.Pause)(nil)}, []any{got[0].Name, got[0].Paused})
	require.Contains(t, got[0].ScheduleInWords, "daily at 06:30")
	require.Contains(t, table, got[0].ScheduleInWords)
	p, _, err := runlog.PauseIntegration(t.Context(), pool, uuid.MustParse(books), uuid.MustParse("0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"), "kari", "new accounts")
	require.NoError(t, err)
	got, table = list()
	require.Equal(t, []any{"kari", "new accounts", true}, []any{got[0].Paused.By, got[0].Paused.Reason, p.At.Equal(got[0].Paused.At)})
	require.Contains(t, table, "by kari: new accounts")

	for _, since := range []string{"1d", "2w", "2026-10-31", "72h"} {
		_, words, code := try(t, env, "ticks", "list", "--since", since)
		require.Zero(t, code, words)
	}
	_, words, code := try(t, env, "ticks", "list", "--since", "tomorrow")
	require.Equal(t, exitUsage, code)
	require.Contains(t, words, `--since "tomorrow": want a duration such as 90m, 24h, 1d or 2w`)
}

// A login that may only read is shown what applying would change: names, channels and
// integrations. Files that contradict each other are refused.
func TestApplyShowsWhatChanges(t *testing.T) {
	d := newDatabase(t)
	env := map[string]string{"DATABASE_URL": d.url("rd")}
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	const one = `integrations:
  - {id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f002, name: crm, adapter: xledger, baseURL: https://www.xledger.net/graphql, credentials: {token: env:XLEDGER_TOKEN}}
`
	named := "organization: {id: " + unnamed + ", name: Nytt AS, short: nytt}\n" + one
	a := write("a.yaml", named+"notifications:\n  - {name: ops, webhook: {url: https://hooks.example.com/x, secret: env:HOOK_SECRET}}\n")
	_, words, code := try(t, env, "integrations", "apply", "-f", a, "--dry-run")
	require.Zero(t, code, words)
	require.Contains(t, words, `~ organization `+unnamed+`
    + name: Nytt AS
    + short: nytt
+ notifications to ops (webhook)
    + webhook.url: https://hooks.example.com/x
    + webhook.secret: env:HOOK_SECRET
unchanged: crm
dry run: nothing was changed
`)
	b := write("b.yaml", "organization: {id: "+unnamed+", name: Annet AS, short: nytt}\nintegrations:\n"+
		"  - {id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f003, name: other, adapter: xledger, baseURL: https://www.xledger.net/graphql, credentials: {token: env:XLEDGER_TOKEN}}\n")
	_, words, code = try(t, env, "integrations", "apply", "-f", a, "-f", b, "--dry-run")
	require.Equal(t, exitUsage, code)
	require.Contains(t, words, "-f: organization "+unnamed+" is nytt (Nytt AS) in "+a+" and nytt (Annet AS) in "+b)
	require.NotContains(t, words, "unchanged")
}
