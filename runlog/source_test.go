package runlog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// The login of the sources has no right that could harm, by whatever way it came to
// it, and learns what to take away.
func TestSourceLogin(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for name, c := range map[string]struct {
		sql     string // %[1]s is the login, %[2]s the database
		options string
		says    []string // nil: it is fit
	}{
		"none":              {},
		"a reader's group":  {sql: "CREATE ROLE %[1]s_g; GRANT %[1]s_g TO %[1]s"},
		"superuser":         {sql: "ALTER ROLE %[1]s SUPERUSER", says: []string{`the login "%[1]s" is a superuser: ALTER ROLE "%[1]s" NOSUPERUSER`}},
		"BYPASSRLS":         {sql: "ALTER ROLE %[1]s BYPASSRLS", says: []string{`the login "%[1]s" has BYPASSRLS: ALTER ROLE "%[1]s" NOBYPASSRLS`}},
		"CREATEROLE":        {sql: "ALTER ROLE %[1]s CREATEROLE", says: []string{`ALTER ROLE "%[1]s" NOCREATEROLE`}},
		"REPLICATION":       {sql: "ALTER ROLE %[1]s REPLICATION", says: []string{`ALTER ROLE "%[1]s" NOREPLICATION`}},
		"one connection":    {sql: "ALTER ROLE %[1]s CONNECTION LIMIT 1", says: []string{`the login "%[1]s" has a CONNECTION LIMIT below 2, and a reading takes two connections: ALTER ROLE "%[1]s" CONNECTION LIMIT 20`}},
		"two connections":   {sql: "ALTER ROLE %[1]s CONNECTION LIMIT 2"},
		"worker":            {sql: "GRANT ledgerline_worker TO %[1]s", says: []string{`is a member of "ledgerline_worker": REVOKE "ledgerline_worker" FROM "%[1]s"`}},
		"reader, by a way":  {sql: "CREATE ROLE %[1]s_g NOINHERIT IN ROLE ledgerline_reader; ALTER ROLE %[1]s NOINHERIT; GRANT %[1]s_g TO %[1]s", says: []string{`is a member of "ledgerline_reader"`}},
		"superuser's group": {sql: "CREATE ROLE %[1]s_g SUPERUSER; GRANT %[1]s_g TO %[1]s", says: []string{`is a member of "%[1]s_g", which is a superuser: REVOKE "%[1]s_g" FROM "%[1]s"`}},
		"programs":          {sql: "GRANT pg_execute_server_program TO %[1]s", says: []string{`REVOKE "pg_execute_server_program" FROM "%[1]s"`}},
		"all data":          {sql: "GRANT pg_read_all_data TO %[1]s", says: []string{`REVOKE "pg_read_all_data" FROM "%[1]s"`}},
		"owner":             {sql: "ALTER DATABASE %[2]s OWNER TO %[1]s", says: []string{`"%[1]s", which the login "%[1]s" is or can become, owns the database`}},
		"schema":            {sql: "GRANT USAGE ON SCHEMA ledgerline TO %[1]s", says: []string{`REVOKE ALL ON SCHEMA ledgerline FROM "%[1]s"`}},
		"group's schema":    {sql: "CREATE ROLE %[1]s_g; GRANT CREATE ON SCHEMA ledgerline TO %[1]s_g; ALTER ROLE %[1]s NOINHERIT; GRANT %[1]s_g TO %[1]s", says: []string{`REVOKE ALL ON SCHEMA ledgerline FROM "%[1]s_g"`}},
		"a table":           {sql: "GRANT DELETE ON ledgerline.export_entries TO %[1]s", says: []string{`REVOKE ALL ON ALL TABLES IN SCHEMA ledgerline FROM "%[1]s"`}},
		"a column":          {sql: "GRANT SELECT (name) ON ledgerline.integrations TO %[1]s", says: []string{`REVOKE ALL ON ALL TABLES IN SCHEMA ledgerline FROM "%[1]s"`}},
		"a partition":       {sql: "GRANT SELECT ON ledgerline.integration_run_logs_" + time.Now().UTC().Format("2006_01") + " TO %[1]s", says: []string{`REVOKE ALL ON ALL TABLES IN SCHEMA ledgerline FROM "%[1]s"`}},
		"disguised":         {sql: "ALTER ROLE %[1]s SUPERUSER; CREATE ROLE %[1]s_g", options: "&options=-c%%20role%%3D%[1]s_g", says: []string{`the login "%[1]s" is a superuser`}},
		"answers for itself": {sql: "GRANT DELETE ON ledgerline.export_entries TO %[1]s; CREATE SCHEMA %[1]s; GRANT USAGE ON SCHEMA %[1]s TO %[1]s; ALTER ROLE %[1]s SET search_path = %[1]s, pg_catalog; " +
			"CREATE FUNCTION %[1]s.has_table_privilege(oid, oid, text) RETURNS boolean LANGUAGE sql RETURN false; CREATE FUNCTION %[1]s.has_any_column_privilege(oid, oid, text) RETURNS boolean LANGUAGE sql RETURN false",
			says: []string{`REVOKE ALL ON ALL TABLES IN SCHEMA ledgerline FROM "%[1]s"`}},
		"two things": {sql: "ALTER ROLE %[1]s CREATEROLE; GRANT ledgerline_operator TO %[1]s", says: []string{"NOCREATEROLE", `REVOKE "ledgerline_operator"`}},
	} {
		t.Run(name, func(t *testing.T) {
			login := "s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
			fill := func(s string) string {
				return strings.NewReplacer("%[1]s", login, "%[2]s", b.name, "%%", "%").Replace(s)
			}
			_, err := b.admin.Exec(t.Context(), "CREATE ROLE "+login+" LOGIN; "+fill(c.sql))
			require.NoError(t, err)
			s, err := runlog.NewSources(server.URL(b.name, login)+fill(c.options), server.URL(b.name, "w"))
			require.NoError(t, err)
			unfit, err := s.CheckLogin(t.Context())
			require.NoError(t, err)
			b.left(login)
			_, planErr := runlog.PlanExport(t.Context(), b.worker, s, b.exporting("2026-10", nil), integrations.ExportSettings{Source: "books.none"}, 500, 500)
			var sourceError *runlog.SourceError
			require.ErrorAs(t, planErr, &sourceError)
			if c.says == nil {
				require.Empty(t, unfit)
				require.ErrorContains(t, planErr, "there is no such table")
			}
			for _, says := range c.says {
				require.Contains(t, strings.Join(unfit, "\n"), fill(says))
				require.ErrorContains(t, planErr, fill(says))
				b.left(login)
				require.ErrorContains(t, s.Check(t.Context(), b.org, "books.none"), fill(says))
			}
			_, err = b.admin.Exec(t.Context(), fmt.Sprintf("ALTER ROLE %s NOSUPERUSER; ALTER DATABASE %s OWNER TO postgres", login, b.name))
			require.NoError(t, err)
		})
	}
}

// What a login may read, the code of each of its views may read. With a login for each
// organization, a view of one cannot read the source of another.
func TestSourceLoginPerOrganization(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	address := strings.Replace(server.URL(b.name, "s"), "//s@", "//"+"{organization}"+"@", 1)
	sources, err := runlog.NewSources(address, server.URL(b.name, "w"))
	require.NoError(t, err)
	unfit, err := sources.CheckLogin(t.Context())
	require.NoError(t, err)
	require.Empty(t, unfit)
	const columns = `'e' AS entry_id, 'v' AS voucher_id, date '2026-10-01' AS entry_date, '1920' AS account, 0.0 AS amount, 'NOK' AS currency, %s AS text, NULL::jsonb AS dimensions, now() AS created_at`
	both := []uuid.UUID{b.org, uuid.New()}
	for i, text := range []string{"'of the first'", "books.spy()"} {
		_, err := b.admin.Exec(t.Context(), fmt.Sprintf(`CREATE SCHEMA IF NOT EXISTS books; CREATE ROLE "%[2]s" LOGIN; GRANT USAGE ON SCHEMA books TO "%[2]s";
			CREATE OR REPLACE FUNCTION books.spy() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT text FROM books.ledger0); END $$;
			CREATE VIEW books.ledger%[1]d AS SELECT '%[2]s'::uuid AS organization_id, %[3]s; GRANT SELECT ON books.ledger%[1]d TO "%[2]s"`, i, both[i], fmt.Sprintf(columns, text)))
		require.NoError(t, err)
	}
	for i, says := range []string{"", "permission denied for view ledger0"} {
		b.org = both[i]
		b.spec.OrganizationID = b.org
		x := integrations.ExportSettings{Source: fmt.Sprintf("books.ledger%d", i)}
		require.NoError(t, sources.Check(t.Context(), b.org, x.Source))
		require.ErrorContains(t, sources.Check(t.Context(), both[1-i], x.Source), "GRANT SELECT")
		_, err := runlog.PlanExport(t.Context(), b.worker, sources, b.exporting("2026-10", nil), x, 500, 500)
		if says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, says)
		}
	}
}

// Without a login, with one that is refused, with a database that is away, and for a
// user who is not bound, a source is not read, and the words say what to do.
func TestSourceOutOfReach(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	x := integrations.ExportSettings{Source: "books.ledger"}
	e := b.claim("2026-10", nil)
	plan := func(sourceURL, user string) error {
		s, err := runlog.NewSources(sourceURL, server.URL(b.name, user))
		require.NoError(t, err)
		_, err = runlog.PlanExport(t.Context(), b.worker, s, e, x, 500, 500)
		return err
	}
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"no login":         {plan("", "w"), "set LEDGERLINE_SOURCE_DATABASE_URL for the worker and for starter"},
		"no such login":    {plan(server.URL(b.name, "nobody-knows"), "w"), "its database refuses the login"},
		"no such database": {plan(server.URL("nowhere", "s"), "w"), "its database refuses the login"},
	} {
		var sourceError *runlog.SourceError
		require.ErrorAs(t, c.err, &sourceError, name)
		require.ErrorContains(t, c.err, c.says, name)
	}
	_, err := runlog.PlanExport(t.Context(), b.worker, nil, e, x, 500, 500)
	require.ErrorContains(t, err, "set LEDGERLINE_SOURCE_DATABASE_URL")
	require.True(t, runlog.IsTransient(plan("postgres://s@127.0.0.1:1/x?sslmode=disable", "w")), "a server that is away is waited for")
	require.ErrorContains(t, plan(server.URL(b.name, "s"), "postgres"), `database user "postgres" is a superuser`)

	_, err = runlog.PreviewExport(t.Context(), b.admin, b.sources, e, integrations.ExportSettings{}, 500)
	require.ErrorContains(t, err, "use a login with the role ledgerline_operator", "of the default source too")
	_, err = runlog.NewSources("postgres://s:hunter%zz2@x/y", server.URL(b.name, "w"))
	require.ErrorContains(t, err, "LEDGERLINE_SOURCE_DATABASE_URL")
	require.NotContains(t, err.Error(), "hunter")

	_, err = b.admin.Exec(t.Context(), "REVOKE TEMPORARY ON DATABASE "+b.name+" FROM PUBLIC")
	require.NoError(t, err)
	require.ErrorContains(t, plan(server.URL(b.name, "s"), "w"), fmt.Sprintf(`GRANT TEMPORARY ON DATABASE %q TO "w"`, b.name))
}

// A dry run changes nothing, whatever code it sets off: PostgreSQL says so.
func TestDryRunIsReadOnly(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	b.lines("a1 a 2026-10-01 1920 10", "a2 a 2026-10-01 3000 -10")
	_, err := b.admin.Exec(t.Context(), `CREATE TABLE public.seen (x text); GRANT ALL ON public.seen TO PUBLIC;
		CREATE FUNCTION public.see(uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.seen VALUES ('seen'); RETURN true; END $$;
		CREATE POLICY seeing ON ledgerline.accounting_entries AS RESTRICTIVE FOR SELECT USING (public.see(organization_id))`)
	require.NoError(t, err)
	e := b.claim("2026-10", nil)
	_, err = runlog.PreviewExport(t.Context(), b.operator, b.sources, e, integrations.ExportSettings{}, 500)
	require.ErrorContains(t, err, "read-only transaction")
	for _, err := range runlog.EntriesOfPeriod(t.Context(), b.operator, b.sources, e, integrations.ExportSettings{}) {
		require.ErrorContains(t, err, "read-only transaction")
	}
	var n int
	require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT count(*) FROM public.seen").Scan(&n))
	require.Zero(t, n)
}

// A view filters by the organization that asks, by the same setting as Ledgerline's own
// policies; a reading leaves nothing behind for the next one.
func TestSourceKnowsWhoAsks(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s;
		CREATE VIEW books.mine AS SELECT current_setting('app.organization_id')::uuid AS organization_id, 'e' || n AS entry_id, 'v' AS voucher_id, date '2026-10-01' AS entry_date,
			'1920' AS account, 3.0 - n * 2.0 AS amount, 'NOK' AS currency, concat_ws('/', nullif(current_setting('my.trace', true), ''), set_config('my.trace', 'left', false),
			(SELECT count(*) FROM pg_prepared_statements), current_setting('transaction_read_only'), current_setting('transaction_isolation'), current_setting('client_connection_check_interval')) AS text, NULL::jsonb AS dimensions, now() AS created_at
		FROM generate_series(1, 2) n; GRANT SELECT ON books.mine TO s`)
	require.NoError(t, err)
	for range 2 {
		b.org, b.spec.OrganizationID = uuid.New(), b.org
		b.spec.OrganizationID = b.org
		e := b.exporting("2026-10", nil)
		require.Equal(t, []string{"e1:1:planned", "e2:1:planned"}, b.plan(e, integrations.ExportSettings{Source: "books.mine"}, 500))
		rows, err := b.admin.Query(t.Context(), "SELECT text FROM ledgerline.export_entries WHERE organization_id = $1 ORDER BY entry_id", b.org)
		require.NoError(t, err)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.Equal(t, []string{"left/0/on/repeatable read/5s", "left/left/0/on/repeatable read/5s"}, texts, "the second row sees the trace of the first, and the next reading none")
	}
}

// A slow source keeps nobody waiting but its own organization: of one, a single source
// is read at a time, and what waits holds no connection of the worker's pool.
func TestSourcePlaces(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s; CREATE TABLE books.gate (x int); GRANT SELECT ON books.gate TO s;
		CREATE FUNCTION books.wait() RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN current_setting('app.organization_id')::uuid; END $$;
		CREATE VIEW books.slow AS SELECT books.wait() AS organization_id, 'e' AS entry_id, 'v' AS voucher_id, date '2026-10-01' AS entry_date, '1920' AS account, 0.0 AS amount,
			'NOK' AS currency, '' AS text, NULL::jsonb AS dimensions, now() AS created_at; GRANT SELECT ON books.slow TO s`)
	require.NoError(t, err)
	hold, err := b.admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = hold.Exec(t.Context(), "SELECT pg_advisory_xact_lock(7)")
	require.NoError(t, err)

	done := make(chan error)
	const readers = 8
	for range readers {
		e := b.exporting("2026-10", nil)
		go func() {
			_, err := runlog.PlanExport(t.Context(), b.worker, b.sources, e, integrations.ExportSettings{Source: "books.slow"}, 500, 500)
			done <- err
		}()
	}
	reading := func() (n int) {
		require.NoError(t, b.operator.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 7").Scan(&n))
		return n
	}
	require.Eventually(t, func() bool { return reading() == 1 }, 20*time.Second, 10*time.Millisecond)
	other := b
	other.org = uuid.New()
	other.spec.OrganizationID = other.org
	other.lines("a1 a 2026-10-01 1920 10", "a2 a 2026-10-01 3000 -10")
	require.Len(t, other.plan(other.exporting("2026-10", nil), integrations.ExportSettings{}, 500), 2, "the worker's pool of four serves others")
	require.Equal(t, 1, reading())
	require.NoError(t, hold.Rollback(t.Context()))
	for range readers {
		require.NoError(t, <-done)
	}
}

// A view that equals the default table plans the same, previews the same and proves
// the same, whatever stands in the books and in whatever order periods come.
func TestSourceEqualsDefault(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	_, err := b.admin.Exec(t.Context(), `CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO s;
		CREATE VIEW books.same AS SELECT * FROM ledgerline.accounting_entries; GRANT SELECT ON books.same TO s`)
	require.NoError(t, err)
	rapid.Check(t, func(rt *rapid.T) {
		one := b
		one.org = uuid.New()
		one.spec.OrganizationID, one.spec.ID, one.spec.Name = one.org, uuid.New(), "one"
		two := one
		two.spec.ID, two.spec.Name = uuid.New(), "two"
		_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{one.spec, two.spec}, runlog.ApplyOptions{By: "test"})
		require.NoError(t, err)
		x := integrations.ExportSettings{Accounts: map[string]string{"1920": "19200", "3000": "30000"}, Dimensions: map[string]string{"team": "T", "note": ""}}
		y := x
		y.Source = "books.same"
		size := rapid.IntRange(1, 6).Draw(rt, "size")
		n := 0
		for _, period := range rapid.Permutation([]string{"2026-09", "2026-10", "2026-11"}).Draw(rt, "periods") {
			var lines []string
			for range rapid.IntRange(0, 12).Draw(rt, "lines") {
				n++
				lines = append(lines, fmt.Sprintf("e%03d v%d 2026-%02d-%02d %s %s %s %s", n, rapid.IntRange(1, 4).Draw(rt, "voucher"),
					rapid.IntRange(8, 12).Draw(rt, "month"), rapid.IntRange(1, 30).Draw(rt, "day"), rapid.SampledFrom([]string{"1920", "3000", "3000", "9999"}).Draw(rt, "account"),
					rapid.SampledFrom([]string{"1.10", "-1.10", "2.20", "-2.20", "0"}).Draw(rt, "amount"), rapid.SampledFrom([]string{"NOK", "NOK", "NOK", "EUR"}).Draw(rt, "currency"),
					rapid.SampledFrom([]string{"{}", `{"team":"A"}`, `{"note":"x"}`, `{"odd":"x"}`}).Draw(rt, "dimensions")))
			}
			one.lines(lines...)
			e, f := one.claim(period, nil), two.claim(period, nil)
			for retry := 0; ; retry++ {
				p, err := runlog.PreviewExport(t.Context(), b.operator, b.sources, e, x, size)
				require.NoError(t, err)
				q, err := runlog.PreviewExport(t.Context(), b.operator, b.sources, f, y, size)
				require.NoError(t, err)
				require.Equal(rt, p, q)
				require.Equal(rt, one.plan(e, x, size), two.plan(f, y, size), "%s, retry %d", period, retry)
				_, proved := one.period(e, x)
				_, same := two.period(f, y)
				require.Equal(rt, proved, same)
				one.close(e)
				two.close(f)
				if retry == 1 || !rapid.Bool().Draw(rt, "retry") {
					break
				}
				e, f = one.claim(period, &e.ID), two.claim(period, &f.ID)
			}
		}
	})
}
