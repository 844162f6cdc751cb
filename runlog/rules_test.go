package runlog_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// decoded are the jsonb columns and what programs decode them into. A value of
// which the database says that it can be read, can be.
var decoded = []struct {
	table, column string
	into          any
	good          string
}{
	{"integrations", "settings", map[string]string{}, `{"a": "b"}`},
	{"integrations", "policy", classify.Policy{}, `{}`},
	{"integrations", "schedule", integrations.Schedule{}, `{"every": "daily", "timeZone": "UTC"}`},
	{"integrations", "export", integrations.ExportSettings{}, `{}`},
	{"integrations", "limits", integrations.RequestLimits{}, `{}`},
	{"integrations", "health", health.Policy{}, `{}`},
	{"notifications", "facts", notify.Facts{}, `{}`},
	{"subject_incidents", "facts", notify.Facts{}, `{}`},
	{"vendor_contracts", "checks", []adapters.Check{}, `[]`},
	{"vendor_contracts", "learned", map[string]string{}, `{}`},
	{"bufdir_export_audit_log", "amounts", map[string]string{}, `{}`},
	{"bufdir_export_audit_log", "warm_up_ms", map[string]int64{}, `{}`},
	{"export_sums", "amounts", map[string]string{}, `{}`},
	{"export_entries", "dimensions", map[string]string{}, `{}`},
	{"workers", "lacks", []runlog.Lack{}, `[]`},
	{"entry_changes", "before", runlog.EntryContent{}, `{}`},
	{"entry_changes", "after", runlog.EntryContent{}, `{}`},
}

// values are one of each JSON type, and what looks like another.
var values = []string{`null`, `true`, `0`, `-1`, `7`, `1.0`, `1.5`, `1e400`, `99999999999999999999999`, `""`, `"x"`, `"7"`, `"2026-02-30T00:00:00Z"`, `"2026-11-23T10:00:00.5+01:00"`,
	`"6f1d2c7e-5a5b-4c3d-9e8f-7a6b5c4d3e2f"`, `[]`, `[1]`, `["x"]`, `[[]]`, `{}`, `{"x": 1}`, `{"x": "y"}`, `{"x": ["y"]}`, `{"x": {"y": "z"}}`, `[{"x": "y"}]`}

// What each jsonb column takes is what the programs can decode: each JSON type in
// place of the column and of each of its members, at any depth.
func TestWhatIsStoredCanBeRead(t *testing.T) {
	b := newBase(t)
	org, integration := b.tenant(t)
	export, notification := uuid.New(), uuid.New()
	for _, q := range []string{
		`INSERT INTO ledgerline.vendor_contracts (organization_id, integration_id) VALUES ($1, $2)`,
		fmt.Sprintf(`INSERT INTO ledgerline.notifications (organization_id, integration_id, notification_id, cause, occurred_at) VALUES ($1, $2, '%s', 'test', now())`, notification),
		`INSERT INTO ledgerline.subject_incidents (organization_id, integration_id, incident_id, cause, subject, facts, opened_at) VALUES ($1, $2, $1, 'workflow_failing', 'w', '{}', now())`,
		fmt.Sprintf(`INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, integration_id, export_id, adapter_name, period, period_start, period_end, idempotency_key, trigger, triggered_by, started_at, workflow_id, run_id)
			VALUES ($1, $2, '%s', 'xledger', '2026-10', '2026-10-01', '2026-11-01', 'k', 'manual', 't', now(), 'w', gen_random_uuid())`, export),
		fmt.Sprintf(`INSERT INTO ledgerline.export_entries (organization_id, integration_id, export_id, entry_id, voucher_id, chunk, vendor_key, late, state, entry_date, account, amount, currency, text)
			VALUES ($1, $2, '%s', '1', 'v', 0, 'k', false, 'rejected', '2026-10-01', '1', 1, 'NOK', '')`, export),
		`INSERT INTO ledgerline.workers (worker_id, identity, host, version, revision, namespace, task_queue, started_at, seen_at, clock_offset)
			SELECT $1, 'i', $2::uuid::text, 'v', '', 'n', 'q', now(), now(), '0'`, // its ID stands for an organization here
		`INSERT INTO ledgerline.entry_changes (organization_id, entry_id, voucher_id, kind, actor, reason, before, after) SELECT $1, '1', $2::uuid::text, 'replaced', 'a', '', '{}', '{}'`,
		fmt.Sprintf(`INSERT INTO ledgerline.export_sums (organization_id, export_id, entries, late, vouchers, amounts) SELECT $1, '%s', 0, 0, 0, '{}' WHERE $2::uuid IS NOT NULL`, export),
		`ALTER TABLE ledgerline.entry_changes DISABLE TRIGGER changes_stand`,
	} {
		args := []any{org, integration}[:min(1, strings.Count(q, "$1"))+min(1, strings.Count(q, "$2"))]
		_, err := b.admin.Exec(t.Context(), q, args...)
		require.NoError(t, err, q)
	}
	for _, c := range decoded {
		accepted, key := 0, "organization_id"
		if c.table == "workers" {
			key = "worker_id"
		}
		try := func(text string) {
			t.Helper()
			tx, err := b.admin.Begin(t.Context())
			require.NoError(t, err)
			defer tx.Rollback(t.Context())
			query := fmt.Sprintf("UPDATE ledgerline.%s SET %s = $1::text::jsonb WHERE %s = $2", c.table, c.column, key)
			_, err = tx.Exec(t.Context(), query, text, org)
			if err != nil {
				var pg *pgconn.PgError
				require.ErrorAs(t, err, &pg)
				require.Contains(t, []string{"23514", "22P02", "22003"}, pg.Code, "%s.%s = %s: %v", c.table, c.column, text, err)
				return
			}
			accepted++
			into := reflect.New(reflect.TypeOf(c.into))
			require.NoError(t, tx.QueryRow(t.Context(), fmt.Sprintf("SELECT %s FROM ledgerline.%s WHERE %s = $1", c.column, c.table, key), org).Scan(into.Interface()),
				"%s.%s = %s is taken and cannot be read", c.table, c.column, text)
		}
		for _, v := range values {
			try(v)
			for _, around := range members(reflect.TypeOf(c.into)) {
				try(fmt.Sprintf(around, v))
				try(fmt.Sprintf(strings.ToUpper(around[:len(around)/2])+around[len(around)/2:], v)) // Go reads names in any case
			}
		}
		before := accepted
		try(c.good)
		require.Equal(t, before+1, accepted, "%s.%s refuses %s", c.table, c.column, c.good)
		require.Greater(t, accepted, 1, "%s.%s", c.table, c.column)
	}
	var unknown []string
	rows, err := b.admin.Query(t.Context(), `SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'ledgerline' AND data_type = 'jsonb'
		AND table_name || '.' || column_name NOT IN ('integrations.credential_refs', 'notification_channels.settings', 'accounting_entries.dimensions')`)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, column := range all {
		known := false
		for _, c := range decoded {
			known = known || column == c.table+"."+c.column
		}
		if !known {
			unknown = append(unknown, column)
		}
	}
	require.Empty(t, unknown, "jsonb columns without a CHECK of what is decoded")
}

// members are texts with a %s in the place of each member of a type.
func members(typ reflect.Type) (all []string) {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ == reflect.TypeFor[time.Time]() || typ == reflect.TypeFor[uuid.UUID]():
	case typ.Kind() == reflect.Map:
		all = append(all, `{"k": %s}`)
	case typ.Kind() == reflect.Slice:
		all = append(all, `[%s]`)
		for _, m := range members(typ.Elem()) {
			all = append(all, "["+m+"]")
		}
	case typ.Kind() == reflect.Struct:
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			all = append(all, `{"`+name+`": %s}`)
			for _, m := range members(typ.Field(i).Type) {
				all = append(all, `{"`+name+`": `+m+`}`)
			}
		}
	}
	return all
}

// What a file can say is taken: each member with a value of its type.
func TestWhatFilesSayIsTaken(t *testing.T) {
	b := newBase(t)
	org := uuid.New()
	in := example(org, uuid.New(), "everything")
	isolate, inFlight := 10_000, time.Hour
	in.InFlight = &inFlight
	in.Settings = map[string]string{"authority": "https://login.microsoftonline.com", "x": "ø"}
	in.Schedule = &integrations.Schedule{Every: integrations.Monthly, Hour: 23, Minute: 59, Day: 28, Cron: "", TimeZone: "Europe/Oslo", PeriodRule: integrations.WeekBefore, Overlap: integrations.Skip,
		CatchUp: 365 * 24 * time.Hour, WarmUp: integrations.NoWarmUp, DriftThreshold: 24 * time.Hour}
	in.Export = integrations.ExportSettings{Source: "a.b", ChunkSize: 1000, Accounts: map[string]string{"1": "2"}, Dimensions: map[string]string{"d": ""}, Currencies: []string{"NOK"}, IsolateRequests: &isolate, EqualRefusals: 100}
	in.Limits = integrations.RequestLimits{RequestsPerMinute: 60_000, ConcurrentRequests: 1000, MonthlyRequests: 1_000_000_000, WarnAt: 100, RefuseAt100: true}
	in.Health = health.Policy{Interval: 7 * 24 * time.Hour, MaxInterval: 7 * 24 * time.Hour, NoProbes: true}
	in.Policy = classify.Policy{BaseDelay: time.Minute, Coefficient: 10, MaxRetries: 10, Jitter: 0.9, AttemptTimeout: time.Minute, Budget: time.Minute}
	_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{in}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	got, err := runlog.LoadIntegration(t.Context(), b.worker, org, in.ID)
	require.NoError(t, err)
	require.Equal(t, in, got)
}

// A dimension without a text is one that has none; an amount that is no number is
// named with its row, and the table takes none.
func TestOddEntriesStopNoPlan(t *testing.T) {
	b := newBooks(t)
	org := b.org
	_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA odd; GRANT USAGE ON SCHEMA odd TO s;
		CREATE VIEW odd.entries AS SELECT `+"'"+org.String()+"'"+`::uuid AS organization_id, 'good' AS entry_id, 'v' AS voucher_id, '2026-10-01'::date AS entry_date, '1' AS account,
			0.00 AS amount, 'NOK' AS currency, 'x' AS text, '{"d": null}'::jsonb AS dimensions, now() AS created_at;
		CREATE VIEW odd.numbers AS SELECT organization_id, entry_id, voucher_id, entry_date, account, 'NaN'::numeric AS amount, currency, text, dimensions, created_at FROM odd.entries;
		GRANT SELECT ON ALL TABLES IN SCHEMA odd TO s`)
	require.NoError(t, err)
	x := integrations.ExportSettings{Source: "odd.entries", Dimensions: map[string]string{"d": "field"}}
	require.Equal(t, []string{"good:1:planned"}, b.plan(b.claim("2026-10", nil), x, 10))
	x.Source = "odd.numbers"
	_, err = runlog.PlanExport(t.Context(), b.worker, b.sources, b.claim("2026-11", nil), x, 10, 10)
	require.ErrorContains(t, err, "row 1: amount is not a decimal number")
	for _, dimensions := range []string{`[]`, `"x"`, `null`, `{"a": {}}`, `{"a": ["b"]}`} {
		_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.accounting_entries (organization_id, entry_id, voucher_id, entry_date, account, amount, dimensions) VALUES ($1, 'bad', 'v', '2026-10-01', '1', 0, $2::text::jsonb)`, org, dimensions)
		require.ErrorContains(t, err, "dimensions_can_be_read", dimensions)
	}
}

// The attack: limits of one integration that no program can read stopped the
// queues of all.
func TestOneRowStopsNobodyElse(t *testing.T) {
	b := newBase(t)
	one, theirs := b.tenant(t)
	two, ours := b.tenant(t)
	_, err := b.admin.Exec(t.Context(), "UPDATE ledgerline.integrations SET own_queue = true, limits = '{\"requestsPerMinute\": 60}'")
	require.NoError(t, err)
	for _, limits := range []string{`{"requestsPerMinute":"x"}`, `{"requestsPerMinute":99999999999}`, `{"concurrentRequests":1.5}`, `{"monthlyRequests":"many"}`, `[]`, `"x"`, `null`} {
		err := runlog.InOrganization(t.Context(), b.operator, one, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "UPDATE ledgerline.integrations SET limits = $2::text::jsonb WHERE integration_id = $1", theirs, limits)
			return err
		})
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, limits)
		require.Equal(t, "limits_can_be_read", pg.ConstraintName, limits)
	}
	queues, err := runlog.LeaseQueues(t.Context(), b.worker, uuid.New(), time.Minute)
	require.NoError(t, err)
	require.Len(t, queues, 2)
	_, err = runlog.LoadIntegration(t.Context(), b.worker, two, ours)
	require.NoError(t, err)

	// Should one be there all the same, it is left out and named.
	more := uuid.New()
	_, err = runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{example(one, more, "more")}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	for _, limits := range []string{`{"requestsPerMinute":"x"}`, `{"requestsPerMinute":99999999999}`, `{"concurrentRequests":1.5}`, `[]`, `"x"`} {
		_, err := b.admin.Exec(t.Context(), "ALTER TABLE ledgerline.integrations DROP CONSTRAINT IF EXISTS limits_can_be_read")
		require.NoError(t, err)
		_, err = b.admin.Exec(t.Context(), "UPDATE ledgerline.integrations SET own_queue = true, limits = $2::text::jsonb WHERE integration_id = $1", theirs, limits)
		require.NoError(t, err)
		queues, err := runlog.LeaseQueues(t.Context(), b.worker, uuid.New(), time.Minute)
		require.NoError(t, err, limits)
		for _, q := range queues {
			require.Equal(t, q.IntegrationID == theirs && strings.HasPrefix(limits, "{"), q.Unreadable, limits)
		}
		list, err := runlog.ListIntegrations(t.Context(), b.operator, one)
		if strings.Contains(limits, "999") { // Go's numbers are longer than the database's
			require.NoError(t, err)
			continue
		}
		var unreadable *runlog.UnreadableError
		require.ErrorAs(t, err, &unreadable, limits)
		require.Len(t, unreadable.Rows, 1)
		require.Contains(t, unreadable.Rows[0], "(limits)")
		require.Len(t, list, 1, limits)
		require.Equal(t, more, list[0].ID)
		_, err = runlog.LoadIntegration(t.Context(), b.worker, one, theirs)
		require.ErrorAs(t, err, &unreadable)
	}
}

func TestAddressesHaveNoUser(t *testing.T) {
	b := newBase(t)
	org, _ := b.tenant(t)
	exec := func(query string, args ...any) error {
		return runlog.InOrganization(t.Context(), b.operator, org, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), query, args...)
			return err
		})
	}
	for address, ok := range map[string]bool{
		"https://hooks.example.com/a": true, "http://127.0.0.1:8080": true, "https://[::1]:8080/x": true, "https://example.com/a@b": true, "https://example.com?x=a@b": true,
		"https://user@example.com/": false, "https://user:word@example.com": false, "https://:@example.com": false, `https://example.com\@evil.example`: false, "https://a b@example.com": false,
		"ftp://example.com": false, "//example.com": false, "example.com": false, "https://": false, "https:///x": false, " https://example.com": false, "HTTPS://u@example.com": false, "": false,
	} {
		for what, err := range map[string]error{
			"channel":   exec(`INSERT INTO ledgerline.notification_channels (organization_id, name, kind, settings, applied_by) VALUES ($1, gen_random_uuid(), 'webhook', jsonb_build_object('url', $2::text, 'secret', 'env:X'), 't')`, org, address),
			"base URL":  exec(`UPDATE ledgerline.integrations SET base_url = $1`, address),
			"authority": exec(`UPDATE ledgerline.integrations SET settings = jsonb_build_object('authority', $1::text)`, address),
		} {
			if ok {
				require.NoError(t, err, "%s %q", what, address)
			} else {
				require.ErrorContains(t, err, "no_user", "%s %q", what, address)
			}
		}
	}
	require.Error(t, exec(`INSERT INTO ledgerline.notification_channels (organization_id, name, kind, settings, applied_by) VALUES ($1, 'none', 'webhook', '{"secret": "env:X"}', 't')`, org), "no address")
	require.Error(t, exec(`INSERT INTO ledgerline.notification_channels (organization_id, name, kind, settings, applied_by) VALUES ($1, 'one', 'email', '{"to": "a@example.com"}', 't')`, org), "not a list")
}

// What an entry is cannot change once it is planned, except that one that was
// rejected is planned again from its source.
func TestContentOfEntriesStands(t *testing.T) {
	b := newBase(t)
	org, integration := b.tenant(t)
	export := uuid.New()
	_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, integration_id, export_id, adapter_name, period, period_start, period_end, idempotency_key, trigger, triggered_by, started_at, workflow_id, run_id)
		VALUES ($1, $2, $3, 'xledger', '2026-10', '2026-10-01', '2026-11-01', 'k', 'manual', 't', now(), 'w', gen_random_uuid())`, org, integration, export)
	require.NoError(t, err)
	for state, effect := range map[string]any{"planned": nil, "sent": "open", "unknown": "open", "exported": "done", "rejected": "none"} {
		_, err := b.admin.Exec(t.Context(), `INSERT INTO ledgerline.export_entries (organization_id, integration_id, export_id, entry_id, voucher_id, chunk, vendor_key, late, state, effect, sent_in, sent_attempt, open_until,
			entry_date, account, amount, currency, text, dimensions) VALUES ($1, $2, $3, $4::text, 'v', 1, $4::text, false, $4::text, $5, $3, 1, now(), '2026-10-01', '1', 1, 'NOK', '', '{}')`, org, integration, export, state, effect)
		require.NoError(t, err)
		for _, change := range []string{"amount = 2", "text = 'x'", "account = '2'", "currency = 'EUR'", "entry_date = '2026-10-02'", "dimensions = '{\"a\": \"b\"}'", "dimensions = NULL", "late = true",
			"entry_id = 'x'", "voucher_id = 'x'", "vendor_key = 'x'", "integration_id = gen_random_uuid()"} {
			column, _, _ := strings.Cut(change, " ")
			identifies := strings.HasSuffix(column, "_id") || column == "vendor_key"
			err := runlog.InOrganization(t.Context(), b.worker, org, func(tx pgx.Tx) error {
				tag, err := tx.Exec(t.Context(), "UPDATE ledgerline.export_entries SET "+change+" WHERE entry_id = $1", state)
				if err == nil {
					require.EqualValues(t, 1, tag.RowsAffected())
					return errBack
				}
				return err
			})
			if state == "rejected" && !identifies {
				require.ErrorIs(t, err, errBack, "%s: %s", state, change)
			} else {
				var pg *pgconn.PgError
				require.ErrorAs(t, err, &pg, "%s: %s", state, change)
				require.Equal(t, "23514", pg.Code, "%s: %s", state, change)
			}
		}
	}
	// Nor the time until when it is open, its export, or that it is exported.
	for _, c := range []struct{ state, change, code string }{
		{"sent", "open_until = open_until - interval '1 second'", "23514"},
		{"sent", "open_until = NULL", "23514"},
		{"sent", "open_until = open_until + interval '1 second'", ""},
		{"sent", "export_id = gen_random_uuid()", "23503"},
		{"sent", "state = 'planned', effect = 'none'", ""},
		{"exported", "state = 'planned', effect = 'none'", "23514"},
		{"exported", "open_until = NULL", "23514"},
	} {
		err := runlog.InOrganization(t.Context(), b.worker, org, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "UPDATE ledgerline.export_entries SET "+c.change+" WHERE entry_id = $1", c.state); err != nil {
				return err
			}
			return errBack
		})
		if c.code == "" {
			require.ErrorIs(t, err, errBack, "%s: %s", c.state, c.change)
			continue
		}
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, "%s: %s", c.state, c.change)
		require.Equal(t, c.code, pg.Code, "%s: %s", c.state, c.change)
	}
	for change, ok := range map[string]bool{"late_error = 'later'": true, "vendor_reference = 'x'": false, "reason = 'x'": false, "chunk = 7": false, "sent_to = 'x'": false, "settled_at = now()": false} {
		err := runlog.InOrganization(t.Context(), b.worker, org, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "UPDATE ledgerline.export_entries SET "+change+" WHERE entry_id = 'exported'")
			return err
		})
		if ok {
			require.NoError(t, err, change)
		} else {
			require.ErrorContains(t, err, "is exported", change)
		}
	}
	_, err = b.admin.Exec(t.Context(), `UPDATE ledgerline.export_entries SET amount = 5, state = 'sent', effect = 'open' WHERE entry_id = 'rejected'`)
	require.ErrorContains(t, err, "content cannot be changed", "planned again first, then sent")
}

var errBack = fmt.Errorf("roll back")

// A period belongs to its organization: another's row with the same key is none of
// its business.
func TestPeriodsOfOrganizationsAreApart(t *testing.T) {
	b := newBase(t)
	mine, integration := b.tenant(t)
	theirs, other := b.tenant(t)
	e := exports.Export{OrganizationID: mine, IntegrationID: integration, ID: uuid.New(), AdapterName: "xledger", Period: "2026-10", PeriodStart: time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC),
		PeriodEnd: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Trigger: exports.ByHand, TriggeredBy: "t", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New()}
	err := runlog.InOrganization(t.Context(), b.worker, theirs, func(tx pgx.Tx) error { // takes the key first
		_, err := tx.Exec(t.Context(), `INSERT INTO ledgerline.bufdir_export_audit_log (organization_id, integration_id, export_id, adapter_name, period, period_start, period_end, idempotency_key, trigger, triggered_by, started_at, workflow_id, run_id)
			VALUES ($1, $2, gen_random_uuid(), 'xledger', '2026-10', '2026-10-01', '2026-11-01', $3, 'manual', 't', now(), 'w', gen_random_uuid())`, theirs, other, e.IdempotencyKey())
		return err
	})
	require.NoError(t, err)
	claimed, own, err := runlog.ClaimExport(t.Context(), b.worker, e)
	require.NoError(t, err)
	require.True(t, own)
	require.Equal(t, e.ID, claimed.ID)
	again := e
	again.ID, again.RunID = uuid.New(), uuid.New()
	claimed, own, err = runlog.ClaimExport(t.Context(), b.worker, again)
	require.NoError(t, err)
	require.False(t, own)
	require.Equal(t, e.ID, claimed.ID)
}
