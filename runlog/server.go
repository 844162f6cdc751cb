package runlog

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// OldestServer is the oldest major version of PostgreSQL that the schema works on.
const OldestServer = 15

// Server is what a PostgreSQL server says of itself and of the connection to it.
type Server struct {
	Version           string // such as "17.6 (Debian 17.6-1)"
	Major             int
	Encrypted         bool   // the connection uses TLS
	Local             bool   // it stays on this machine
	SynchronousCommit string // of this session
	Fsync             string
	FullPageWrites    string
	SchemaVersion     int64         `db:"-"` // 0 if there is no schema, or the user may not look into it
	ClockOffset       time.Duration `db:"-"` // how far the server's clock is ahead of this program's
}

// DescribeServer asks a server, as any user.
func DescribeServer(ctx context.Context, pool *pgxpool.Pool) (s Server, err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return s, err
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, `
		SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer / 10000 AS major,
		    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted,
		    coalesce(inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1', true) AS local,
		    current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes`)
	if err != nil {
		return s, err
	}
	if s, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Server]); err != nil {
		return s, err
	}
	var at time.Time
	began := time.Now()
	if err := conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&at); err != nil {
		return s, err
	}
	s.ClockOffset = at.Sub(began.Add(time.Since(began) / 2))
	if schema, err := loadSchemaState(ctx, pool); err == nil { // that it cannot be read is for Diagnose to say
		s.SchemaVersion = schema.version
	}
	return s, nil
}
