package runlog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// asOwner runs fn as the role ledgerline_owner, on one connection, and lets only
// one caller per database do so at a time. The user of the pool needs no more
// than CREATEROLE and the right to create a schema, or where the roles exist,
// membership in ledgerline_owner: as a superuser, who is bound by nothing, or as
// the owner of a managed database. What it is granted for that is revoked again.
func asOwner(ctx context.Context, pool *pgxpool.Pool, fn func(*sql.DB) error) (err error) {
	config := pool.Config().ConnConfig.Copy()
	config.RuntimeParams["statement_timeout"] = "0"                   // a migration takes as long as it takes
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "0" // but waits for no lock longer than callers do
	config.RuntimeParams["search_path"] = "pg_catalog, pg_temp"       // names of ours are written out
	var granted bool
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) (err error) {
		granted, err = becomeOwner(ctx, conn)
		return err
	}))
	db.SetMaxOpenConns(1)
	defer db.Close()
	defer func() {
		if granted {
			_, revokeErr := db.ExecContext(context.WithoutCancel(ctx), `RESET ROLE; REVOKE ledgerline_owner FROM CURRENT_USER`)
			if !contended(revokeErr) { // another database of the cluster takes it away at this moment
				err = errors.Join(err, revokeErr)
			}
		}
	}()
	if err := db.PingContext(ctx); err != nil {
		return err
	}
	return fn(db)
}

// prepareOwner makes what is missing of the roles and the schema, and gives the
// owner what it does not own: a database that was restored with --no-owner
// belongs to whoever restored it. Roles are groups without a login: a deployment
// creates its own users and makes them members. They belong to the cluster, so
// another database may be creating them at this moment.
//
// Since PostgreSQL 16 a user who creates a role may grant it, and cannot act as it
// before having granted it to itself; 15 lets CREATEROLE do both with any role.
const prepareOwner = `
DO $$
DECLARE
    r     text;
    newer boolean := current_setting('server_version_num')::integer >= 160000;
BEGIN
    FOREACH r IN ARRAY ARRAY['ledgerline_owner', 'ledgerline_worker', 'ledgerline_operator', 'ledgerline_reader', 'ledgerline_retention', 'ledgerline_console'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', r);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
    IF NOT pg_has_role(current_user, 'ledgerline_owner', CASE WHEN newer THEN 'SET' ELSE 'MEMBER' END) THEN
        EXECUTE 'GRANT ledgerline_owner TO CURRENT_USER' || CASE WHEN newer THEN ' WITH SET TRUE, INHERIT TRUE' ELSE '' END;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'ledgerline') THEN
        CREATE SCHEMA ledgerline AUTHORIZATION ledgerline_owner;
    END IF;
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'ledgerline' AND nspowner <> 'ledgerline_owner'::regrole) THEN
        GRANT ALL ON SCHEMA ledgerline TO ledgerline_owner;
    END IF;
    FOR r IN
        SELECT format('ALTER %s ledgerline.%I OWNER TO ledgerline_owner',
            CASE relation.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relation.relname)
        FROM pg_class AS relation WHERE relation.relnamespace = 'ledgerline'::regnamespace AND relation.relowner <> 'ledgerline_owner'::regrole
          AND (relation.relkind IN ('r', 'p', 'v', 'm')
            OR relation.relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend AS dependency WHERE dependency.objid = relation.oid AND dependency.deptype IN ('a', 'i')))
        UNION ALL
        SELECT format('ALTER ROUTINE ledgerline.%I(%s) OWNER TO ledgerline_owner', routine.proname, pg_get_function_identity_arguments(routine.oid))
        FROM pg_proc AS routine WHERE routine.pronamespace = 'ledgerline'::regnamespace AND routine.proowner <> 'ledgerline_owner'::regrole
        UNION ALL
        SELECT 'ALTER SCHEMA ledgerline OWNER TO ledgerline_owner'
        FROM pg_namespace WHERE nspname = 'ledgerline' AND nspowner <> 'ledgerline_owner'::regrole
    LOOP
        EXECUTE r;
    END LOOP;
    SET ROLE ledgerline_owner;
END
$$`

// maxTries is how often becomeOwner begins again because another database of the
// cluster changes the same roles.
const maxTries = 20

// migrationLock is the key of the advisory lock that whoever migrates a database holds.
const migrationLock = `hashtextextended('ledgerline.migrate', 0)`

// becomeOwner lets the session act as ledgerline_owner until it ends, and
// reports whether the user has made itself a member for that.
func becomeOwner(ctx context.Context, conn *pgx.Conn) (granted bool, err error) {
	const lock = `SET lock_timeout = 0; SELECT pg_advisory_lock(` + migrationLock + `); RESET lock_timeout`
	if _, err := conn.Exec(ctx, lock, pgx.QueryExecModeSimpleProtocol); err != nil {
		return false, fmt.Errorf("waiting for another migration: %w", err)
	}
	for try := 1; ; try++ {
		_, err = conn.Exec(ctx, prepareOwner, pgx.QueryExecModeSimpleProtocol)
		if try == maxTries || !contended(err) {
			break
		}
		time.Sleep(time.Duration(try) * 10 * time.Millisecond)
	}
	if err != nil {
		return false, installError(err)
	}
	// Also by a migration before that was killed.
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_auth_members WHERE roleid = 'ledgerline_owner'::regrole AND member = grantor AND member = session_user::regrole)`).Scan(&granted)
	return granted, err
}

// contended reports whether somebody else changed the same role at the same
// time: another database of the cluster that is being migrated.
func contended(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "XX000" && pg.Message == "tuple concurrently updated" || pg.Code == "XX000" && pg.Message == "tuple concurrently deleted" ||
		pg.Code == "23505" || pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "42501" && pg.Message == `permission denied to set role "ledgerline_owner"`)
}

// installError adds what the user lacks.
func installError(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		return fmt.Errorf("%w (the user who migrates needs CREATEROLE, CREATE on the database, and either to have made the ledgerline_ roles or GRANT ledgerline_owner TO it WITH ADMIN OPTION; "+
			"whoever restored a database migrates it first)", err)
	}
	return err
}
