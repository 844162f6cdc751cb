package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

func (a *app) migrate() *cobra.Command {
	var skipTemporal bool
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database schema and Temporal's search attributes up to date",
		Long: `Brings the database schema to the version of this program and adds the search
attributes that the Temporal namespace lacks. It is safe to run it again, and in
several places at once.

DATABASE_URL must name a user with CREATEROLE who owns the database or may create
a schema in it; no superuser is needed. The migration creates the group roles
ledgerline_worker, ledgerline_operator, ledgerline_reader, ledgerline_console and
ledgerline_retention; make your own users members of them. After a restore, run it to set owners and
rights again.

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
				return fmt.Errorf("%w; the database is done, so run starter migrate again when Temporal answers, or with --skip-temporal if it is to have the database only", err)
			}
			defer temporal.Close()
			added, err := engine.AddSearchAttributes(ctx, temporal, namespace)
			if err != nil {
				return err
			}
			say(words, "Temporal namespace %s: %s added, %d there before", namespace, count(len(added), "search attribute"), len(workflows.SearchAttributes())-len(added))
			return nil
		},
	}
	c.Flags().BoolVar(&skipTemporal, "skip-temporal", false, "migrate the database only")
	return c
}
