package runlog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// selectLoginRoles returns the login and every role that it is or can become, with
// what each could do. A session that began as another role can go back to it, so
// session_user counts and not what an option set since.
const selectLoginRoles = `
SELECT role.rolname AS name, role.rolconnlimit BETWEEN 0 AND 1 AS one_connection,
    role.rolsuper AS super, role.rolbypassrls AS bypass_rls, role.rolcreaterole AS create_role, role.rolreplication AS replication,
    role.rolname LIKE 'ledgerline\_%' AND role.rolname <> session_user AS ledgerline, role.rolname LIKE 'pg\_%' AS predefined,
    EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = current_database() AND datdba = role.oid) AS owner,
    EXISTS (SELECT FROM pg_catalog.pg_namespace AS namespace
        WHERE nspname = 'ledgerline' AND has_schema_privilege(role.oid, namespace.oid, 'USAGE, CREATE')) AS may_use_schema,
    EXISTS (SELECT FROM pg_catalog.pg_class AS relation JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
        WHERE nspname = 'ledgerline' AND relkind IN ('r', 'p', 'v', 'm', 'f')
          AND (has_any_column_privilege(role.oid, relation.oid, 'SELECT, INSERT, UPDATE, REFERENCES')
            OR has_table_privilege(role.oid, relation.oid, 'DELETE, TRUNCATE, TRIGGER'))) AS may_use_tables
FROM pg_catalog.pg_roles AS role
WHERE role.rolname = session_user OR (pg_has_role(session_user, role.oid, 'MEMBER') AND role.rolname <> 'pg_database_owner'
    AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user))
ORDER BY role.rolname <> session_user, role.rolname`

type loginRole struct {
	Name                                      string
	OneConnection                             bool // it may have one connection at a time, or none
	Super, BypassRLS, CreateRole, Replication bool
	Ledgerline, Predefined                    bool
	Owner                                     bool // of the database
	MayUseSchema, MayUseTables                bool // Ledgerline's
}

// checkLogin returns the rights by which code that runs as the login could reach more
// than the sources that it may read, each with what takes it away.
func checkLogin(ctx context.Context, conn *pgx.Conn) (problems []string, err error) {
	rows, err := conn.Query(ctx, selectLoginRoles)
	if err != nil {
		return nil, err
	}
	roles, err := pgx.CollectRows(rows, pgx.RowToStructByName[loginRole])
	if err != nil || len(roles) == 0 {
		return nil, errors.Join(errors.New("the rights of the login of the sources cannot be read"), err)
	}
	login := strconv.Quote(roles[0].Name)
	if roles[0].OneConnection && !roles[0].Super {
		problems = append(problems, fmt.Sprintf("the login %s has a CONNECTION LIMIT below 2, and a reading takes two connections: ALTER ROLE %s CONNECTION LIMIT 20", login, login))
	}
	for _, role := range roles {
		problems = append(problems, role.problems(login)...)
	}
	return problems, nil
}

// problems returns the rights that the login has by being the role or a member of it.
func (role loginRole) problems(login string) (problems []string) {
	name := strconv.Quote(role.Name)
	for _, attribute := range []struct {
		has        bool
		what, take string
	}{
		{role.Super, "is a superuser", "NOSUPERUSER"},
		{role.BypassRLS && !role.Super, "has BYPASSRLS", "NOBYPASSRLS"},
		{role.CreateRole && !role.Super, "has CREATEROLE", "NOCREATEROLE"},
		{role.Replication && !role.Super, "has REPLICATION", "NOREPLICATION"},
	} {
		switch {
		case attribute.has && name == login:
			problems = append(problems, fmt.Sprintf("the login %s %s: ALTER ROLE %s %s, or make another login", login, attribute.what, login, attribute.take))
		case attribute.has:
			problems = append(problems, fmt.Sprintf("the login %s is a member of %s, which %s: REVOKE %s FROM %s", login, name, attribute.what, name, login))
		}
	}
	if role.Super {
		return problems // it has every right
	}
	if role.Ledgerline || role.Predefined {
		return append(problems, fmt.Sprintf("the login %s is a member of %s: REVOKE %s FROM %s", login, name, name, login)) // its rights go with it
	}
	if role.Owner {
		problems = append(problems, fmt.Sprintf("%s, which the login %s is or can become, owns the database: ALTER DATABASE … OWNER TO another", name, login))
	}
	if role.MayUseSchema {
		problems = append(problems, fmt.Sprintf("%s, which the login %s is or can become, may use schema ledgerline: REVOKE ALL ON SCHEMA ledgerline FROM %s, and FROM PUBLIC", name, login, name))
	}
	if role.MayUseTables {
		problems = append(problems, fmt.Sprintf("%s, which the login %s is or can become, has rights on Ledgerline's tables: REVOKE ALL ON ALL TABLES IN SCHEMA ledgerline FROM %s, and FROM PUBLIC", name, login, name))
	}
	return problems
}

// CheckLogin returns what makes the login of the sources unfit; nothing also if there
// is none, or one for each organization. Every reading checks the same.
func (s *Sources) CheckLogin(ctx context.Context) (unfit []string, err error) {
	if s == nil || s.address == "" || strings.Contains(s.address, perOrganization) {
		return nil, nil
	}
	err = s.look(ctx, uuid.Nil, func(pgx.Tx) error { return nil })
	if problems := refusedLogin(nil); errors.As(err, &problems) {
		return problems, nil
	}
	return nil, err
}

// look runs fn in a transaction of the login of the sources, which is read-only and
// never committed. What fn leaves in the session ends with its connection.
func (s *Sources) look(ctx context.Context, organization uuid.UUID, fn func(pgx.Tx) error) error {
	config, err := s.sessionConfig(organization)
	if err != nil {
		return err
	}
	g, err := connectGuard(ctx, config)
	if err != nil {
		return err
	}
	defer g.close()
	problems, err := checkLogin(ctx, g.conn)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return refusedLogin(problems)
	}
	if left, ok := s.left.Load(organization); ok {
		if err := s.end(g, organization, left.(session)); err != nil {
			return err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	// Ends it also if this process is killed, unless code of the source resets it. PostgreSQL 14, and not on every system.
	_, _ = conn.Exec(ctx, "SET client_connection_check_interval = '5s'")
	self, err := g.know(ctx, conn)
	if err != nil {
		return err
	}
	defer func() {
		if conn.IsClosed() || conn.PgConn().IsBusy() { // it was given up, and code that catches every error may run on there
			_ = s.end(g, organization, self)
		}
	}()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	if organization != uuid.Nil { // for views that filter by it
		if _, err := tx.Exec(ctx, setOrganization, organization.String()); err != nil {
			return err
		}
	}
	return fn(tx)
}

// sessionConfig is how to connect for a reading of an organization. What the address
// says of these parameters does not count.
func (s *Sources) sessionConfig(organization uuid.UUID) (*pgx.ConnConfig, error) {
	config, err := s.login(organization)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"application_name": "ledgerline source", "timezone": "UTC", "datestyle": "ISO", "lock_timeout": "5000",
		"statement_timeout": strconv.FormatInt(s.Timeout.Milliseconds(), 10), "idle_in_transaction_session_timeout": "180000",
		"default_transaction_read_only": "on", "client_min_messages": "error",
	} {
		config.RuntimeParams[name] = value
	}
	return config, nil
}

// refusedLogin is what is wrong with the login.
type refusedLogin []string

func (r refusedLogin) Error() string { return SourceVariable + ": " + joined(r) }

// end ends the session of an organization's reading, or remembers that it is left.
func (s *Sources) end(g *guard, organization uuid.UUID, of session) error {
	if err := g.end(of); err != nil {
		s.left.Store(organization, of)
		s.Log.Error("the session of a source runs on after its reading; its organization reads no source until it has ended", "organization_id", organization, "pid", of.pid, "started", of.started, "error", err)
		return err
	}
	s.left.Delete(organization)
	return nil
}

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
