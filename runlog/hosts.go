package runlog

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// HostLastReached returns when any worker last reached a vendor's host; the zero time
// if none has.
func HostLastReached(ctx context.Context, db Beginner, host string) (at time.Time, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT reachable_at FROM ledgerline.vendor_hosts WHERE host = $1`, host).Scan(&at)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return at, err
}

// RecordHostReached records that a host was reached. Within a minute of what is
// recorded it writes nothing.
func RecordHostReached(ctx context.Context, db Beginner, host string, at time.Time) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.vendor_hosts AS stored (host, reachable_at) VALUES ($1, $2)
			ON CONFLICT (host) DO UPDATE SET reachable_at = excluded.reachable_at
			WHERE stored.reachable_at < excluded.reachable_at - interval '1 minute'`, host, at)
		return err
	})
}
