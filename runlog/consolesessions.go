package runlog

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// ConsoleSession says who is signed in at the console. It belongs to no organization: what
// a person may see follows from their groups, at each request.
type ConsoleSession struct {
	Subject   string // who, as the issuer names them
	Name      string
	Email     string
	Groups    []string
	StartedAt time.Time
	ExpiresAt time.Time
}

// BeginConsoleSession stores a session under the SHA-256 of its token, and removes those
// that have expired. It starts now by PostgreSQL's clock and lasts as long as from StartedAt
// to ExpiresAt, at most 12 hours. A token is never used twice: that is an error.
func BeginConsoleSession(ctx context.Context, db Beginner, hash []byte, s ConsoleSession) error {
	groups := make([]string, 0, len(s.Groups)) // never NULL
	for _, g := range s.Groups {
		groups = append(groups, storable(g))
	}
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT ledgerline.begin_console_session($1, $2, $3, $4, $5, $6)`,
			hash, storable(s.Subject), storable(s.Name), storable(s.Email), groups, s.ExpiresAt.Sub(s.StartedAt))
		return err
	})
}

// LoadConsoleSession returns the session of a token, by its SHA-256; nil if there is none,
// or it has ended or expired, by PostgreSQL's clock.
func LoadConsoleSession(ctx context.Context, db Beginner, hash []byte) (s *ConsoleSession, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		found, err := queryRow[ConsoleSession](ctx, tx, `SELECT subject, name, email, groups, started_at, expires_at FROM ledgerline.console_session($1)`, hash)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err == nil:
			s = &found
		}
		return err
	})
	return s, err
}

// EndConsoleSession ends the session of a token, by its SHA-256. One that has ended stays so.
func EndConsoleSession(ctx context.Context, db Beginner, hash []byte) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT ledgerline.end_console_session($1)`, hash)
		return err
	})
}
