package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// QueueLease is an integration whose calls have a queue of their own.
type QueueLease struct {
	IntegrationID      uuid.UUID
	RequestsPerMinute  int  // 0 is none
	ConcurrentRequests int  // 0 is none; both may be 0 while calls still wait from before
	Held               bool // with a concurrency limit: this worker process makes its attempts, and no other does
	Surplus            bool // the process holds more than its share, and may release this one once its attempts have ended
	Unreadable         bool // its row has limits that are not numbers, which somebody wrote past the rules
}

// LeaseQueues returns the integrations of all organizations that have a queue of
// their own. It renews the leases of a worker process for ttl from now on, and takes
// free ones for it. It needs the worker's role.
func LeaseQueues(ctx context.Context, db Beginner, process uuid.UUID, ttl time.Duration) (list []QueueLease, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		list, err = queryRows[QueueLease](ctx, tx, `SELECT * FROM ledgerline.lease_queues($1, $2)`, process, ttl)
		return err
	})
	return list, err
}

// ReleaseQueues ends leases of a worker process, so that others need not wait until
// they expire. None of its attempts in these queues may be under way. With nil it ends
// all of them, and the other processes share the queues among themselves.
func ReleaseQueues(ctx context.Context, db Beginner, process uuid.UUID, integrations []uuid.UUID) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT ledgerline.release_queues($1, $2)`, process, integrations)
		return err
	})
}
