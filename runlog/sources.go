package runlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/semaphore"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// Sources reads entries from tables and views other than the default one. A view
// runs the code of whoever made it, as whoever reads it. So it is read by a login
// that has no right on Ledgerline's own tables, in a read-only transaction that is
// never committed, on a connection that is used once and then closed. The rows are
// copied, as data, to a temporary table of ours, and are planned there. A nil
// *Sources has no login: only the default source can be read.
//
// A process reads four sources at a time, and one of an organization, on connections
// besides those of its pool: a slow view delays no other organization's work.
type Sources struct {
	Timeout time.Duration // of reading one source; 100 s
	Rows    int           // most rows of one reading; 5 million
	Bytes   int64         // most bytes of them; 4 GiB
	Log     *slog.Logger  // of sessions that do not end; slog.Default()

	address  string          // of the login; "" is none. See [perOrganization]
	database *pgx.ConnConfig // where the rows are staged

	places *semaphore.Weighted // of all readings of the process
	busy   sync.Map            // organization → *semaphore.Weighted
	left   sync.Map            // organization → session, which outlived its reading
}

// SourceVariable is the environment variable with the address of the login that reads
// sources.
const SourceVariable = "LEDGERLINE_SOURCE_DATABASE_URL"

// perOrganization, in the address of the login, stands for the organization's UUID, so
// that each has a login of its own: what one login may read, the code of every view
// that it reads may read.
const perOrganization = "{organization}"

// largestMessage bounds what a source can send at once, a row or the text of an
// error, in bytes. A row within its limits is smaller.
const largestMessage = 1 << 20

// NewSources returns the reader of sources. sourceURL is the address of their login,
// perhaps of another database; "" is none. databaseURL is Ledgerline's own, as
// for [Open]. It connects to neither.
func NewSources(sourceURL, databaseURL string) (*Sources, error) {
	own, err := poolConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	s := &Sources{
		Timeout: 100 * time.Second, Rows: 5_000_000, Bytes: 4 << 30, Log: slog.Default(),
		address: strings.TrimSpace(sourceURL), database: own.ConnConfig, places: semaphore.NewWeighted(4),
	}
	if s.address != "" {
		_, err = s.login(uuid.Nil)
	}
	return s, err
}

// login is how to connect for an organization.
func (s *Sources) login(organization uuid.UUID) (*pgx.ConnConfig, error) {
	address := strings.ReplaceAll(s.address, perOrganization, organization.String())
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, addressError(SourceVariable, address, err)
	}
	c.ConnectTimeout = 5 * time.Second
	c.MaxProtocolMessageBodyLen = largestMessage
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // leaves no prepared statement with a pooler between
	return c, nil
}

// with calls fn with a database and a table in it that holds what an export of e may
// take: db and the default source, or a connection of its own and what was staged on
// it. With marked, what came before the source's [mark] may be left out of that; without,
// it holds all that e's period has. fn may run as many transactions as it needs.
func (s *Sources) with(ctx context.Context, db Beginner, e exports.Export, source string, marked bool, fn func(db Beginner, table string, r reading) error) error {
	if source == integrations.DefaultSource {
		return fn(db, source, reading{})
	}
	if err := s.usable(source); err != nil {
		return err
	}
	leave, err := s.enter(ctx, e.OrganizationID)
	if err != nil {
		return err
	}
	defer leave()
	conn, err := pgx.ConnectConfig(ctx, s.database)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	r, err := s.stage(ctx, conn, e, source, marked)
	if err != nil {
		return err
	}
	return fn(conn, stagedTable, r)
}

func (s *Sources) usable(source string) error {
	if !sourceName.MatchString(source) {
		return &SourceError{source, "not a name such as reporting.entries"}
	}
	if s == nil || s.address == "" {
		return &SourceError{source, "it is read through a login of its own, and there is none: set " + SourceVariable + " for the worker and for starter; see docs/operations.md#sources"}
	}
	return nil
}

// enter waits for a place.
func (s *Sources) enter(ctx context.Context, organization uuid.UUID) (leave func(), err error) {
	one, _ := s.busy.LoadOrStore(organization, semaphore.NewWeighted(1))
	own := one.(*semaphore.Weighted)
	if err := own.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	if err := s.places.Acquire(ctx, 1); err != nil {
		own.Release(1)
		return nil, err
	}
	return func() { s.places.Release(1); own.Release(1) }, nil
}

const stagedTable = "pg_temp.source_entries"

// createStaged has the names and types of [sourceColumns] that a plan needs, and no
// type of another database.
const createStaged = `CREATE TEMPORARY TABLE pg_temp.source_entries (organization_id uuid NOT NULL, entry_id text PRIMARY KEY, voucher_id text NOT NULL,
    entry_date date NOT NULL, account text, amount numeric, currency text, text text, dimensions jsonb)`

// selectRefused returns the entries that a plan takes whatever their date, see [lines].
// Only a retry takes those that the vendor refused and nobody has corrected.
const (
	selectRefused = `SELECT coalesce(array_agg(entry_id), '{}') FROM ledgerline.export_entries
	WHERE organization_id = $1 AND integration_id = $2 AND (chunk = 0 OR correction = 'replaced')`
	selectRefusedToo = `SELECT coalesce(array_agg(entry_id), '{}') FROM ledgerline.export_entries
	WHERE organization_id = $1 AND integration_id = $2 AND (chunk = 0 OR state = 'rejected')`
)

// stage fills [stagedTable] on a connection, with what came since the source's mark if
// marked is set. Only making it needs more than a read-only transaction.
func (s *Sources) stage(ctx context.Context, conn *pgx.Conn, e exports.Export, source string, marked bool) (r reading, err error) {
	if err := refuseUnbound(ctx, conn); err != nil {
		return r, err
	}
	if _, err := conn.Exec(ctx, createStaged); err != nil {
		if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) && pg.Code == "42501" {
			c := s.database
			return r, &SourceError{source, fmt.Sprintf("its rows cannot be staged: GRANT TEMPORARY ON DATABASE %q TO %q", c.Database, c.User)}
		}
		return r, err
	}
	err = readOnly(ctx, conn, e.OrganizationID, true, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, longStatements+`; SET LOCAL idle_in_transaction_session_timeout = '170s'`); err != nil {
			return err
		}
		if marked {
			if r.since, err = loadMark(ctx, tx, e, source); err != nil {
				return err
			}
		}
		var also []string
		refused := selectRefused
		if e.ParentID != nil {
			refused = selectRefusedToo
		}
		if err := tx.QueryRow(ctx, refused, e.OrganizationID, e.IntegrationID).Scan(&also); err != nil {
			return err
		}
		if err := s.read(ctx, source, e.OrganizationID, e.PeriodEnd, also, &r, func(rows *sourceRows) error {
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"pg_temp", "source_entries"}, stagedNames(), rows)
			return sourceError(source, err)
		}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "ANALYZE pg_temp.source_entries")
		return err
	})
	return r, err
}

// readOnly is [InOrganization] for what changes nothing: PostgreSQL refuses to write
// to any table but a temporary one, whatever code runs, and with keep unset even that
// is rolled back.
func readOnly(ctx context.Context, db Beginner, organization uuid.UUID, keep bool, fn func(pgx.Tx) error) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "SET TRANSACTION READ ONLY"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, setOrganization, organization.String()); err != nil {
		return err
	}
	if err := fn(tx); err != nil || !keep {
		return err
	}
	return tx.Commit(ctx)
}

// refuseUnbound refuses a user to whom row-level security does not apply. Call it
// before reading what others own.
func refuseUnbound(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) error {
	var user string
	var super, bypass bool
	err := db.QueryRow(ctx, `SELECT session_user, bool_or(rolsuper), bool_or(rolbypassrls) FROM pg_catalog.pg_roles WHERE rolname IN (session_user, current_user)`).Scan(&user, &super, &bypass)
	switch {
	case err != nil:
		return err
	case super:
		return fmt.Errorf("database user %q is a superuser, so row-level security does not apply to it: use a login with the role ledgerline_operator (the worker: ledgerline_worker)", user)
	case bypass:
		return fmt.Errorf("database user %q has BYPASSRLS, so row-level security does not apply to it: use a login with the role ledgerline_operator (the worker: ledgerline_worker)", user)
	}
	return nil
}

// Check returns everything that keeps a table or view from being an organization's source
// of entries, with its remedy, or nil. It looks at the catalogue only. The default
// source is always one.
func (s *Sources) Check(ctx context.Context, organization uuid.UUID, source string) error {
	if source == "" || source == integrations.DefaultSource {
		return nil
	}
	if err := s.usable(source); err != nil {
		return err
	}
	var problems []string
	err := s.look(ctx, organization, func(tx pgx.Tx) (err error) {
		problems, _, err = checkSource(ctx, tx, source)
		return err
	})
	if err != nil {
		return readError(source, err)
	}
	var all []error
	for _, problem := range problems {
		all = append(all, &SourceError{source, problem})
	}
	return errors.Join(all...)
}
