package runlog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// SchemaVersion is the version of the schema that this program works with.
func SchemaVersion() int64 {
	entries, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		panic(err) // embedded
	}
	return int64(len(entries)) // numbered from 1 without gaps; a test holds them to it
}

// Migrate brings the schema to [SchemaVersion] and says where it was and is.
// An advisory lock makes it safe to run at several places at once. It needs a
// user who may create roles, and refuses a schema that is newer than it knows.
func Migrate(ctx context.Context, pool *pgxpool.Pool) (from, to int64, err error) {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, 0, err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return 0, 0, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return 0, 0, err
	}
	from, err = provider.GetDBVersion(ctx)
	if err != nil {
		return 0, 0, err
	}
	if from > SchemaVersion() {
		return from, from, tooNew(from)
	}
	if _, err := provider.Up(ctx); err != nil {
		return from, from, err
	}
	to, err = provider.GetDBVersion(ctx)
	return from, to, err
}

func tooNew(version int64) error {
	return fmt.Errorf("the database schema has version %d and this program knows %d: use a newer ledgerline", version, SchemaVersion())
}

// Checks of [SelfCheck].
type Check struct {
	Role  string // that the current user must have, such as "ledgerline_worker"
	Relax bool   // report an unsafe user or setting as a warning: development only
}

// SelfCheck refuses to work with a database in which the rules do not hold: a
// schema of another version, a user whom row-level security does not bind, a
// table without it, a commit that can be lost, a missing partition. What Relax
// lets pass comes back as warnings.
func SelfCheck(ctx context.Context, pool *pgxpool.Pool, c Check) (warnings []string, err error) {
	version, err := schemaVersion(ctx, pool)
	switch {
	case err != nil:
		return nil, err
	case version < SchemaVersion():
		return nil, fmt.Errorf("the database schema has version %d and this program needs %d: run starter migrate", version, SchemaVersion())
	case version > SchemaVersion():
		return nil, tooNew(version)
	}
	var user string
	var superuser, bypass, member, owner bool
	var commit string
	err = pool.QueryRow(ctx, `
		SELECT current_user, rolsuper, rolbypassrls, pg_has_role(current_user, $1, 'MEMBER'),
		       pg_has_role(current_user, 'ledgerline_owner', 'MEMBER'), current_setting('synchronous_commit')
		FROM pg_roles WHERE rolname = current_user`, c.Role).
		Scan(&user, &superuser, &bypass, &member, &owner, &commit)
	if err != nil {
		return nil, fmt.Errorf("asking for the rights of the database user: %w", err)
	}
	var faults []error
	unsafe := func(format string, args ...any) {
		if c.Relax {
			warnings = append(warnings, fmt.Sprintf(format, args...))
		} else {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	switch {
	case superuser:
		unsafe("database user %q is a superuser, whom row-level security does not bind: use a user with the role %s only", user, c.Role)
	case bypass:
		unsafe("database user %q has BYPASSRLS: take it away", user)
	case owner:
		unsafe("database user %q has the role ledgerline_owner and could change the rules: take it away", user)
	case !member:
		faults = append(faults, fmt.Errorf("database user %q lacks the role: GRANT %s TO %q", user, c.Role, user))
	}
	if slices.Contains([]string{"off"}, commit) {
		unsafe("synchronous_commit is off: rows that were confirmed can be lost; set it to on")
	}
	open, err := names(ctx, pool, `
		SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'ledgerline' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
		ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	if len(open) > 0 {
		faults = append(faults, fmt.Errorf("row-level security is not enabled and forced on %s: run ALTER TABLE … FORCE ROW LEVEL SECURITY", strings.Join(open, ", ")))
	}
	missing, err := names(ctx, pool, `
		SELECT to_char(m, 'YYYY_MM') FROM generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
		    date_trunc('month', now() AT TIME ZONE 'UTC') + interval '1 month', interval '1 month') m
		WHERE to_regclass('ledgerline.integration_run_logs_' || to_char(m, 'YYYY_MM')) IS NULL`)
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		faults = append(faults, fmt.Errorf("integration_run_logs has no partition for %s: the worker makes them at start; SELECT ledgerline.make_partitions(2, 4)", strings.Join(missing, ", ")))
	}
	return warnings, errors.Join(faults...)
}

func schemaVersion(ctx context.Context, pool *pgxpool.Pool) (version int64, err error) {
	var there bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&there); err != nil {
		return 0, err
	}
	if !there {
		return 0, nil
	}
	err = pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return version, err
}

func names(ctx context.Context, pool *pgxpool.Pool, query string) ([]string, error) {
	rows, err := pool.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// EnsurePartitions makes the partitions of the months around now: two back,
// for runs that started before, and four ahead. It needs the worker's role.
func EnsurePartitions(ctx context.Context, pool *pgxpool.Pool) (made int, err error) {
	err = pool.QueryRow(ctx, `SELECT ledgerline.make_partitions(2, 4)`).Scan(&made)
	return made, err
}

// DropPartitions drops the months that ended more than keep months ago and
// returns the names of the tables. It needs the retention role.
func DropPartitions(ctx context.Context, pool *pgxpool.Pool, keep int) ([]string, error) {
	rows, err := pool.Query(ctx, `SELECT ledgerline.drop_partitions($1)`, keep)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
