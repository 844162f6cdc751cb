package main

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
	"github.com/ledgerline/ledgerline/workflows"
)

func (a *app) migrate() *cobra.Command {
	var skipTemporal bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database schema and Temporal's search attributes up to date",
		Long: `Brings the database schema to the version of this program and adds the search
attributes that a Temporal namespace lacks. It is safe to run again, and at
several places at once.

DATABASE_URL must name a user with CREATEROLE who owns the database or may create
a schema in it; no superuser is needed. The migration makes the group roles
ledgerline_worker, ledgerline_operator, ledgerline_reader and ledgerline_retention;
make your own users members of them. After a restore it sets owners and rights again.

  CREATE ROLE app LOGIN PASSWORD '…' IN ROLE ledgerline_worker;`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, words := c.Context(), c.ErrOrStderr()
			pool, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer pool.Close()
			from, to, err := runlog.Migrate(ctx, pool)
			if err != nil {
				return fmt.Errorf("migrate the database: %w", err)
			}
			if from == to {
				say(words, "database: version %d, nothing to do", to)
			} else {
				say(words, "database: version %d to %d", from, to)
			}
			if skipTemporal {
				return nil
			}
			temporal, namespace, err := a.temporal(ctx)
			if err != nil {
				return fmt.Errorf("%w (or --skip-temporal)", err)
			}
			defer temporal.Close()
			added, err := engine.AddSearchAttributes(ctx, temporal, namespace)
			if err != nil {
				return err
			}
			say(words, "temporal namespace %s: %d search attributes added, %d there", namespace, len(added), len(workflows.SearchAttributes())-len(added))
			return nil
		},
	}
	c.Flags().BoolVar(&skipTemporal, "skip-temporal", false, "only the database")
	return c
}

func (a *app) integrations() *cobra.Command {
	c := &cobra.Command{Use: "integrations", Short: "Apply, check, verify and list organizations' integrations", Args: noArgs}
	c.AddCommand(a.integrationsApply(), a.integrationsCheck(), a.integrationsVerify(), a.integrationsList(), a.integrationsPause(), a.integrationsResume())
	return c
}

// readFiles parses integration files; "-" is standard input.
func (a *app) readFiles(c *cobra.Command, files []string) (all integrations.File, err error) {
	if len(files) == 0 {
		return all, usage("-f is missing: want an integration file, or - for standard input")
	}
	all.Channels = make(map[uuid.UUID][]integrations.Channel)
	for _, name := range files {
		var src []byte
		if name == "-" {
			name = "stdin"
			src, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 2<<20))
		} else {
			src, err = os.ReadFile(name)
		}
		if err != nil {
			return all, usage("-f: %w", err)
		}
		file, err := integrations.ParseFile(name, src, integrations.Options{DevHosts: a.devHosts})
		if err != nil {
			return all, usage("the file cannot be used:\n%w", err)
		}
		all.Integrations = append(all.Integrations, file.Integrations...)
		for organization, channels := range file.Channels {
			if _, twice := all.Channels[organization]; twice {
				return all, usage("%s: organization %s has a notifications section in another file too; want one for all of its channels", name, organization)
			}
			all.Channels[organization] = channels
		}
	}
	ids := make(map[uuid.UUID]string)
	for _, in := range all.Integrations {
		if other, twice := ids[in.ID]; twice {
			return all, usage("-f: integrations %s and %s have the same ID %s; want one of them", other, in.Name, in.ID)
		}
		ids[in.ID] = in.Name
	}
	return all, checkReferences(c.ErrOrStderr(), all)
}

// whoami is who does this, for the record: $LEDGERLINE_ACTOR, otherwise user@host.
func whoami() string {
	if actor := identity(os.Getenv("LEDGERLINE_ACTOR")); actor != "" {
		return actor
	}
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		name += "@" + host
	}
	return identity(name)
}

// identity is a name as it can be shown and stored: one line, at most 200
// characters.
func identity(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if plain.Seen(string(r)) != nil {
			return -1
		}
		return r
	}, s))
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200])
	}
	return s
}

func (a *app) integrationsCheck() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use:   "check -f FILE",
		Short: "Check a file, and whether its secrets can be read here; needs no server",
		Long: `Checks a file, and whether the secrets that it names can be read here. Run it
with the worker's LEDGERLINE_SECRETS and LEDGERLINE_ENV_SECRETS, as its user, to
see what the worker will see. No server is needed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := a.readFiles(c, files)
			if err != nil {
				return err
			}
			type result struct {
				Name, Adapter, Credential, Reference, State string
			}
			results := []result{}
			rows := [][]string{{"NAME", "ADAPTER", "CREDENTIAL", "REFERENCE", "READABLE HERE"}}
			store, _ := secrets.FromEnv(os.Getenv) // readFiles has checked it
			for _, r := range secretReferences(file) {
				state := "yes"
				if err := r.resolve(c.Context(), store); err != nil {
					state = "no: " + err.Error()
				}
				results = append(results, result{r.owner, r.kind, r.name, string(r.ref), state})
				rows = append(rows, []string{r.owner, r.kind, r.name, string(r.ref), state})
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), results)
			}
			return table(c.OutOrStdout(), rows)
		},
	}
	c.Flags().StringSliceVarP(&files, "file", "f", nil, "integration `file`; - is standard input")
	return c
}

func (a *app) integrationsList() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use:   "list --org UUID",
		Short: "List an organization's integrations",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := listIntegrations(c, pool, organization)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), list)
			}
			if len(list) == 0 {
				say(c.ErrOrStderr(), "organization %s has no integrations", organization)
				return nil
			}
			rows := [][]string{{"NAME", "ADAPTER", "INTEGRATION", "BASE URL"}}
			for _, in := range list {
				rows = append(rows, []string{in.Name, in.Adapter, in.ID.String(), in.BaseURL})
			}
			return table(c.OutOrStdout(), rows)
		},
	}
	organizationFlag(c, &org)
	return c
}
