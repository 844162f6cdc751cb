package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// session names a session of a server for good: its process ID alone comes again.
type session struct {
	pid     int32
	started time.Time
}

// These name what they use with its schema, operators too: the login's search_path may
// begin with one that others own. A role sees and ends the sessions of its own.
//
//	$1 process ID  $2 start
const (
	thisSession = `SELECT a.pid, a.backend_start FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a`
	seeSession  = `SELECT a.pid, a.backend_start FROM pg_catalog.pg_stat_get_activity($1) a WHERE a.backend_start OPERATOR(pg_catalog.=) $2`
	endSession  = `SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_get_activity($1) a WHERE a.backend_start OPERATOR(pg_catalog.=) $2`
)

// guard ends the session of a reading. It connects before any code of a source runs,
// so that no limit of connections keeps it out when that code has to be ended.
type guard struct {
	login *pgx.ConnConfig
	conn  *pgx.Conn
}

// connectGuard connects a guard as the login of config.
func connectGuard(ctx context.Context, config *pgx.ConnConfig) (*guard, error) {
	login := config.Copy()
	login.RuntimeParams["search_path"] = "pg_catalog, pg_temp" // nobody else's function answers for the login
	conn, err := pgx.ConnectConfig(ctx, login)
	if err != nil {
		return nil, err
	}
	return &guard{login, conn}, nil
}

// know returns which session conn is, which has run nothing yet, and whose end g can
// see: two connections to one address need not reach the same server.
func (g *guard) know(ctx context.Context, conn *pgx.Conn) (s session, err error) {
	if err := conn.QueryRow(ctx, thisSession).Scan(&s.pid, &s.started); err != nil {
		return s, err
	}
	var same session
	err = g.conn.QueryRow(ctx, seeSession, pgx.QueryExecModeSimpleProtocol, s.pid, s.started).Scan(&same.pid, &same.started)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, fmt.Errorf("two connections to %s reached different servers: name one of them", SourceVariable)
	}
	return s, err
}

// end terminates a session until it is gone, for 5 s at most. Code that ends the
// guard's session first is tried again: it has to win every time.
func (g *guard) end(s session) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for {
		gone, err := g.try(ctx, s)
		if gone {
			return nil
		}
		select {
		case <-ctx.Done():
			return &sessionLeft{s, err}
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (g *guard) try(ctx context.Context, s session) (gone bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // a connection that was lost in silence costs no more
	defer cancel()
	if g.conn.IsClosed() {
		conn, err := pgx.ConnectConfig(ctx, g.login)
		if err != nil {
			return false, err
		}
		g.conn = conn
	}
	left, err := g.conn.Exec(ctx, endSession, pgx.QueryExecModeSimpleProtocol, s.pid, s.started) // a single round trip
	if err != nil && !g.conn.IsClosed() {                                                        // refused, perhaps of one that has ended by itself
		seen, seeErr := g.conn.Exec(ctx, seeSession, pgx.QueryExecModeSimpleProtocol, s.pid, s.started)
		return seeErr == nil && seen.RowsAffected() == 0, err
	}
	return err == nil && left.RowsAffected() == 0, err
}

func (g *guard) close() { closeConn(g.conn) }

// sessionLeft is a session that did not end. Its organization reads no other source
// until it has, so that they do not add up.
type sessionLeft struct {
	session
	err error // why it could not be ended; nil if it only did not
}

func (l *sessionLeft) Error() string {
	why := ""
	if l.err != nil {
		why = fmt.Sprintf(" (%.200q)", l.err.Error())
	}
	return fmt.Sprintf("a reading of this organization's goes on in the database of %s since %s and cannot be ended%s: there, as a superuser, SELECT pg_terminate_backend(%d), and see what the view's functions do",
		SourceVariable, l.started.UTC().Format(time.RFC3339), why, l.pid)
}
