// Package runlog is the audit record and what belongs to it in PostgreSQL: the
// schema with its roles, the transaction of one organization, and every query.
//
// The database carries the rules, so that a defect in the program cannot break
// them: row-level security, forced on the owner too, keeps organizations apart;
// a composite foreign key refuses a row of one organization that names
// another's integration; the worker cannot change an attempt that it has recorded; a
// unique key makes writing a row again harmless.
//
// Five roles share the work, none of which owns anything:
//
//	ledgerline_worker     reads integrations; records attempts, exports, health and notifications; makes partitions
//	ledgerline_operator   applies integrations, reads rows, resolves and adopts entries (the starter)
//	ledgerline_reader     reads
//	ledgerline_console    reads; corrects entries, resolves and pauses; keeps sessions, actions and uploads (the console)
//	ledgerline_retention  drops old partitions and records of the console
//
// Every query on an organization's data runs in a transaction that names it, see
// [InOrganization]; functions that work for all organizations run with the owner's
// rights. A pool is borrowed, never owned. The package does not know Temporal.
package runlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Beginner starts a transaction: a *pgxpool.Pool, or a *pgx.Conn.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// InOrganization runs fn in a transaction that sees the rows of one
// organization and no others. The setting ends with the transaction, so that a
// pooled connection carries nothing to its next borrower.
func InOrganization(ctx context.Context, db Beginner, organization uuid.UUID, fn func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, setOrganization, organization.String()); err != nil {
			return err
		}
		return fn(tx)
	})
}

const setOrganization = `SELECT set_config('app.organization_id', $1, true)`

// Open returns a pool of connections to a database. It does not wait for one: the
// first query fails if there is no database. maxConns bounds the pool; 0 leaves pgx's
// default. A statement is given up after 15 s and a wait for a lock after 5 s, since
// callers try again.
func Open(ctx context.Context, databaseURL string, maxConns int32) (*pgxpool.Pool, error) {
	config, err := poolConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	if maxConns > 0 {
		config.MaxConns = maxConns
	}
	return pgxpool.NewWithConfig(ctx, config)
}

func poolConfig(databaseURL string) (*pgxpool.Config, error) {
	if strings.TrimSpace(databaseURL) == "" {
		return nil, errors.New("no database address: set DATABASE_URL, such as postgres://user@host:5432/ledgerline, or --database-url")
	}
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, addressError("DATABASE_URL", databaseURL, err)
	}
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	for name, value := range map[string]string{
		"application_name": "ledgerline", "statement_timeout": "15000", "lock_timeout": "5000",
		"idle_in_transaction_session_timeout": "30000", "timezone": "UTC",
	} {
		if _, set := config.ConnConfig.RuntimeParams[name]; !set {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return config, nil
}

// addressError explains an address that cannot be parsed without repeating it:
// it may hold a password, also one that the parser took for something else.
func addressError(variable, databaseURL string, err error) error {
	reason := "want postgres://user:password@host:port/database, or key=value pairs"
	if u, parseErr := url.Parse(databaseURL); parseErr != nil && strings.Contains(databaseURL, "://") {
		reason = "not a valid URL; a password with special characters must be percent-encoded"
	} else if u != nil && u.Scheme != "" && u.Scheme != "postgres" && u.Scheme != "postgresql" {
		reason = "it has another scheme; want postgres"
	} else if errors.Is(err, os.ErrNotExist) {
		reason = "it names a file that does not exist (a certificate or password file)"
	}
	return fmt.Errorf("the database address (%s) cannot be read: %s", variable, reason)
}

// IsTransient reports whether trying again later can help: the server is away,
// busy, locked, full or read-only. Everything else is an error in the data or
// in the program.
func IsTransient(err error) bool {
	if err == nil {
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Classes: 08 connection, 40 rollback, 53 resources, 57 operator
		// intervention, 58 system. 25006 read-only after a failover, 55P03
		// lock not available, 23514 on a partitioned table means that no
		// partition is there yet.
		switch {
		case len(pg.Code) == 5 && strings.Contains("08 40 53 57 58", pg.Code[:2]):
			return true
		case pg.Code == "25006" || pg.Code == "55P03" || pg.Code == "26000":
			return true
		}
		return isMissingPartition(pg)
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) ||
		errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err) ||
		errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "conn closed")
}

// IsOutcome reports whether an error is an answer of a function of this package and no
// trouble of PostgreSQL: it was asked for what is not there, or for what must not be done
// now. The error says which.
func IsOutcome(err error) bool {
	for _, outcome := range []error{ErrNotFound, ErrNotOwner, ErrNoChannel, errAttemptOver, errOvertaken} {
		if errors.Is(err, outcome) {
			return true
		}
	}
	var soon *TooSoonError
	var conflict *ConflictError
	var overlap *OverlapError
	var source *SourceError
	var organization *UnknownOrganizationError
	return errors.As(err, &organization) || errors.As(err, &soon) || errors.As(err, &conflict) || errors.As(err, &overlap) || errors.As(err, &source)
}

// isMissingPartition recognizes "no partition of relation … found for row", which
// shares its code with every violated CHECK, by the constraint that it does not name.
func isMissingPartition(err *pgconn.PgError) bool {
	return err.Code == "23514" && err.ConstraintName == ""
}
