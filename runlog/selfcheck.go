package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SelfCheckOptions are the demands of [SelfCheck].
type SelfCheckOptions struct {
	Role  string   // that the current user must have, such as "ledgerline_worker"
	Or    []string // roles with one of which the user needs no Role
	Relax bool     // report an unsafe user or setting as a warning: development only
}

// The roles of those who work with a database by hand, and of the console.
const (
	OperatorRole = "ledgerline_operator"
	ConsoleRole  = "ledgerline_console"
	ReaderRole   = "ledgerline_reader"
)

// migrationTakes is how long [SelfCheck] waits for a migration that is under way.
const migrationTakes = 30 * time.Second

// Topic is what a [Unfit] is about.
type Topic string

// The topics of [Diagnose].
const (
	TopicSchema     Topic = "schema"     // its version does not fit this program; nothing else was looked at
	TopicRole       Topic = "role"       // the user lacks the role that the program needs
	TopicUser       Topic = "user"       // row-level security or the rights of the roles do not bind the user
	TopicSession    Topic = "session"    // a setting of the user or the database is unsafe
	TopicCatalogue  Topic = "catalogue"  // the schema differs from what the migrations make
	TopicPartitions Topic = "partitions" // one is missing
)

// Unfit is why a database is not fit for use.
type Unfit struct {
	Topic  Topic
	What   string
	Remedy string
}

// Error says what is unfit and what to do.
func (p Unfit) Error() string {
	if p.Remedy == "" {
		return p.What
	}
	return p.What + ": " + p.Remedy
}

// tolerable reports whether development may do with it.
func (p Unfit) tolerable() bool { return p.Topic == TopicUser || p.Topic == TopicSession }

// SelfCheck refuses to work with a database in which the rules do not hold: a
// schema that this program does not fit, a user who can go around the rules, a
// catalogue that differs from what the migrations make, a commit that can be
// lost, a missing partition. It returns everything that it finds. What Relax
// tolerates is returned as warnings. While a migration is under way the schema is not
// as any program expects it; then it looks again, for 30 s at most and for as long as ctx lasts.
func SelfCheck(ctx context.Context, pool *pgxpool.Pool, o SelfCheckOptions) (warnings []string, err error) {
	warnings, err = selfCheck(ctx, pool, o)
	for began := time.Now(); err != nil && time.Since(began) < migrationTakes; time.Sleep(200 * time.Millisecond) {
		underWay, lockErr := migrating(ctx, pool)
		if lockErr != nil {
			break // what was found says more
		}
		again, checkErr := selfCheck(ctx, pool, o)
		if ctx.Err() != nil {
			break
		}
		if warnings, err = again, checkErr; !underWay {
			break // it was looked at after any migration
		}
	}
	return warnings, err
}

// migrating reports whether somebody migrates the database.
func migrating(ctx context.Context, pool *pgxpool.Pool) (underWay bool, err error) {
	err = pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND (classid::bigint << 32 | objid::bigint) = `+migrationLock+`)`).Scan(&underWay)
	return underWay, err
}

// selfCheck is [SelfCheck] at a moment.
func selfCheck(ctx context.Context, pool *pgxpool.Pool, o SelfCheckOptions) (warnings []string, err error) {
	found, err := Diagnose(ctx, pool, o.Role, o.Or...)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, p := range found {
		if o.Relax && p.tolerable() {
			warnings = append(warnings, p.Error())
		} else {
			problems = append(problems, p)
		}
	}
	return warnings, errors.Join(problems...)
}

// Diagnose returns all that [SelfCheck] finds, of a user who needs a role, or one of some
// others. An error means that the database could not be asked.
func Diagnose(ctx context.Context, pool *pgxpool.Pool, role string, or ...string) (problems []Unfit, err error) {
	schema, err := loadSchemaState(ctx, pool)
	if err != nil {
		return nil, err
	}
	if p := schema.check(); p != nil {
		return []Unfit{*p}, nil
	}
	unsafe, err := unsafeUser(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("asking for the rights of the database user: %w", err)
	}
	session, err := loadSessionState(ctx, pool, append([]string{role}, or...))
	if err != nil {
		return nil, err
	}
	problems = append(append(unsafe, session.unsafe()...), session.lacks(role)...)
	found, err := readCatalogue(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	want := catalogue
	if schema.version > SchemaVersion() {
		want = schema.catalogue // what a newer program has left there
	}
	for _, d := range differences(linesOf(want), found) {
		problems = append(problems, Unfit{Topic: TopicCatalogue, What: "the schema is not as starter migrate made it: " + d})
	}
	missing, err := queryNames(ctx, pool, selectMissingPartitions)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		problems = append(problems, Unfit{TopicPartitions, "integration_run_logs has no partition for " + strings.Join(missing, ", "),
			"the worker makes them at start; SELECT ledgerline.make_partitions(2, 4)"})
	}
	return problems, nil
}

// CheckVersion is the part of [SelfCheck] for a command that reads a row and changes none:
// it refuses a schema that this program does not fit, and a user without the role.
func CheckVersion(ctx context.Context, pool *pgxpool.Pool, role string) error {
	schema, err := loadSchemaState(ctx, pool)
	if err != nil {
		return err
	}
	if p := schema.check(); p != nil {
		return *p
	}
	session, err := loadSessionState(ctx, pool, []string{role})
	if err != nil {
		return err
	}
	for _, p := range session.lacks(role) {
		return p
	}
	return nil
}

// lacks is a problem if the user does not have the role.
func (s sessionState) lacks(role string) []Unfit {
	if s.HasRole {
		return nil
	}
	return []Unfit{{TopicRole, fmt.Sprintf("database user %q lacks the role %s", s.User, role), "use a login that has it; those who run the database make one: docs/operations.md#logins"}}
}

// MayOnlyRead returns the user of a pool if it has the reader's role and not the operator's;
// otherwise "".
func MayOnlyRead(ctx context.Context, pool *pgxpool.Pool) (user string, err error) {
	reads, err := loadSessionState(ctx, pool, []string{ReaderRole})
	if err != nil {
		return "", err
	}
	changes, err := loadSessionState(ctx, pool, []string{OperatorRole})
	if err != nil || !reads.HasRole || changes.HasRole {
		return "", err
	}
	return reads.User, nil
}

// selectMissingPartitions returns this month and the next, if they have no partition.
const selectMissingPartitions = `
SELECT to_char(month, 'YYYY_MM') FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
    date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month', interval '1 month') AS month
WHERE NOT EXISTS (SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'ledgerline.integration_run_logs'::regclass AND relname = 'integration_run_logs_' || to_char(month, 'YYYY_MM'))`

// sessionState is what [SelfCheck] must know of a session of the pool.
type sessionState struct {
	User              string
	SynchronousCommit string
	HasOrganization   bool // app.organization_id is set outside of a transaction
	HasRole           bool // one of those that were asked for
}

func loadSessionState(ctx context.Context, pool *pgxpool.Pool, roles []string) (sessionState, error) {
	rows, err := pool.Query(ctx, `
		SELECT current_user AS user, current_setting('synchronous_commit') AS synchronous_commit,
		    coalesce(current_setting('app.organization_id', true), '') <> '' AS has_organization,
		    coalesce((SELECT bool_or(pg_has_role(current_user, oid, 'USAGE')) FROM pg_roles WHERE rolname = ANY ($1)), false) AS has_role`, roles)
	if err != nil {
		return sessionState{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[sessionState])
}

func (s sessionState) unsafe() (all []Unfit) {
	if s.SynchronousCommit == "off" {
		all = append(all, Unfit{TopicSession, "synchronous_commit is off, so that rows that were confirmed can be lost", "set it to on"})
	}
	if s.HasOrganization {
		all = append(all, Unfit{TopicSession, fmt.Sprintf("app.organization_id is set for database user %q or the database, "+
			"so that a query that names no organization sees that one", s.User), "ALTER ROLE or DATABASE … RESET app.organization_id"})
	}
	return all
}

// harmlessRoles are the predefined roles that show the server's state and no rows.
var harmlessRoles = []string{"pg_monitor", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables", "pg_signal_backend", "pg_checkpoint",
	"pg_use_reserved_connections", "pg_signal_autovacuum_worker"}

// selectUserRoles returns the user, and the roles that it is a member of, at any depth
// and also where it would only have to SET ROLE, with what each of these owns.
const selectUserRoles = `
WITH RECURSIVE reachable AS (
    SELECT oid FROM pg_roles WHERE rolname IN (current_user, session_user)
    UNION
    SELECT roleid FROM reachable JOIN pg_auth_members ON member = reachable.oid
), owned AS (
    SELECT 'the database ' || datname AS what, datdba AS owner FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'the schema ledgerline', nspowner FROM pg_namespace WHERE nspname = 'ledgerline'
    UNION ALL SELECT 'ledgerline.' || relname, relowner FROM pg_class WHERE relnamespace = 'ledgerline'::regnamespace AND relkind NOT IN ('i', 'I', 't', 'c')
    UNION ALL SELECT 'ledgerline.' || proname || '()', proowner FROM pg_proc WHERE pronamespace = 'ledgerline'::regnamespace
)
SELECT rolname AS name, rolname IN (current_user, session_user) AS self, rolsuper AS super, rolbypassrls AS bypass_rls,
    rolcreaterole AS create_role, rolreplication AS replication,
    coalesce((SELECT array_agg(what ORDER BY what) FROM owned WHERE owner = reachable.oid), '{}') AS owns
FROM reachable JOIN pg_roles USING (oid) ORDER BY rolname`

type userRole struct {
	Name                                      string
	Self                                      bool
	Super, BypassRLS, CreateRole, Replication bool
	Owns                                      []string
}

// unsafeUser returns why row-level security and the rights of the roles do not bind
// the user: what it is, what it is a member of, and what any of these own.
func unsafeUser(ctx context.Context, pool *pgxpool.Pool) (all []Unfit, err error) {
	rows, err := pool.Query(ctx, selectUserRoles)
	if err != nil {
		return nil, err
	}
	roles, err := pgx.CollectRows(rows, pgx.RowToStructByName[userRole])
	if err != nil {
		return nil, err
	}
	var user string
	for _, role := range roles {
		if role.Self {
			user = role.Name
		}
	}
	for _, role := range roles {
		who := fmt.Sprintf("database user %q", role.Name)
		remedy := "use a user with the role that the program needs, and no other"
		if !role.Self {
			who = fmt.Sprintf("database user %q is a member of %s, which", user, role.Name)
			remedy = fmt.Sprintf("REVOKE %s FROM the role that has it", role.Name)
		}
		for _, what := range role.unsafe() {
			all = append(all, Unfit{TopicUser, who + " " + what, remedy})
		}
	}
	return all, nil
}

// unsafe returns what is wrong with having the role.
func (role userRole) unsafe() (all []string) {
	for _, c := range []struct {
		applies bool
		what    string
	}{
		{role.Super, "is a superuser, to whom row-level security does not apply"},
		{role.BypassRLS && !role.Super, "has BYPASSRLS"},
		{role.CreateRole && !role.Super, "has CREATEROLE and could become ledgerline_owner"},
		{role.Replication && !role.Super, "has REPLICATION and could copy all rows"},
		{role.Name == "ledgerline_owner", "owns the schema and could change the rules"},
		{strings.HasPrefix(role.Name, "pg_") && !slices.Contains(harmlessRoles, role.Name), "goes around row-level security or the server's files"},
	} {
		if c.applies {
			all = append(all, c.what)
		}
	}
	if n := len(role.Owns); n > 0 && role.Name != "ledgerline_owner" {
		owns := "owns " + strings.Join(role.Owns[:min(n, 3)], ", ")
		if n > 3 {
			owns += fmt.Sprintf(" and %d more", n-3)
		}
		all = append(all, owns)
	}
	return all
}
