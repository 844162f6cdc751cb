package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// StackOptions configure [StartStack].
type StackOptions struct {
	Temporal TemporalOptions
	Log      io.Writer

	// InFlight is how long after its deadline a request of the stack's
	// integrations can still take effect; 3 s if it is 0. What a test or the demo
	// scripts must not act later than that.
	InFlight time.Duration
}

// Stack is everything but Ledgerline's own programs: PostgreSQL with a migrated
// database and one user for each role, Temporal, and the vendors' sandbox.
type Stack struct {
	Dir      string // for files; removed by Close
	Postgres *Postgres
	Temporal *Temporal
	Sandbox  *sandbox.Sandbox
	Vendors  map[string]string // base URLs by adapter, "entra" and "admin"

	inFlight   time.Duration
	vendorHost string
	server     *http.Server
}

// Database and users of a stack. The users are members of the roles that the
// migration makes. Migrator owns the database and may create roles, which is all that
// migrating needs; source has none of the roles, and no right until it is granted one;
// admin is the superuser.
const (
	Database = "ledgerline"
	Worker   = "app_worker"
	Operator = "app_operator"
	Reader   = "app_reader"
	Console  = "app_console"
	Source   = "app_source"
	Admin    = "postgres"
	migrator = "app_migrator"
)

// Password is in the database addresses of programs. The cluster asks for none; a
// search finds it where it must not be.
var Password = strings.Join([]string{"canary", "of", "the", "database"}, "-")

// StartStack starts a stack.
func StartStack(ctx context.Context, o StackOptions) (s *Stack, err error) {
	s = &Stack{inFlight: cmp.Or(o.InFlight, 3*time.Second)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.Dir, err = os.MkdirTemp("", "ledgerline-"); err != nil {
		return s, err
	}
	if s.Postgres, err = StartPostgres(ctx, PostgresOptions{Log: o.Log}); err != nil {
		return s, err
	}
	if err = s.prepare(ctx); err != nil {
		return s, err
	}
	o.Temporal.Log = o.Log
	if s.Temporal, err = StartTemporal(ctx, o.Temporal); err != nil {
		return s, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return s, err
	}
	s.Sandbox = sandbox.New(sandbox.Options{})
	s.vendorHost = l.Addr().String()
	s.Vendors = sandbox.Addresses("http://" + s.vendorHost)
	s.server = &http.Server{Handler: s.Sandbox, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

// prepare makes the database, migrates it and adds the users.
func (s *Stack) prepare(ctx context.Context) error {
	admin, err := pgxpool.New(ctx, s.Postgres.URL("postgres", Admin))
	if err != nil {
		return err
	}
	defer admin.Close()
	for _, statement := range []string{"CREATE ROLE " + migrator + " LOGIN CREATEROLE", "CREATE DATABASE " + Database + " OWNER " + migrator} {
		if _, err := admin.Exec(ctx, statement); err != nil {
			return err
		}
	}
	pool, err := runlog.Open(ctx, s.URL(migrator), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, _, err := runlog.Migrate(ctx, pool); err != nil {
		return err
	}
	for user, role := range map[string]string{Worker: "ledgerline_worker", Operator: "ledgerline_operator", Reader: "ledgerline_reader", Console: runlog.ConsoleRole} {
		if _, err := pool.Exec(ctx, fmt.Sprintf("CREATE ROLE %s LOGIN IN ROLE %s", user, role)); err != nil {
			return err
		}
	}
	_, err = pool.Exec(ctx, "CREATE ROLE "+Source+" LOGIN")
	return err
}

// URL is the address of the database for a user.
func (s *Stack) URL(user string) string { return s.Postgres.URL(Database, user) }

// Env is the environment of a program that runs as a database user.
func (s *Stack) Env(user string) []string {
	return []string{
		"DATABASE_URL=" + strings.Replace(s.URL(user), "@", ":"+Password+"@", 1),
		runlog.SourceVariable + "=" + strings.Replace(s.URL(Source), "@", ":"+Password+"@", 1),
		"TEMPORAL_ADDRESS=" + s.Temporal.HostPort(),
		"TEMPORAL_NAMESPACE=" + s.Temporal.Namespace,
		"LEDGERLINE_DEV_VENDOR_HOSTS=" + s.vendorHost,
		"LEDGERLINE_LISTEN=127.0.0.1:0",
		"LEDGERLINE_TEMPORAL_UI_URL=" + s.Temporal.UIURL(),
		"LEDGERLINE_SECRETS=" + s.secretsDir(),
	}
}

// Secrets are those that the integrations of [Stack.Integrations] name as
// file:NAME, by name.
func (s *Stack) Secrets() map[string]string {
	return map[string]string{
		"xledger-token":     sandbox.DemoXledgerToken,
		"xledger-old-token": strings.Repeat("revoked", 3),
		"dynamics-secret":   sandbox.DemoClientSecret,
	}
}

// Secret gives an organization a secret and returns the reference to it.
func (s *Stack) Secret(organization uuid.UUID, name, value string) integrations.Ref {
	return WriteSecret(s.secretsDir(), organization, name, value)
}

// WriteSecret writes an organization's secret below the folder of all secrets
// and returns the reference to it. It panics where that cannot be written:
// nothing would work.
func WriteSecret(dir string, organization uuid.UUID, name, value string) integrations.Ref {
	dir = filepath.Join(dir, organization.String())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		panic(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o600); err != nil {
		panic(err)
	}
	return integrations.Ref("file:" + name)
}

// SecretStore is where a worker in this process finds organizations' secrets.
func (s *Stack) SecretStore() *secrets.Store { return &secrets.Store{Dir: s.secretsDir()} }

func (s *Stack) secretsDir() string { return filepath.Join(s.Dir, "secrets") }

// DevHosts are the sandbox's "host:port".
func (s *Stack) DevHosts() []string { return []string{s.vendorHost} }

// Integrations returns an integration file for an organization: xledger-main,
// xledger-old (whose token is revoked), crm (Dataverse) and erp (Business
// Central). retry is the retry section of all of them, "" for the default. The
// organization has the secrets that the file names.
func (s *Stack) Integrations(organization uuid.UUID, retry string) string {
	for name, value := range s.Secrets() {
		s.Secret(organization, name, value)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "organization: %s\nintegrations:\n", organization)
	add := func(name, adapter, rest string) {
		id := uuid.NewSHA1(organization, []byte(name))
		fmt.Fprintf(&b, "  - id: %s\n    name: %s\n    adapter: %s\n    baseURL: %s\n    inFlight: %s\n%s", id, name, adapter, s.Vendors[adapter], s.inFlight, rest)
		if retry != "" {
			fmt.Fprintf(&b, "    retry: %s\n", retry)
		}
	}
	dynamics := func(settings string) string {
		return fmt.Sprintf("    settings: {tenantId: %s, clientId: %s, authority: %s, %s}\n    credentials: {clientSecret: file:dynamics-secret}\n",
			sandbox.DemoTenantID, sandbox.DemoClientID, s.Vendors["entra"], settings)
	}
	add("xledger-main", "xledger", "    credentials: {token: file:xledger-token}\n")
	add("xledger-old", "xledger", "    credentials: {token: file:xledger-old-token}\n")
	add("crm", "dataverse", dynamics("table: led_entries, prefix: led_"))
	add("erp", "businesscentral", dynamics("companyId: "+sandbox.DemoCompanyID+", journalId: "+sandbox.DemoJournalID))
	return b.String()
}

// Example is the integration file of docs/month-end.md: an organization with names, and one
// integration, xledger-main, with a schedule. retry is its retry section, "" for the default.
func (s *Stack) Example(organization uuid.UUID, retry string) string {
	_, list, _ := strings.Cut(s.Integrations(organization, retry), "  - id:")
	first, _, _ := strings.Cut(list, "  - id:")
	return fmt.Sprintf("organization: {id: %s, name: Eksempel Idrettslag, short: eksempel}\nintegrations:\n  - id:%s"+
		"    schedule: {every: monthly, day: 3, at: \"06:30\"}\n", organization, first)
}

// Apply stores the integrations of an organization and returns them by name.
func (s *Stack) Apply(ctx context.Context, organization uuid.UUID, retry string) (map[string]integrations.Integration, error) {
	list, err := integrations.Parse("stack.yaml", []byte(s.Integrations(organization, retry)), integrations.Options{DevHosts: s.DevHosts()})
	if err != nil {
		return nil, err
	}
	pool, err := runlog.Open(ctx, s.URL(Operator), 1)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if _, err := runlog.ApplyIntegrations(ctx, pool, list, runlog.ApplyOptions{By: "devstack"}); err != nil {
		return nil, err
	}
	byName := make(map[string]integrations.Integration)
	for _, in := range list {
		byName[in.Name] = in
	}
	return byName, nil
}

// File writes a file in the stack's folder and returns its path.
func (s *Stack) File(name, content string) (string, error) {
	path := filepath.Join(s.Dir, name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// Close ends everything and removes its data.
func (s *Stack) Close() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.Close())
	}
	if s.Temporal != nil {
		errs = append(errs, s.Temporal.Close())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.Dir))...)
}
