package main

import (
	"errors"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

func (a *app) exports() *cobra.Command {
	c := &cobra.Command{Use: "exports", Short: "List, show, retry, prove and resolve exports"}
	c.AddCommand(a.exportsList(), a.exportsShow(), a.exportsRetry(), a.exportsProve(), a.exportsResolve())
	return c
}

// shownChains is how many periods exports list shows without --all.
const shownChains = 100

func (a *app) exportsList() *cobra.Command {
	var org, integration, period string
	var states []string
	var all bool
	c := &cobra.Command{
		Use: "list --org NAME", Short: "List an organization's exports, newest first", Args: noArgs,
		Long: `Lists exports, the newest first: one line for a period, which counts the export and
its retries as one. The newest 100 are listed, and a line says how many more there
are; --all lists all.

STATE says in a few words why a period waits that is being exported, and starter
exports show at length, with what to do. Entries are counted as they are now. MISSING
is what the vendor does not have, as far as is known: refused, still to be sent, or
unknown.`,
		Example: "  starter exports list --org $ORG --integration xledger-main --status incomplete",
		PreRunE: func(*cobra.Command, []string) (err error) {
			if period != "" {
				_, _, err = readPeriod("--period", period)
			}
			return err
		},
		RunE: a.onOrganization(&org, func(s *session) error {
			f := runlog.ChainFilter{Period: period, Limit: shownChains}
			for _, state := range states {
				if f.States = append(f.States, exports.ChainState(state)); !slices.Contains(exports.ChainStates, exports.ChainState(state)) {
					return usage("--status %q: want complete, incomplete, running or failed", state)
				}
			}
			if integration != "" {
				if err := s.find(integration); err != nil {
					return err
				}
				f.Integration = s.integration.ID
			}
			if all {
				f.Limit = 0
			}
			var views []statement.Period
			var more int
			err := runlog.Snapshot(s.command.Context(), s.db, func(db runlog.Beginner) (err error) {
				var list []exports.Chain
				if list, more, err = runlog.ListChains(s.command.Context(), db, s.organization, f); err == nil {
					views, err = s.views(db, list...)
				}
				return err
			})
			if err != nil {
				return err
			}
			return a.printPeriods(s.command.OutOrStdout(), views, more)
		}),
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "only of this integration: `name` or UUID")
	c.Flags().StringVar(&period, "period", "", "only of this `period`: 2026-10, 2026-W45 or 2026-11-23")
	c.Flags().StringSliceVar(&states, "status", nil, "only with this `status`: complete, incomplete, running or failed; several with commas")
	c.Flags().BoolVar(&all, "all", false, "list all, and not only the newest 100")
	_ = c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions([]string{"complete", "incomplete", "running", "failed"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// exportList is what exports list prints as JSON.
type exportList struct {
	Periods []statement.Period `json:"periods"`
	More    int                `json:"more"` // that are not listed
}

// printPeriods prints periods, and how many more there are.
func (a *app) printPeriods(w io.Writer, list []statement.Period, more int) error {
	if a.output == outputJSON {
		return printJSON(w, exportList{list, more})
	}
	err := table(w, statement.ListRows(list, time.Now()))
	if more > 0 {
		err = errors.Join(err, say(w, "%d more: add --all", more))
	}
	return err
}

func (a *app) exportsRetry() *cobra.Command {
	var org, integration string
	var vouchers []string
	var dryRun bool
	var wait waitOptions
	c := &cobra.Command{
		Use: "retry EXPORT --org NAME [--integration NAME] [--voucher V]", Short: "Send what an export did not export, as an export of its own",
		Long: `Makes a new export, a retry, of the entries that were refused, that were not sent,
or whose outcome is unknown; the vendor is asked about those first. Refused entries
are read again from the source, with the mappings as they are now: correct them
before. If the export failed before it was planned, the whole period is exported.

` + exportArgument + `
An export has one retry, which can be retried in turn: of an export that has been
retried, the last retry is retried.

With --voucher, only these of the refused vouchers are sent again, and the others stay
refused until a later retry. What was not sent, or whose outcome is open, is taken in
any case; --dry-run says what that comes to. While a retry is under way --voucher is
refused. A worker of a version before --voucher sends all refused vouchers: upgrade
every worker before you use it.

Exits 3 if the period is not complete after it; --exit-status=false turns that off.`,
		Example: "  starter exports retry 2026-10 --integration xledger-main --org $ORG\n  starter exports retry 2026-10 --integration xledger-main --org $ORG --voucher 20201",
		Args:    exactly(1, "a period or the ID of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			s, t, err := a.openChain(c, org, integration, args[0])
			if err != nil {
				return err
			}
			defer s.close()
			target, err := engine.FindRetryTarget(t.Chain, vouchers)
			var refused *engine.RetryRefusedError
			switch {
			case errors.As(err, &refused) && refused.Why == engine.NothingToRetry:
				return a.nothingToRetry(s, t, refused, wait)
			case err != nil:
				return err
			case target.Joins != nil: // its own retry is joined, or resumed
				s.say("the export of %s is being retried by export %s; joining it", t.Name(), exports.Short(target.Joins.ID))
			case target.ParentID != t.named.ID:
				s.say("the export of %s has been retried; retrying its last retry, export %s", t.Name(), exports.Short(target.ParentID))
			}
			if err := s.checkRefused(t.Chain, vouchers); err != nil {
				return err
			}
			if err := s.useIntegration(t.Chain); err != nil {
				return err
			}
			in, err := engine.NewRetry(s.integration, t.Chain, vouchers, whoami())
			if err != nil {
				return err
			}
			if dryRun {
				return a.previewSync(s, in)
			}
			return a.runSync(s, in, wait)
		},
	}
	organizationFlag(c, &org)
	integrationOfPeriodFlag(c, &integration)
	c.Flags().StringArrayVar(&vouchers, "voucher", nil, "of the refused vouchers only the one with this `ID`; can be repeated")
	wait.flags(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be sent and what would be refused; send nothing")
	return c
}

// nothingToRetry says what a chain came to of which nothing is left, and with which export.
func (a *app) nothingToRetry(s *session, t chainTarget, refused *engine.RetryRefusedError, o waitOptions) error {
	err := s.say("%s", refused)
	if what, command := t.NextStep(); command != "" {
		err = errors.Join(err, s.say("%s: %s", what, command))
	}
	if a.output == outputJSON {
		r, reportErr := s.syncReportOf(t.Chain, t.Last().ID, true)
		if reportErr == nil {
			reportErr = printJSON(s.command.OutOrStdout(), r)
		}
		err = errors.Join(err, reportErr)
	}
	if err == nil && o.exitStatus && t.State() != exports.ChainComplete {
		return exitError{code: exitPermanent}
	}
	return err
}

// checkRefused refuses to retry vouchers that the chain does not have as refused.
func (s *session) checkRefused(c exports.Chain, vouchers []string) error {
	err := runlog.CheckRefused(s.command.Context(), s.db, s.organization, c, vouchers)
	var wrong *runlog.NamingError
	switch {
	case !errors.As(err, &wrong):
		return err
	case wrong.Empty:
		return usage("--voucher is empty: want the ID of a voucher")
	}
	return usage("--voucher: %d vouchers; at most %d, or leave it out to retry all", wrong.Named, runlog.MaxNamed)
}

// exportReport is what cancel prints as JSON: an export, and its period.
type exportReport struct {
	Export statement.Export `json:"export"`
	Period statement.Period `json:"period"` // it and its retries, as they are now
}

// exportReportOf is the report of one of a chain's exports.
func (s *session) exportReportOf(c exports.Chain, id uuid.UUID) (exportReport, error) {
	views, err := s.views(s.db, c)
	if err != nil {
		return exportReport{}, err
	}
	p := views[0]
	return exportReport{p.Exports[slices.IndexFunc(p.Exports, func(e statement.Export) bool { return e.ID == id })], p}, nil
}

// syncReport is what sync and exports retry print as JSON: the export that was made, or
// that the period had.
type syncReport struct {
	AlreadyExported bool             `json:"alreadyExported"` // nothing was sent now
	Export          statement.Export `json:"export"`
	Period          statement.Period `json:"period"`
}

// syncReportOf is the report of a run.
func (s *session) syncReportOf(c exports.Chain, id uuid.UUID, already bool) (syncReport, error) {
	r, err := s.exportReportOf(c, id)
	return syncReport{already, r.Export, r.Period}, err
}

// printSync prints what a run came to. It is an error, with no words, if the period is not
// complete and o asks for that.
func (a *app) printSync(s *session, export uuid.UUID, already bool, o waitOptions) error {
	c, err := runlog.LoadChain(s.command.Context(), s.db, s.organization, export)
	if err != nil {
		return err
	}
	r, err := s.syncReportOf(c, export, already)
	if err != nil {
		return err
	}
	if err := a.printSyncReport(s.command.OutOrStdout(), r); err != nil {
		return err
	}
	if o.exitStatus && r.Period.State != exports.ChainComplete {
		return exitError{code: exitPermanent}
	}
	return nil
}

func (a *app) printSyncReport(w io.Writer, r syncReport) error {
	if a.output == outputJSON {
		return printJSON(w, r)
	}
	if err := sayLines(w, r.Period.Headline()); err != nil {
		return err
	}
	say(w, "")
	return table(w, statement.ListRows([]statement.Period{r.Period}, time.Now()))
}

// sayLines writes lines.
func sayLines(w io.Writer, lines []string) (err error) {
	for _, l := range lines {
		err = errors.Join(err, say(w, "%s", l))
	}
	return err
}
