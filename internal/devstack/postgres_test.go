package devstack

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server that only pg_config knows of is found, and a newer one is taken before
// others; a pg_config without a server changes nothing.
func TestServerByPgConfig(t *testing.T) {
	script := func(path, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	}
	before := newestBinaries()
	path, far := t.TempDir(), t.TempDir()
	t.Setenv("PATH", path+":"+os.Getenv("PATH"))
	script(filepath.Join(path, "pg_config"), `[ "$1" = --bindir ] && echo `+far)
	require.Equal(t, before, newestBinaries(), "it names a folder without a server")
	for _, program := range []string{"postgres", "initdb", "pg_ctl"} {
		script(filepath.Join(far, program), "echo "+program+" '(PostgreSQL) 99.1'")
	}
	require.Equal(t, far, newestBinaries())
}
