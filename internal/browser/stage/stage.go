// Package stage is what the browser's tests click on: PostgreSQL, Temporal, the vendors'
// sandbox, a worker and the console, all real, with an organization that has closed a month.
package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// Stage is a running system.
type Stage struct {
	*devstack.Stack
	URL     string // of the console
	Console *devstack.Process
	Worker  *devstack.Process

	bins map[string]string
}

// Options are how a stage starts.
type Options struct {
	Log  io.Writer
	Race bool // build the programs with the race detector
}

// Start starts everything. There is no organization yet.
func Start(ctx context.Context, o Options) (s *Stage, err error) {
	s = &Stage{bins: make(map[string]string)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.Stack, err = devstack.StartStack(ctx, devstack.StackOptions{Log: o.Log}); err != nil {
		return s, err
	}
	for _, name := range []string{"worker", "starter", "console"} {
		if s.bins[name], err = devstack.Build(ctx, "./cmd/"+name, o.Race); err != nil {
			return s, err
		}
	}
	if err = s.StartWorker(ctx); err != nil {
		return s, err
	}
	return s, s.StartConsole(ctx)
}

// Found makes an organization with a short name, whose integration is xledger-main.
func (s *Stage) Found(ctx context.Context, name, short string) (uuid.UUID, error) {
	id := uuid.New()
	spec := strings.NewReplacer("Eksempel Idrettslag", name, "short: eksempel", "short: "+short).Replace(s.Example(id, ""))
	file, err := s.File(short+".yaml", spec)
	if err == nil {
		_, err = s.Starter(ctx, "", "integrations", "apply", "-f", file)
	}
	return id, err
}

// StartWorker starts a worker.
func (s *Stage) StartWorker(ctx context.Context) (err error) {
	s.Worker, err = devstack.StartWorker(ctx, s.bins["worker"], nil, s.Env(devstack.Worker))
	return err
}

var listens = regexp.MustCompile(`"listen":"([^"]+)"`)

// StartConsole starts a console, at the address of the one before if there was one.
func (s *Stage) StartConsole(ctx context.Context) (err error) {
	at := "127.0.0.1:0"
	if s.URL != "" {
		at = strings.TrimPrefix(s.URL, "http://")
	}
	s.Console, err = devstack.StartProcess(ctx, s.bins["console"], []string{"--development", "--listen", at, "--ops-listen", "127.0.0.1:0"}, s.Env(devstack.Console),
		func(line string) bool { return strings.Contains(line, "console ready") })
	if err != nil {
		return err
	}
	found := listens.FindStringSubmatch(s.Console.Output())
	if found == nil {
		return fmt.Errorf("the console does not say where it listens: %s", s.Console.Output())
	}
	s.URL = "http://" + found[1]
	return nil
}

// Starter runs the command line for an organization, by its short name, and returns what it prints. An exit code of
// 3, something is not complete, is no error.
func (s *Stage) Starter(ctx context.Context, org string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, s.bins["starter"], args...)
	c.Env = append(append(os.Environ(), s.Env(devstack.Operator)...), "LEDGERLINE_ORG="+org, "LEDGERLINE_ACTOR=kari")
	var out, words bytes.Buffer
	c.Stdout, c.Stderr = &out, &words
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("starter %s: %w: %s", strings.Join(args, " "), err, words.String())
	}
	return out.String(), err
}

// Import stores a file of entries, which is CSV as starter takes it.
func (s *Stage) Import(ctx context.Context, org, csv string) error {
	path := filepath.Join(s.Dir, uuid.NewString()+".csv")
	if err := os.WriteFile(path, []byte(csv), 0o600); err != nil {
		return err
	}
	_, err := s.Starter(ctx, org, "entries", "import", "--file", path)
	return err
}

// Export exports a period of xledger-main.
func (s *Stage) Export(ctx context.Context, org, period string) error {
	_, err := s.Starter(ctx, org, "sync", "--integration", "xledger-main", "--period", period)
	return err
}

// Close ends everything.
func (s *Stage) Close() (err error) {
	for _, p := range []*devstack.Process{s.Console, s.Worker} {
		if p != nil {
			_ = p.Stop(10 * time.Second)
		}
	}
	if s.Stack != nil {
		err = s.Stack.Close()
	}
	for _, bin := range s.bins {
		err = errors.Join(err, os.RemoveAll(filepath.Dir(bin)))
	}
	return err
}

// Month is a file of entries: so many vouchers of a month, each of 100 kroner and its number, of
// which every nth has an account that the vendor does not have.
func Month(month string, vouchers, wrong int) string {
	var b strings.Builder
	b.WriteString("entry_id,voucher_id,entry_date,account,amount,currency,text\n")
	short := strings.ReplaceAll(month, "-", "")
	for n := 1; n <= vouchers; n++ {
		account := "3000"
		if wrong > 0 && n%wrong == 0 {
			account = "X999"
		}
		day := 1 + n%28
		fmt.Fprintf(&b, "%[1]s-%[2]d-1,%[1]s-%[2]d,%[3]s-%02[4]d,1920,%[5]d.00,NOK,Kontingent %[2]d\n", short, n, month, day, 100+n)
		fmt.Fprintf(&b, "%[1]s-%[2]d-2,%[1]s-%[2]d,%[3]s-%02[4]d,%[6]s,-%[5]d.00,NOK,Kontingent %[2]d\n", short, n, month, day, 100+n, account)
	}
	return b.String()
}
