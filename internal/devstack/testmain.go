package devstack

import (
	"context"
	"fmt"
	"os"
	"time"
)

// WithPostgres runs the tests of a package with one PostgreSQL, and returns their exit
// code: 1 if there is no server to be had.
func WithPostgres(run func(*Postgres) int) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	server, err := StartPostgres(ctx, PostgresOptions{Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Close()
	return run(server)
}
