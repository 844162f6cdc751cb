package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// session identifies a session of a server. Its process ID alone does not: another
// session gets it later.
type session struct {
	pid     int32
	started time.Time
}

// These name the schema of all that they use, operators too: the login's search_path
// may begin with a schema that others own. A role sees and ends its own sessions.
//
//	$1 process ID  $2 start
const (
	thisSession = `SELECT activity.pid, activity.backend_start FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS activity`
	seeSession  = `SELECT activity.pid, activity.backend_start FROM pg_catalog.pg_stat_get_activity($1) AS activity WHERE activity.backend_start OPERATOR(pg_catalog.=) $2`
	endSession  = `SELECT pg_catalog.pg_terminate_backend(activity.pid) FROM pg_catalog.pg_stat_get_activity($1) AS activity WHERE activity.backend_start OPERATOR(pg_catalog.=) $2`
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

// know returns which session conn is, and checks that g sees it: two connections to
// one address need not reach the same server. conn must not have run any code of a
// source.
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

// end terminates a session until it is gone, for 5 s at most. If code of the session
// ends the guard's session first, the guard tries again: that code has to win every
// time.
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
	if err != nil && !g.conn.IsClosed() {                                                        // refused, perhaps because it has ended by itself
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
	return fmt.Sprintf("a reading for this organization still runs in the database of %s, since %s, and cannot be ended%s: there, as a superuser, SELECT pg_terminate_backend(%d), and see what the view's functions do",
		SourceVariable, l.started.Local().Format("2006-01-02 15:04:05 MST"), why, l.pid)
}
