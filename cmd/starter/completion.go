package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

// completionTakes bounds what a shell waits for: whoever presses the key sees nothing
// meanwhile.
const completionTakes = time.Second

// completion returns what a flag or an argument can be. Without a server, and where
// something goes wrong, that is nothing: a shell shows no errors.
type completion func(ctx context.Context, a *app, c *cobra.Command) []string

// flagCompletions are of flags by their names; exportArguments are the commands whose
// argument names an export, which its period does.
var (
	flagCompletions = map[string]completion{
		"org": completeOrganizations, "integration": completeIntegrations, "period": completePeriods, "class": fixed(classes...), "kind": completeKinds,
		"adapter": completeAdapters, "channel": completeChannels, "output": completeOutputs, "operation": fixed("call", "ping"),
	}
	exportArguments = []string{"exports show", "exports retry", "exports prove", "exports resolve", "cancel"}
)

// classes are what --class takes.
var classes = []classify.Class{classify.Transient, classify.Permanent, classify.Timeout, classify.Success}

// completeAll gives every flag of every command its completion. A flag that takes a file
// is completed by the shell.
func (a *app) completeAll(c *cobra.Command) {
	for name, complete := range flagCompletions {
		if c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil {
			_ = c.RegisterFlagCompletionFunc(name, a.complete(complete)) // one that the command has itself stays
		}
	}
	if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 {
		c.ValidArgsFunction = cobra.NoFileCompletions
		if slices.Contains(exportArguments, commandName(c)) {
			c.ValidArgsFunction = a.complete(completePeriods)
		}
	}
	for _, sub := range c.Commands() {
		a.completeAll(sub)
	}
}

// complete makes a completion what cobra calls. Nothing has read the environment by then.
func (a *app) complete(complete completion) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if err := fromEnvironment(c); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), completionTakes)
		defer cancel()
		var fits []string
		for _, word := range complete(ctx, a, c) {
			if strings.HasPrefix(word, begun) {
				fits = append(fits, word)
			}
		}
		return fits, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func fixed[T ~string](words ...T) completion {
	return func(context.Context, *app, *cobra.Command) (list []string) {
		for _, w := range words {
			list = append(list, string(w))
		}
		return list
	}
}

func completeOutputs(_ context.Context, _ *app, c *cobra.Command) []string {
	list := []string{string(outputTable), string(outputJSON)}
	if c.Annotations[string(outputCSV)] != "" {
		list = append(list, string(outputCSV))
	}
	return list
}

func completeAdapters(context.Context, *app, *cobra.Command) []string { return vendors.Names() }

func completeKinds(context.Context, *app, *cobra.Command) (list []string) {
	for _, k := range classify.Kinds() {
		list = append(list, string(k))
	}
	return list
}

// asking runs fn on the database. Nothing is checked: what fails completes nothing.
func (a *app) asking(ctx context.Context, fn func(*pgxpool.Pool)) {
	pool, err := runlog.Open(ctx, a.databaseURL, 1)
	if err != nil {
		return
	}
	fn(pool)
	go pool.Close() // which waits for a server that does not answer
}

// withOrganization runs fn on the organization of --org, if there is one.
func (a *app) withOrganization(ctx context.Context, c *cobra.Command, fn func(*session)) {
	org := c.Flags().Lookup("org")
	if org == nil || org.Value.String() == "" {
		return
	}
	a.asking(ctx, func(pool *pgxpool.Pool) {
		found, err := runlog.FindOrganization(ctx, pool, org.Value.String())
		if err == nil {
			fn(&session{app: a, command: c, organization: found.ID, org: found, db: pool})
		}
	})
}

func completeOrganizations(ctx context.Context, a *app, _ *cobra.Command) (list []string) {
	a.asking(ctx, func(pool *pgxpool.Pool) {
		all, _ := runlog.ListNamedOrganizations(ctx, pool)
		for _, o := range all {
			list = append(list, o.String())
		}
	})
	return list
}

func completeIntegrations(ctx context.Context, a *app, c *cobra.Command) (list []string) {
	a.withOrganization(ctx, c, func(s *session) {
		all, _ := runlog.ListIntegrations(ctx, s.db, s.organization) // those that can be read
		for _, in := range all {
			list = append(list, in.Name)
		}
	})
	return list
}

func completeChannels(ctx context.Context, a *app, c *cobra.Command) (list []string) {
	a.withOrganization(ctx, c, func(s *session) {
		all, _ := runlog.ListChannels(ctx, s.db, s.organization)
		for _, ch := range all {
			list = append(list, ch.Name)
		}
	})
	return list
}

// completePeriods are the periods that the newest exports have, this month, and the months of
// the year before it, the latest first.
func completePeriods(ctx context.Context, a *app, c *cobra.Command) (list []string) {
	month := time.Now().UTC()
	month = time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	for n := range 13 {
		list = append(list, month.AddDate(0, -n, 0).Format("2006-01"))
	}
	a.withOrganization(ctx, c, func(s *session) {
		all, _ := runlog.ListExports(ctx, s.db, s.organization, 100)
		for _, e := range all {
			if !slices.Contains(list, e.Period) {
				list = append(list, e.Period)
			}
		}
	})
	slices.SortStableFunc(list, func(a, b string) int {
		from, _, _ := exports.ParsePeriod(a)
		to, _, _ := exports.ParsePeriod(b)
		return to.Compare(from)
	})
	return list
}
