package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// completionTakes bounds what a shell waits for: whoever presses the key sees nothing
// meanwhile.
const completionTakes = time.Second

// completion returns what a flag or an argument can be. Without a server, and where
// something goes wrong, that is nothing: a shell shows no errors.
type completion func(ctx context.Context, a *app, c *cobra.Command) []string

// flagCompletions are of flags by their names; exportArguments are the commands whose
// argument names an export, which its period does, and integrationArguments those whose
// argument is an integration. fileFlags take a file, which the shell completes.
var (
	flagCompletions = map[string]completion{
		"org": completeOrganizations, "integration": completeIntegrations, "period": completePeriods, "class": fixed(classes...), "kind": completeKinds,
		"adapter": completeAdapters, "channel": completeChannels, "output": completeOutputs, "operation": fixed("call", "ping"), "voucher": completeVouchers,
	}
	exportArguments      = []string{"exports show", "exports retry", "exports prove", "exports resolve", "cancel"}
	integrationArguments = []string{
		"health history", "integrations pause", "integrations resume", "integrations verify",
		"schedules backfill", "schedules describe", "schedules pause", "schedules resume", "schedules trigger",
	}
	fileFlags = []string{"file", "body", "body-file", "token-file"}
)

// classes are what --class takes.
var classes = []classify.Class{classify.Transient, classify.Permanent, classify.Timeout, classify.Success}

// completeAll gives every flag and argument of every command its completion: where there is
// none, no files are offered.
func (a *app) completeAll(c *cobra.Command) {
	for name, complete := range flagCompletions {
		if c.Flags().Lookup(name) != nil || c.PersistentFlags().Lookup(name) != nil {
			_ = c.RegisterFlagCompletionFunc(name, a.complete(complete)) // one that the command has itself stays
		}
	}
	for _, flags := range []*pflag.FlagSet{c.Flags(), c.PersistentFlags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			if _, has := c.GetFlagCompletionFunc(f.Name); !has && !slices.Contains(fileFlags, f.Name) {
				_ = c.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
			}
		})
	}
	if c.ValidArgsFunction == nil && len(c.ValidArgs) == 0 {
		c.ValidArgsFunction = cobra.NoFileCompletions
		switch name := commandName(c); {
		case slices.Contains(exportArguments, name):
			c.ValidArgsFunction = firstArgument(a.complete(completePeriods))
		case slices.Contains(integrationArguments, name):
			c.ValidArgsFunction = firstArgument(a.complete(completeIntegrations))
		}
	}
	for _, sub := range c.Commands() {
		a.completeAll(sub)
	}
}

// firstArgument is a completion of the only argument of a command.
func firstArgument(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, begun)
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

// vouchersToName are the outcomes of the vouchers that a command's --voucher is about.
var vouchersToName = map[string][]exports.Outcome{
	"exports retry": {exports.WasRefused}, "exports resolve": {exports.IsWaiting, exports.IsUnknown},
}

// completeVouchers are the vouchers that a command on an export is about, at most a page of
// them. Of another command there are too many.
func completeVouchers(ctx context.Context, a *app, c *cobra.Command) (list []string) {
	outcomes, args := vouchersToName[commandName(c)], c.Flags().Args()
	if len(outcomes) == 0 || len(args) == 0 {
		return nil
	}
	c.SetContext(ctx) // which ends soon
	a.withOrganization(ctx, c, func(s *session) {
		t, err := s.chain(s.db, c.Flags().Lookup("integration").Value.String(), args[0])
		if err != nil {
			return
		}
		all, _, _ := runlog.ListVouchers(ctx, s.db, s.organization, t.Chain, false, "", runlog.MaxPage)
		for _, v := range all {
			if slices.Contains(outcomes, v.Outcome) {
				list = append(list, v.ID)
			}
		}
	})
	return list
}

// completePeriods are the periods that the newest exports have, this month, and the months of
// the year before it, the latest first.
func completePeriods(ctx context.Context, a *app, c *cobra.Command) (list []string) {
	month := integrations.Integration{}.Today(time.Now())
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
