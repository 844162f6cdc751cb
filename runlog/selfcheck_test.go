package runlog_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// weakened is a way to take a rule away, and what the self-check says of it. One
// that unsafe is true of concerns the user or a setting: a warning in development.
var weakened = []struct {
	name, weaken, restore, says string
	unsafe                      bool
}{
	{name: "superuser", unsafe: true, weaken: "ALTER ROLE w SUPERUSER", restore: "ALTER ROLE w NOSUPERUSER", says: "is a superuser"},
	{name: "member of a superuser", unsafe: true, weaken: "CREATE ROLE boss SUPERUSER; GRANT boss TO w", restore: "DROP ROLE boss", says: `"w" is a member of boss, which is a superuser`},
	{name: "member of a member of a superuser", unsafe: true, weaken: "CREATE ROLE boss SUPERUSER; CREATE ROLE team; GRANT boss TO team; GRANT team TO w", restore: "DROP ROLE team, boss", says: "is a superuser"},
	{name: "role of the worker in a superuser", unsafe: true, weaken: "CREATE ROLE boss SUPERUSER; GRANT boss TO ledgerline_worker", restore: "DROP ROLE boss", says: "is a superuser"},
	{name: "member without inheriting", unsafe: true, weaken: "CREATE ROLE boss SUPERUSER; ALTER ROLE w NOINHERIT; GRANT boss TO w; ALTER ROLE w INHERIT", restore: "DROP ROLE boss", says: "is a superuser"},
	{name: "BYPASSRLS", unsafe: true, weaken: "ALTER ROLE w BYPASSRLS", restore: "ALTER ROLE w NOBYPASSRLS", says: "BYPASSRLS"},
	{name: "member of one with BYPASSRLS", unsafe: true, weaken: "CREATE ROLE boss BYPASSRLS; GRANT boss TO w", restore: "DROP ROLE boss", says: "BYPASSRLS"},
	{name: "CREATEROLE", unsafe: true, weaken: "ALTER ROLE w CREATEROLE", restore: "ALTER ROLE w NOCREATEROLE", says: "CREATEROLE"},
	{name: "REPLICATION", unsafe: true, weaken: "ALTER ROLE w REPLICATION", restore: "ALTER ROLE w NOREPLICATION", says: "REPLICATION"},
	{name: "owner's role", unsafe: true, weaken: "GRANT ledgerline_owner TO w", restore: "REVOKE ledgerline_owner FROM w", says: "ledgerline_owner, which owns the schema"},
	{name: "member of the owner's role at depth", unsafe: true, weaken: "CREATE ROLE team; GRANT ledgerline_owner TO team; GRANT team TO w", restore: "DROP ROLE team", says: "ledgerline_owner, which owns the schema"},
	{name: "reads everything", unsafe: true, weaken: "GRANT pg_read_all_data TO w", restore: "REVOKE pg_read_all_data FROM w", says: "pg_read_all_data"},
	{name: "writes everything", unsafe: true, weaken: "GRANT pg_write_all_data TO w", restore: "REVOKE pg_write_all_data FROM w", says: "pg_write_all_data"},
	{name: "runs programs", unsafe: true, weaken: "GRANT pg_execute_server_program TO w", restore: "REVOKE pg_execute_server_program FROM w", says: "pg_execute_server_program"},
	{name: "owns the database", unsafe: true, weaken: "ALTER DATABASE {database} OWNER TO w", restore: "ALTER DATABASE {database} OWNER TO dba", says: "owns the database"},
	{name: "a role of it owns the database", unsafe: true, weaken: "CREATE ROLE team; ALTER DATABASE {database} OWNER TO team; GRANT team TO w", restore: "ALTER DATABASE {database} OWNER TO dba; DROP ROLE team", says: "owns the database"},
	{name: "another's organization by default", unsafe: true, weaken: "ALTER ROLE w SET app.organization_id = '00000000-0000-4000-8000-000000000000'", restore: "ALTER ROLE w RESET app.organization_id", says: "app.organization_id is set"},
	{name: "commit", unsafe: true, weaken: "ALTER ROLE w SET synchronous_commit = off", restore: "ALTER ROLE w RESET synchronous_commit", says: "synchronous_commit is off"},

	{name: "owns the schema", weaken: "ALTER SCHEMA ledgerline OWNER TO w", restore: "ALTER SCHEMA ledgerline OWNER TO ledgerline_owner", says: `changed: schema ledgerline: owner w`},
	{name: "owns a table", weaken: "ALTER TABLE ledgerline.integrations OWNER TO w", restore: "ALTER TABLE ledgerline.integrations OWNER TO ledgerline_owner", says: "changed: table integrations: owner w"},
	{name: "another owns a table", weaken: "ALTER TABLE ledgerline.integrations OWNER TO dba", restore: "ALTER TABLE ledgerline.integrations OWNER TO ledgerline_owner", says: "changed: table integrations: owner dba"},
	{name: "another owns a function", weaken: "ALTER FUNCTION ledgerline.organizations() OWNER TO dba", restore: "ALTER FUNCTION ledgerline.organizations() OWNER TO ledgerline_owner", says: "changed: function ledgerline.organizations(): owner dba"},
	{name: "owner logs in", weaken: "ALTER ROLE ledgerline_owner LOGIN", restore: "ALTER ROLE ledgerline_owner NOLOGIN", says: "changed: role ledgerline_owner: a group with LOGIN"},
	{name: "not forced", weaken: "ALTER TABLE ledgerline.integrations NO FORCE ROW LEVEL SECURITY", restore: "ALTER TABLE ledgerline.integrations FORCE ROW LEVEL SECURITY", says: "integrations: owner ledgerline_owner, row-level security enabled and not forced"},
	{name: "not enabled", weaken: "ALTER TABLE ledgerline.export_entries DISABLE ROW LEVEL SECURITY", restore: "ALTER TABLE ledgerline.export_entries ENABLE ROW LEVEL SECURITY", says: "export_entries: owner ledgerline_owner, without row-level security"},
	{name: "second policy", weaken: "CREATE POLICY oops ON ledgerline.integrations USING (true)", restore: "DROP POLICY oops ON ledgerline.integrations", says: "not of the schema: policy oops on integrations"},
	{name: "second policy for the worker", weaken: "CREATE POLICY oops ON ledgerline.export_entries FOR SELECT TO ledgerline_worker USING (true)", restore: "DROP POLICY oops ON ledgerline.export_entries", says: "not of the schema: policy oops on export_entries"},
	{name: "weaker policy", weaken: "ALTER POLICY own_organization ON ledgerline.integrations USING (true)", restore: "ALTER POLICY own_organization ON ledgerline.integrations USING (organization_id = ledgerline.current_organization())", says: "changed: policy own_organization on integrations"},
	{name: "weaker check of a policy", weaken: "ALTER POLICY own_organization ON ledgerline.integrations WITH CHECK (true)", restore: "ALTER POLICY own_organization ON ledgerline.integrations WITH CHECK (organization_id = ledgerline.current_organization())", says: "changed: policy own_organization on integrations"},
	{name: "policy for more roles", weaken: "ALTER POLICY shared_by_workers ON ledgerline.vendor_hosts TO PUBLIC", restore: "ALTER POLICY shared_by_workers ON ledgerline.vendor_hosts TO ledgerline_worker", says: "changed: policy shared_by_workers on vendor_hosts"},
	{name: "missing policy", weaken: "DROP POLICY operators_adopt ON ledgerline.bufdir_export_audit_log", restore: "CREATE POLICY operators_adopt ON ledgerline.bufdir_export_audit_log AS RESTRICTIVE FOR INSERT TO ledgerline_operator WITH CHECK (trigger = 'adopt')", says: "missing: policy operators_adopt"},
	{name: "replaced function", weaken: "CREATE OR REPLACE FUNCTION ledgerline.current_organization() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS 'SELECT null::uuid'",
		restore: "CREATE OR REPLACE FUNCTION ledgerline.current_organization() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE RETURN NULLIF(current_setting('app.organization_id', true), '')::uuid",
		says:    "changed: function ledgerline.current_organization()"},
	{name: "rights of a function", weaken: "ALTER FUNCTION ledgerline.claim_is_final() SECURITY DEFINER", restore: "ALTER FUNCTION ledgerline.claim_is_final() SECURITY INVOKER", says: "changed: function ledgerline.claim_is_final()"},
	{name: "search path of a function", weaken: "ALTER FUNCTION ledgerline.organizations() SET search_path = public", restore: "ALTER FUNCTION ledgerline.organizations() SET search_path = pg_catalog, pg_temp", says: "changed: function ledgerline.organizations()"},
	{name: "another function", weaken: "CREATE FUNCTION ledgerline.all_of_it() RETURNS SETOF ledgerline.integrations SECURITY DEFINER LANGUAGE sql AS 'TABLE ledgerline.integrations'", restore: "DROP FUNCTION ledgerline.all_of_it()", says: "not of the schema: function ledgerline.all_of_it()"},
	{name: "overloaded function", weaken: "CREATE FUNCTION ledgerline.current_organization(x int) RETURNS uuid LANGUAGE sql AS 'SELECT null::uuid'", restore: "DROP FUNCTION ledgerline.current_organization(int)", says: "not of the schema: function ledgerline.current_organization(x integer)"},
	{name: "missing trigger", weaken: "DROP TRIGGER one_way ON ledgerline.bufdir_export_audit_log", restore: "CREATE TRIGGER one_way BEFORE UPDATE ON ledgerline.bufdir_export_audit_log FOR EACH ROW EXECUTE FUNCTION ledgerline.export_goes_one_way()", says: "missing: trigger one_way on bufdir_export_audit_log"},
	{name: "disabled trigger", weaken: "ALTER TABLE ledgerline.export_entries DISABLE TRIGGER final", restore: "ALTER TABLE ledgerline.export_entries ENABLE TRIGGER final", says: "changed: trigger final on export_entries"},
	{name: "disabled foreign keys", weaken: "ALTER TABLE ledgerline.quota_usage DISABLE TRIGGER ALL", restore: "ALTER TABLE ledgerline.quota_usage ENABLE TRIGGER ALL", says: "trigger of constraint usage_belongs_to_integration on quota_usage: does not fire"},
	{name: "trigger for replicas only", weaken: "ALTER TABLE ledgerline.export_entries ENABLE REPLICA TRIGGER final", restore: "ALTER TABLE ledgerline.export_entries ENABLE TRIGGER final", says: "changed: trigger final on export_entries"},
	{name: "another trigger", weaken: "CREATE TRIGGER spy AFTER INSERT ON ledgerline.integrations FOR EACH ROW EXECUTE FUNCTION ledgerline.delete_old_batches()", restore: "DROP TRIGGER spy ON ledgerline.integrations", says: "not of the schema: trigger spy"},
	{name: "rule", weaken: "CREATE RULE gone AS ON INSERT TO ledgerline.integration_run_logs DO INSTEAD NOTHING", restore: "DROP RULE gone ON ledgerline.integration_run_logs", says: "not of the schema: rule gone on integration_run_logs"},
	{name: "view", weaken: "CREATE VIEW ledgerline.everything AS SELECT * FROM ledgerline.integrations", restore: "DROP VIEW ledgerline.everything", says: "not of the schema: view everything"},
	{name: "replaced view", weaken: "CREATE OR REPLACE VIEW ledgerline.queues AS SELECT organization_id, integration_id, 1 AS requests_per_minute, 1 AS concurrent_requests, false AS unreadable FROM ledgerline.integrations",
		restore: `CREATE OR REPLACE VIEW ledgerline.queues AS SELECT organization_id, integration_id, coalesce(substring(limits ->> 'requestsPerMinute' FROM '^[0-9]{1,9}$')::integer, 0) AS requests_per_minute, coalesce(substring(limits ->> 'concurrentRequests' FROM '^[0-9]{1,9}$')::integer, 0) AS concurrent_requests, coalesce(limits ->> 'requestsPerMinute', '0') !~ '^[0-9]{1,9}$' OR coalesce(limits ->> 'concurrentRequests', '0') !~ '^[0-9]{1,9}$' AS unreadable FROM ledgerline.integrations WHERE own_queue AND coalesce(removed_at > now() - interval '35 days', true)`,
		says:    "changed: view queues"},
	{name: "table", weaken: "CREATE TABLE ledgerline.copies (x int)", restore: "DROP TABLE ledgerline.copies", says: "not of the schema: table copies"},
	{name: "right on partitions", weaken: "GRANT SELECT ON ALL TABLES IN SCHEMA ledgerline TO ledgerline_reader", restore: "", says: "not of the schema: GRANT SELECT ON TABLE ledgerline.integration_run_logs_"},
	{name: "right on a table", weaken: "GRANT DELETE ON ledgerline.integration_run_logs TO ledgerline_worker", restore: "REVOKE DELETE ON ledgerline.integration_run_logs FROM ledgerline_worker", says: "not of the schema: GRANT DELETE ON TABLE ledgerline.integration_run_logs TO ledgerline_worker"},
	{name: "right on a column", weaken: "GRANT UPDATE (base_url) ON ledgerline.integrations TO ledgerline_worker", restore: "REVOKE UPDATE (base_url) ON ledgerline.integrations FROM ledgerline_worker", says: "not of the schema: GRANT UPDATE (base_url) ON TABLE ledgerline.integrations TO ledgerline_worker"},
	{name: "right to pass a right on", weaken: "GRANT SELECT ON ledgerline.integrations TO ledgerline_worker WITH GRANT OPTION", restore: "REVOKE GRANT OPTION FOR SELECT ON ledgerline.integrations FROM ledgerline_worker", says: "WITH GRANT OPTION"},
	{name: "right on a function", weaken: "GRANT EXECUTE ON FUNCTION ledgerline.drop_partitions(integer) TO PUBLIC", restore: "REVOKE EXECUTE ON FUNCTION ledgerline.drop_partitions(integer) FROM PUBLIC", says: "GRANT EXECUTE ON FUNCTION ledgerline.drop_partitions(keep_months integer) TO PUBLIC"},
	{name: "right on the schema", weaken: "GRANT CREATE ON SCHEMA ledgerline TO ledgerline_worker", restore: "REVOKE CREATE ON SCHEMA ledgerline FROM ledgerline_worker", says: "not of the schema: GRANT CREATE ON SCHEMA ledgerline TO ledgerline_worker"},
	{name: "rights by default", weaken: "ALTER DEFAULT PRIVILEGES FOR ROLE ledgerline_owner IN SCHEMA ledgerline GRANT SELECT ON TABLES TO ledgerline_reader", restore: "ALTER DEFAULT PRIVILEGES FOR ROLE ledgerline_owner IN SCHEMA ledgerline REVOKE SELECT ON TABLES FROM ledgerline_reader", says: "not of the schema: default privileges of ledgerline_owner"},
	{name: "missing right", weaken: "REVOKE INSERT ON ledgerline.integration_run_logs FROM ledgerline_worker", restore: "GRANT INSERT ON ledgerline.integration_run_logs TO ledgerline_worker", says: "missing: GRANT INSERT ON TABLE ledgerline.integration_run_logs TO ledgerline_worker"},
	{name: "missing constraint", weaken: "ALTER TABLE ledgerline.integrations DROP CONSTRAINT limits_can_be_read", restore: "", says: "missing: constraint limits_can_be_read on integrations"},
	{name: "constraint that was not checked", weaken: "ALTER TABLE ledgerline.integrations DROP CONSTRAINT in_flight_is_sane, ADD CONSTRAINT in_flight_is_sane CHECK (true)", restore: "", says: "changed: constraint in_flight_is_sane"},
	{name: "missing unique index", weaken: "DROP INDEX ledgerline.one_incident_at_a_time", restore: "", says: "missing: index one_incident_at_a_time"},
	{name: "no partition", weaken: "DROP TABLE ledgerline.integration_run_logs_{month}", restore: "", says: "no partition for {month}"},
}

// Each rule that was taken away keeps the worker and the starter from working, and
// says its name.
func TestSelfCheckNamesWhatIsWeakened(t *testing.T) {
	eachServer(t, func(t *testing.T, server *devstack.Postgres) {
		shared := newBaseOn(t, server)
		for _, c := range weakened {
			t.Run(c.name, func(t *testing.T) {
				b := shared
				if c.restore == "" { // in a database of its own
					b = newBaseOn(t, server)
				}
				fill := strings.NewReplacer("{database}", b.name, "{month}", time.Now().UTC().Format("2006_01")).Replace
				exec := func(sql string) {
					t.Helper()
					_, err := b.admin.Exec(t.Context(), fill(sql))
					require.NoError(t, err, sql)
				}
				exec(c.weaken)
				pool := openOn(t, server, b.name, "w") // settings of a role count from the next connection on
				_, err := runlog.SelfCheck(t.Context(), pool, runlog.SelfCheckOptions{Role: "ledgerline_worker"})
				warnings, relaxed := runlog.SelfCheck(t.Context(), pool, runlog.SelfCheckOptions{Role: "ledgerline_worker", Relax: true})
				if c.restore != "" {
					exec(c.restore)
				}
				says := fill(c.says)
				require.ErrorContains(t, err, says)
				if c.unsafe {
					require.NoError(t, relaxed)
					require.Len(t, warnings, 1)
				} else {
					require.ErrorContains(t, relaxed, says, "development excuses users and settings only")
				}
			})
		}
		_, err := runlog.SelfCheck(t.Context(), openOn(t, server, shared.name, "w"), runlog.SelfCheckOptions{Role: "ledgerline_worker"})
		require.NoError(t, err, "what was weakened was restored")
	})
}

// While somebody migrates, it looks again for as long as it may, and then says what it
// found and not that its time was over.
func TestSelfCheckWaits(t *testing.T) {
	t.Parallel()
	b := newBase(t)
	_, err := b.admin.Exec(t.Context(), "ALTER TABLE ledgerline.integrations DISABLE ROW LEVEL SECURITY")
	require.NoError(t, err)
	migrating, err := b.admin.Begin(t.Context())
	require.NoError(t, err)
	defer migrating.Rollback(context.Background())
	_, err = migrating.Exec(t.Context(), "SELECT pg_advisory_xact_lock(hashtextextended('ledgerline.migrate', 0))")
	require.NoError(t, err)
	check := func(ctx context.Context) error {
		_, err := runlog.SelfCheck(ctx, b.worker, runlog.SelfCheckOptions{Role: "ledgerline_worker"})
		return err
	}
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	require.ErrorContains(t, check(short), "the schema is not as starter migrate made it")
	require.Error(t, short.Err(), "it has waited")

	waiting := make(chan error, 1)
	go func() { waiting <- check(t.Context()) }()
	_, err = migrating.Exec(t.Context(), "ALTER TABLE ledgerline.integrations ENABLE ROW LEVEL SECURITY")
	require.NoError(t, err)
	require.NoError(t, migrating.Commit(t.Context()))
	require.NoError(t, <-waiting)
}

func TestSelfCheck(t *testing.T) {
	b := newBase(t)
	check := func(user, role string) error {
		_, err := runlog.SelfCheck(t.Context(), open(t, b.name, user), runlog.SelfCheckOptions{Role: role})
		return err
	}
	require.NoError(t, check("w", "ledgerline_worker"))
	require.NoError(t, check("o", "ledgerline_operator"))
	require.ErrorContains(t, check("r", "ledgerline_worker"), `"r" lacks the role ledgerline_worker`)
	require.ErrorContains(t, check("postgres", "ledgerline_worker"), "superuser")
	require.ErrorContains(t, check("dba", "ledgerline_worker"), "needs one of the roles", "who has migrated keeps no right")

	for _, harmless := range []string{
		"CREATE INDEX a_dba_made ON ledgerline.integration_run_logs (organization_id, error_kind)",
		"CREATE UNIQUE INDEX another ON ledgerline.integrations (organization_id, base_url, name)",
		"ALTER TABLE ledgerline.integrations ALTER COLUMN name SET STATISTICS 500, SET (fillfactor = 90)",
		"COMMENT ON TABLE ledgerline.integrations IS 'ours'",
		"SELECT ledgerline.make_partitions(20, 20)",
		"GRANT pg_monitor TO w",
	} {
		_, err := b.admin.Exec(t.Context(), harmless)
		require.NoError(t, err)
		require.NoError(t, check("w", "ledgerline_worker"), harmless)
	}
	_, err := b.admin.Exec(t.Context(), "REVOKE pg_monitor FROM w")
	require.NoError(t, err)
	_, err = runlog.SelfCheck(t.Context(), open(t, emptyBase(t), "postgres"), runlog.SelfCheckOptions{Role: "ledgerline_worker"})
	require.ErrorContains(t, err, "run starter migrate")

	// A command that reads a row looks at version and role only.
	require.NoError(t, runlog.CheckVersion(t.Context(), open(t, b.name, "o"), "ledgerline_operator"))
	require.ErrorContains(t, runlog.CheckVersion(t.Context(), open(t, b.name, "r"), "ledgerline_operator"), `"r" lacks the role ledgerline_operator`)
	require.ErrorContains(t, runlog.CheckVersion(t.Context(), open(t, emptyBase(t), "postgres"), "ledgerline_operator"), "run starter migrate")
}

// A newer schema says from which program on it is good. An older program checks
// it against what the newer one has left there.
func TestSchemaServes(t *testing.T) {
	b := newBase(t)
	check := func() error {
		_, err := runlog.SelfCheck(t.Context(), b.worker, runlog.SelfCheckOptions{Role: "ledgerline_worker"})
		return err
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := b.admin.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	exec("INSERT INTO ledgerline.goose_db_version (version_id, is_applied) VALUES ($1, true)", runlog.SchemaVersion()+1)
	require.NoError(t, check(), "it serves programs from this one on")
	exec("ALTER TABLE ledgerline.integrations ADD COLUMN new text")
	exec("CREATE TABLE ledgerline.new (organization_id uuid); ALTER TABLE ledgerline.new OWNER TO ledgerline_owner")
	require.ErrorContains(t, check(), "not of the schema: table new")
	exec("UPDATE ledgerline.schema_serves SET catalogue = catalogue || 'table new: owner ledgerline_owner, without row-level security'")
	require.NoError(t, check())
	exec("CREATE POLICY oops ON ledgerline.integrations USING (true)")
	require.ErrorContains(t, check(), "policy oops")
	exec("DROP POLICY oops ON ledgerline.integrations")
	exec("UPDATE ledgerline.schema_serves SET serves_from = $1", runlog.SchemaVersion()+1)
	require.ErrorContains(t, check(), "use a newer ledgerline")
	_, err := b.worker.Exec(t.Context(), "UPDATE ledgerline.schema_serves SET serves_from = 1")
	require.ErrorContains(t, err, "permission denied")
	_, _, err = runlog.Migrate(t.Context(), open(t, b.name, "dba"))
	require.ErrorContains(t, err, "use a newer ledgerline", "an older program does not migrate it")
}

// While somebody migrates, the schema is not as anybody expects it. A program that starts
// then waits for the end and looks again.
func TestSelfCheckWaitsForAMigration(t *testing.T) {
	b := newBase(t)
	migrating, err := b.admin.Acquire(t.Context())
	require.NoError(t, err)
	defer migrating.Release()
	exec := func(sql string) {
		t.Helper()
		_, err := migrating.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec("SELECT pg_advisory_lock(hashtextextended('ledgerline.migrate', 0))")
	exec("CREATE TABLE ledgerline.new (organization_id uuid)")
	checked := make(chan error, 1)
	go func() {
		_, err := runlog.SelfCheck(t.Context(), b.worker, runlog.SelfCheckOptions{Role: "ledgerline_worker"})
		checked <- err
	}()
	require.Eventually(t, func() bool { // it has found the table, asked whether somebody migrates, and found it again
		var asked bool
		require.NoError(t, migrating.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%inhparent%')`).Scan(&asked))
		return asked
	}, 20*time.Second, time.Millisecond)
	exec("DROP TABLE ledgerline.new")
	exec("SELECT pg_advisory_unlock(hashtextextended('ledgerline.migrate', 0))")
	require.NoError(t, <-checked)

	exec("CREATE TABLE ledgerline.new (organization_id uuid)")
	_, err = runlog.SelfCheck(t.Context(), b.worker, runlog.SelfCheckOptions{Role: "ledgerline_worker"})
	require.ErrorContains(t, err, "not of the schema: table new", "nobody migrates")
}
