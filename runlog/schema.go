package runlog

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// SchemaVersion is the version of the schema that this program works with: the
// number of its last migration.
func SchemaVersion() int64 {
	entries, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		panic(err) // embedded
	}
	last, err := strconv.ParseInt(entries[len(entries)-1].Name()[:5], 10, 64)
	if err != nil {
		panic(err) // embedded; a test reads the names
	}
	return last
}

// Migrate brings the schema to [SchemaVersion] and returns the versions before and
// after. If there is nothing to migrate, it still gives the owner what a restore has
// given to another user, and the roles their rights. It is safe to run in several
// places at once. It needs a user who may create roles and the schema, but no
// superuser. It refuses a schema that is newer than it knows.
func Migrate(ctx context.Context, pool *pgxpool.Pool) (from, to int64, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, 0, err
	}
	err = withProvider(ctx, pool, files, func(db *sql.DB, p *goose.Provider) error {
		if from, err = p.GetDBVersion(ctx); err != nil {
			return err
		}
		if to = from; from > SchemaVersion() {
			return tooNew(from)
		}
		if from > 0 && from < SchemaVersion() {
			// Programs of the version before check the schema against this as soon as its number
			// is higher than theirs; those that start meanwhile must not find it changed by hand.
			if _, err := db.ExecContext(ctx, `UPDATE ledgerline.schema_serves SET catalogue = $1`, catalogue); err != nil {
				return err
			}
		}
		if _, err := p.Up(ctx); err != nil {
			return err
		}
		if to, err = p.GetDBVersion(ctx); err != nil {
			return err
		}
		return setRights(ctx, db)
	})
	return from, to, err
}

// withProvider runs fn as the owner with a provider of migrations. The table of those
// that have been applied is in the schema itself, where no other program looks.
func withProvider(ctx context.Context, pool *pgxpool.Pool, files fs.FS, fn func(*sql.DB, *goose.Provider) error) error {
	return asOwner(ctx, pool, func(db *sql.DB) error {
		p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName("ledgerline.goose_db_version"))
		if err != nil {
			return err
		}
		return fn(db, p)
	})
}

func tooNew(version int64) Unfit {
	return Unfit{TopicSchema, fmt.Sprintf("the database schema has version %d and this program knows %d", version, SchemaVersion()), "use a newer ledgerline"}
}

// schemaState is what a database says of its schema.
type schemaState struct {
	version    int64  // 0 if there is none
	servesFrom int64  // the schema of the oldest program that can work with it; 0 if it does not say
	catalogue  string // what [catalogue] was when the migration ended
}

func loadSchemaState(ctx context.Context, pool *pgxpool.Pool) (s schemaState, err error) {
	var migrated, hasServes bool
	// Not to_regclass, which fails for a user who may not look into the schema.
	const tables = `SELECT coalesce(bool_or(relname = 'goose_db_version'), false), coalesce(bool_or(relname = 'schema_serves'), false)
		FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname = 'ledgerline'`
	if err := pool.QueryRow(ctx, tables).Scan(&migrated, &hasServes); err != nil || !migrated {
		return s, err
	}
	err = pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM ledgerline.goose_db_version WHERE is_applied`).Scan(&s.version)
	if err == nil && hasServes {
		err = pool.QueryRow(ctx, `SELECT serves_from, catalogue FROM ledgerline.schema_serves`).Scan(&s.servesFrom, &s.catalogue)
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		err = fmt.Errorf("the database user may not look into the schema ledgerline: it needs one of the roles ledgerline_worker, ledgerline_operator or ledgerline_reader: %w", err)
	}
	return s, err
}

// check refuses a schema with which this program cannot work. An older program works
// with a newer schema that says so: while programs are replaced one by one, old
// and new ones run beside each other.
func (s schemaState) check() *Unfit {
	switch {
	case s.version < SchemaVersion():
		return &Unfit{TopicSchema, fmt.Sprintf("the database schema has version %d and this program needs %d", s.version, SchemaVersion()), "run starter migrate"}
	case s.version > SchemaVersion() && (s.servesFrom == 0 || s.servesFrom > SchemaVersion()):
		p := tooNew(s.version)
		return &p
	}
	return nil
}

// EnsurePartitions makes the partitions of the months around now: two back,
// for runs that started before, and four ahead. It needs the worker's role.
func EnsurePartitions(ctx context.Context, pool *pgxpool.Pool) (made int, err error) {
	err = pool.QueryRow(ctx, `SELECT ledgerline.make_partitions(2, 4)`).Scan(&made)
	return made, err
}
