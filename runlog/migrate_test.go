package runlog_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

func TestMigrate(t *testing.T) {
	eachServer(t, func(t *testing.T, server *devstack.Postgres) {
		var wg sync.WaitGroup
		for range 3 { // at several places at once, and databases of one cluster, whose roles are shared
			name := emptyBaseOn(t, server)
			for range 3 {
				pool := openOn(t, server, name, "dba")
				wg.Go(func() {
					if _, _, err := runlog.Migrate(t.Context(), pool); err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		b := newBaseOn(t, server)
		pool := openOn(t, server, b.name, "dba")
		from, to, err := runlog.Migrate(t.Context(), pool)
		require.NoError(t, err)
		require.Equal(t, []int64{runlog.SchemaVersion(), runlog.SchemaVersion()}, []int64{from, to})

		// Who has migrated keeps no right on the rows, also after a migration that was killed.
		_, err = pool.Exec(t.Context(), "GRANT ledgerline_owner TO dba")
		require.NoError(t, err)
		_, _, err = runlog.Migrate(t.Context(), pool)
		require.NoError(t, err)
		_, err = pool.Exec(t.Context(), "SELECT FROM ledgerline.integrations")
		require.ErrorContains(t, err, "permission denied for schema ledgerline")
		_, err = pool.Exec(t.Context(), "SET ROLE ledgerline_owner")
		require.ErrorContains(t, err, "permission denied to set role")
		_, err = pool.Exec(t.Context(), "SELECT FROM public.goose_db_version")
		require.ErrorContains(t, err, "does not exist", "nothing stands where other programs look")

		_, err = b.admin.Exec(t.Context(), "INSERT INTO ledgerline.goose_db_version (version_id, is_applied) VALUES ($1, true)", runlog.SchemaVersion()+1)
		require.NoError(t, err)
		_, _, err = runlog.Migrate(t.Context(), pool)
		require.ErrorContains(t, err, "use a newer ledgerline")
	})
}

// Each migration can be taken back, in an emergency, and applied again, by the
// user who may create roles and no more.
func TestMigrateBack(t *testing.T) {
	eachServer(t, func(t *testing.T, server *devstack.Postgres) {
		b := newBaseOn(t, server)
		b.tenant(t)
		pool := openOn(t, server, b.name, "dba")
		down := func(to int64) {
			t.Helper()
			require.NoError(t, runlog.WithProvider(t.Context(), pool, os.DirFS("migrations"), func(p *goose.Provider) error {
				_, err := p.DownTo(t.Context(), to)
				return err
			}))
		}
		down(runlog.SchemaVersion() - 1)
		_, to, err := runlog.Migrate(t.Context(), pool)
		require.NoError(t, err)
		require.Equal(t, runlog.SchemaVersion(), to)
		down(0)
		from, to, err := runlog.Migrate(t.Context(), pool)
		require.NoError(t, err)
		require.Equal(t, []int64{0, runlog.SchemaVersion()}, []int64{from, to})
		_, err = runlog.SelfCheck(t.Context(), b.worker, runlog.SelfCheckOptions{Role: "ledgerline_worker"})
		require.NoError(t, err)
	})
}

// A migration of data sees the rows of all organizations, if it is written as the
// rules of the folder say; and without that it would see none.
func TestMigrationsOfDataSeeAllRows(t *testing.T) {
	eachServer(t, func(t *testing.T, server *devstack.Postgres) {
		b := newBaseOn(t, server)
		for range 3 {
			b.tenant(t)
		}
		pool := openOn(t, server, b.name, "dba")
		next := func(n int64, up string) {
			files := fstest.MapFS{}
			entries, err := os.ReadDir("migrations")
			require.NoError(t, err)
			for _, e := range entries {
				content, err := os.ReadFile(filepath.Join("migrations", e.Name()))
				require.NoError(t, err)
				files[e.Name()] = &fstest.MapFile{Data: content}
			}
			files[fmt.Sprintf("%05d_later.sql", runlog.SchemaVersion()+n)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + up + "\n-- +goose Down\nSELECT 1;\n")}
			require.NoError(t, runlog.WithProvider(t.Context(), pool, files, func(p *goose.Provider) error {
				_, err := p.Up(t.Context())
				return err
			}))
		}
		const change = "UPDATE ledgerline.integrations SET applied_by = 'migration';\n"
		changed := func() (n int) {
			require.NoError(t, b.admin.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.integrations WHERE applied_by = 'migration'").Scan(&n))
			return n
		}
		next(1, change)
		require.Zero(t, changed(), "row-level security is forced on the owner too")
		_, err := b.admin.Exec(t.Context(), "DELETE FROM ledgerline.goose_db_version WHERE version_id > $1", runlog.SchemaVersion())
		require.NoError(t, err)
		next(1, "ALTER TABLE ledgerline.integrations NO FORCE ROW LEVEL SECURITY;\n"+change+"ALTER TABLE ledgerline.integrations FORCE ROW LEVEL SECURITY;")
		require.Equal(t, 3, changed())
	})
}

var (
	names      = regexp.MustCompile(`^\d{5}_[a-z_]+\.sql$`)
	statements = regexp.MustCompile(`(?s)-- \+goose StatementBegin.*?-- \+goose StatementEnd`)
	data       = regexp.MustCompile(`(?m)^(UPDATE|DELETE FROM|INSERT INTO) [^;]*;`)
	table      = regexp.MustCompile(`ledgerline\.([a-z_]+)\b[^(]`)
	comment    = regexp.MustCompile(`--.*`)
)

// The rules at the top of the first file hold for each.
func TestMigrationsKeepTheRules(t *testing.T) {
	entries, err := os.ReadDir("migrations")
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for i, e := range entries {
		require.Regexp(t, names, e.Name())
		require.Equal(t, fmt.Sprintf("%05d", i+1), e.Name()[:5])
		content, err := fs.ReadFile(os.DirFS("migrations"), e.Name())
		require.NoError(t, err)
		require.Empty(t, blindStatements(string(content)), e.Name())
	}

	const lift, force = "ALTER TABLE ledgerline.a NO FORCE ROW LEVEL SECURITY;\n", "ALTER TABLE ledgerline.a FORCE ROW LEVEL SECURITY;\n"
	const update, both = "UPDATE ledgerline.a SET x = 1;\n", "UPDATE ledgerline.a SET x = b.x FROM ledgerline.b WHERE b.y = a.y;\n"
	for text, blind := range map[string]int{
		lift + update + force:          0,
		lift + update + update + force: 0,
		update:                         1,
		lift + force + update:          1,
		lift + update:                  1,
		lift + both + force:            1,
		"DELETE FROM ledgerline.a;\n":  1,
		"UPDATE ledgerline.schema_serves SET serves_from = 9;\n": 0,
		"-- " + update: 0,
	} {
		require.Len(t, blindStatements(text), blind, text)
	}
}

// tightened are statements that take away or tighten what a program of an earlier version
// may use. A constraint that is replaced is not among them, nor are rights on a new function.
var tightened = regexp.MustCompile(`(?i)\bDROP\s+(TABLE|COLUMN|VIEW|FUNCTION|TYPE|DOMAIN|SEQUENCE)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b` +
	`|\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b|\bREVOKE\s+(?:ALL|EXECUTE)\s+ON\s+(TABLE|SCHEMA)\b|\bREVOKE\s+(SELECT|INSERT|UPDATE|DELETE|USAGE)\b`)

// needed finds new columns without which a row cannot be inserted.
var needed = regexp.MustCompile(`(?i)\bADD\s+COLUMN\s+[^,;]*?\bNOT\s+NULL\b[^,;]*`)

var (
	fills  = regexp.MustCompile(`(?i)\b(DEFAULT|GENERATED)\b`)
	serves = regexp.MustCompile(`UPDATE ledgerline\.schema_serves SET serves_from = (\d+)`)
)

// contracts returns why no earlier program can work beside a migration; "" if it only
// expands the schema, or says from which version on programs can work with it.
func contracts(migration string) string {
	up, _, _ := strings.Cut(migration, "-- +goose Down")
	up = comment.ReplaceAllString(up, "")
	if serves.MatchString(up) {
		return ""
	}
	for _, column := range needed.FindAllString(up, -1) {
		if !fills.MatchString(column) {
			return column
		}
	}
	return tightened.FindString(up)
}

// A migration expands: programs of the version before run beside those of its own, and
// are started again where a version is taken back. What takes something away is a file of
// its own, a contract, in a later version than the one that stopped using it, and
// says which programs still fit.
func TestMigrationsExpand(t *testing.T) {
	entries, err := os.ReadDir("migrations")
	require.NoError(t, err)
	const first = 8 // files of the first schema, which no program is older than
	for _, e := range entries[first:] {
		content, err := os.ReadFile(filepath.Join("migrations", e.Name()))
		require.NoError(t, err)
		require.Empty(t, contracts(string(content)), "%s: an earlier program may use it; see docs/operations.md, Upgrades", e.Name())
	}
	const table, column = "DROP TABLE ledgerline.a;", "ALTER TABLE ledgerline.a "
	for text, why := range map[string]string{
		table:                                 "DROP TABLE",
		"-- " + table:                         "",
		"SELECT 1;\n-- +goose Down\n" + table: "",
		table + "\nUPDATE ledgerline.schema_serves SET serves_from = 12;": "",
		column + "DROP COLUMN b;":                                     "DROP COLUMN",
		column + "RENAME COLUMN b TO c;":                              "RENAME",
		column + "ALTER COLUMN b SET NOT NULL;":                       "SET NOT NULL",
		column + "ALTER COLUMN b TYPE bigint;":                        "ALTER COLUMN b TYPE",
		column + "ADD COLUMN b text NOT NULL;":                        "ADD COLUMN b text NOT NULL",
		column + "ADD COLUMN b text NOT NULL DEFAULT '';":             "",
		column + "ADD COLUMN b text;":                                 "",
		column + "DROP CONSTRAINT b, ADD CONSTRAINT b CHECK (c > 0);": "",
		"REVOKE ALL ON FUNCTION ledgerline.a() FROM PUBLIC;":          "",
		"REVOKE SELECT ON ledgerline.a FROM ledgerline_reader;":       "REVOKE SELECT",
	} {
		require.Equal(t, why, contracts(text), text)
	}
}

// blindStatements are the statements of a migration that see no rows of a table,
// since they do not lift its row-level security and force it again.
func blindStatements(migration string) (all []string) {
	text := comment.ReplaceAllString(statements.ReplaceAllString(migration, ""), "")
	for _, at := range data.FindAllStringIndex(text, -1) {
		for _, m := range table.FindAllStringSubmatch(text[at[0]:at[1]]+" ", -1) {
			if m[1] == "schema_serves" { // it has no row-level security
				continue
			}
			before, after := text[:at[0]], text[at[1]:]
			lift := "ALTER TABLE ledgerline." + m[1] + " NO FORCE ROW LEVEL SECURITY"
			force := "ALTER TABLE ledgerline." + m[1] + " FORCE ROW LEVEL SECURITY"
			if strings.LastIndex(before, lift) <= strings.LastIndex(before, force) || !strings.Contains(after, force) {
				all = append(all, m[1]+" in "+text[at[0]:at[1]])
			}
		}
	}
	return all
}

// A database that was restored belongs to who restored it. Migrating it once more,
// though there is nothing to migrate, makes it as it was.
func TestRestoredDatabase(t *testing.T) {
	b := newBase(t)
	organization, _ := b.tenant(t)
	programs := server.Programs()
	dump := filepath.Join(t.TempDir(), "dump")
	out, err := exec.Command(filepath.Join(programs, "pg_dump"), "--format=custom", "--file="+dump, server.URL(b.name, "postgres")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, options := range [][]string{{"--no-owner"}, {"--no-owner", "--no-acl"}} {
		name := emptyBase(t)
		out, err := exec.Command(filepath.Join(programs, "pg_restore"), append(options, "--exit-on-error", "--dbname="+server.URL(name, "dba"), dump)...).CombinedOutput()
		require.NoError(t, err, "%v: %s", options, out)
		admin, worker := open(t, name, "postgres"), open(t, name, "w")
		_, err = runlog.SelfCheck(t.Context(), admin, runlog.SelfCheckOptions{Role: "ledgerline_worker", Relax: true})
		require.ErrorContains(t, err, "changed: table integrations: owner dba", "%v", options)

		from, to, err := runlog.Migrate(t.Context(), open(t, name, "dba"))
		require.NoError(t, err, "%v", options)
		require.Equal(t, from, to)
		_, err = runlog.SelfCheck(t.Context(), worker, runlog.SelfCheckOptions{Role: "ledgerline_worker"})
		require.NoError(t, err, "%v", options)
		list, err := runlog.ListIntegrations(t.Context(), worker, organization)
		require.NoError(t, err)
		require.Len(t, list, 1)
		_, err = runlog.EnsurePartitions(t.Context(), worker)
		require.NoError(t, err)
	}
}

// Roles that somebody else has made: the error says who must grant what.
func TestMigrateSaysWhatTheUserLacks(t *testing.T) {
	eachServer(t, func(t *testing.T, server *devstack.Postgres) {
		newBaseOn(t, server) // whose dba made the roles
		admin := openOn(t, server, "postgres", "postgres")
		for _, c := range []struct{ role, grant string }{
			{"plain LOGIN", ""},
			{"plain LOGIN", "GRANT ledgerline_owner TO plain"},
		} {
			user := strings.Replace(c.role, "plain", "u"+strings.ReplaceAll(uuid.NewString(), "-", "")[:12], 1)
			user, _, _ = strings.Cut(user, " ")
			_, err := admin.Exec(t.Context(), "CREATE ROLE "+user+" LOGIN")
			require.NoError(t, err)
			if c.grant != "" {
				_, err = admin.Exec(t.Context(), strings.Replace(c.grant, "plain", user, 1))
				require.NoError(t, err)
			}
			name := emptyBaseOn(t, server)
			_, err = admin.Exec(t.Context(), "ALTER DATABASE "+name+" OWNER TO "+user)
			require.NoError(t, err)
			_, to, err := runlog.Migrate(t.Context(), openOn(t, server, name, user))
			if c.grant != "" {
				require.NoError(t, err, "the roles are there, and a member of the owner needs no more than its database")
				require.Equal(t, runlog.SchemaVersion(), to)
				continue
			}
			require.ErrorContains(t, err, "GRANT ledgerline_owner TO it WITH ADMIN OPTION")
		}
	})
}
