package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ledgerline/ledgerline/runlog"
)

// SimulatedDatabase is a migrated database for tests with a clock of their own:
// the time is that of each transaction, see [BeginAt]. It has one user for a
// worker and one for an operator.
type SimulatedDatabase struct {
	Admin, Worker, Operator *pgxpool.Pool

	server *Postgres
}

// simulatedClock replaces the one function that gives the database's time.
const simulatedClock = `CREATE OR REPLACE FUNCTION ledgerline.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS
	$$ SELECT coalesce(nullif(current_setting('ledgerline.now', true), '')::timestamptz, clock_timestamp()) $$`

// StartSimulatedDatabase starts a PostgreSQL that does not survive a power cut,
// with so many connections for each user.
func StartSimulatedDatabase(ctx context.Context, connections int32, log io.Writer) (d *SimulatedDatabase, err error) {
	d = &SimulatedDatabase{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.server, err = StartPostgres(ctx, PostgresOptions{Log: log, Settings: map[string]string{"fsync": "off", "synchronous_commit": "off"}}); err != nil {
		return d, err
	}
	if d.Admin, err = runlog.Open(ctx, d.server.URL("postgres", Admin), connections); err != nil {
		return d, err
	}
	if _, _, err = runlog.Migrate(ctx, d.Admin); err != nil {
		return d, err
	}
	if _, err = d.Admin.Exec(ctx, simulatedClock); err != nil {
		return d, err
	}
	for _, u := range []struct {
		name, role string
		pool       **pgxpool.Pool
	}{{Worker, "worker", &d.Worker}, {Operator, "operator", &d.Operator}} {
		if _, err = d.Admin.Exec(ctx, fmt.Sprintf("CREATE ROLE %s LOGIN IN ROLE ledgerline_%s", u.name, u.role)); err != nil {
			return d, err
		}
		if *u.pool, err = runlog.Open(ctx, d.server.URL("postgres", u.name), connections); err != nil {
			return d, err
		}
	}
	return d, nil
}

// Close ends everything and removes its data.
func (d *SimulatedDatabase) Close() error {
	for _, pool := range []*pgxpool.Pool{d.Worker, d.Operator, d.Admin} {
		if pool != nil {
			pool.Close()
		}
	}
	if d.server == nil {
		return nil
	}
	return d.server.Close()
}

// BeginAt begins a transaction for which it is now.
func BeginAt(ctx context.Context, db runlog.Beginner, now time.Time) (pgx.Tx, error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := tx.Exec(ctx, `SELECT set_config('ledgerline.now', $1, true)`, now.Format(time.RFC3339Nano)); err != nil {
		return nil, errors.Join(err, tx.Rollback(ctx))
	}
	return tx, nil
}
