package devstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// temporalPrograms are the paths of what tools/ pins.
type temporalPrograms struct {
	dir             string // of the folder that they are in
	server, sql, ui string
	module          string // folder of the server's source, which has the schema
	version         string
}

// buildTemporal builds the pinned server, the tool that makes its schema, and the web
// interface, unless they are there.
func buildTemporal(ctx context.Context, log io.Writer) (p temporalPrograms, err error) {
	root, err := moduleRoot()
	if err != nil {
		return p, err
	}
	p.dir = filepath.Join(root, ".bin")
	tools := filepath.Join(root, "tools")
	for _, program := range []struct {
		path      *string
		name, pkg string
	}{
		{&p.server, "temporal-server", "go.temporal.io/server/cmd/server"},
		{&p.sql, "temporal-sql-tool", "go.temporal.io/server/cmd/tools/sql"},
		{&p.ui, "temporal-ui-server", "github.com/temporalio/ui-server/v2/cmd/server"},
	} {
		if *program.path, err = buildOnce(ctx, tools, program.pkg, filepath.Join(p.dir, program.name), log); err != nil {
			return p, err
		}
	}
	c := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", "go.temporal.io/server")
	c.Dir = tools
	out, err := c.Output()
	if err != nil {
		return p, fmt.Errorf("find the source of the Temporal server: %w", err)
	}
	p.version, p.module, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	return p, nil
}

// temporalTemplate returns the folder of a database cluster as a Temporal server with
// Ledgerline's namespace left it. It is made once for each version of both servers and
// each list of search attributes; a copy of it starts in a second, and a new one takes ten.
func temporalTemplate(ctx context.Context, programs temporalPrograms, log io.Writer) (dir string, err error) {
	bin, err := serverBinaries(ctx, logTo(log))
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(fmt.Append(nil, programs.version, bin, serverVersion(bin), searchAttributes, shards))
	dir = filepath.Join(programs.dir, "temporal-"+hex.EncodeToString(key[:6]))
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	now := time.Now()
	if err := os.Chtimes(lockOf(dir), now, now); err != nil { // it is used now
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fmt.Fprintln(logTo(log), "making the database of Temporal; only once …")
	t := &Temporal{Namespace: ownNamespace, programs: programs}
	defer func() { err = errors.Join(err, t.Close()) }()
	if t.postgres, err = StartPostgres(ctx, PostgresOptions{Log: log}); err != nil {
		return "", err
	}
	for database, schema := range map[string]string{temporalDatabase: "temporal", visibilityDatabase: "visibility"} {
		versions := filepath.Join(programs.module, "schema", "postgresql", "v12", schema, "versioned")
		for _, args := range [][]string{{"create"}, {"setup-schema", "-v", "0.0"}, {"update-schema", "-d", versions}} {
			args = append([]string{"--plugin", "postgres12_pgx", "--ep", "127.0.0.1", "-p", fmt.Sprint(t.postgres.Port()), "-u", "postgres", "--db", database}, args...)
			if out, err := exec.CommandContext(ctx, programs.sql, args...).CombinedOutput(); err != nil {
				return "", fmt.Errorf("make Temporal's schema: %w: %s", err, tail(out))
			}
		}
	}
	if err := t.begin(ctx); err != nil {
		return "", err
	}
	if err := t.Stop(); err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, t.postgres.URL(temporalDatabase, "postgres"))
	if err != nil {
		return "", err
	}
	// Otherwise a server that starts soon looks for the one that has just ended.
	_, err = conn.Exec(ctx, "DELETE FROM cluster_membership")
	if err := errors.Join(err, conn.Close(ctx)); err != nil {
		return "", err
	}
	if err := t.postgres.Stop(ctx, "fast"); err != nil {
		return "", err
	}
	// Whole or not at all: whoever finds the folder takes it for complete.
	unfinished := dir + unfinishedSuffix
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	if err := os.CopyFS(unfinished, os.DirFS(t.postgres.data())); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, dir); err != nil {
		return "", err
	}
	if err := removeTemplates(programs.dir, now.Add(-templateKept)); err != nil { // which take space, and nothing else
		fmt.Fprintln(logTo(log), "old databases of Temporal could not be removed:", err)
	}
	return dir, nil
}

// templateKept is how long a template is kept that is not used. It is copied within seconds
// after it is taken; checkouts of several versions may share .bin, and each uses its own.
const templateKept = 7 * 24 * time.Hour

var templateLock = regexp.MustCompile(`^(temporal-[0-9a-f]{12})\.lock$`)

// removeTemplates removes the templates that nobody has taken since a time, and what is
// left of those that were not finished. Their locks stay: somebody may be waiting at one.
func removeTemplates(dir string, since time.Time) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, entry := range list {
		if name := templateLock.FindStringSubmatch(entry.Name()); name != nil {
			failed = append(failed, removeTemplate(filepath.Join(dir, name[1]), since))
		}
	}
	return errors.Join(failed...)
}

func removeTemplate(template string, since time.Time) error {
	file, err := os.Open(lockOf(template))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) { // somebody makes or takes it
			return nil
		}
		return err
	}
	used, err := file.Stat()
	if err != nil || !used.ModTime().Before(since) {
		return err
	}
	return errors.Join(os.RemoveAll(template), os.RemoveAll(template+unfinishedSuffix))
}

// unfinishedSuffix is of the name of a template that is being made.
const unfinishedSuffix = ".unfinished"

// lockOf is the file that is locked by whoever makes something, or takes a template.
func lockOf(path string) string { return path + ".lock" }

var building sync.Mutex

// lock keeps test packages that run side by side from making the same thing twice.
func lock(path string) (unlock func(), err error) {
	building.Lock()
	defer func() {
		if err != nil {
			building.Unlock()
		}
	}()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(lockOf(path), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		file.Close()
		building.Unlock()
	}, nil
}

// buildOnce builds a program unless it is there and newer than its go.sum.
func buildOnce(ctx context.Context, dir, pkg, out string, log io.Writer) (string, error) {
	unlock, err := lock(out)
	if err != nil {
		return "", err
	}
	defer unlock()
	built, err := os.Stat(out)
	pinned, pinErr := os.Stat(filepath.Join(dir, "go.sum"))
	if err == nil && pinErr == nil && built.ModTime().After(pinned.ModTime()) {
		return out, nil
	}
	fmt.Fprintf(log, "building %s; the first time this takes some minutes …\n", filepath.Base(out))
	c := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
	c.Dir = dir
	if text, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", pkg, err, tail(text))
	}
	now := time.Now() // a cached build keeps its old time
	return out, os.Chtimes(out, now, now)
}
