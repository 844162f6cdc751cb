package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) organizations() *cobra.Command {
	root := &cobra.Command{Use: "organizations", Short: "List the organizations of the database", Args: noArgs}
	root.AddCommand(&cobra.Command{
		Use: "list", Short: "List the organizations of the database, with their names", Args: noArgs,
		Long: `Lists the organizations of the database. --org and LEDGERLINE_ORG take a short name or
a UUID. The names are those of the integration file.`,
		Example: "  starter organizations list",
		RunE: func(c *cobra.Command, _ []string) error {
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := runlog.ListNamedOrganizations(c.Context(), pool)
			if err != nil {
				return err
			}
			if len(list) == 0 && a.output != outputJSON {
				return say(c.ErrOrStderr(), "there are no organizations yet; starter integrations apply makes them")
			}
			return a.print(c.OutOrStdout(), list, organizationTable(list))
		},
	})
	return root
}

func organizationTable(list []integrations.Organization) [][]string {
	rows := [][]string{{"SHORT", "NAME", "ORGANIZATION"}}
	for _, o := range list {
		rows = append(rows, []string{dash(o.Short), dash(o.Name), o.ID.String()})
	}
	return rows
}

// checkOrganization refuses what can be neither the UUID nor the short name of an
// organization. from is the flag.
func checkOrganization(from, which string) error {
	if which == "" {
		return usage("%s is missing: want the short name or the UUID of an organization, there or in LEDGERLINE_ORG", from)
	}
	if _, err := uuid.Parse(which); (err != nil || len(which) != 36) && !integrations.IsShortName(which) {
		return usage("%s %q: want the short name or the UUID of an organization; see starter organizations list", from, which)
	}
	return nil
}

// missingOrganization is the error of a command that needs --org, with what it could be.
// It does not guess, even if there is only one.
func (a *app) missingOrganization(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	missing := checkOrganization("--org", "")
	pool, err := runlog.Open(ctx, a.databaseURL, 1)
	if err != nil {
		return missing
	}
	defer pool.Close()
	list, err := runlog.ListNamedOrganizations(ctx, pool)
	if err != nil || len(list) == 0 {
		return missing
	}
	const most = 10
	var names []string
	for _, o := range list[:min(most, len(list))] {
		names = append(names, o.String())
	}
	more := ""
	if len(list) > most {
		more = "; starter organizations list shows all"
	}
	if len(names) == 1 {
		return usage("--org is missing: want an organization such as %s, there or in LEDGERLINE_ORG", names[0])
	}
	return usage("--org is missing: want one of %s, there or in LEDGERLINE_ORG%s", strings.Join(names, ", "), more)
}

// findOrganization returns the ID of an organization. It asks the database only where a
// short name is given.
func (a *app) findOrganization(ctx context.Context, which string) (uuid.UUID, error) {
	if err := checkOrganization("--org", which); err != nil {
		return uuid.Nil, err
	}
	if id, err := uuid.Parse(which); err == nil {
		return id, nil
	}
	pool, err := a.database(ctx)
	if err != nil {
		return uuid.Nil, err
	}
	defer pool.Close()
	o, err := runlog.FindOrganization(ctx, pool, which)
	return o.ID, err
}

// organizationNames returns what people call each organization.
func organizationNames(ctx context.Context, db runlog.Beginner) (map[uuid.UUID]integrations.Organization, error) {
	list, err := runlog.ListNamedOrganizations(ctx, db)
	names := make(map[uuid.UUID]integrations.Organization, len(list))
	for _, o := range list {
		names[o.ID] = o
	}
	return names, err
}

// called is what people call an organization, which names may lack.
func called(names map[uuid.UUID]integrations.Organization, id uuid.UUID) string {
	if o, ok := names[id]; ok {
		return o.String()
	}
	return id.String()
}

// namesOf are the short names of the organizations of a file.
func namesOf(list []integrations.Organization) map[uuid.UUID]integrations.Organization {
	names := make(map[uuid.UUID]integrations.Organization, len(list))
	for _, o := range slices.Backward(list) {
		names[o.ID] = o
	}
	return names
}
