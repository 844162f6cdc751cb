package upgrade

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// earlier is the commit that is upgraded from: the last release, or the end of what was
// planned before that. To move it, put the commit of the next release here, in full, once
// that is on the main branch. The schema must have grown since: the test includes a
// migration.
const earlier = "6c38da146e537c83baad134fba9e030bcd4d3054"

// programs are the worker and the starter of a version.
type programs struct{ name, worker, starter string }

// buildEarlier builds the programs of [earlier] from its own source. They are kept
// below .bin, by commit: building takes a minute where nothing of it is cached.
func buildEarlier(t *testing.T) programs {
	t.Helper()
	root := filepath.Join("..", "..")
	kept, err := filepath.Abs(filepath.Join(root, ".bin", "upgrade", earlier))
	require.NoError(t, err)
	p := programs{"old", filepath.Join(kept, "worker"), filepath.Join(kept, "starter")}
	now := time.Now()
	if err := os.Chtimes(kept, now, now); err == nil { // it is used now
		return p
	}
	removeEarlier(t, filepath.Dir(kept), now.Add(-earlierKept))
	if err := exec.Command("git", "-C", root, "cat-file", "-e", earlier+"^{commit}").Run(); err != nil {
		t.Fatalf("the source of the earlier version, commit %s, is not in this clone (%v): git fetch --unshallow", earlier, err)
	}
	source := t.TempDir()
	archive := exec.Command("git", "-C", root, "archive", "--format=tar", earlier)
	unpack := exec.Command("tar", "-x", "-C", source)
	var unread, unmade bytes.Buffer
	archive.Stderr, unpack.Stderr = &unread, &unmade
	unpack.Stdin, err = archive.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, unpack.Start())
	require.NoError(t, archive.Run(), "%s", &unread)
	require.NoError(t, unpack.Wait(), "%s", &unmade)

	fmt.Fprintf(os.Stderr, "building the earlier version, %.12s …\n", earlier)
	require.NoError(t, os.MkdirAll(filepath.Dir(kept), 0o755))
	building, err := os.MkdirTemp(filepath.Dir(kept), "building-")
	require.NoError(t, err)
	defer os.RemoveAll(building)
	build := exec.Command("go", "build", "-o", building+"/", "./cmd/worker", "./cmd/starter")
	build.Dir = source
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	if err := os.Rename(building, kept); err != nil { // another process may have been quicker
		_, there := os.Stat(p.worker)
		require.NoError(t, there, "%v", err)
	}
	return p
}

// earlierKept is how long programs are kept that no test has used. Checkouts of several
// versions may share .bin.
const earlierKept = 7 * 24 * time.Hour

// removeEarlier removes what was built and not used since a time.
func removeEarlier(t *testing.T, dir string, since time.Time) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	for _, entry := range list {
		used, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) { // another process was quicker
			continue
		}
		require.NoError(t, err)
		if used.ModTime().Before(since) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
}

func TestRemoveEarlier(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "upgrade")
	since := time.Now().Add(-time.Hour)
	removeEarlier(t, dir, since)
	for name, used := range map[string]time.Time{"old": since.Add(-time.Minute), "building-1": since.Add(-time.Minute), "new": since.Add(time.Minute)} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "worker"), nil, 0o755))
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), used, used))
	}
	removeEarlier(t, dir, since)
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "new", list[0].Name())
}

// buildPresent builds the programs of this source.
func buildPresent(ctx context.Context, t *testing.T) programs {
	t.Helper()
	p := programs{name: "new"}
	for pkg, bin := range map[string]*string{"./cmd/worker": &p.worker, "./cmd/starter": &p.starter} {
		var err error
		*bin, err = devstack.Build(ctx, pkg, true)
		require.NoError(t, err)
		t.Cleanup(func() { os.RemoveAll(filepath.Dir(*bin)) })
	}
	return p
}
