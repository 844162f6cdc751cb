package runlog_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// server is one PostgreSQL for the package; each test has a database of its own.
var server *devstack.Postgres

func TestMain(m *testing.M) {
	_ = flag.Set("rapid.checks", "6") // each plans many exports; the command line can ask for more
	os.Exit(devstack.WithPostgres(func(p *devstack.Postgres) int {
		server = p
		code := m.Run()
		if started18 != nil {
			started18.Close()
		}
		return code
	}))
}

// base is a database with pools for each user of it.
type base struct {
	name                                     string
	admin, worker, operator, reader, console *pgxpool.Pool
	sources                                  *runlog.Sources // of user s
}

// once makes a user that tests share, which may happen in two at a time.
const once = `DO $$ BEGIN CREATE ROLE %s; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`

// newBase makes a migrated database, as a user who may create roles and no more.
// Users belong to the cluster and are shared.
func newBase(t *testing.T) base {
	t.Helper()
	return newBaseOn(t, server)
}

func newBaseOn(t *testing.T, server *devstack.Postgres) base {
	t.Helper()
	open := func(t *testing.T, database, user string) *pgxpool.Pool { return openOn(t, server, database, user) }
	b := base{name: baseOn(t, server, migratedOn(t, server))}
	b.admin = open(t, b.name, "postgres")
	for user, role := range map[string]string{"w": "worker", "o": "operator", "r": "reader", "t": "retention", "c": "console"} {
		_, err := b.admin.Exec(t.Context(), fmt.Sprintf(once, user+" LOGIN IN ROLE ledgerline_"+role))
		require.NoError(t, err)
	}
	_, err := b.admin.Exec(t.Context(), fmt.Sprintf(once, "s LOGIN"))
	require.NoError(t, err)
	b.sources = sourcesOf(t, b.name, "s", "w")
	b.worker, b.operator, b.reader, b.console = open(t, b.name, "w"), open(t, b.name, "o"), open(t, b.name, "r"), open(t, b.name, "c")
	return b
}

// emptyBase makes a database of the user dba, who may create roles.
func emptyBase(t *testing.T) string {
	t.Helper()
	return emptyBaseOn(t, server)
}

func emptyBaseOn(t *testing.T, server *devstack.Postgres) string {
	t.Helper()
	return baseOn(t, server, "template1")
}

// migrated are the servers' databases that were migrated once, to be copied: 17 migrations
// take longer than most tests.
var migrated struct {
	sync.Mutex
	names map[*devstack.Postgres]string
}

func migratedOn(t *testing.T, server *devstack.Postgres) string {
	t.Helper()
	migrated.Lock()
	defer migrated.Unlock()
	if name := migrated.names[server]; name != "" {
		return name
	}
	name := emptyBaseOn(t, server)
	pool, err := runlog.Open(t.Context(), server.URL(name, "dba"), 4)
	require.NoError(t, err)
	defer pool.Close() // nobody may be connected to what is copied
	_, to, err := runlog.Migrate(t.Context(), pool)
	require.NoError(t, err)
	require.Equal(t, runlog.SchemaVersion(), to)
	if migrated.names == nil {
		migrated.names = make(map[*devstack.Postgres]string)
	}
	migrated.names[server] = name
	return name
}

// baseOn makes a database of the user dba as a copy of another.
func baseOn(t *testing.T, server *devstack.Postgres, template string) string {
	t.Helper()
	name := "b" + strings.ReplaceAll(uuid.NewString(), "-", "")
	pool := openOn(t, server, "postgres", "postgres")
	_, err := pool.Exec(t.Context(), fmt.Sprintf(once, "dba LOGIN CREATEROLE"))
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "CREATE DATABASE "+name+" OWNER dba TEMPLATE "+template)
	require.NoError(t, err)
	return name
}

func open(t *testing.T, database, user string) *pgxpool.Pool {
	t.Helper()
	return openOn(t, server, database, user)
}

func openOn(t *testing.T, server *devstack.Postgres, database, user string) *pgxpool.Pool {
	t.Helper()
	pool, err := runlog.Open(t.Context(), server.URL(database, user), 4)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// sourcesOf reads sources as one user of a database and stages them as another.
func sourcesOf(t *testing.T, database, user, stager string) *runlog.Sources {
	t.Helper()
	s, err := runlog.NewSources(server.URL(database, user), server.URL(database, stager))
	require.NoError(t, err)
	return s
}

// tenant stores an organization with one integration.
func (b base) tenant(t *testing.T) (organization, integration uuid.UUID) {
	t.Helper()
	organization, integration = uuid.New(), uuid.New()
	_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{example(organization, integration, "main")}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	return organization, integration
}

func example(organization, id uuid.UUID, name string) integrations.Integration {
	return integrations.Integration{
		OrganizationID: organization, ID: id, Name: name, Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql",
		Credentials: map[string]integrations.Ref{"token": "env:X"}, Policy: classify.DefaultPolicy(),
	}
}

func row(organization, integration uuid.UUID) runlog.AttemptRow {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return runlog.AttemptRow{
		OrganizationID: organization, RequestedIntegrationID: integration, CorrelationID: uuid.New(),
		AdapterName: "xledger", Operation: "call", AttemptNumber: 1, ErrorClass: classify.Transient, ErrorKind: classify.Unavailable,
		Rule: "status:503", HTTPStatus: 503, ErrorMessage: "HTTP 503", IsRetryable: true, PlannedDelay: 1100 * time.Millisecond,
		OccurredAt: now, WorkflowID: "invoke/x", RunID: uuid.New(), RunStartedAt: now,
	}
}

func list(t *testing.T, db runlog.Beginner, organization uuid.UUID, f runlog.AttemptFilter) []runlog.AttemptRow {
	t.Helper()
	rows, _, err := runlog.ListAttempts(t.Context(), db, organization, f)
	require.NoError(t, err)
	return rows
}

// Two organizations cannot see each other's rows, nor write any for each other.
func TestOrganizationsAreApart(t *testing.T) {
	b := newBase(t)
	org1, int1 := b.tenant(t)
	org2, int2 := b.tenant(t)
	require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, org1, []runlog.AttemptRow{row(org1, int1)}))
	require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, org2, []runlog.AttemptRow{row(org2, int2)}))
	require.Len(t, list(t, b.reader, org1, runlog.AttemptFilter{}), 1)
	require.Len(t, list(t, b.reader, org2, runlog.AttemptFilter{}), 1)
	require.Empty(t, list(t, b.reader, uuid.New(), runlog.AttemptFilter{}))

	_, err := runlog.LoadIntegration(t.Context(), b.worker, org1, int2)
	require.ErrorIs(t, err, runlog.ErrNotFound)
	require.Error(t, runlog.InsertAttempts(t.Context(), b.worker, org1, []runlog.AttemptRow{row(org2, int2)}), "a row of another organization")
	other := row(org1, int2)
	require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, org1, []runlog.AttemptRow{other}))
	for _, r := range list(t, b.reader, org1, runlog.AttemptFilter{CorrelationID: other.CorrelationID}) {
		require.Nil(t, r.IntegrationID, "another's integration is only the requested one")
		require.Equal(t, int2, r.RequestedIntegrationID)
	}

	// Without an organization nothing is seen, also after one was set.
	for _, user := range []*pgxpool.Pool{b.reader, b.operator} {
		var n int
		require.NoError(t, user.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.integration_run_logs").Scan(&n))
		require.Zero(t, n)
		require.NoError(t, user.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.integrations").Scan(&n))
		require.Zero(t, n)
	}
}

// The worker can add rows and neither read, change nor delete them, and nobody
// gets at a partition.
func TestRights(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, organization, []runlog.AttemptRow{row(organization, integration)}))
	partition := "ledgerline.integration_run_logs_" + time.Now().UTC().Format("2006_01")
	for _, c := range []struct {
		who string
		db  *pgxpool.Pool
		sql string
	}{
		{"worker", b.worker, "SELECT FROM ledgerline.integration_run_logs"},
		{"worker", b.worker, "UPDATE ledgerline.integration_run_logs SET error_message = ''"},
		{"worker", b.worker, "DELETE FROM ledgerline.integration_run_logs"},
		{"worker", b.worker, "TRUNCATE ledgerline.integration_run_logs"},
		{"worker", b.worker, "UPDATE ledgerline.integrations SET base_url = ''"},
		{"worker", b.worker, "SELECT FROM " + partition},
		{"worker", b.worker, "SELECT ledgerline.drop_partitions(1)"},
		{"operator", b.operator, "DELETE FROM ledgerline.integration_run_logs"},
		{"operator", b.operator, "UPDATE ledgerline.integration_run_logs SET error_message = ''"},
		{"operator", b.operator, "SELECT FROM " + partition},
		{"reader", b.reader, "INSERT INTO ledgerline.integrations DEFAULT VALUES"},
		{"reader", b.reader, "SELECT FROM " + partition},
		{"reader", b.reader, "SELECT ledgerline.make_partitions(1, 1)"},
	} {
		_, err := c.db.Exec(t.Context(), c.sql)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, "%s: %s", c.who, c.sql)
		require.Equal(t, "42501", pg.Code, "%s: %s", c.who, c.sql)
	}
}

func TestConstraints(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	for name, change := range map[string]func(*runlog.AttemptRow){
		"correlation_id_is_v4":                    func(r *runlog.AttemptRow) { r.CorrelationID = uuid.MustParse("00000000-0000-1000-8000-000000000000") },
		"attempt_counts_from_one":                 func(r *runlog.AttemptRow) { r.AttemptNumber = 0 },
		"error_class_is_known":                    func(r *runlog.AttemptRow) { r.ErrorClass = "odd" },
		"success_has_total_attempts":              func(r *runlog.AttemptRow) { r.AttemptNumber, r.TotalAttempts = 4, 4 },
		"success_is_not_retryable":                func(r *runlog.AttemptRow) { r.ErrorClass, r.TotalAttempts, r.AttemptNumber = "", 2, 2 },
		"http_status_is_a_status":                 func(r *runlog.AttemptRow) { r.HTTPStatus = 12 },
		"effect_is_known":                         func(r *runlog.AttemptRow) { r.Effect = "odd" },
		"success_follows_a_failure_or_is_a_write": func(r *runlog.AttemptRow) { r.ErrorClass, r.TotalAttempts, r.IsRetryable = "", 1, false },
	} {
		r := row(organization, integration)
		change(&r)
		err := runlog.InsertAttempts(t.Context(), b.worker, organization, []runlog.AttemptRow{r})
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, name)
		require.Equal(t, name, pg.ConstraintName)
		require.False(t, runlog.IsTransient(err), "a defect must not be retried in silence")
		reduced := r.Reduced(err)
		require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, organization, []runlog.AttemptRow{reduced}), name)
		require.Contains(t, reduced.ErrorMessage, name)
	}
	r := row(organization, integration)
	r.RequestedIntegrationID = uuid.New()
	require.NoError(t, runlog.InsertAttempts(t.Context(), b.worker, organization, []runlog.AttemptRow{r}), "what was requested is on record")
}

func TestOpen(t *testing.T) {
	for address, says := range map[string]string{
		"":                                  "set DATABASE_URL",
		"mysql://u:hunter2@h/d":             "it has another scheme",
		"postgres://u:hun%ter2@h/d":         "cannot be read",
		"postgres://h/d?sslrootcert=/no/ca": "a file that does not exist",
		"hunter2":                           "cannot be read",
	} {
		_, err := runlog.Open(t.Context(), address, 1)
		require.ErrorContains(t, err, says, address)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestIsTransient(t *testing.T) {
	code := func(c string) error { return fmt.Errorf("x: %w", &pgconn.PgError{Code: c, ConstraintName: "c"}) }
	for _, c := range []string{"08006", "40001", "40P01", "53300", "53100", "57P01", "57P03", "58030", "25006", "55P03"} {
		require.True(t, runlog.IsTransient(code(c)), c)
	}
	for _, c := range []string{"23503", "23505", "23514", "22021", "42501", "42P01", "42703"} {
		require.False(t, runlog.IsTransient(code(c)), c)
	}
	require.False(t, runlog.IsTransient(nil))
	require.False(t, runlog.IsTransient(errors.New("a defect")))
	require.True(t, runlog.IsTransient(context.DeadlineExceeded))

	_, err := pgx.Connect(t.Context(), "postgres://u@127.0.0.1:1/d?sslmode=disable")
	require.True(t, runlog.IsTransient(err), "%v", err)
}

// A server that goes away and comes back.
func TestServerRestarts(t *testing.T) {
	own, err := devstack.StartPostgres(t.Context(), devstack.PostgresOptions{})
	require.NoError(t, err)
	defer own.Close()
	pool, err := runlog.Open(t.Context(), own.URL("postgres", "postgres"), 2)
	require.NoError(t, err)
	defer pool.Close()
	require.NoError(t, pool.Ping(t.Context()))
	require.NoError(t, own.Stop(t.Context(), "immediate"))
	_, err = pool.Exec(t.Context(), "SELECT 1")
	require.True(t, runlog.IsTransient(err), "%v", err)
	require.NoError(t, own.Start(t.Context()))
	require.NoError(t, pool.Ping(t.Context()))
}
