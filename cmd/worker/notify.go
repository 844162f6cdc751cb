package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/secrets"
)

// mailServer reads LEDGERLINE_SMTP_URL. It returns nil if there is none. Its
// password is the operator's, and no organization can name it.
func mailServer(getenv func(string) string, store *secrets.Store) (*notify.MailServer, error) {
	raw := getenv("LEDGERLINE_SMTP_URL")
	if raw == "" {
		return nil, nil
	}
	server, err := notify.ParseMailServer(raw, store.Operator)
	if err != nil {
		return nil, usageError{err}
	}
	return server, nil
}

// How often a worker looks for notifications to hand over, and how long it
// waits after it could not.
const (
	drainEvery   = 3 * time.Second
	drainBackoff = 15 * time.Second
)

// drainNotifications hands queued notifications to Temporal until the worker
// stops.
func drainNotifications(ctx context.Context, temporal client.Client, pool *pgxpool.Pool, logger *slog.Logger) {
	for wait := drainEvery; ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = drainEvery
		if err := engine.StartDeliveries(ctx, temporal, pool, logger); err != nil && ctx.Err() == nil {
			logger.Warn("notifications wait: they could not be handed to Temporal", "error", err)
			wait = drainBackoff
		}
	}
}
