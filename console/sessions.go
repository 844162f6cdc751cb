package console

import (
	"context"

	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/runlog"
)

// Sessions are those of people, kept in PostgreSQL, so that a restart of the console signs
// nobody out and a sign-out holds for all consoles.
func Sessions(db runlog.Beginner) signin.Sessions { return sessions{db} }

type sessions struct{ db runlog.Beginner }

func (s sessions) Begin(ctx context.Context, hash []byte, is signin.Session) error {
	return runlog.BeginConsoleSession(ctx, s.db, hash, runlog.ConsoleSession(is))
}

func (s sessions) Load(ctx context.Context, hash []byte) (*signin.Session, error) {
	found, err := runlog.LoadConsoleSession(ctx, s.db, hash)
	if err != nil || found == nil {
		return nil, err
	}
	is := signin.Session(*found)
	return &is, nil
}

func (s sessions) End(ctx context.Context, hash []byte) error {
	return runlog.EndConsoleSession(ctx, s.db, hash)
}
