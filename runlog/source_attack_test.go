package runlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// hostile is a view whose organization_id is a function of mallory's. harm is plpgsql
// that runs for each row before the organization that asks is returned.
type hostile struct {
	harm   string
	column string // instead of the plain one, or "rows" or "bytes" for many
	twice  bool   // it calls itself STABLE, so that the filter sees another answer than the reader

	refused   string // what the SourceError says; "" if the entries are planned
	transient bool   // and not a SourceError
}

// quietly is harm that continues after every refusal.
func quietly(statements ...string) string {
	var b strings.Builder
	for _, s := range statements {
		fmt.Fprintf(&b, "BEGIN %s; EXCEPTION WHEN OTHERS THEN NULL; END;\n", s)
	}
	return b.String()
}

// copyAll is the attack that brought 136 rows of three organizations.
const copyAll = `FOR o IN SELECT * FROM ledgerline.organizations() LOOP
	PERFORM set_config('app.organization_id', o::text, true);
	INSERT INTO books.stolen SELECT 'integration', integration::text FROM ledgerline.integrations AS integration;
	INSERT INTO books.stolen SELECT 'entry', entry::text FROM ledgerline.export_entries AS entry;
END LOOP`

// readOnlyCopy tries each organization that it knows of, and steals by an error's text,
// since it cannot write.
const readOnlyCopy = `FOR o IN SELECT id FROM books.known LOOP
	PERFORM set_config('app.organization_id', o::text, false);
	PERFORM 1 FROM ledgerline.integrations;
	RAISE 'STOLEN: %', (SELECT string_agg(integration::text, ',') FROM ledgerline.integrations AS integration);
END LOOP`

var attacks = map[string]hostile{
	"copies all organizations":            {harm: copyAll + ";", refused: "permission denied for schema ledgerline"},
	"copies all organizations, quietly":   {harm: quietly(copyAll)},
	"steals by an error":                  {harm: readOnlyCopy + ";", refused: "permission denied for schema ledgerline"},
	"default source of others":            {harm: "PERFORM 1 FROM ledgerline.accounting_entries;", refused: "permission denied for schema ledgerline"},
	"makes itself a superuser":            {harm: "ALTER ROLE mallory SUPERUSER;", refused: "it tries to write, but a source may only be read"},
	"makes itself a superuser, quietly":   {harm: quietly("ALTER ROLE mallory SUPERUSER", "GRANT ledgerline_worker TO mallory", "CREATE ROLE mallory2 SUPERUSER")},
	"becomes another":                     {harm: "SET ROLE ledgerline_worker;", refused: "permission denied to set role"},
	"becomes another, quietly":            {harm: quietly("SET ROLE ledgerline_worker", "SET ROLE w", "SET ROLE postgres", "RESET ROLE", "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION w", "PERFORM set_config('role', 'w', false)", copyAll, readOnlyCopy)},
	"commits":                             {harm: "COMMIT;", refused: "invalid transaction termination"},
	"rolls back and begins to write":      {harm: quietly("ROLLBACK", "COMMIT", "SET TRANSACTION READ WRITE", "PERFORM set_config('transaction_read_only', 'off', false)", "INSERT INTO books.stolen VALUES ('a', 'b')")},
	"writes":                              {harm: "INSERT INTO books.stolen VALUES ('a', 'b');", refused: "it tries to write, but a source may only be read"},
	"writes in a private table":           {harm: "CREATE TEMP TABLE t (x int);", refused: "it tries to write, but a source may only be read"},
	"calls itself by a network":           {harm: quietly("INSERT INTO books.stolen SELECT 'dblink', x FROM dblink(books.address(), 'SELECT current_user::text') AS d (x text)", "PERFORM dblink_exec(books.address(), 'INSERT INTO books.stolen VALUES (''dblink'', current_user)')")},
	"reads files":                         {harm: "PERFORM pg_read_file('postgresql.conf');", refused: "permission denied"},
	"runs a program":                      {harm: "COPY (SELECT 1) TO PROGRAM 'touch /tmp/x';", refused: "it needs a right that the login of"},
	"notifies":                            {harm: quietly("NOTIFY heard", "PERFORM pg_notify('heard', 'x')")},
	"leaves things in the session":        {harm: quietly("PERFORM set_config('app.organization_id', books.other()::text, false)", "PERFORM set_config('search_path', 'books', false)", "LISTEN heard", "PERFORM pg_advisory_lock(42)", "EXECUTE 'PREPARE p AS SELECT 1'")},
	"another organization's rows":         {harm: "RETURN books.turn();", twice: true, refused: "row 1: belongs to another organization than"},
	"no organization":                     {harm: "RETURN nullif(books.turn(), books.other());", twice: true, refused: "row 1: has no organization_id"},
	"an error with hostile text":          {harm: "RAISE E'\\x1b]0;owned\\x07 \\u202E \\r\\nVOUCHER  STATE  exported';", refused: `reading it failed: "\x1b]0;owned\a \u202e \r\nVOUCHER`},
	"an error of three megabytes":         {harm: "RAISE '%', repeat('x', 3000000);", refused: "it sent more than 1024 KB at once"},
	"says that the server is going down":  {harm: "RAISE 'bye' USING ERRCODE = '57P01';", refused: `reading it failed: "bye" (SQLSTATE 57P01)`},
	"says that the connection broke":      {harm: "RAISE 'bye' USING ERRCODE = '08006';", refused: `reading it failed: "bye" (SQLSTATE 08006)`},
	"says that a partition is missing":    {harm: "RAISE 'bye' USING ERRCODE = '23514';", refused: `reading it failed: "bye" (SQLSTATE 23514)`},
	"ends its own session":                {harm: "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1);", transient: true},
	"says that memory is out":             {harm: "RAISE 'bye' USING ERRCODE = '53200';", transient: true},
	"says that a lock is taken":           {harm: "RAISE 'bye' USING ERRCODE = '55P03';", transient: true},
	"says that it lost against a standby": {harm: "RAISE E'bye\\r\\n' USING ERRCODE = '40001';", transient: true},
	"sleeps forever":                      {harm: "PERFORM pg_sleep(3600);", refused: "reading it was cancelled"},
	"sleeps and turns the clock off":      {harm: "PERFORM set_config('statement_timeout', '0', false); PERFORM pg_sleep(3600);", refused: "reading it was cancelled"},
	"cannot be cancelled":                 {harm: "PERFORM set_config('client_connection_check_interval', '0', false); LOOP BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP;", refused: "reading it took longer than"},
	"more rows than there may be":         {column: "rows", refused: "it has more than 1000 entries to read"},
	"more bytes than there may be":        {column: "bytes", refused: "it has more than 1 MB to read"},
	"a long text":                         {column: "repeat('x', 50000000) AS text", refused: "row 1: text has more than 10000 characters"},
	"a long ID":                           {column: "repeat('x', 501) AS entry_id", refused: "row 1: entry_id has more than 500 characters"},
	"deep dimensions":                     {column: "(repeat('[', 1000) || repeat(']', 1000))::jsonb AS dimensions", refused: "a value cannot be read as what it must be"},
	"dimensions that are a text":          {column: `'"x"'::jsonb AS dimensions`, refused: "a value cannot be read as what it must be"},
	"no number":                           {column: "'NaN'::numeric AS amount", refused: "row 1: amount is not a decimal number"},
	"a number without end":                {column: "'Infinity'::numeric AS amount", refused: "row 1: amount is not a decimal number"},
	"a number of 90 digits":               {column: "repeat('9', 90)::numeric AS amount", refused: "row 1: amount has more than 80 characters"},
	"a number too large for a ledger":     {column: "repeat('9', 40)::numeric AS amount"},
	"no date":                             {column: "'-infinity'::date AS entry_date", refused: "row 1: entry_date"},
	"no ID":                               {column: "NULL::text AS entry_id", refused: "row 1: has no entry_id"},
	"a date in a style of its own":        {column: "CASE WHEN set_config('datestyle', 'SQL, DMY', false) > '' THEN 'e' END AS entry_id", refused: "row 1: entry_date is not a date"},
}

// plainColumns are the others of a hostile view: row n of a balanced voucher.
var plainColumns = []string{"CASE WHEN n % 2 = 1 THEN 'a' ELSE 'b' END || n AS entry_id", "'v' AS voucher_id", "date '2026-10-01' AS entry_date", "'1920' AS account",
	"CASE WHEN n % 2 = 1 THEN 5.00 ELSE -5.00 END AS amount", "'NOK' AS currency", "'' AS text", "'{}'::jsonb AS dimensions", "now() AS created_at"}

// What the owner of a view can do is give entries to the one organization that asks.
func TestHostileSource(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	others := []uuid.UUID{uuid.New(), uuid.New()}
	for _, o := range others {
		_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{example(o, uuid.New(), "victim")}, runlog.ApplyOptions{By: "test"})
		require.NoError(t, err)
	}
	admin := func(sql string, args ...any) {
		t.Helper()
		_, err := b.admin.Exec(t.Context(), sql, args...)
		require.NoError(t, err, sql)
	}
	admin(`DO $$ BEGIN CREATE ROLE mallory LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	admin("CREATE EXTENSION IF NOT EXISTS dblink")
	admin("CREATE SCHEMA books AUTHORIZATION mallory; GRANT USAGE ON SCHEMA books TO s")
	mallory := open(t, b.name, "mallory")
	create := func(sql string) {
		t.Helper()
		_, err := mallory.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	create("CREATE TABLE books.stolen (what text, content text); GRANT ALL ON books.stolen TO PUBLIC; CREATE TABLE books.known (id uuid); GRANT SELECT ON books.known TO PUBLIC")
	for _, o := range append(others, b.org) {
		create(fmt.Sprintf("INSERT INTO books.known VALUES ('%s')", o))
	}
	create(fmt.Sprintf("CREATE FUNCTION books.other() RETURNS uuid RETURN '%s'::uuid", others[0]))
	create(fmt.Sprintf("CREATE FUNCTION books.address() RETURNS text RETURN '%s'", server.URL(b.name, "w")))
	create(fmt.Sprintf(`CREATE FUNCTION books.turn() RETURNS uuid LANGUAGE plpgsql AS $$ BEGIN
		PERFORM set_config('my.turn', (coalesce(nullif(current_setting('my.turn', true), ''), '0')::int + 1)::text, false);
		RETURN CASE WHEN current_setting('my.turn')::int > 1 THEN books.other() ELSE '%s' END; END $$`, b.org))

	listener, err := pgx.Connect(t.Context(), server.URL(b.name, "postgres"))
	require.NoError(t, err)
	defer listener.Close(t.Context())
	_, err = listener.Exec(t.Context(), "LISTEN heard")
	require.NoError(t, err)

	b.sources.Timeout, b.sources.Rows, b.sources.Bytes = 3*time.Second, 1000, 1<<20
	n := 0
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			n++
			columns, rows := strings.Join(plainColumns, ", "), 2
			switch a.column {
			case "":
			case "rows":
				rows = 2000
			case "bytes":
				rows, columns = 900, strings.Replace(columns, "'' AS text", "repeat('x', 5000) AS text", 1)
			default:
				at := a.column[strings.LastIndex(a.column, " ")+1:]
				for _, c := range plainColumns {
					if strings.HasSuffix(c, " "+at) {
						columns = strings.Replace(columns, c, a.column, 1)
					}
				}
			}
			how := "VOLATILE"
			if a.twice {
				how = "STABLE"
			}
			create(fmt.Sprintf("CREATE FUNCTION books.harm%d() RETURNS uuid LANGUAGE plpgsql %s AS $harm$ DECLARE o uuid; BEGIN %s RETURN '%s'; END $harm$", n, how, a.harm, b.org))
			create(fmt.Sprintf("CREATE VIEW books.v%d AS SELECT books.harm%d() AS organization_id, %s FROM generate_series(1, %d) n; GRANT SELECT ON books.v%d TO s, w, o", n, n, columns, rows, n))
			x := integrations.ExportSettings{Source: fmt.Sprintf("books.v%d", n)}
			e := b.exporting(fmt.Sprintf("2026-%02d", 10+n%3), nil)
			_, planErr := runlog.PlanExport(t.Context(), b.worker, b.sources, e, x, 500, 500)
			err := planErr
			if !strings.Contains(a.harm, "3600") { // once is enough
				_, err = runlog.PreviewExport(t.Context(), b.operator, sourcesLike(t, b, "o"), e, x, 500)
			}
			for _, err := range []error{err, planErr} {
				var sourceError *runlog.SourceError
				switch {
				case a.transient:
					require.True(t, runlog.IsTransient(err), "%v", err)
					require.False(t, errors.As(err, &sourceError))
				case a.refused != "":
					require.ErrorAs(t, err, &sourceError, "%v", err)
					require.ErrorContains(t, err, a.refused)
				default:
					require.NoError(t, err)
				}
				if err != nil {
					require.NotContains(t, err.Error(), "victim")
					require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }), "%q", err)
					require.Less(t, len(err.Error()), 1000)
				}
			}
			if planErr == nil {
				require.Len(t, b.entries(e), 2)
				admin("DELETE FROM ledgerline.export_entries")
			}
		})
	}

	var stolen, supers, left, locks, entries int
	require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM books.stolen),
		(SELECT count(*) FROM pg_roles WHERE rolname LIKE 'mallory%' AND (rolsuper OR rolname <> 'mallory' OR pg_has_role(oid, 'ledgerline_worker', 'MEMBER'))),
		(SELECT count(*) FROM pg_prepared_xacts),
		(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
		(SELECT count(*) FROM ledgerline.export_entries)`).Scan(&stolen, &supers, &left, &locks, &entries))
	require.Equal(t, []int{0, 0, 0, 0, 0}, []int{stolen, supers, left, locks, entries})
	require.Eventually(t, func() bool {
		var sessions int
		require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 's' AND datname = current_database()").Scan(&sessions))
		return sessions == 0
	}, 20*time.Second, 50*time.Millisecond, "no session outlives its reading, however it clings")
	_, err = listener.Exec(t.Context(), "NOTIFY heard, 'ours'")
	require.NoError(t, err)
	note, err := listener.WaitForNotification(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ours", note.Payload, "what a source notifies is rolled back")
}

// clinging is harm that catches every cancellation, and does some work meanwhile.
func clinging(work string) string {
	return "PERFORM set_config('client_connection_check_interval', '0', false), set_config('statement_timeout', '0', false); LOOP BEGIN LOOP " +
		work + "; END LOOP; EXCEPTION WHEN OTHERS OR query_canceled THEN NULL; END; END LOOP;"
}

const (
	sleep     = "PERFORM pg_sleep(3600)"
	endOthers = "PERFORM pg_stat_clear_snapshot(); PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = session_user AND pid <> pg_backend_pid()"
)

// cling is a view's code that outlives its cancellation.
type cling struct {
	harm  string
	admin string // what an administrator of the database did; %[1]s is the login
	left  bool   // it cannot be ended
	race  bool   // it may win against being ended
}

// A reading ends with its session. Where code of the view keeps that from ending, its
// organization reads nothing more until it has ended, so sessions do not add up.
func TestSourceSessionEnds(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server *devstack.Postgres) {
		for name, c := range map[string]cling{
			"renames itself":                 {harm: "PERFORM set_config('application_name', 'psql', false); " + clinging(sleep)},
			"has a limit of two connections": {harm: clinging(sleep), admin: "ALTER ROLE %[1]s CONNECTION LIMIT 2"},
			"ends others once":               {harm: endOthers + "; " + clinging(sleep)},
			"fights back":                    {harm: clinging(endOthers), race: true},
			"may not be ended":               {harm: clinging(sleep), admin: "REVOKE EXECUTE ON FUNCTION pg_terminate_backend FROM PUBLIC", left: true},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c.test(t, booksOn(t, server), server)
			})
		}
	})
}

func (c cling) test(t *testing.T, b books, server *devstack.Postgres) {
	login := "s" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	create := func(view, organization string) string {
		return fmt.Sprintf("CREATE VIEW books.%s AS SELECT %s AS organization_id, %s FROM generate_series(1, 2) n; GRANT SELECT ON books.%[1]s TO %[4]s;", view, organization, strings.Join(plainColumns, ", "), login)
	}
	_, err := b.admin.Exec(t.Context(), fmt.Sprintf(`CREATE ROLE %[1]s LOGIN; CREATE SCHEMA books; GRANT USAGE ON SCHEMA books TO %[1]s;
		CREATE FUNCTION books.harm() RETURNS uuid LANGUAGE plpgsql AS $harm$ BEGIN %[2]s END $harm$;`, login, c.harm)+
		create("bad", "books.harm()")+create("good", "'"+b.org.String()+"'::uuid")+strings.ReplaceAll(c.admin, "%[1]s", login))
	require.NoError(t, err)
	sources, err := runlog.NewSources(server.URL(b.name, login), server.URL(b.name, "w"))
	require.NoError(t, err)
	var log bytes.Buffer
	sources.Timeout, sources.Log = time.Second, slog.New(slog.NewTextHandler(&log, nil))
	plan := func(view string) error {
		_, err := runlog.PlanExport(t.Context(), b.worker, sources, b.exporting("2026-10", nil), integrations.ExportSettings{Source: "books." + view}, 500, 500)
		return err
	}
	running := func() (n int) {
		require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state = 'active'", login).Scan(&n))
		return n
	}

	if c.race { // who wins is chance; sessions never add up, and what an administrator ends stays ended
		for _, view := range []string{"bad", "bad", "good"} {
			_ = plan(view)
			require.LessOrEqual(t, running(), 2)
		}
		require.Eventually(t, func() bool {
			_, err := b.admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = $1", login)
			return err == nil && running() == 0 && plan("good") == nil
		}, time.Minute, 200*time.Millisecond)
		return
	}
	var sourceError *runlog.SourceError
	require.ErrorAs(t, plan("bad"), &sourceError)
	if c.left {
		for _, view := range []string{"bad", "good"} {
			err := plan(view)
			require.ErrorAs(t, err, &sourceError)
			require.ErrorContains(t, err, "and cannot be ended")
			require.ErrorContains(t, err, "SELECT pg_terminate_backend(")
			require.Equal(t, 1, running(), "sessions do not add up")
		}
		require.Contains(t, log.String(), b.org.String())
		_, err := b.admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1", login)
		require.NoError(t, err)
	} else {
		require.Empty(t, log.String())
	}
	require.Zero(t, running(), "no session outlives its reading, however it clings")
	b.left(login)
	require.NoError(t, plan("good"), "and the next source is read")
}

// left waits until the server has let go of every session of a login: they count
// towards its limit until then.
func (b books) left(login string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		var sessions int
		require.NoError(b.t, b.admin.QueryRow(b.t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = $1", login).Scan(&sessions))
		return sessions == 0
	}, 20*time.Second, 10*time.Millisecond)
}

// sourcesLike is b's reader of sources that stages as another user.
func sourcesLike(t *testing.T, b books, stager string) *runlog.Sources {
	s := sourcesOf(t, b.name, "s", stager)
	s.Timeout, s.Rows, s.Bytes = b.sources.Timeout, b.sources.Rows, b.sources.Bytes
	return s
}

// exporting is an export of a period whose integration is another one each time.
func (b books) exporting(period string, parent *uuid.UUID) exports.Export {
	b.spec.ID, b.spec.Name = uuid.New(), uuid.NewString()
	_, err := runlog.ApplyIntegrations(b.t.Context(), b.operator, []integrations.Integration{b.spec}, runlog.ApplyOptions{By: "test"})
	require.NoError(b.t, err)
	return b.claim(period, parent)
}
