package runlog_test

import (
	"flag"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

var update = flag.Bool("update", false, "write runlog/catalogue.txt")

// What the self-check expects is what the migrations make, on each version of
// PostgreSQL, and it does not depend on who migrates.
func TestCatalogue(t *testing.T) {
	var texts []string
	var mu sync.Mutex
	eachServer(t, func(t *testing.T, server *devstack.Postgres) {
		for _, user := range []string{"dba", "postgres"} {
			name := emptyBaseOn(t, server)
			// Not by Migrate, which makes the rights what the catalogue says.
			require.NoError(t, runlog.WithProvider(t.Context(), openOn(t, server, name, user), os.DirFS("migrations"), func(p *goose.Provider) error {
				_, err := p.Up(t.Context())
				return err
			}), user)
			lines, err := runlog.ReadCatalogue(t.Context(), openOn(t, server, name, "postgres"))
			require.NoError(t, err)
			mu.Lock()
			texts = append(texts, onePartition(lines))
			mu.Unlock()
		}
	})
	if *update {
		require.NoError(t, os.WriteFile("catalogue.txt", []byte(texts[0]), 0o644))
	}
	want, err := os.ReadFile("catalogue.txt")
	require.NoError(t, err)
	for _, text := range texts {
		require.Equal(t, strings.Split(string(want), "\n"), strings.Split(text, "\n"), "after a change of the migrations: go test ./runlog -run TestCatalogue -update")
	}
}

// onePartition keeps the line of one partition, whatever the month is.
func onePartition(lines []string) string {
	var kept []string
	for _, line := range lines {
		if strings.HasPrefix(line, "table integration_run_logs_") {
			line = "table integration_run_logs_2000_01" + line[len("table integration_run_logs_2000_01"):]
		}
		if len(kept) == 0 || kept[len(kept)-1] != line {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n") + "\n"
}
