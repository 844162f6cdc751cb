package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"go.temporal.io/sdk/log"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// app is what the commands share.
type app struct {
	databaseURL string
	sourceURL   string
	uiURL       string
	output      string
	devHosts    []string
}

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "starter",
		Short: "Set up Ledgerline, make calls, and see what became of them",
		Long: `starter sets up Ledgerline, makes ad-hoc calls and shows what became of them.

Temporal is found by its own variables and profile file: TEMPORAL_ADDRESS,
TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…, TEMPORAL_PROFILE.
PostgreSQL is found by DATABASE_URL, as a user with the role
ledgerline_operator; migrate needs one who may create roles. Sources of entries
other than the default one are read as the login in LEDGERLINE_SOURCE_DATABASE_URL.

What is done here is on record under LEDGERLINE_ACTOR, or user@host if that is not
set. Set it where several people share a login.

Exit codes: 0 done, 1 could not be done (exports prove, integrations verify: or something does not
agree), 2 wrong command line or file;
call --exit-status: 3 failed for good, 4 tried as often as allowed;
sync and exports retry --exit-status: 3 failed, or not all entries exported.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(c *cobra.Command, args []string) error {
			if a.output != "table" && a.output != "json" {
				return usage("--output %q: want table or json", a.output)
			}
			if err := checkShown(c, args); err != nil {
				return err
			}
			return fromEnvironment(c)
		},
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage("%w; see %s --help", err, c.CommandPath()) })
	flags := root.PersistentFlags()
	flags.StringVar(&a.databaseURL, "database-url", "", "PostgreSQL `address`; $DATABASE_URL")
	flags.StringVar(&a.sourceURL, "source-database-url", "", "`address` where sources of entries other than the default one are read, with a login of their own; $"+runlog.SourceVariable)
	flags.StringVar(&a.uiURL, "ui-url", "http://localhost:8233", "where the Temporal UI is; $LEDGERLINE_TEMPORAL_UI_URL")
	flags.StringVarP(&a.output, "output", "o", "table", "`table` or json")
	flags.StringSliceVar(&a.devHosts, "dev-vendor-hosts", nil, "development only: `host:port` pairs that may be called over plain http; $LEDGERLINE_DEV_VENDOR_HOSTS")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	root.AddCommand(a.migrate(), a.integrations(), a.call(), a.show(), a.logs(), a.explain(), a.redact(),
		a.entries(), a.sync(), a.exports(), a.schedules(), a.ticks(), a.health(), a.quota(), a.notifications())
	return root
}

// variables are where a flag that was not given comes from. They are read when a
// command runs, so that no help shows a value.
var variables = map[string]string{
	"database-url": "DATABASE_URL", "source-database-url": runlog.SourceVariable, "ui-url": "LEDGERLINE_TEMPORAL_UI_URL", "dev-vendor-hosts": "LEDGERLINE_DEV_VENDOR_HOSTS", "org": "LEDGERLINE_ORG",
}

// fromEnvironment sets the flags that were not given. What it refuses it names
// without the value.
func fromEnvironment(c *cobra.Command) error {
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		variable := variables[name]
		f, value := c.Flags().Lookup(name), os.Getenv(variable)
		if f == nil || f.Changed || value == "" {
			continue
		}
		switch name {
		case "org":
			if _, err := parseUUID(variable, value); err != nil {
				return usage("%s: want a UUID, xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", variable)
			}
		case "dev-vendor-hosts": // blanks separate them too
			value = strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }), ",")
		}
		if err := f.Value.Set(value); err != nil {
			return usage("%s: want what --%s takes; see %s --help", variable, name, c.CommandPath())
		}
	}
	return nil
}

// free are the flags that take any text; vouchers are there as they were stored.
var free = []string{"body", "reason", "file", "voucher", "database-url", "source-database-url", "ui-url", "header", "body-file"}

// checkShown refuses arguments with characters that do not show: what they name
// would not be found, and nobody would see why.
func checkShown(c *cobra.Command, args []string) (err error) {
	for _, arg := range args {
		if wrong := plain.Seen(arg); wrong != nil {
			return usage("%q %w", arg, wrong)
		}
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if wrong := plain.Seen(f.Value.String()); wrong != nil && err == nil && !slices.Contains(free, f.Name) {
			err = usage("--%s %q %w", f.Name, f.Value, wrong)
		}
	})
	return err
}

// noArgs and friends turn cobra's argument errors into usage errors.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("%s takes %s, got %d; see %s --help", c.CommandPath(), what, len(args), c.CommandPath())
		}
		return nil
	}
}

var noArgs = exactly(0, "no arguments")

// connectTimeout bounds how long a command looks for a server.
const connectTimeout = 8 * time.Second

// database connects as an operator and checks that the schema fits.
func (a *app) database(ctx context.Context) (*pgxpool.Pool, error) {
	pool, err := a.open(ctx)
	if err != nil {
		return nil, err
	}
	// An operator at a keyboard may be a superuser; the worker may not.
	if _, err := runlog.SelfCheck(ctx, pool, runlog.Check{Role: "ledgerline_operator", Relax: true}); err != nil {
		pool.Close()
		return nil, fmt.Errorf("the database is not fit for use: %w", err)
	}
	return pool, nil
}

// organization reads --org and connects to the database. The caller closes the
// pool.
func (a *app) organization(c *cobra.Command, org string) (uuid.UUID, *pgxpool.Pool, error) {
	id, err := parseUUID("--org", org)
	if err != nil {
		return uuid.Nil, nil, err
	}
	pool, err := a.database(c.Context())
	return id, pool, err
}

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

// sources returns the reader of other sources of entries than the default one.
func (a *app) sources() (*runlog.Sources, error) {
	return runlog.NewSources(a.sourceURL, a.databaseURL)
}

// temporal connects and returns the namespace too.
func (a *app) temporal(ctx context.Context) (client.Client, string, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, "", fmt.Errorf("settings of Temporal (TEMPORAL_… or the profile file): %s", environ.Cause(err))
	}
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler)) // a command line speaks for itself
	options.Namespace = cmp.Or(options.Namespace, "default")
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return nil, "", fmt.Errorf("cannot reach Temporal: %s; check TEMPORAL_ADDRESS and that the server is up", environ.Cause(err))
	}
	return c, options.Namespace, nil
}

// organizationFlag adds --org, required unless the environment names one.
func organizationFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "org", "", "organization `UUID`; $LEDGERLINE_ORG")
}

func parseUUID(flag, value string) (uuid.UUID, error) {
	switch {
	case value == "" && flag == "--org":
		return uuid.Nil, usage("--org is missing: want a UUID, there or in LEDGERLINE_ORG")
	case value == "":
		return uuid.Nil, usage("%s is missing: want a UUID", flag)
	}
	id, err := uuid.Parse(value)
	if err != nil || len(value) != 36 {
		return uuid.Nil, usage("%s %q: want a UUID, xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", flag, value)
	}
	return id, nil
}

// find resolves an integration by its UUID or its name in the organization.
func find(ctx context.Context, db runlog.Beginner, organization uuid.UUID, which string) (integrations.Integration, error) {
	if which == "" {
		return integrations.Integration{}, usage("--integration is missing: want the UUID or the name of an integration")
	}
	list, err := runlog.ListIntegrations(ctx, db, organization)
	for _, in := range list {
		if in.Name == which || in.ID.String() == which {
			return in, nil
		}
	}
	if err != nil {
		return integrations.Integration{}, err
	}
	return integrations.Integration{}, fmt.Errorf("--integration %q: organization %s has no such integration; see starter integrations list", which, organization)
}

// unreadable reports whether an error is about some integrations of a list only.
func unreadable(err error) bool {
	var some *runlog.UnreadableError
	return errors.As(err, &some)
}

// listed returns an organization's integrations, and says which cannot be read.
func listed(c *cobra.Command, db runlog.Beginner, organization uuid.UUID) ([]integrations.Integration, error) {
	list, err := runlog.ListIntegrations(c.Context(), db, organization)
	if unreadable(err) {
		return list, say(c.ErrOrStderr(), "warning: %v", err)
	}
	return list, err
}

// dash shows that there is nothing to show.
func dash(s string) string { return cmp.Or(s, "-") }

// clip shortens a text for a table.
func clip(s string, n int) string { return plain.Clip(s, n) }
