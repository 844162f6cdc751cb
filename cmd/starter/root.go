package main

import (
	"cmp"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/internal/tracing"
	"github.com/ledgerline/ledgerline/internal/version"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// app is what the commands share: the flags of the root.
type app struct {
	databaseURL string
	sourceURL   string
	uiURL       string
	output      outputFormat
	devHosts    []string
	args        []string        // of the program
	command     string          // that runs: "starter sync"
	reads       bool            // and changes nothing
	traces      *tracing.Traces // of what a command starts; nil is off
}

// outputFormat is how a command prints its result.
type outputFormat string

const (
	outputTable outputFormat = "table"
	outputJSON  outputFormat = "json"
	outputCSV   outputFormat = "csv" // of the commands that are marked by [printsCSV]
)

// printsCSV marks a command that takes -o csv.
func printsCSV(c *cobra.Command) *cobra.Command {
	c.Annotations = map[string]string{string(outputCSV): "yes"}
	return c
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "starter",
		Short: "Set up Ledgerline, make calls, and see their outcomes",
		Long: `starter sets up Ledgerline, makes ad-hoc calls and shows their outcomes.

Temporal is found by its own variables and profile file: TEMPORAL_ADDRESS,
TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…, TEMPORAL_PROFILE.
PostgreSQL is found by DATABASE_URL, as a user with the role
ledgerline_operator; ledgerline_reader is enough for what only reads, and migrate
needs one who may create roles. Sources of entries
other than the default one are read as the user in LEDGERLINE_SOURCE_DATABASE_URL.

What Temporal stores is encrypted if LEDGERLINE_PAYLOAD_KEYS names a folder of keys
and LEDGERLINE_PAYLOAD_KEY the one that encrypts; see starter payload-keys.

What call, sync and schedules backfill start is traced if OTEL_EXPORTER_OTLP_ENDPOINT
is set, as OpenTelemetry's own variables say.

Changes are recorded under LEDGERLINE_ACTOR, or user@host if that is not set. Set
it where several people share a login.

An organization is named by its short name or its UUID: --org eksempel, or
LEDGERLINE_ORG. starter completion makes a shell complete organizations,
integrations, periods and classes.

Exit codes: 0 done; 1 not done (exports prove, integrations verify: or something
does not agree; doctor: a check fails); 2 wrong command line or file.
call --exit-status: 3 the call failed permanently, 4 its last allowed attempt failed.
sync and exports retry: 3 the period is not complete (--exit-status=false: 0).
docs/exit-codes.md has the rule for each command.`,
		Version:       version.Line("starter"),
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(c *cobra.Command, args []string) error {
			switch {
			case a.output == outputTable, a.output == outputJSON, a.output == outputCSV && c.Annotations[string(outputCSV)] != "":
			case c.Annotations[string(outputCSV)] != "":
				return usage("--output %q: want table, json or csv", a.output)
			default:
				return usage("--output %q: want table or json", a.output)
			}
			if err := checkVisible(c, args); err != nil {
				return err
			}
			a.command, a.reads = c.CommandPath(), readsOnly(c)
			if err := checkActor(os.Getenv(actorVariable)); err != nil && !a.reads {
				return err
			}
			return fromEnvironment(c)
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(c, a.args, err) })
	flags := root.PersistentFlags()
	flags.StringVar(&a.databaseURL, "database-url", "", "PostgreSQL `address`; $DATABASE_URL")
	flags.StringVar(&a.sourceURL, "source-database-url", "", "`address`, with a user of its own, of the database with the other sources of entries; $"+runlog.SourceVariable)
	flags.StringVar(&a.uiURL, "ui-url", "http://localhost:8233", "`address` of the Temporal UI; $LEDGERLINE_TEMPORAL_UI_URL")
	flags.StringVarP((*string)(&a.output), "output", "o", string(outputTable), "`table` or json; csv where a command says so")
	flags.StringSliceVar(&a.devHosts, "dev-vendor-hosts", nil, "development only: `host:port` pairs that may be called over plain http; $LEDGERLINE_DEV_VENDOR_HOSTS")
	root.AddCommand(a.migrate(), a.integrations(), a.call(), a.show(), a.cancel(), a.logs(), a.explain(), a.redact(),
		a.entries(), a.sync(), a.exports(), a.schedules(), a.ticks(), a.health(), a.quota(), a.notifications(), a.payloadKeys(), a.codecServer(), a.doctor(),
		a.organizations(), a.version())
	a.completeAll(root)
	return root
}

// organizationFlag adds --org, required unless the environment names one.
func organizationFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "org", "", "short `name` or UUID of the organization; $LEDGERLINE_ORG")
}

// integrationFlag adds --integration.
func integrationFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "integration", "", "`name` or UUID of the integration")
}

// integrationObject is [integrationFlag] for a command that is about one integration: its
// name can stand as the argument too.
func integrationObject(c *cobra.Command, into *string) {
	integrationFlag(c, into)
	c.Args = integrationArgument(into, true)
	c.Flags().Lookup("integration").Usage = "`name` or UUID of the integration, in place of the argument"
}

// integrationArgument takes an integration's name as the argument of a command that has
// --integration as well. Both are taken if they say the same.
func integrationArgument(into *string, required bool) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		given := c.Flags().Changed("integration")
		switch {
		case len(args) > 1:
			return usage("%s takes one integration, got %d: %s; name one at a time", c.CommandPath(), len(args), strings.Join(args, " "))
		case len(args) == 1 && given && args[0] != *into:
			return usage("two integrations are named: %s, and --integration %s; name one", args[0], *into)
		case len(args) == 1:
			*into = args[0]
		case required && !given:
			return usage("no integration is named; want its name or UUID: %s NAME", c.CommandPath())
		}
		return nil
	}
}

// flagVariables are the variables that set a flag that is not given. They are read
// when a command runs, so that no help shows a value.
var flagVariables = map[string]string{
	"database-url": "DATABASE_URL", "source-database-url": runlog.SourceVariable, "ui-url": "LEDGERLINE_TEMPORAL_UI_URL", "dev-vendor-hosts": "LEDGERLINE_DEV_VENDOR_HOSTS", "org": "LEDGERLINE_ORG",
	"token-file": "LEDGERLINE_CODEC_TOKEN_FILE", "origin": "LEDGERLINE_CODEC_ORIGINS",
}

// fromEnvironment sets the flags that were not given. Its errors name a variable
// and never its value.
func fromEnvironment(c *cobra.Command) error {
	for _, name := range slices.Sorted(maps.Keys(flagVariables)) {
		variable := flagVariables[name]
		f, value := c.Flags().Lookup(name), os.Getenv(variable)
		if f == nil || f.Changed || value == "" {
			continue
		}
		switch name {
		case "org":
			if err := checkOrganization(variable, value); err != nil {
				return usage("%s: want the short name or the UUID of an organization; see starter organizations list", variable)
			}
		case "dev-vendor-hosts", "origin": // blanks separate them too
			value = strings.Join(environ.Split(value), ",")
		}
		if err := f.Value.Set(value); err != nil {
			return usage("%s: want what --%s takes; see %s --help", variable, name, c.CommandPath())
		}
	}
	return nil
}

// freeText are the flags that take any text. A voucher is named as it was stored.
var freeText = []string{"body", "reason", "file", "voucher", "database-url", "source-database-url", "ui-url", "header", "body-file", "token-file", "origin"}

// checkVisible refuses arguments with invisible characters: nothing would be found
// by such a name, and nobody would see why.
func checkVisible(c *cobra.Command, args []string) (err error) {
	for _, arg := range args {
		if wrong := plain.Seen(arg); wrong != nil {
			return usage("%q %w; want it without", arg, wrong)
		}
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if wrong := plain.Seen(f.Value.String()); wrong != nil && err == nil && !slices.Contains(freeText, f.Name) {
			err = usage("--%s %q %w; want it without", f.Name, f.Value, wrong)
		}
	})
	return err
}

var noArgs = exactly(0, "no arguments")

// exactly takes a number of arguments. Of more it says which flags are missing before them,
// as far as that can be seen.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			if missing := forgottenFlags(c, withoutObject(c, args, n)); missing != "" {
				return usage("%s takes %s: %s", c.CommandPath(), what, missing)
			}
		}
		if len(args) != n {
			return usage("%s takes %s, got %d; see %s --help", c.CommandPath(), what, len(args), c.CommandPath())
		}
		return nil
	}
}

func parseUUID(flag, value string) (uuid.UUID, error) {
	switch {
	case value == "":
		return uuid.Nil, usage("%s is missing: want a UUID", flag)
	}
	id, err := uuid.Parse(value)
	if err != nil || len(value) != 36 {
		return uuid.Nil, usage("%s %q: want a UUID, xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", flag, value)
	}
	return id, nil
}

// dash stands for an empty text in a table.
func dash(s string) string { return cmp.Or(s, "-") }

// clip shortens a text for a table.
func clip(s string, n int) string { return plain.Clip(s, n) }
