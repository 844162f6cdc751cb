package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/runlog"
)

// A command that reads works with a login that has the role ledgerline_reader or
// ledgerline_operator, one that changes something needs ledgerline_operator. Asking a
// vendor counts as a change: it is recorded, and uses the vendor's quota. A test checks
// that every command is in one of these lists.
var (
	readingCommands = []string{
		"doctor", "entries history", "entries import --dry-run", "entries list", "exports list", "exports retry --dry-run", "exports show", "health", "health history", "integrations apply --dry-run",
		"integrations list", "logs", "notifications channels", "notifications list", "organizations list", "quota", "schedules describe", "schedules list", "show",
		"sync --dry-run", "ticks list",
	}
	changingCommands = []string{
		"call", "cancel", "entries import", "entries withdraw", "exports prove", "exports resolve", "exports retry", "integrations apply",
		"integrations pause", "integrations resume", "integrations verify", "notifications test", "payload-keys retire",
		"schedules backfill", "schedules pause", "schedules resume", "schedules trigger", "sync",
	}
	// These only read, but what the role of those who read may not see.
	secludedCommands = []string{"payload-keys list"}
	// These do without either role: they need no database, or the right to make one.
	otherCommands = []string{"codec-server", "entries check", "explain", "integrations check", "migrate", "redact", "version"}
)

// commandName is a command as the lists above have it.
func commandName(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

// readsOnly reports whether a command only reads, as it was called.
func readsOnly(c *cobra.Command) bool {
	name := commandName(c)
	if f := c.Flags().Lookup("dry-run"); f != nil && f.Value.String() == "true" && slices.Contains(readingCommands, name+" --dry-run") {
		return true
	}
	return slices.Contains(readingCommands, name)
}

// roles are those with one of which this command can work.
func (a *app) roles() runlog.SelfCheckOptions {
	// A person at a keyboard may be a superuser; the worker may not.
	o := runlog.SelfCheckOptions{Role: runlog.OperatorRole, Relax: true}
	if a.reads {
		o.Or = []string{runlog.ReaderRole}
	}
	return o
}

// refuseReader returns the error, for a login that may only read, of a command that changes
// something; nil for any other login.
func (a *app) refuseReader(ctx context.Context, pool *pgxpool.Pool) error {
	if a.reads {
		return nil
	}
	user, err := runlog.MayOnlyRead(ctx, pool)
	if err != nil || user == "" {
		return nil // what was found before says more
	}
	if slices.Contains(secludedCommands, strings.TrimPrefix(a.command, "starter ")) {
		return fmt.Errorf("database user %q has the role %s, which may not see the keys of payloads; use a login with the role %s in DATABASE_URL, or ask somebody who has one",
			user, runlog.ReaderRole, runlog.OperatorRole)
	}
	return fmt.Errorf("database user %q may only read, and %s does more than that; use a login with the role %s in DATABASE_URL, or ask somebody who has one",
		user, a.command, runlog.OperatorRole)
}
