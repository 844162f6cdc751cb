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

// rolesOfLogin are the login and every role that it is or can become, with what
// each could do. A session that began as another role can go back to it, so
// session_user counts and not what an option set since.
const rolesOfLogin = `
SELECT r.rolname, r.rolconnlimit BETWEEN 0 AND 1, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication,
    r.rolname LIKE 'ledgerline\_%' AND r.rolname <> session_user, r.rolname LIKE 'pg\_%',
    EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname = current_database() AND d.datdba = r.oid),
    EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = 'ledgerline' AND has_schema_privilege(r.oid, n.oid, 'USAGE, CREATE')),
    EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'ledgerline' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND (has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES') OR has_table_privilege(r.oid, c.oid, 'DELETE, TRUNCATE, TRIGGER')))
FROM pg_catalog.pg_roles r
WHERE r.rolname = session_user OR (pg_has_role(session_user, r.oid, 'MEMBER') AND r.rolname <> 'pg_database_owner'
    AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user))
ORDER BY r.rolname <> session_user, r.rolname`

type loginRole struct {
	Name                                      string
	Alone                                     bool // it has one connection at a time
	Super, BypassRLS, CreateRole, Replication bool
	Ledgerline, Predefined, Owner             bool
	Schema, Tables                            bool // rights of Ledgerline's
}

// loginFaults are the rights by which code that runs as the login could reach
// more than the sources that it may read, each with what takes it away.
func loginFaults(ctx context.Context, conn *pgx.Conn) (faults []string, err error) {
	rows, err := conn.Query(ctx, rolesOfLogin)
	if err != nil {
		return nil, err
	}
	roles, err := pgx.CollectRows(rows, pgx.RowToStructByPos[loginRole])
	if err != nil || len(roles) == 0 {
		return nil, errors.Join(errors.New("the rights of the login of the sources cannot be read"), err)
	}
	login := strconv.Quote(roles[0].Name)
	for i, r := range roles {
		name := strconv.Quote(r.Name)
		attribute := func(has bool, what, take string) {
			switch {
			case has && i == 0:
				faults = append(faults, fmt.Sprintf("the login %s %s: ALTER ROLE %s %s, or make another login", login, what, login, take))
			case has:
				faults = append(faults, fmt.Sprintf("the login %s is a member of %s, which %s: REVOKE %s FROM %s", login, name, what, name, login))
			}
		}
		if attribute(r.Super, "is a superuser", "NOSUPERUSER"); r.Super {
			continue // it has every right
		}
		attribute(r.BypassRLS, "has BYPASSRLS", "NOBYPASSRLS")
		attribute(r.CreateRole, "has CREATEROLE", "NOCREATEROLE")
		attribute(r.Replication, "has REPLICATION", "NOREPLICATION")
		if r.Alone && i == 0 {
			faults = append(faults, fmt.Sprintf("the login %s has a CONNECTION LIMIT below 2, and a reading takes two connections: ALTER ROLE %s CONNECTION LIMIT 20", login, login))
		}
		if r.Ledgerline || r.Predefined {
			faults = append(faults, fmt.Sprintf("the login %s is a member of %s: REVOKE %s FROM %s", login, name, name, login))
			continue // its rights go with it
		}
		if r.Owner {
			faults = append(faults, fmt.Sprintf("%s, which the login %s is or can become, owns the database: ALTER DATABASE … OWNER TO another", name, login))
		}
		if r.Schema {
			faults = append(faults, fmt.Sprintf("%s, which the login %s is or can become, may use schema ledgerline: REVOKE ALL ON SCHEMA ledgerline FROM %s, and FROM PUBLIC", name, login, name))
		}
		if r.Tables {
			faults = append(faults, fmt.Sprintf("%s, which the login %s is or can become, has rights on Ledgerline's tables: REVOKE ALL ON ALL TABLES IN SCHEMA ledgerline FROM %s, and FROM PUBLIC", name, login, name))
		}
	}
	return faults, nil
}

// CheckLogin returns what makes the login of the sources unfit; nothing also if there
// is none, or one for each organization. Every reading checks the same.
func (s *Sources) CheckLogin(ctx context.Context) (unfit []string, err error) {
	if s == nil || s.address == "" || strings.Contains(s.address, PerOrganization) {
		return nil, nil
	}
	err = s.look(ctx, uuid.Nil, func(pgx.Tx) error { return nil })
	if faults := refusedLogin(nil); errors.As(err, &faults) {
		return faults, nil
	}
	return nil, err
}

// look runs fn in a transaction of the login of the sources, which is read-only and
// never committed. What fn leaves in the session ends with its connection.
func (s *Sources) look(ctx context.Context, organization uuid.UUID, fn func(pgx.Tx) error) error {
	config, err := s.login(organization)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"application_name": "ledgerline source", "timezone": "UTC", "datestyle": "ISO", "lock_timeout": "5000",
		"statement_timeout": strconv.FormatInt(s.Timeout.Milliseconds(), 10), "idle_in_transaction_session_timeout": "180000",
		"default_transaction_read_only": "on", "client_min_messages": "error",
	} {
		config.RuntimeParams[name] = value // what the address says does not count
	}
	ours := config.Copy()
	ours.RuntimeParams["search_path"] = "pg_catalog, pg_temp" // nobody else's function answers for the login
	first, err := pgx.ConnectConfig(ctx, ours)
	if err != nil {
		return err
	}
	g := &guard{ours, first}
	defer g.close()
	faults, err := loginFaults(ctx, first)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return refusedLogin(faults)
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

// refusedLogin is what is wrong with the login.
type refusedLogin []string

func (r refusedLogin) Error() string { return SourceVariable + ": " + joined(r) }

// end ends the session of an organization's reading, or remembers that it is left.
func (s *Sources) end(g *guard, organization uuid.UUID, of session) error {
	if err := g.end(of); err != nil {
		s.left.Store(organization, of)
		s.Log.Error("the session of a source goes on after its reading; its organization reads no source until it has ended", "organization_id", organization, "pid", of.pid, "started", of.started, "error", err)
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
