package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/dial"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/internal/tracing"
	"github.com/ledgerline/ledgerline/runlog"
)

// connectTimeout bounds how long a command tries to reach a server.
const connectTimeout = 8 * time.Second

// session is what a command works with: the organization of --org, the database
// and, if the command needs them, an integration and Temporal. The command that
// opens it closes it.
type session struct {
	app          *app
	command      *cobra.Command
	organization uuid.UUID
	org          integrations.Organization // the same, with its names
	integration  integrations.Integration  // after find
	db           *pgxpool.Pool
	temporal     client.Client // after connect
}

// onOrganization is the body of a command on the organization of --org.
func (a *app) onOrganization(org *string, do func(*session) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		s, err := a.openOrganization(c, *org)
		if err != nil {
			return err
		}
		defer s.close()
		return do(s)
	}
}

// openOrganization opens a session for a command on an organization, by its UUID or its
// short name. What the session may do depends on the command: see readingCommands.
func (a *app) openOrganization(c *cobra.Command, org string) (*session, error) {
	if org == "" {
		return nil, a.missingOrganization(c.Context())
	}
	if err := checkOrganization("--org", org); err != nil {
		return nil, err
	}
	db, err := a.database(c.Context())
	if err != nil {
		return nil, err
	}
	s := &session{app: a, command: c, db: db}
	if err := s.resolve(org); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// resolve sets the session's organization, by its UUID or its short name.
func (s *session) resolve(org string) (err error) {
	s.org, err = runlog.FindOrganization(s.command.Context(), s.db, org)
	s.organization = s.org.ID
	if err != nil {
		return fmt.Errorf("--org: %w", err)
	}
	return nil
}

// openIntegration opens a session for a command on one integration, by its UUID or
// its name.
func (a *app) openIntegration(c *cobra.Command, org, which string) (*session, error) {
	s, err := a.openOrganization(c, org)
	if err != nil {
		return nil, err
	}
	if err := s.find(which); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// openCall is [app.openIntegration] with Temporal, to which it connects meanwhile. A call
// only reads what its integration is; whether the schema is as it was made is checked by
// the commands that change it, and by the worker that makes the attempts.
func (a *app) openCall(c *cobra.Command, org, which string) (*session, error) {
	if org == "" {
		return nil, a.missingOrganization(c.Context())
	}
	if err := checkOrganization("--org", org); err != nil {
		return nil, err
	}
	s := &session{app: a, command: c}
	dialing, cancel := context.WithCancel(c.Context())
	defer cancel()
	dialed := make(chan error, 1)
	go func() { dialed <- s.connectWithin(dialing) }()
	var err error
	if s.db, err = a.checked(c.Context(), func(pool *pgxpool.Pool) error {
		return runlog.CheckVersion(c.Context(), pool, runlog.OperatorRole)
	}); err == nil {
		if err = s.resolve(org); err == nil {
			err = s.find(which)
		}
	}
	if err != nil {
		cancel() // this error is the one to show
	}
	if dialErr := <-dialed; err == nil {
		err = dialErr
	}
	if err == nil {
		err = usePayloadKeys(c.Context(), s.db)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// openExport opens a session for a command on an export.
func (a *app) openExport(c *cobra.Command, org, which string) (*session, exports.Export, error) {
	id, err := parseUUID("EXPORT", which)
	if err != nil {
		return nil, exports.Export{}, err
	}
	s, err := a.openOrganization(c, org)
	if err != nil {
		return nil, exports.Export{}, err
	}
	e, err := runlog.LoadExport(c.Context(), s.db, s.organization, id)
	if err != nil {
		s.close()
		return nil, e, err
	}
	return s, e, nil
}

// find sets the session's integration, by its UUID or its name.
func (s *session) find(which string) error {
	if which == "" {
		return usage("--integration is missing: want the name or the UUID of an integration")
	}
	list, err := runlog.ListIntegrations(s.command.Context(), s.db, s.organization)
	for _, in := range list {
		if in.Name == which || in.ID.String() == which {
			s.integration = in
			return nil
		}
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("--integration %q: organization %s has no such integration; see starter integrations list", which, s.org)
}

// list returns the organization's integrations, and warns of those that cannot be
// read.
func (s *session) list() ([]integrations.Integration, error) {
	list, err := runlog.ListIntegrations(s.command.Context(), s.db, s.organization)
	if unreadable(err) {
		return list, s.say("warning: %v", err)
	}
	return list, err
}

// unreadable reports whether an error is about some integrations of a list only.
func unreadable(err error) bool {
	var some *runlog.UnreadableError
	return errors.As(err, &some)
}

// connect connects to Temporal.
func (s *session) connect() error {
	if !s.app.reads { // what only reads encrypts nothing
		if err := usePayloadKeys(s.command.Context(), s.db); err != nil {
			return err
		}
	}
	return s.connectWithin(s.command.Context())
}

func (s *session) connectWithin(ctx context.Context) (err error) {
	a := s.app
	a.traces, err = tracing.Start(ctx, tracing.Options{Service: "ledgerline-starter", Log: slog.New(slog.DiscardHandler), OneTry: true})
	if err != nil {
		s.say("warning: there are no traces: %s", environ.Cause(err))
	}
	s.temporal, _, err = a.temporal(ctx)
	return err
}

func (s *session) close() {
	if s.temporal != nil {
		s.temporal.Close()
	}
	if s.db != nil {
		s.db.Close()
	}
}

// say writes a message to stderr.
func (s *session) say(format string, args ...any) error {
	return say(s.command.ErrOrStderr(), format, args...)
}

// database connects with the rights that the command needs and checks that the schema
// fits.
func (a *app) database(ctx context.Context) (*pgxpool.Pool, error) {
	return a.checked(ctx, func(pool *pgxpool.Pool) error {
		_, err := runlog.SelfCheck(ctx, pool, a.roles())
		return err
	})
}

// checked connects to a database that passes the check.
func (a *app) checked(ctx context.Context, check func(*pgxpool.Pool) error) (*pgxpool.Pool, error) {
	pool, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := check(pool); err != nil {
		defer pool.Close()
		if refused := a.refuseReader(ctx, pool); refused != nil {
			return nil, refused
		}
		return nil, fmt.Errorf("the database cannot be used: %w", err)
	}
	return pool, nil
}

// open connects to the database, whatever its schema.
func (a *app) open(ctx context.Context) (*pgxpool.Pool, error) {
	pool, err := runlog.Open(ctx, a.databaseURL, 2)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("cannot reach PostgreSQL: %s; check DATABASE_URL and that the server is up", environ.RootCause(err))
	}
	return pool, nil
}

// sources returns the reader of the sources of entries other than the default one.
func (a *app) sources() (*runlog.Sources, error) {
	return runlog.NewSources(a.sourceURL, a.databaseURL)
}

// temporal connects and returns the namespace too. What starts something calls
// [usePayloadKeys] before.
func (a *app) temporal(ctx context.Context) (client.Client, string, error) {
	keys, err := codec.FromEnv(os.Getenv)
	if err != nil {
		return nil, "", usage("%w", err)
	}
	return dial.Temporal(ctx, dial.Options{Within: connectTimeout, Keys: keys, Configure: func(o *client.Options) {
		o.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler)) // a command prints its own messages
		o.Interceptors = a.traces.Interceptors()
	}})
}
