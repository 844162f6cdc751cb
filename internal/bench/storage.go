package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/workflows"
)

// storage reports what the two databases write: commits and write-ahead log for each
// invocation that succeeds at once, and for each 1,000 entries of an export. What they
// write while nothing is done is taken off. It says how big a PostgreSQL has to be, and so
// has no targets.
func storage(ctx context.Context, s *servers) error {
	stack, c, _, stop, err := s.worker(ctx)
	if err != nil {
		return err
	}
	defer stop()
	list, err := stack.Apply(ctx, uuid.New(), "")
	if err != nil {
		return err
	}
	databases := map[string]string{"Ledgerline's": stack.URL(devstack.Admin), "Temporal's": stack.Temporal.DatabaseURL()}
	rest := make(map[string]written) // in a second; the first measurement
	measure := func(what string, n float64, work func() error) error {
		before, began := make(map[string]written), time.Now()
		for name, url := range databases {
			if before[name], err = writes(ctx, url); err != nil {
				return err
			}
		}
		if err := work(); err != nil {
			return err
		}
		took := time.Since(began)
		for _, name := range []string{"Ledgerline's", "Temporal's"} {
			after, err := writes(ctx, databases[name])
			if err != nil {
				return err
			}
			commits, bytes := after.commits-before[name].commits, after.bytes-before[name].bytes
			if idle, ok := rest[name]; ok {
				commits, bytes = commits-idle.commits*took.Seconds(), bytes-idle.bytes*took.Seconds()
			} else {
				rest[name] = written{commits / n, bytes / n}
			}
			fmt.Printf("# storage: %s database, %s: %.1f commits, %.1f kB of write-ahead log (%.0f s)\n", name, what, commits/n, bytes/1000/n, took.Seconds())
		}
		return nil
	}
	const calls, entries = 1000, 20_000
	if err := measure("a second of rest", 20, func() error { time.Sleep(20 * time.Second); return nil }); err != nil {
		return err
	}
	in := list["xledger-main"]
	if err := measure("an invocation", calls, func() error {
		_, err := many(ctx, func(ctx context.Context) error {
			_, err := engine.Execute(ctx, c, ping(in.OrganizationID, in))
			return err
		}, 8, calls)
		return err
	}); err != nil {
		return err
	}
	sync, err := ledger(ctx, stack, entries)
	if err != nil {
		return err
	}
	return measure("1,000 entries", entries/1000, func() error {
		run, err := c.ExecuteWorkflow(ctx, engine.SyncOptions(sync), workflows.SyncName, sync)
		if err != nil {
			return err
		}
		return run.Get(ctx, nil)
	})
}

// written is what a cluster has written since it was made.
type written struct{ commits, bytes float64 }

func writes(ctx context.Context, url string) (w written, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return w, err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, "SELECT sum(xact_commit)::float8, (SELECT wal_bytes::float8 FROM pg_stat_wal) FROM pg_stat_database").Scan(&w.commits, &w.bytes)
	return w, err
}
