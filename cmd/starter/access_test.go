package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// leaves are the commands that do something, by their names.
func leaves(c *cobra.Command) (list []string) {
	if c.Runnable() && c.HasParent() && (!c.HasSubCommands() || c.Name() == "health") {
		list = append(list, commandName(c))
	}
	for _, sub := range c.Commands() {
		list = append(list, leaves(sub)...)
	}
	return list
}

// Whoever adds a command says whether it only reads.
func TestEveryCommandHasItsAccess(t *testing.T) {
	for _, name := range leaves(newRoot(new(app))) {
		n := 0
		for _, list := range [][]string{readingCommands, changingCommands, secludedCommands, otherCommands} {
			require.True(t, slices.IsSorted(list))
			if slices.Contains(list, name) {
				n++
			}
		}
		require.Equal(t, 1, n, "starter %s: put it into one of the lists of access.go", name)
	}
	for _, name := range slices.Concat(readingCommands, changingCommands, secludedCommands, otherCommands) {
		require.Contains(t, leaves(newRoot(new(app))), strings.TrimSuffix(name, " --dry-run"), "access.go lists a command that does not exist")
	}
}

// database is one with two organizations, one of which has names and an export.
type database struct {
	server *devstack.Postgres
	export uuid.UUID
}

func (d database) url(user string) string { return d.server.URL("postgres", user) }

const unnamed = "11111111-2222-4333-8444-555555555555"

// migrated is a database of its own, with a pool of its superuser and the logins op
// (operator) and rd (reader).
func migrated(t *testing.T) (*devstack.Postgres, *pgxpool.Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{Log: os.Stderr})
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	pool, err := runlog.Open(ctx, server.URL("postgres", "postgres"), 2)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, _, err = runlog.Migrate(ctx, pool)
	require.NoError(t, err)
	for user, role := range map[string]string{"op": "operator", "rd": "reader"} {
		_, err = pool.Exec(ctx, "CREATE ROLE "+user+" LOGIN IN ROLE ledgerline_"+role)
		require.NoError(t, err)
	}
	return server, pool
}

func newDatabase(t *testing.T) database {
	t.Helper()
	ctx := t.Context()
	server, pool := migrated(t)
	_, err := runlog.EnsurePartitions(ctx, pool)
	require.NoError(t, err)
	d := database{server: server, export: uuid.New()}
	file, err := integrations.ParseFile("x.yaml", []byte(namedFile), integrations.Options{})
	require.NoError(t, err)
	_, err = runlog.ApplyIntegrations(ctx, pool, file.Integrations, runlog.ApplyOptions{By: "test", Organizations: file.Organizations})
	require.NoError(t, err)
	in := file.Integrations[0]
	start, end, err := exports.ParsePeriod("2024-02")
	require.NoError(t, err)
	_, _, err = runlog.ClaimExport(ctx, pool, exports.Export{
		OrganizationID: in.OrganizationID, ID: d.export, IntegrationID: in.ID, AdapterName: in.Adapter, Period: "2024-02", PeriodStart: start, PeriodEnd: end,
		Trigger: exports.ByHand, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New(),
	})
	require.NoError(t, err)
	return d
}

const namedFile = `organization: {id: ` + books + `, name: Norsk Eksempel AS, short: eksempel}
integrations:
  - id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001
    name: main
    adapter: xledger
    baseURL: https://www.xledger.net/graphql
    credentials: {token: env:XLEDGER_TOKEN}
    schedule: {every: daily, at: "06:30"}
---
organization: ` + unnamed + `
integrations:
  - {id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f002, name: crm, adapter: xledger, baseURL: https://www.xledger.net/graphql, credentials: {token: env:XLEDGER_TOKEN}}
`

// try runs the program with an environment of its own.
func try(t *testing.T, env map[string]string, args ...string) (out, words string, code int) {
	t.Helper()
	for _, name := range []string{"DATABASE_URL", "LEDGERLINE_ORG", "LEDGERLINE_ACTOR"} {
		t.Setenv(name, env[name])
	}
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	var o, w bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &w)
	return o.String(), w.String(), code
}

// What a command needs besides, so that it comes as far as the database.
var enough = map[string][]string{
	"call": {"--integration", "main", "--operation", "ping"}, "cancel": {"2c1f6c0e-6f0b-4c53-a3c6-3f2f6f7f0a11"},
	"entries history": {"v"}, "entries list": {"--integration", "main"}, "entries withdraw": {"v", "--reason", "x"}, "entries import": {"-f", "ENTRIES"},
	"exports prove": {"EXPORT"}, "exports resolve": {"EXPORT", "--voucher", "v", "--there", "--reason", "x"}, "exports retry": {"EXPORT"}, "exports show": {"EXPORT"},
	"health history": {"--integration", "main"}, "integrations apply": {"-f", "FILE"}, "integrations pause": {"--integration", "main", "--reason", "x", "--no-wait"},
	"integrations resume": {"--integration", "main"}, "payload-keys retire": {"k1"}, "schedules backfill": {"--integration", "main", "--from", "2026-10-01", "--to", "2026-10-02"},
	"schedules describe": {"--integration", "main"}, "schedules pause": {"--integration", "main", "--reason", "x"}, "schedules resume": {"--integration", "main"},
	"schedules trigger": {"--integration", "main"}, "show": {"2c1f6c0e-6f0b-4c53-a3c6-3f2f6f7f0a11"}, "sync": {"--integration", "main", "--period", "2024-01"},
}

// With a login that may only read, each command either works, but for Temporal, which is
// not there, or refuses and says who can do it.
func TestReader(t *testing.T) {
	d := newDatabase(t)
	file := t.TempDir() + "/x.yaml"
	require.NoError(t, os.WriteFile(file, []byte(namedFile), 0o600))
	entries := t.TempDir() + "/x.csv"
	require.NoError(t, os.WriteFile(entries, []byte("entry_id,voucher_id,entry_date,account,amount,currency\n1,V,2026-10-31,3000,7,NOK\n"), 0o600))
	env := map[string]string{"DATABASE_URL": d.url("rd"), "LEDGERLINE_ORG": "eksempel"}
	for _, name := range append(leaves(newRoot(new(app))), "sync --dry-run", "exports retry --dry-run", "entries import --dry-run", "integrations apply --dry-run") {
		if slices.Contains(otherCommands, name) {
			continue
		}
		args := strings.Fields(name)
		for _, a := range enough[strings.TrimSuffix(name, " --dry-run")] {
			args = append(args, strings.NewReplacer("EXPORT", d.export.String(), "FILE", file, "ENTRIES", entries).Replace(a))
		}
		t.Run(name, func(t *testing.T) {
			_, words, code := try(t, env, args...)
			if slices.Contains(changingCommands, name) {
				require.Equal(t, exitFailed, code)
				require.Regexp(t, `(?m)^starter: database user "rd" may only read, and starter `+name+` does more than that; use a login with the role ledgerline_operator in DATABASE_URL, or ask somebody who has one$`, words)
				return
			}
			if slices.Contains(secludedCommands, name) {
				require.Equal(t, exitFailed, code)
				require.Contains(t, words, `database user "rd" has the role ledgerline_reader, which may not see the keys of payloads; use a login with the role ledgerline_operator`)
				return
			}
			for _, refused := range []string{"permission denied", "may only read", "role", "42501"} {
				require.NotContains(t, words, refused)
			}
			if code != exitOK {
				require.Regexp(t, `Temporal|no invocation|checks? failed|has not ended|no voucher v was imported`, words)
			}
		})
	}
	out, _, _ := try(t, env, "doctor")
	require.Contains(t, out, "has the role ledgerline_reader and no other right")
	require.Regexp(t, `payload keys +assumed +this login may not see which are in use`, out)
}

// An organization is named by its short name or its UUID. One that is not there is an
// error, and without a name those that there are are listed: nobody guesses.
func TestOrganizationByName(t *testing.T) {
	d := newDatabase(t)
	env := map[string]string{"DATABASE_URL": d.url("op")}
	short, _, code := try(t, env, "integrations", "list", "--org", "eksempel")
	require.Zero(t, code)
	byUUID, _, code := try(t, env, "integrations", "list", "--org", books)
	require.Zero(t, code)
	require.Contains(t, short, "main")
	require.Equal(t, short, byUUID)
	env["LEDGERLINE_ORG"] = "eksempel"
	byVariable, _, code := try(t, env, "integrations", "list")
	require.Zero(t, code)
	require.Equal(t, short, byVariable)
	_, words, code := try(t, env, "health", "history", "--integration", "nowhere")
	require.Equal(t, exitFailed, code)
	require.Contains(t, words, "organization eksempel has no such integration")

	for _, org := range []string{"nobody", "22222222-2222-4222-8222-222222222222"} {
		for _, args := range [][]string{{"integrations", "list"}, {"exports", "list"}, {"health"}, {"logs"}, {"quota"}, {"call", "--integration", "main", "--operation", "ping"}} {
			_, words, code := try(t, env, append(args, "--org", org)...)
			require.Equal(t, exitFailed, code, args)
			require.Contains(t, words, "no organization "+org+" in this database; see starter organizations list", args)
		}
	}
	delete(env, "LEDGERLINE_ORG")
	_, words, code = try(t, env, "exports", "list")
	require.Equal(t, exitUsage, code)
	require.Contains(t, words, "--org is missing: want one of eksempel, "+unnamed+", there or in LEDGERLINE_ORG")
	_, words, code = try(t, map[string]string{}, "exports", "list")
	require.Equal(t, exitUsage, code)
	require.Contains(t, words, "--org is missing: want the short name or the UUID of an organization, there or in LEDGERLINE_ORG")
	_, words, code = try(t, env, "exports", "list", "--org", "Eks empel")
	require.Equal(t, exitUsage, code)
	require.Contains(t, words, `--org "Eks empel": want the short name or the UUID`)
	_, words, code = try(t, map[string]string{"LEDGERLINE_ORG": "S3cret!"}, "exports", "list")
	require.Equal(t, exitUsage, code)
	require.NotContains(t, words, "S3cret")

	out, _, code := try(t, env, "organizations", "list")
	require.Zero(t, code)
	require.Regexp(t, `eksempel +Norsk Eksempel AS +`+books+`\n- +- +`+unnamed+`\n$`, out)
	out, _, code = try(t, env, "health")
	require.Zero(t, code)
	require.Regexp(t, `main .* eksempel\n`, out)
	require.NotContains(t, out, books)
	out, _, code = try(t, env, "health", "-o", "json")
	require.Zero(t, code)
	require.Contains(t, out, `"organization": "eksempel"`)
	require.Contains(t, out, books)
}

// A shell completes what there is, and nothing quickly where nobody answers.
func TestCompletion(t *testing.T) {
	d := newDatabase(t)
	env := map[string]string{"DATABASE_URL": d.url("rd")}
	words := func(out string) []string {
		lines := strings.Split(strings.TrimSpace(out), "\n")
		return lines[:len(lines)-1] // the last one is for the shell
	}
	for name, c := range map[string]struct {
		args, want []string
	}{
		"organizations":           {[]string{"logs", "--org", ""}, []string{"eksempel", unnamed}},
		"one begun":               {[]string{"logs", "--org", "ek"}, []string{"eksempel"}},
		"integrations":            {[]string{"sync", "--org", "eksempel", "--integration", ""}, []string{"main"}},
		"those of another":        {[]string{"sync", "--org", unnamed, "--integration", ""}, []string{"crm"}},
		"no organization":         {[]string{"sync", "--integration", ""}, []string{}},
		"an unknown organization": {[]string{"sync", "--org", "nobody", "--integration", ""}, []string{}},
		"classes":                 {[]string{"logs", "--class", ""}, []string{"transient", "permanent", "timeout", "success"}},
		"an export's period":      {[]string{"sync", "--org", "eksempel", "--period", "2024"}, []string{"2024-02"}},
		"output":                  {[]string{"logs", "-o", ""}, []string{"table", "json"}},
		"output for spreadsheets": {[]string{"exports", "show", "-o", ""}, []string{"table", "json", "csv"}},
	} {
		out, _, code := try(t, env, append([]string{"__complete"}, c.args...)...)
		require.Zero(t, code, name)
		require.Equal(t, c.want, words(out), name)
	}
	today := integrations.Integration{}.Today(time.Now())
	this, last := today.Format("2006-01"), today.AddDate(0, 0, -today.Day()).Format("2006-01")
	out, _, _ := try(t, env, "__complete", "sync", "--period", "")
	require.Equal(t, []string{this, last}, words(out)[:2])
	require.Len(t, words(out), 13)
	env["LEDGERLINE_ORG"] = "eksempel"
	out, _, _ = try(t, env, "__complete", "sync", "--integration", "")
	require.Equal(t, []string{"main"}, words(out))
	out, _, _ = try(t, env, "__complete", "exports", "show", "2024")
	require.Equal(t, []string{"2024-02"}, words(out))
	for _, name := range integrationArguments {
		out, _, _ = try(t, env, append(append([]string{"__complete"}, strings.Fields(name)...), "")...)
		require.Equal(t, []string{"main"}, words(out), name)
		out, _, _ = try(t, env, append(append([]string{"__complete"}, strings.Fields(name)...), "main", "")...)
		require.Empty(t, words(out), "%s takes one", name)
	}
	env["DATABASE_URL"] = "postgres://u@127.0.0.1:1/x"
	for _, flag := range []string{"--org", "--integration"} {
		out, said, code := try(t, env, "__complete", "sync", flag, "")
		require.Zero(t, code)
		require.Empty(t, words(out))
		require.NotContains(t, said, "127.0.0.1")
	}
}
