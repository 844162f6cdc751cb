package devstack

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Of all that is in .bin only templates go that nobody has used for long and nobody uses
// now; what is not a template stays, however old it is.
func TestRemoveTemplates(t *testing.T) {
	dir := t.TempDir()
	since := time.Now().Add(-templateKept)
	old, young := since.Add(-time.Hour), since.Add(time.Hour)
	locks := map[string]time.Time{
		"temporal-00000000000a": old, "temporal-00000000000b": young, "temporal-00000000000c": old,
		"temporal-server": old, "temporal-sql-tool": old, "temporal-0000000000": old, "gitleaks": old,
	}
	for name, used := range locks {
		for _, made := range []string{name, name + unfinishedSuffix} {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, made, "base"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, made, "base", "1"), []byte("x"), 0o400))
		}
		path := lockOf(filepath.Join(dir, name))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chtimes(path, used, used))
	}
	held, err := os.Open(lockOf(filepath.Join(dir, "temporal-00000000000c")))
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(held.Fd()), syscall.LOCK_EX))
	gone := func() (names []string) {
		for name := range locks {
			_, err := os.Stat(filepath.Join(dir, name, "base", "1"))
			_, unfinished := os.Stat(filepath.Join(dir, name+unfinishedSuffix))
			require.Equal(t, os.IsNotExist(err), os.IsNotExist(unfinished), name)
			require.FileExists(t, lockOf(filepath.Join(dir, name)))
			if err != nil {
				names = append(names, strings.TrimPrefix(name, "temporal-00000000000"))
			}
		}
		return names
	}
	require.NoError(t, removeTemplates(dir, since))
	require.Equal(t, []string{"a"}, gone())
	require.NoError(t, held.Close())
	for range 2 {
		require.NoError(t, removeTemplates(dir, since))
		require.ElementsMatch(t, []string{"a", "c"}, gone())
	}
}
