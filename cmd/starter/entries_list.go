package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// states are what --state takes, in the order in which an entry has them.
var states = []statement.State{
	statement.StateOf(runlog.Waits), statement.StateOf(exports.Planned), statement.StateOf(exports.Sent), statement.StateOf(exports.Exported),
	statement.Refused, statement.StateOf(exports.Unknown), statement.StateOf(runlog.WasWithdrawn),
}

func stateNames() (names []string) {
	for _, s := range states {
		names = append(names, string(s))
	}
	return names
}

// entryOptions are the flags of entries list.
type entryOptions struct {
	org, integration, period, state, voucher string
	limit                                    int
	commas                                   bool
}

func (a *app) entriesList() *cobra.Command {
	var o entryOptions
	c := &cobra.Command{
		Use:   "list --org NAME --integration NAME",
		Short: "List entries: what was exported, what was refused and why, and what waits for which export",
		Long: `Lists the entries of an integration by date, voucher and ID, with what has become of
each, and sums them. --period selects those that are dated in a month, an ISO week or
on a day; which export took a late entry is in its line.

  waiting    no export has taken it; WHY says which one will, and when that starts
  planned    an export has taken it and has not sent it
  sent       it was sent, and the vendor's answer is open
  exported   the vendor has it
  refused    it was not exported, for the reason that is given; if it was corrected
             since, WHY says which export takes it
  unknown    only a person can say whether the vendor has it; see starter exports resolve
  withdrawn  it was refused, and a person has taken it out; nothing sends it

WHY of what is planned or sent says what its export waits for, if it does not continue.
An export takes whatever no other has taken up to the end of its period, once. So an
entry that comes after its period was exported goes with a later one. The time of that
one is the schedule's; that somebody has paused the schedule is said if Temporal can be
asked within 2 s.

AMOUNTS are the sums of the positive amounts. Entries of a source other than the
default one are read from it; those that an export has taken are shown as they were
sent. With -o csv the sums go to stderr; see starter exports show --help for how
spreadsheets open it.`,
		Example: `  starter entries list --org $ORG --integration xledger-main --period 2026-10
  starter entries list --org $ORG --integration xledger-main --state waiting
  starter entries list --org $ORG --integration xledger-main --state refused -o csv`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.commas && a.output != outputCSV {
				return errNotCSV
			}
			f, err := o.filter()
			if err != nil {
				return err
			}
			s, err := a.openIntegration(c, o.org, o.integration)
			if err != nil {
				return err
			}
			defer s.close()
			sources, err := a.sources()
			if err != nil {
				return err
			}
			list, err := outlook.List(c.Context(), s.db, sources, s.integration, f, s.askSchedule, time.Now())
			if err != nil {
				return err
			}
			if err := a.printEntries(s, list, dialectOf(o.commas)); err != nil || o.voucher == "" || list.Sums.Entries > 0 {
				return err
			}
			return s.noneOfVoucher(o)
		},
	}
	organizationFlag(c, &o.org)
	integrationFlag(c, &o.integration)
	c.Flags().StringVar(&o.period, "period", "", "only entries dated in it: 2026-10, 2026-W45 or 2026-11-23")
	c.Flags().StringVar(&o.state, "state", "", "only entries of this `state`: "+strings.Join(stateNames(), ", "))
	c.Flags().StringVar(&o.voucher, "voucher", "", "only entries of this `voucher`")
	c.Flags().IntVarP(&o.limit, "limit", "n", 100, "most entries to list; 0 lists all")
	decimalCommaFlag(c, &o.commas)
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp))
	return printsCSV(c)
}

// noneOfVoucher is of a list that has nothing of the voucher that was named: there is none, or
// the other filters leave it out.
func (s *session) noneOfVoucher(o entryOptions) error {
	if o.period == "" && o.state == "" {
		return fmt.Errorf("there is no voucher %s; all that there are: starter entries list --integration %s", o.voucher, s.integration.Name)
	}
	return s.say("nothing of voucher %s is selected; all of it: starter entries list --integration %s --voucher %s", o.voucher, s.integration.Name, shellWord(o.voucher))
}

// filter is what the flags select.
func (o *entryOptions) filter() (f runlog.EntryFilter, err error) {
	f = runlog.EntryFilter{Voucher: o.voucher, Limit: o.limit}
	if o.period != "" {
		if f.From, f.Before, err = readPeriod("--period", o.period); err != nil {
			return f, err
		}
	}
	if o.limit < 0 {
		return f, usage("-n %d: want how many entries to list at most, or 0 for all", o.limit)
	}
	state := statement.State(o.state)
	if exports.EntryState(state) == exports.Rejected { // its name before
		state = statement.Refused
	}
	if state != "" && !slices.Contains(states, state) {
		return f, usage("--state %q: want one of %s", o.state, strings.Join(stateNames(), ", "))
	}
	f.State = state.OnRecord()
	return f, nil
}

// printEntries prints a list of entries and its sums.
func (a *app) printEntries(s *session, list outlook.Listing, d statement.Dialect) error {
	out, words := s.command.OutOrStdout(), s.command.ErrOrStderr()
	if list.Source != integrations.DefaultSource {
		s.say("entries that wait are read from %s", list.Source)
	}
	switch a.output {
	case outputJSON:
		return printJSON(out, list)
	case outputCSV:
		control(out, statement.ByteOrderMark)
		if err := statement.WriteRows(out, d, entryCSV(list, d)); err != nil {
			return err
		}
		return sumUp(words, list)
	}
	if len(list.Entries) > 0 {
		rows := [][]string{{"DATE", "VOUCHER", "ENTRY", "ACCOUNT", "TEXT", "AMOUNT", "STATE", "EXPORT", "WHY"}}
		for _, e := range list.Entries {
			rows = append(rows, []string{e.Date, e.VoucherID, e.EntryID, dash(e.Account), dash(clip(e.Text, 40)), entryAmount(e), string(e.State), dash(takenBy(e)), dash(e.Why)})
		}
		if err := table(out, rows); err != nil {
			return err
		}
		say(out, "")
	}
	return sumUp(out, list)
}

// takenBy names the export that has an entry: its period, and whether it is a retry.
func takenBy(e outlook.Entry) string {
	switch {
	case e.Export == nil:
		return ""
	case e.Export.Retry:
		return e.Export.Period + " retry"
	}
	return e.Export.Period
}

func entryAmount(e outlook.Entry) string {
	if e.Amount == "" {
		return "-"
	}
	return exports.Money(e.Currency, e.Amount)
}

// entryCSV are the rows of a list for a spreadsheet: a number in each amount.
func entryCSV(list outlook.Listing, d statement.Dialect) [][]string {
	rows := [][]string{{"date", "voucher", "entry", "account", "text", "amount", "currency", "state", "export", "retry", "why"}}
	for _, e := range list.Entries {
		period, retry := "", ""
		if e.Export != nil {
			period = e.Export.Period
			if e.Export.Retry {
				retry = "retry"
			}
		}
		row := []string{e.Date, e.VoucherID, e.EntryID, e.Account, e.Text, e.Currency, string(e.State), period, retry, e.Why}
		for i := range row {
			row[i] = statement.Safe(row[i])
		}
		rows = append(rows, slices.Insert(row, 5, strings.Replace(e.Amount, ".", d.Decimal, 1)))
	}
	return rows
}

// sumUp writes what a list comes to, and with which exports the entries go that wait.
func sumUp(w io.Writer, list outlook.Listing) error {
	sums := list.Sums
	if list.More > 0 {
		say(w, "%d more are not shown; -n 0 shows all", list.More)
	}
	if sums.Entries == 0 {
		say(w, "no entries")
	} else {
		say(w, "%s in %s: %s", count(sums.Entries, "entry"), count(sums.Vouchers, "voucher"), strings.Join(sumsByState(sums), "; "))
	}
	for _, g := range list.Waiting {
		verb := "wait"
		if g.Entries == 1 {
			verb = "waits"
		}
		say(w, "%s %s for %s", count(g.Entries, "entry"), verb, g.Words)
	}
	if err := sayLines(w, list.Holds); err != nil {
		return err
	}
	if list.Paused != "" {
		return say(w, "%s", list.Paused)
	}
	return nil
}

// sumsByState is a part for each state: "2 refused in 1 voucher, NOK 100.10".
func sumsByState(sums outlook.Sums) (parts []string) {
	for _, state := range states {
		n, amounts := 0, map[string]string{}
		for _, sum := range sums.ByState {
			if sum.State == state {
				n, amounts[sum.Currency] = n+sum.Entries, sum.Debit
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s in %s, %s", n, state, count(sums.PerState[state], "voucher"), amountsOf(amounts)))
		}
	}
	return parts
}

// sayWhereTo says, after an import, with which exports its entries will go. What is stored
// is stored: that it cannot be said is only a note.
func (s *session) sayWhereTo(imported runlog.ImportResult) {
	lines, err := outlook.Imported(s.command.Context(), s.db, s.organization, imported.Import, s.askSchedule, time.Now())
	if err != nil {
		s.say("note: where these entries will go cannot be said now: %v", err)
	}
	for _, line := range lines {
		s.say("%s", line)
	}
}
