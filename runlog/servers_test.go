package runlog_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// server18 is a PostgreSQL 18, or nil on a machine that has none. It starts for the first
// test that wants it; started18 is that one, to be closed in the end.
var server18 = sync.OnceValues(func() (_ *devstack.Postgres, err error) {
	programs, err := devstack.Programs18(os.Stderr)
	if err != nil || programs == "" {
		return nil, err
	}
	started18, err = devstack.StartPostgres(context.Background(), devstack.PostgresOptions{Programs: programs})
	return started18, err
})

var started18 *devstack.Postgres

// eachServer runs a test on the machine's PostgreSQL and on 18, beside each other: users and
// their rights belong to a server. It returns when both are done.
func eachServer(t *testing.T, test func(t *testing.T, server *devstack.Postgres)) {
	servers := map[string]*devstack.Postgres{"installed": server}
	newest, err := server18()
	require.NoError(t, err)
	if newest == nil {
		t.Log("POSTGRESQL 18 IS NOT TESTED")
	} else {
		servers["18"] = newest
	}
	t.Run("on", func(t *testing.T) {
		for name, server := range servers {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, server)
			})
		}
	})
}
