package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SelfCheckOptions says what [SelfCheck] demands.
type SelfCheckOptions struct {
	Role  string // that the current user must have, such as "ledgerline_worker"
	Relax bool   // report an unsafe user or setting as a warning: development only
}

// SelfCheck refuses to work with a database in which the rules do not hold: a
// schema that this program does not fit, a user who can go around the rules, a
// catalogue that differs from what the migrations make, a commit that can be
// lost, a missing partition. It says everything that it finds. What Relax lets
// pass comes back as warnings.
func SelfCheck(ctx context.Context, pool *pgxpool.Pool, c SelfCheckOptions) (warnings []string, err error) {
	schema, err := storedSchema(ctx, pool)
	if err == nil {
		err = schema.fits()
	}
	if err != nil {
		return nil, err
	}
	unsafe, err := unsafeUser(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("asking for the rights of the database user: %w", err)
	}
	var user, commit string
	var member, organization bool
	err = pool.QueryRow(ctx, `SELECT current_user, current_setting('synchronous_commit'), coalesce(current_setting('app.organization_id', true), '') <> '',
		coalesce((SELECT pg_has_role(current_user, oid, 'USAGE') FROM pg_roles WHERE rolname = $1), false)`, c.Role).Scan(&user, &commit, &organization, &member)
	if err != nil {
		return nil, err
	}
	if commit == "off" {
		unsafe = append(unsafe, "synchronous_commit is off: rows that were confirmed can be lost; set it to on")
	}
	if organization {
		unsafe = append(unsafe, fmt.Sprintf("app.organization_id is set for database user %q or the database, so that what names no organization sees that one: ALTER ROLE or DATABASE … RESET app.organization_id", user))
	}
	var faults []error
	if c.Relax {
		warnings = unsafe
	} else {
		for _, u := range unsafe {
			faults = append(faults, errors.New(u))
		}
	}
	if !member {
		faults = append(faults, fmt.Errorf("database user %q lacks the role %s: use a login that has it, or GRANT it to one that has no other", user, c.Role))
	}
	is, err := readCatalogue(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("reading the catalogue: %w", err)
	}
	want := catalogue
	if schema.version > SchemaVersion() {
		want = schema.catalogue // what a newer program has left there
	}
	for _, d := range differences(linesOf(want), is) {
		faults = append(faults, errors.New("the schema is not as starter migrate made it: "+d))
	}
	missing, err := names(ctx, pool, `
		SELECT to_char(m, 'YYYY_MM') FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
		    date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month', interval '1 month') m
		WHERE NOT EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		    WHERE inhparent = 'ledgerline.integration_run_logs'::regclass AND c.relname = 'integration_run_logs_' || to_char(m, 'YYYY_MM'))`)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		faults = append(faults, fmt.Errorf("integration_run_logs has no partition for %s: the worker makes them at start; SELECT ledgerline.make_partitions(2, 4)", strings.Join(missing, ", ")))
	}
	return warnings, errors.Join(faults...)
}

// harmless are the predefined roles that show the server's state and no rows.
var harmless = []string{"pg_monitor", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables", "pg_signal_backend", "pg_checkpoint",
	"pg_use_reserved_connections", "pg_signal_autovacuum_worker"}

// unsafeUser says why row-level security and the rights of the roles do not bind
// the user: what it is, what it is a member of, at any depth and also where it
// would only have to SET ROLE, and what any of these own.
func unsafeUser(ctx context.Context, pool *pgxpool.Pool) (all []string, err error) {
	rows, err := pool.Query(ctx, `
		WITH RECURSIVE reach AS (
		    SELECT oid FROM pg_roles WHERE rolname IN (current_user, session_user)
		    UNION
		    SELECT m.roleid FROM reach JOIN pg_auth_members m ON m.member = reach.oid
		), owned AS (
		    SELECT 'the database ' || datname AS what, datdba AS owner FROM pg_database WHERE datname = current_database()
		    UNION ALL SELECT 'the schema ledgerline', nspowner FROM pg_namespace WHERE nspname = 'ledgerline'
		    UNION ALL SELECT 'ledgerline.' || relname, relowner FROM pg_class WHERE relnamespace = 'ledgerline'::regnamespace AND relkind NOT IN ('i', 'I', 't', 'c')
		    UNION ALL SELECT 'ledgerline.' || proname || '()', proowner FROM pg_proc WHERE pronamespace = 'ledgerline'::regnamespace
		)
		SELECT rolname, rolname IN (current_user, session_user), rolsuper, rolbypassrls, rolcreaterole, rolreplication,
		       coalesce((SELECT array_agg(what ORDER BY what) FROM owned WHERE owner = r.oid), '{}')
		FROM reach JOIN pg_roles r USING (oid) ORDER BY rolname`)
	if err != nil {
		return nil, err
	}
	type role struct {
		Name                                    string
		Self, Super, Bypass, Create, Replicates bool
		Owns                                    []string
	}
	roles, err := pgx.CollectRows(rows, pgx.RowToStructByPos[role])
	if err != nil {
		return nil, err
	}
	var user string
	for _, r := range roles {
		if r.Self {
			user = r.Name
		}
	}
	for _, r := range roles {
		who := fmt.Sprintf("database user %q", r.Name)
		remedy := "use a user with the role that the program needs, and no other"
		if !r.Self {
			who = fmt.Sprintf("database user %q is a member of %s, which", user, r.Name)
			remedy = fmt.Sprintf("REVOKE %s FROM the role that has it", r.Name)
		}
		say := func(is bool, what string) {
			if is {
				all = append(all, who+" "+what+": "+remedy)
			}
		}
		say(r.Super, "is a superuser, whom row-level security does not bind")
		say(r.Bypass && !r.Super, "has BYPASSRLS")
		say(r.Create && !r.Super, "has CREATEROLE and could become ledgerline_owner")
		say(r.Replicates && !r.Super, "has REPLICATION and could copy all rows")
		say(r.Name == "ledgerline_owner", "owns the schema and could change the rules")
		say(strings.HasPrefix(r.Name, "pg_") && !slices.Contains(harmless, r.Name), "goes around row-level security or the server's files")
		if n := len(r.Owns); n > 0 && r.Name != "ledgerline_owner" {
			what := strings.Join(r.Owns[:min(n, 3)], ", ")
			if n > 3 {
				what += fmt.Sprintf(" and %d more", n-3)
			}
			say(true, "owns "+what)
		}
	}
	return all, nil
}
