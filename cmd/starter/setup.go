package main

import (
	"fmt"
	"io"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
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

DATABASE_URL must name a user who may create roles. The migration makes the
group roles ledgerline_worker, ledgerline_operator, ledgerline_reader and
ledgerline_retention; make your own users members of them:

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
				fmt.Fprintf(words, "database: version %d, nothing to do\n", to)
			} else {
				fmt.Fprintf(words, "database: version %d to %d\n", from, to)
			}
			if skipTemporal {
				return nil
			}
			temporal, namespace, err := a.temporal(ctx)
			if err != nil {
				return fmt.Errorf("%w (or --skip-temporal)", err)
			}
			defer temporal.Close()
			added, err := workflows.AddSearchAttributes(ctx, temporal, namespace)
			if err != nil {
				return err
			}
			fmt.Fprintf(words, "temporal namespace %s: %d search attributes added, %d there\n", namespace, len(added), len(workflows.SearchAttributes())-len(added))
			return nil
		},
	}
	c.Flags().BoolVar(&skipTemporal, "skip-temporal", false, "only the database")
	return c
}

func (a *app) integrations() *cobra.Command {
	c := &cobra.Command{Use: "integrations", Short: "Apply, check and list organizations' integrations", Args: noArgs}
	c.AddCommand(a.integrationsApply(), a.integrationsCheck(), a.integrationsList(), a.integrationsPause(), a.integrationsResume())
	return c
}

// readFiles parses integration files; "-" is standard input.
func (a *app) readFiles(c *cobra.Command, files []string) ([]integrations.Integration, error) {
	if len(files) == 0 {
		return nil, usage("-f is missing: want an integration file, or - for standard input")
	}
	var all []integrations.Integration
	for _, name := range files {
		var src []byte
		var err error
		if name == "-" {
			name = "stdin"
			src, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 2<<20))
		} else {
			src, err = os.ReadFile(name)
		}
		if err != nil {
			return nil, usage("-f: %w", err)
		}
		list, err := integrations.Parse(name, src, integrations.Options{DevHosts: a.devHosts})
		if err != nil {
			return nil, usage("the file cannot be used:\n%w", err)
		}
		all = append(all, list...)
	}
	return all, nil
}

func (a *app) integrationsApply() *cobra.Command {
	var files []string
	var dryRun bool
	c := &cobra.Command{
		Use:     "apply -f FILE",
		Short:   "Store the integrations of a file: created, updated or unchanged",
		Example: "  starter integrations apply -f integrations.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := a.readFiles(c, files)
			if err != nil {
				return err
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			changes, err := runlog.ApplyIntegrations(c.Context(), pool, list, whoami(), dryRun)
			if err != nil {
				return fmt.Errorf("nothing was applied: %w", err)
			}
			if dryRun {
				fmt.Fprintln(c.ErrOrStderr(), "dry run: nothing was stored")
			}
			if err := a.applySchedules(c, list, dryRun); err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), changes)
			}
			rows := [][]string{{"ACTION", "NAME", "ADAPTER", "INTEGRATION", "ORGANIZATION"}}
			for _, ch := range changes {
				rows = append(rows, []string{ch.Action, ch.Name, ch.Adapter, ch.IntegrationID.String(), ch.OrganizationID.String()})
			}
			return table(c.OutOrStdout(), rows)
		},
	}
	c.Flags().StringSliceVarP(&files, "file", "f", nil, "integration `file`; - is standard input")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "say what would change and store nothing")
	return c
}

// whoami is recorded as the one who applied.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

func (a *app) integrationsCheck() *cobra.Command {
	var files []string
	c := &cobra.Command{
		Use:   "check -f FILE",
		Short: "Check a file, and whether its secrets can be read here; needs no server",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := a.readFiles(c, files)
			if err != nil {
				return err
			}
			type result struct {
				Name, Adapter, Credential, Reference, State string
			}
			results := []result{}
			rows := [][]string{{"NAME", "ADAPTER", "CREDENTIAL", "REFERENCE", "READABLE HERE"}}
			for _, in := range list {
				for name, ref := range in.Credentials {
					state := "yes"
					if _, err := ref.Resolve(); err != nil {
						state = "no: " + err.Error()
					}
					results = append(results, result{in.Name, in.Adapter, name, string(ref), state})
					rows = append(rows, []string{in.Name, in.Adapter, name, string(ref), state})
				}
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
			list, err := runlog.Integrations(c.Context(), pool, organization)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), list)
			}
			if len(list) == 0 {
				fmt.Fprintf(c.ErrOrStderr(), "organization %s has no integrations\n", organization)
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
