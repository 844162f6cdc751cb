package runlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/runlog"
)

// shared are the relations without an organization, with the reason.
var shared = map[string]string{
	"goose_db_version": "which migrations have run",
	"schema_serves":    "which programs the schema serves",
	"vendor_hosts":     "when a vendor's host was last reached, by whomever",
	"quota_batches":    "which counts a worker has stored; only the owner's functions use it",
	"queue_workers":    "which process serves a queue; only the owner's functions use it",
	"workers":          "which workers run; of organizations it names those whose secrets one lacks, to operators",
	"console_sessions": "who is signed in, by the hash of a token; only the owner's functions use it",
	"payload_keys":     "which keys encrypt what Temporal stores; only the owner's functions use it",
	"payload_readers":  "which keys a worker has; only the owner's functions use it",
}

// openToAll are those of them that roles read.
var openToAll = []string{"goose_db_version", "schema_serves", "vendor_hosts", "workers"}

type relation struct {
	name      string
	partition bool
	ofOrg     bool
}

// filled makes a row of each of two organizations in every relation, whatever its
// columns are: keys and checks are off, and what is new is filled too.
func filled(t *testing.T, b base, organizations ...uuid.UUID) []relation {
	t.Helper()
	found, err := b.admin.Query(t.Context(), `SELECT relname, relispartition,
			EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'organization_id')
		FROM pg_class WHERE relnamespace = 'ledgerline'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`)
	require.NoError(t, err)
	relations, err := pgx.CollectRows(found, func(r pgx.CollectableRow) (out relation, err error) {
		return out, r.Scan(&out.name, &out.partition, &out.ofOrg)
	})
	require.NoError(t, err)
	conn, err := b.admin.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), `SET session_replication_role = replica; DO $$ DECLARE c record; BEGIN
		FOR c IN SELECT conrelid::regclass AS rel, conname FROM pg_constraint
			WHERE contype = 'c' AND connamespace = 'ledgerline'::regnamespace AND conislocal AND coninhcount = 0 LOOP
			EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.rel, c.conname);
		END LOOP; END $$`)
	require.NoError(t, err)
	for _, r := range relations {
		if r.partition || !r.ofOrg {
			continue
		}
		for _, organization := range organizations {
			_, err := conn.Exec(t.Context(), insertOf(t, b, r.name, organization))
			require.NoError(t, err, r.name)
		}
		require.Equal(t, len(organizations), count(t, b, r.name), r.name)
	}
	return relations
}

// insertOf is an INSERT of one row, with a value of each column's type.
func insertOf(t *testing.T, b base, name string, organization uuid.UUID) string {
	found, err := b.admin.Query(t.Context(), `SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
		WHERE attrelid = ('ledgerline.' || $1)::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''`, name)
	require.NoError(t, err)
	var columns, values []string
	var column, kind string
	_, err = pgx.ForEachRow(found, []any{&column, &kind}, func() error {
		value := ""
		switch {
		case column == "organization_id":
			value = fmt.Sprintf("'%s'", organization)
		case strings.HasSuffix(kind, "[]"):
			value = "'{}'"
		case kind == "uuid":
			value = "gen_random_uuid()"
		case strings.HasPrefix(kind, "timestamp"), kind == "date":
			value = "now()"
		case strings.HasPrefix(kind, "json"):
			value = "'{}'"
		case kind == "text": // keys that know no organization do not meet
			value = fmt.Sprintf("'%.8s'", organization)
		case kind == "boolean":
			value = "false"
		case kind == "interval":
			value = "'1s'"
		case kind == "bytea":
			value = `'\x00'`
		default:
			value = "'1'"
		}
		columns, values = append(columns, column), append(values, value)
		return nil
	})
	require.NoError(t, err)
	return fmt.Sprintf("INSERT INTO ledgerline.%s (%s) VALUES (%s)", name, strings.Join(columns, ", "), strings.Join(values, ", "))
}

func count(t *testing.T, b base, name string) (n int) {
	require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline."+name).Scan(&n))
	return n
}

// as runs f in a transaction of a user for one organization, and rolls back.
func as(t *testing.T, user *pgxpool.Pool, organization uuid.UUID, f func(pgx.Tx)) {
	t.Helper()
	tx, err := user.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), "SELECT set_config('app.organization_id', $1, true)", organization.String())
	require.NoError(t, err)
	f(tx)
}

// users are pools of a user of each role.
func users(t *testing.T, b base) map[string]*pgxpool.Pool {
	return map[string]*pgxpool.Pool{"w": b.worker, "o": b.operator, "r": b.reader, "t": open(t, b.name, "t"), "c": b.console}
}

// denied reports whether an error is PostgreSQL's refusal.
func denied(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "42501"
}

// Whatever a role says for one organization, nothing of another one comes back and
// nothing of it is changed, in any relation: also by COPY, with row security off,
// through a partition, through a view, and behind a function of its own that has the
// name of ours. What is new in the schema is among them.
func TestEveryRelationIsApart(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	one, two := uuid.New(), uuid.New()
	relations := filled(t, b, one, two)
	require.Greater(t, len(relations), 20)
	own := map[string]int{} // rows of its own that a user sees
	for user, pool := range users(t, b) {
		for _, r := range relations {
			t.Run(user+" "+r.name, func(t *testing.T) {
				qualified := "ledgerline." + r.name
				ways := map[string]func(pgx.Tx) (string, error){
					"SELECT": query("SELECT r::text FROM " + qualified + " r"),
					"COPY": func(tx pgx.Tx) (string, error) {
						var out bytes.Buffer
						_, err := tx.Conn().PgConn().CopyTo(t.Context(), &out, "COPY "+qualified+" TO STDOUT")
						return out.String(), err
					},
					"COPY of a query": func(tx pgx.Tx) (string, error) {
						var out bytes.Buffer
						_, err := tx.Conn().PgConn().CopyTo(t.Context(), &out, "COPY (SELECT * FROM "+qualified+") TO STDOUT")
						return out.String(), err
					},
					"row_security off": query("SET LOCAL row_security = off", "SELECT r::text FROM "+qualified+" r"),
					"UPDATE":           query(fmt.Sprintf("UPDATE %s r SET organization_id = '%s' RETURNING r::text", qualified, one)),
					"take over":        query(fmt.Sprintf("UPDATE %s r SET organization_id = '%s' WHERE organization_id = '%s' RETURNING r::text", qualified, two, one)),
					"DELETE":           query("DELETE FROM " + qualified + " r RETURNING r::text"),
					"TRUNCATE":         query("TRUNCATE " + qualified),
					"a view":           query("CREATE TEMP VIEW v AS SELECT * FROM "+qualified, "SELECT v::text FROM v"),
					"a function of its name": query(
						fmt.Sprintf("CREATE FUNCTION pg_temp.current_organization() RETURNS uuid LANGUAGE sql AS $$SELECT '%s'::uuid$$", two),
						"SET LOCAL search_path = pg_temp, ledgerline", "SELECT r::text FROM "+qualified+" r"),
					"a setting of the role": query("SELECT set_config('role', 'ledgerline_owner', true)", "SELECT r::text FROM "+qualified+" r"),
				}
				for way, f := range ways {
					as(t, pool, one, func(tx pgx.Tx) {
						got, err := f(tx)
						require.NotContains(t, got, two.String(), way)
						switch {
						case err == nil:
						case r.ofOrg && !r.partition: // refused by rights, by a policy, or by a trigger
							var pg *pgconn.PgError
							require.ErrorAs(t, err, &pg, way)
							require.Contains(t, []string{"42501", "23514"}, pg.Code, "%s: %v", way, err)
							require.NotContains(t, fmt.Sprint(err, pg.Detail, pg.Hint), two.String(), way)
						}
						if r.partition || shared[r.name] != "" && !slices.Contains(openToAll, r.name) {
							require.Error(t, err, "%s: nobody needs it", way)
						}
						if way == "SELECT" && strings.Contains(got, one.String()) {
							own[user]++
						}
					})
				}
			})
		}
	}
	for _, r := range relations {
		require.True(t, r.ofOrg || shared[r.name] != "", "%s has no organization: say why", r.name)
		if r.ofOrg && !r.partition {
			require.Equal(t, 2, count(t, b, r.name), r.name)
		}
	}
	require.Greater(t, own["o"], 10, "who sees nothing proves nothing: %v", own)
	require.Greater(t, own["w"], 5)
	require.Greater(t, own["r"], 5)
}

// query runs statements and returns what the last one gives, as text.
func query(statements ...string) func(pgx.Tx) (string, error) {
	return func(tx pgx.Tx) (string, error) {
		last := len(statements) - 1
		for _, s := range statements[:last] {
			if _, err := tx.Exec(context.Background(), s); err != nil {
				return "", err
			}
		}
		rows, err := tx.Query(context.Background(), statements[last])
		if err != nil {
			return "", err
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		return strings.Join(list, "\n"), err
	}
}

// Nobody becomes anybody else, and the owner's functions pass over what a caller
// puts in their way.
func TestRolesStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	own := map[string]string{"w": "worker", "o": "operator", "r": "reader", "t": "retention", "c": "console"}
	pools := users(t, b)
	for user, role := range own {
		others := []string{"postgres", "ledgerline_owner", "pg_read_all_data", "pg_write_all_data", "pg_read_server_files", "pg_execute_server_program"}
		for u, r := range own {
			if u != user {
				others = append(others, u, "ledgerline_"+r)
			}
		}
		for _, other := range others {
			for _, s := range []string{"SET ROLE " + other, "SET SESSION AUTHORIZATION " + other, "GRANT " + other + " TO " + user, "ALTER ROLE " + user + " SUPERUSER"} {
				as(t, pools[user], uuid.New(), func(tx pgx.Tx) {
					_, err := tx.Exec(t.Context(), s)
					require.True(t, denied(err), "%s (%s): %s: %v", user, role, s, err)
				})
			}
		}
		for _, s := range []string{
			"CREATE TABLE ledgerline.x (a int)", "CREATE FUNCTION ledgerline.x() RETURNS int LANGUAGE sql AS 'SELECT 1'", "ALTER TABLE ledgerline.integrations DISABLE ROW LEVEL SECURITY",
			"ALTER TABLE ledgerline.integrations NO FORCE ROW LEVEL SECURITY", "DROP POLICY own_organization ON ledgerline.integrations",
			"CREATE POLICY x ON ledgerline.integrations USING (true)", "SET session_replication_role = replica", "ALTER FUNCTION ledgerline.current_organization() STABLE",
			"COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('/etc/hostname')", "CREATE EXTENSION file_fdw",
		} {
			as(t, pools[user], uuid.New(), func(tx pgx.Tx) {
				_, err := tx.Exec(t.Context(), s)
				require.True(t, denied(err), "%s: %s: %v", user, s, err)
			})
		}
	}

	found, err := b.admin.Query(t.Context(), `SELECT oid::regprocedure::text, coalesce(array_to_string(proconfig, ';'), ''), prosrc, has_function_privilege('public', oid, 'EXECUTE')
		FROM pg_proc WHERE pronamespace = 'ledgerline'::regnamespace AND prosecdef`)
	require.NoError(t, err)
	var name, config, source string
	var open bool
	functions := 0
	bare := regexp.MustCompile(`(?i)\b(FROM|JOIN|INTO|UPDATE)\s+(integrations|integration_\w+|export_\w+|bufdir_\w+|notification\w*|quota_\w+|write_claims|schedule_\w+)\b`)
	_, err = pgx.ForEachRow(found, []any{&name, &config, &source, &open}, func() error {
		functions++
		path, _, _ := strings.Cut(config, ";") // settings of the planner may follow
		require.Equal(t, "search_path=pg_catalog, pg_temp", path, "%s: what a caller puts into pg_temp would come first", name)
		require.NotRegexp(t, bare, source, name)
		require.False(t, open, "%s: everybody may call it", name)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, functions, 5)
}

// Of eight calls with one correlation ID that come at once, one may send.
func TestEightClaimsAtOnce(t *testing.T) {
	t.Parallel()
	b := newBooks(t)
	for range 10 {
		c := runlog.WriteClaim{OrganizationID: b.org, CorrelationID: uuid.New(), IntegrationID: b.spec.ID, Operation: "call", BodySHA256: fmt.Sprintf("%064x", 1), Attempt: 1}
		var mu sync.Mutex
		mine := map[bool]int{}
		var race sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			own := c
			own.RunID = uuid.New()
			race.Go(func() {
				<-start
				got, err := runlog.ClaimWrite(context.Background(), b.worker, own, 0, time.Hour, false)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				mine[got.MaySend]++
			})
		}
		close(start)
		race.Wait()
		require.Equal(t, map[bool]int{true: 1, false: 7}, mine)
	}
}
