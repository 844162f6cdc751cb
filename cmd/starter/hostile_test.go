package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/proof"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
	"github.com/ledgerline/ledgerline/workflows"
)

// hostile are texts that do something to a terminal, or forge what it shows.
var hostile = []string{
	"\x1b[31mred\x1b[0m", "\x1b]8;;http://x\x07link\x1b]8;;\x07", "\x1b]0;owned\x07", "\x1b[2J\x1b[1;1H\x1b[1A", "\x9b31m", "\u009b31m",
	"\u202egnp.exe", "a\u2066b\u2069\u200e\u200f\u061c", "a\u0085b", "a\r\nE9  V9  exported", "a\nstarter: all exported\n", "a\tb\tc", "a\rb", "a\bb\x7f",
	"zero\x00byte", "bad\xff\xc3utf8", "a\u200bb\u00adc\ufeffd\u2060", "a\u2028b\u2029c", "\ue000\U000f0000", "\U000e0041\U000e007f", "\u115f\u3164\u2800\ufe0f",
	strings.Repeat("very long ", 3000), "\"]}',\x1b[31m",
}

// stored is a text with all of it that PostgreSQL can store.
var stored = "x" + strings.ReplaceAll(strings.ToValidUTF8(strings.Join(hostile[:21], " "), ""), "\x00", "")

// harmless fails for output that does more than to be read.
func harmless(t *testing.T, name, out string) {
	t.Helper()
	require.True(t, utf8.ValidString(out), name)
	for i, c := range out {
		if c != '\n' && (unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Variation_Selector) || strings.ContainsRune("\u115f\u3164\u2800", c)) {
			t.Fatalf("%s: %U in %q", name, c, out[max(0, i-60):min(len(out), i+60)])
		}
	}
	for _, line := range strings.Split(out, "\n") {
		require.False(t, strings.HasPrefix(line, "E9 ") || strings.HasPrefix(line, "starter: all"), "%s: a forged line: %q", name, line)
	}
}

// escaped is what must be seen of hostile texts, so that no case is empty.
func escaped(out string) bool {
	return strings.Contains(out, `\u001b`) || strings.Contains(out, `\x1b`) || strings.Contains(out, `\u202e`) || strings.Contains(out, `\u202E`) || strings.Contains(out, "U+001B") ||
		strings.Contains(out, "[31mred") // redact drops what the others escape
}

// starter runs the program as a person would.
func starter(t *testing.T, in string, args ...string) (out, words string) {
	t.Helper()
	var o, w bytes.Buffer
	run(t.Context(), args, strings.NewReader(in), &o, &w)
	return o.String(), w.String()
}

// fill puts a text in every string of v, at any depth.
func fill(v reflect.Value, text string) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)))
		return
	case uuid.UUID:
		v.Set(reflect.ValueOf(uuid.New()))
		return
	case json.RawMessage:
		encoded, _ := json.Marshal(map[string]string{text: text})
		v.Set(reflect.ValueOf(json.RawMessage(encoded)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, text)
		fill(value, text)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), text)
			}
		}
	}
}

func filled[T any](text string) T {
	v := reflect.New(reflect.TypeFor[T]()).Elem()
	fill(v, text)
	return v.Interface().(T)
}

// printed is what a function prints as run would have it.
func printed(t *testing.T, print func(w io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := print(plain.Writer{Raw: &out}); err != nil {
		sayError(plain.Writer{Raw: &out}, err)
	}
	return out.String()
}

// asJSON checks that what printJSON makes of v is harmless and means the same.
func asJSON(t *testing.T, v any) {
	t.Helper()
	out := printed(t, func(w io.Writer) error { return printJSON(w, v) })
	harmless(t, "JSON", out)
	want, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, string(want), out)
}

// organization of the tests' database.
const books = "7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10"

// hostileBooks is a database whose texts are hostile wherever its rules let them
// be: what a vendor, a view, an administrator of another organization or an older
// program may have put there. It returns an export.
func hostileBooks(t *testing.T) (address, export string) {
	t.Helper()
	ctx := t.Context()
	server, pool := migrated(t)
	address = server.URL("postgres", "op")
	_, err := runlog.EnsurePartitions(ctx, pool)
	require.NoError(t, err)
	file, err := integrations.ParseFile("x.yaml", []byte(`organization: {id: `+books+`, name: Norsk Eksempel AS, short: eksempel}
integrations:
  - id: 0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001
    name: main
    adapter: xledger
    baseURL: https://www.xledger.net/graphql
    credentials: {token: env:XLEDGER_TOKEN}
    schedule: {every: daily, at: "06:30"}
notifications:
  - {name: hook, webhook: {url: "https://hooks.example.com/x", secret: env:HOOK_SECRET}}
`), integrations.Options{})
	require.NoError(t, err)
	_, err = runlog.ApplyIntegrations(ctx, pool, file.Integrations, runlog.ApplyOptions{By: "test", Organizations: file.Organizations})
	require.NoError(t, err)
	_, err = runlog.ApplyChannels(ctx, pool, file.Channels, "test", false)
	require.NoError(t, err)
	in := file.Integrations[0]
	_, err = pool.Exec(ctx, `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text)
		VALUES ($1, 'e1', 'v1', '2026-10-01', '1920', 7, 'NOK', 'x')`, in.OrganizationID)
	require.NoError(t, err)
	start, end, err := exports.ParsePeriod("2026-10")
	require.NoError(t, err)
	e, _, err := runlog.ClaimExport(ctx, pool, exports.Export{OrganizationID: in.OrganizationID, ID: uuid.New(), IntegrationID: in.ID, AdapterName: "xledger", Period: "2026-10", PeriodStart: start, PeriodEnd: end,
		Trigger: exports.ByHand, TriggeredBy: "test", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New()})
	require.NoError(t, err)
	_, err = runlog.PlanExport(ctx, pool, nil, e, integrations.ExportSettings{}, 10, 10)
	require.NoError(t, err)
	_, err = runlog.QueueTest(ctx, pool, in.OrganizationID, "")
	require.NoError(t, err)
	_, _, err = runlog.PauseIntegration(ctx, pool, in.OrganizationID, in.ID, "kari", "x")
	require.NoError(t, err)
	now := time.Now()
	require.NoError(t, runlog.InsertAttempts(ctx, pool, in.OrganizationID, []runlog.AttemptRow{{OrganizationID: in.OrganizationID, RequestedIntegrationID: in.ID, CorrelationID: uuid.New(), AdapterName: "xledger", Operation: "call",
		AttemptNumber: 1, ErrorClass: "transient", ErrorKind: "unavailable", Rule: "status:503", HTTPStatus: 503, ErrorMessage: "x", OccurredAt: now, WorkflowID: "w", RunID: uuid.New(), RunStartedAt: now}}))

	// Then every text that the rules do not keep from it.
	rows, err := pool.Query(ctx, `SELECT table_name, column_name, data_type FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE table_schema = 'ledgerline' AND table_type = 'BASE TABLE' AND (data_type = 'text' OR data_type = 'ARRAY') AND column_name NOT IN ('adapter', 'adapter_name', 'kind', 'idempotency_key')
		AND table_name NOT LIKE 'integration_run_logs\_%' AND table_name NOT LIKE 'goose%' ORDER BY 1, 2`)
	require.NoError(t, err)
	type column struct{ Table, Column, Type string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(t, err)
	require.Greater(t, len(columns), 40)
	changed := 0
	for _, c := range columns {
		value := "left($1::text, 300)"
		if c.Type == "ARRAY" {
			value = "ARRAY[left($1::text, 300)]"
		}
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica") // no triggers, no foreign keys
			require.NoError(t, err)
			tag, err := tx.Exec(ctx, fmt.Sprintf("UPDATE ledgerline.%s SET %s = %s", c.Table, c.Column, value), stored)
			changed += int(tag.RowsAffected())
			return err
		})
		if err != nil {
			t.Logf("%s.%s is kept from it: %v", c.Table, c.Column, err)
		}
	}
	require.Greater(t, changed, 15)
	for i, voucher := range []string{stored, "v2"} { // for the dry run: one is refused for its ID, one for its dimension
		_, err = pool.Exec(ctx, `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions)
			VALUES ($1, $2, left($3, 200), '2026-10-02', '1920', 7, 'NOK', 'x', jsonb_build_object(left($4, 100), 'y'))`, in.OrganizationID, fmt.Sprint("new", i), voucher, stored)
		require.NoError(t, err)
	}
	dry, words := starter(t, "", "sync", oneOrg, "--integration", in.ID.String(), "--period", "2026-11", "--unfinished", "--dry-run", "--database-url", address)
	require.Contains(t, dry, `x\u001b[31mred`, words)
	require.Contains(t, dry, "invisible character U+001B")
	return address, e.ID.String()
}

// hostileCases are the ways on which the texts of others come to what a command
// prints; a new command needs one. Each returns what it printed. A command that
// needs Temporal is taken as far as it comes without, and its printing functions
// are given filled values.
type hostileCase func(t *testing.T, s string, db string, export string) []string

// args runs a command with a text of others among its arguments.
func args(list ...string) hostileCase {
	return func(t *testing.T, s, _, _ string) []string {
		var filledIn []string
		for _, a := range list {
			filledIn = append(filledIn, strings.ReplaceAll(a, "HOSTILE", s))
		}
		out, words := starter(t, s, filledIn...)
		return []string{out, words}
	}
}

// reading runs a command on the hostile database, as a table and as JSON.
func reading(list ...string) hostileCase {
	return func(t *testing.T, s, db, export string) []string {
		if s != hostile[0] {
			return nil // the database is the same
		}
		var all []string
		for _, format := range []string{"table", "json"} {
			a := append([]string{}, list...)
			for i := range a {
				a[i] = strings.ReplaceAll(a[i], "EXPORT", export)
			}
			out, words := starter(t, "", append(a, "--database-url", db, "-o", format)...)
			if format == "json" && out != "" {
				for d := json.NewDecoder(strings.NewReader(out)); ; {
					if err := d.Decode(new(any)); errors.Is(err, io.EOF) {
						break
					} else {
						require.NoError(t, err, out)
					}
				}
			}
			all = append(all, out+words)
		}
		return all
	}
}

// csvOf runs a command on the hostile database with -o csv.
func csvOf(list ...string) hostileCase {
	return func(t *testing.T, s, db, export string) []string {
		if s != hostile[0] {
			return nil // the database is the same
		}
		var filledIn []string
		for _, a := range list {
			filledIn = append(filledIn, strings.ReplaceAll(a, "EXPORT", export))
		}
		out, words := starter(t, "", append(filledIn, "--database-url", db, "-o", "csv")...)
		require.True(t, strings.HasPrefix(out, "\ufeff"), out+words)
		return []string{strings.TrimPrefix(out, "\ufeff"), words}
	}
}

// printing gives a printing function a filled value, and JSON the same.
func printing[T any](print func(w io.Writer, v T) error) hostileCase {
	return func(t *testing.T, s, _, _ string) []string {
		v := filled[T](s)
		asJSON(t, v)
		return []string{printed(t, func(w io.Writer) error { return print(w, v) })}
	}
}

func fileNamed(name, content string, list ...string) hostileCase {
	return func(t *testing.T, s, _, _ string) []string {
		dir := t.TempDir()
		path := filepath.Join(dir, plain.Clip(strings.NewReplacer("\x00", "", "/", "").Replace(strings.ReplaceAll(name, "HOSTILE", s)), 60))
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(content, "HOSTILE", s)), 0o600))
		out, words := starter(t, "", append(append([]string{}, list...), path)...)
		missing, more := starter(t, "", append(append([]string{}, list...), path+s)...)
		return []string{out, words, missing, more}
	}
}

const oneOrg = "--org=" + books

var hostileCases = map[string][]hostileCase{
	"call": {args("call", oneOrg, "--integration", "HOSTILE", "--operation", "HOSTILE"), args("call", oneOrg, "--body", "@HOSTILE"), printing(func(w io.Writer, v workflows.Outcome) error { return printJSON(w, v) })},
	"cancel": {args("cancel", "HOSTILE", oneOrg), args("cancel", "--last", oneOrg, "--integration", "HOSTILE"), printing(func(w io.Writer, v struct {
		O workflows.Outcome
		E exports.Export
		A calls.AmbiguousError
	}) error {
		_, _ = say(w, "%s", calls.CallEnded(v.O)), say(w, "%s", calls.ExportEnded(v.E, v.E.Period))
		sayError(w, &v.A)
		return nil
	})},
	"doctor": {args("doctor", "--timeout", "HOSTILE"), printing(func(w io.Writer, v []check) error { return (&app{}).printChecks(w, v) }), printing(func(w io.Writer, v runlog.Worker) error {
		v.StoppingAt, v.StoppedAt, v.Ago = nil, nil, 0
		list := []runlog.Worker{v}
		_ = (&app{}).printChecks(w, append(lacking(list, nil), working(list, []string{v.Identity + "x"}, true, true), builds(list, "v1", ""), workerClocks(list))) // some fail
		return nil
	})},
	"entries check":   {args("entries", "check", "-f", "-", "--format", "csv"), fileNamed("HOSTILE.csv", head+"\"HOSTILE\",\"HOSTILE\",x,HOSTILE,x\n", "entries", "check", "-f"), fileNamed("x.jsonl", `{"HOSTILE": 1}`, "entries", "check", "-f"), args("entries", "check", "-f", "x", "--format", "HOSTILE")},
	"entries history": {reading("entries", "history", stored, oneOrg), printing(func(w io.Writer, v []runlog.RecordedChange) error { return table(w, changeTable(v)) })},
	"entries list": {
		reading("entries", "list", oneOrg, "--integration", "0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"), csvOf("entries", "list", oneOrg, "--integration", "0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001"),
		printing(func(w io.Writer, v outlook.Listing) error { return sumUp(w, v) }),
	},
	"entries withdraw": {args("entries", "withdraw", "HOSTILE", oneOrg, "--reason", "x"), printing(func(w io.Writer, v runlog.RefusedError) error {
		sayError(w, withCounter(&v))
		return nil
	})},
	"entries import": {args("entries", "import", oneOrg, "-f", "HOSTILE"), reading("entries", "import", oneOrg, "-f", "testdata/hostile.csv"), printing(func(w io.Writer, v runlog.ImportResult) error {
		warnUnbalanced(w, v)
		warnLeft(w, v)
		return errors.Join(printDifferences(w, v.Changes), printSendings(w, v.Sendings))
	})},
	"explain": {args("explain", "--adapter", "xledger", "--status", "400", "--body-file", "-"), args("explain", "--adapter", "HOSTILE"), args("explain", "--adapter", "xledger", "--status", "400", "--body-file", "HOSTILE")},
	"exports list": {reading("exports", "list", oneOrg), printing(func(w io.Writer, v struct {
		Chains []exports.Chain
		Facts  exports.WaitFacts
	}) error {
		var list []statement.Period
		for _, c := range v.Chains {
			c.Exports[0].Status = exports.Pending
			list = append(list, statement.Of(c, time.Now(), map[uuid.UUID]exports.WaitFacts{c.Pending().ID: v.Facts}))
		}
		return (&app{}).printPeriods(w, list, 1)
	})},
	"exports prove": {args("exports", "prove", "HOSTILE", oneOrg), printing(func(w io.Writer, v proof.Proof) error {
		return (&app{}).printProof(w, v)
	})},
	"exports resolve": {reading("exports", "resolve", "EXPORT", oneOrg, "--there", "--reason", "x", "--voucher", stored), printing(func(w io.Writer, v runlog.Resolution) error {
		return (&app{}).printResolution(w, v, v.VoucherID)
	})},
	"exports retry": {args("exports", "retry", "HOSTILE", oneOrg), reading("exports", "retry", "EXPORT", oneOrg), printing(func(w io.Writer, v syncReport) error { return (&app{}).printSyncReport(w, v) })},
	"exports show":  {reading("exports", "show", "EXPORT", oneOrg, "--details"), csvOf("exports", "show", "EXPORT", oneOrg), printing(func(w io.Writer, v chainReport) error { return v.print(w, time.Now()) }), printing(func(w io.Writer, v exportDetail) error { return v.print(w, time.Now()) })},
	"health": {reading("health"), printing(func(w io.Writer, v []runlog.HealthStatus) error {
		return (&app{}).printHealth(w, healthReport{list: v})
	}), printing(func(w io.Writer, v runlog.HealthStatus) error { return (&app{}).printChange(w, healthReport{}, v) }), printing(colours)},
	"health history": {args("health", "history", "--integration", "HOSTILE"), printing(func(w io.Writer, v []runlog.HealthEntry) error { return table(w, historyTable(v)) })},
	"integrations apply": {fileNamed("HOSTILE.yaml", "\"HOSTILE\": 1\n", "integrations", "apply", "-f"), printing(func(w io.Writer, v []applyResult) error {
		sayDifferences(w, v)
		sayApplied(w, v, runlog.ApplyOptions{})
		return nil
	})},
	"integrations check":     {fileNamed("HOSTILE.yaml", "HOSTILE: 1\n", "integrations", "check", "-f"), fileNamed("x.yaml", "organization: \"HOSTILE\"\nintegrations: [{name: HOSTILE}]\n", "integrations", "check", "-f")},
	"integrations list":      {reading("integrations", "list", oneOrg)},
	"integrations pause":     {args("integrations", "pause", oneOrg, "--integration", "HOSTILE", "--reason", "x"), reading("integrations", "pause", oneOrg, "--integration", "0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001", "--reason", "x", "--no-wait"), printing(saying)},
	"integrations resume":    {args("integrations", "resume", oneOrg, "--integration", "HOSTILE"), printing(saying)},
	"integrations verify":    {args("integrations", "verify", oneOrg, "--integration", "HOSTILE"), printing(func(w io.Writer, v []verification) error { return table(w, verificationTable(v)) })},
	"logs":                   {reading("logs", oneOrg, "--since", "24h"), args("logs", oneOrg, "--adapter", "HOSTILE"), args("logs", oneOrg, "--until", "HOSTILE"), printing(func(w io.Writer, v []calls.Row) error { return printRows(w, v, true) })},
	"migrate":                {args("migrate", "HOSTILE"), printing(saying)},
	"notifications channels": {reading("notifications", "channels", oneOrg)},
	"notifications list":     {reading("notifications", "list", oneOrg), args("notifications", "list", oneOrg, "--since", "HOSTILE")},
	"notifications test": {args("notifications", "test", oneOrg, "--channel", "HOSTILE"), printing(func(w io.Writer, v []runlog.NotificationRecord) error {
		return errors.Join((&app{}).printNotifications(w, v), deliveryError(uuid.Nil, v, nil))
	})},
	"codec-server":        {args("codec-server", "HOSTILE"), args("codec-server", "--listen", "HOSTILE")},
	"organizations list":  {reading("organizations", "list"), args("organizations", "list", "HOSTILE"), printing(func(w io.Writer, v []integrations.Organization) error { return table(w, organizationTable(v)) })},
	"version":             {args("version", "HOSTILE"), printing(saying)},
	"payload-keys list":   {args("payload-keys", "list", "HOSTILE"), printing(func(w io.Writer, v []heldKey) error { return table(w, payloadKeyTable(v)) })},
	"payload-keys retire": {args("payload-keys", "retire", "HOSTILE", "x"), args("payload-keys", "retire", "HOSTILE"), printing(saying)},
	"quota":               {args("quota", oneOrg, "--month", "HOSTILE"), reading("quota", oneOrg, "--month", "2026-11"), printing(func(w io.Writer, v []quotaLine) error { return table(w, quotaTable(v)) })},
	"redact":              {args("redact"), args("redact", "HOSTILE")},
	"schedules backfill":  {args("schedules", "backfill", oneOrg, "--integration", "HOSTILE", "--from", "HOSTILE", "--to", "x"), printing(saying)},
	"schedules describe":  {args("schedules", "describe", oneOrg, "--integration", "HOSTILE"), printing(printSchedule)},
	"schedules list": {args("schedules", "list", "--org", "HOSTILE"), printing(func(w io.Writer, v engine.ScheduleStatus) error {
		return table(w, [][]string{{v.Name, v.Schedule, scheduleState(v), v.Note}})
	})},
	"schedules pause":   {args("schedules", "pause", oneOrg, "--integration", "x", "--reason", "HOSTILE"), args("schedules", "pause", oneOrg, "--integration", "HOSTILE"), printing(saying)},
	"schedules resume":  {args("schedules", "resume", oneOrg, "--integration", "HOSTILE"), printing(saying)},
	"schedules trigger": {args("schedules", "trigger", oneOrg, "--integration", "HOSTILE"), printing(saying)},
	"show":              {args("show", "HOSTILE"), printing(printReport)},
	"sync":              {reading("sync", oneOrg, "--integration", "0d9f2f51-33a5-4a7c-8e3e-1f0a52b8f001", "--period", "2026-11", "--unfinished", "--dry-run"), args("sync", oneOrg, "--integration", "main", "--period", "HOSTILE"), printing(func(w io.Writer, v syncReport) error { return (&app{}).printSyncReport(w, v) })},
	"ticks list": {reading("ticks", "list", oneOrg, "--since", "72h"), args("ticks", "list", "--org", "HOSTILE"), printing(func(w io.Writer, v []tickReport) error {
		return table(w, [][]string{{v[0].Name, string(v[0].Result), v[0].Period}})
	})},
}

// saying is a line of a command, as all are written.
func saying(w io.Writer, v engine.ScheduleStatus) error {
	return say(w, "schedule of %s: %s (%v)", v.Name, v.Note, errors.New(v.Name))
}

func colours(w io.Writer, v []runlog.HealthStatus) error {
	rows := [][]string{{" ", "INTEGRATION"}}
	for _, h := range v {
		rows = append(rows, []string{"●", h.Name})
	}
	var b strings.Builder
	if err := (healthReport{list: v}).colourTable(plain.Writer{Raw: &b}, rows); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.NewReplacer("\x1b[90m", "", "\x1b[0m", "").Replace(b.String())) // our own
	return err
}

// No command lets a text of others steer a terminal or forge what it shows.
func TestHostileTexts(t *testing.T) {
	t.Setenv("LEDGERLINE_ORG", "")
	t.Setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
	t.Setenv("DATABASE_URL", "")
	db, export := hostileBooks(t)
	known := make(map[string]bool)
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if path := strings.TrimPrefix(c.CommandPath(), "starter "); c.Runnable() && c.HasParent() && (!c.HasSubCommands() || path == "health") {
			known[path] = true
			require.NotEmpty(t, hostileCases[path], "no case for %s: what does it print of others' texts?", c.CommandPath())
		}
		for _, k := range c.Commands() {
			walk(k)
		}
	}
	walk(newRoot(new(app)))
	for command, cases := range hostileCases {
		require.True(t, known[command], "there is no command %s", command)
		t.Run(command, func(t *testing.T) {
			seen := command == "redact" // which takes out what does not show
			for i, one := range cases {
				for _, s := range hostile {
					for _, out := range one(t, s, db, export) {
						harmless(t, fmt.Sprint(command, " ", i), out)
						seen = seen || escaped(out)
					}
				}
			}
			require.True(t, seen, "nothing hostile came to its output: the cases prove nothing")
		})
	}
}
