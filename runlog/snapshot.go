package runlog

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Snapshot calls fn with a transaction in which all that is read is as it was at one moment,
// whatever runs write meanwhile. It changes nothing. What this package reads with it agrees, so
// all that one view shows is read in one; a snapshot in a snapshot is the outer one. It can
// wait for a source that is read elsewhere.
func Snapshot(ctx context.Context, db Beginner, fn func(Beginner) error) error {
	if outer, ok := db.(pgx.Tx); ok {
		return fn(outer)
	}
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL idle_in_transaction_session_timeout = '170s'"); err != nil {
		return err
	}
	return fn(tx)
}

// inSnapshot is [readOnly] in a [Snapshot].
func inSnapshot(ctx context.Context, db Beginner, organization uuid.UUID, fn func(pgx.Tx) error) error {
	return Snapshot(ctx, db, func(db Beginner) error { return readOnly(ctx, db, organization, false, fn) })
}
