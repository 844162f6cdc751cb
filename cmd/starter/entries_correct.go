package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
)

// correction is what entries import does with entries that are there with other values.
type correction struct {
	replace, dryRun, repeated bool
	reason                    string
}

func (o *correction) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.replace, "replace", false, "replace entries that are there with other values, where no vendor has them")
	c.Flags().StringVar(&o.reason, "reason", "", "`text` for the record, with --replace")
	c.Flags().BoolVar(&o.repeated, "allow-repeated", false, "store lines that are stored already under other entry IDs: both are exported")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what is there and what would change, and store nothing")
}

func (o *correction) options() (runlog.ImportOptions, error) {
	o.reason = strings.TrimSpace(o.reason)
	if o.reason != "" && !o.replace {
		return runlog.ImportOptions{}, usage("--reason is for the record of what --replace replaces: add --replace")
	}
	return runlog.ImportOptions{Replace: o.replace, DryRun: o.dryRun, Actor: whoami(), Reason: o.reason, AllowRepeated: o.repeated}, checkReason(o.reason)
}

// printImport says what an import came to, or would come to; err is its error.
func (a *app) printImport(c *cobra.Command, options runlog.ImportOptions, result runlog.ImportResult, err error) error {
	out, words := c.OutOrStdout(), c.ErrOrStderr()
	nothing := "nothing was imported"
	if options.DryRun {
		nothing = "nothing would be imported"
	}
	var refused *runlog.RefusedError
	switch {
	case errors.As(err, &refused):
		err = fmt.Errorf("%s:\n%w", nothing, err)
		if !options.DryRun {
			return err
		}
	case err != nil:
		return fmt.Errorf("%s: %w", nothing, err)
	}
	warnUnbalanced(words, result)
	warnLeft(words, result)
	if a.output == outputJSON {
		return errors.Join(printJSON(out, result), err)
	}
	if options.Replace || options.DryRun {
		if err := printDifferences(out, result.Changes); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%s added, %d unchanged", count(result.Added, "entry"), result.Unchanged)
	if options.Replace {
		line += fmt.Sprintf(", %d replaced", result.Replaced)
	}
	if options.DryRun {
		line += "; that is what an import would do, nothing was stored"
	}
	if err := say(out, "%s", line); err != nil || options.DryRun {
		return err
	}
	return printSendings(out, result.Sendings)
}

// printDifferences writes what differs, old and new.
func printDifferences(w io.Writer, list []runlog.EntryDifference) error {
	if len(list) == 0 {
		return nil
	}
	rows := [][]string{{"ENTRY", "VOUCHER", "FIELD", "OLD", "NEW"}}
	for _, d := range list {
		rows = append(rows, []string{d.EntryID, d.VoucherID, d.Field, dash(d.Old), dash(d.New)})
	}
	return table(w, rows)
}

// printSendings says which command sends a corrected voucher again.
func printSendings(w io.Writer, list []runlog.NextSending) error {
	for _, n := range list {
		retry := fmt.Sprintf("starter exports retry %s --integration %s", n.Period, n.Integration)
		line := fmt.Sprintf("voucher %s goes with: %s; or with the next export of %s, if that is first", n.VoucherID, retry, n.Integration)
		if n.Pending {
			line = fmt.Sprintf("voucher %s goes with: %s, once its export has ended", n.VoucherID, retry)
		}
		if err := say(w, "%s", line); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) entriesWithdraw() *cobra.Command {
	var org, reason string
	c := &cobra.Command{
		Use: "withdraw VOUCHER --org NAME --reason TEXT", Short: "Take a voucher that no vendor has out of the entries to export",
		Long: `Takes all entries of a voucher out of what is exported, so that no export and no retry
sends it. What was there stays on record, with the reason and your identity:
LEDGERLINE_ACTOR, or user@host; see starter entries history. The same entries can be
imported again.

It is refused while the voucher is exported, in an export that has not ended, or open.
What the vendor has is corrected there or by a counter-entry, which the message
suggests. Entries of an integration with a source of its own are corrected there.`,
		Example: `  starter entries withdraw 20261-7 --org $ORG --reason "entered twice, see 20261-8"`,
		Args:    exactly(1, "the ID of a voucher"),
		RunE: func(c *cobra.Command, args []string) error {
			if reason = strings.TrimSpace(reason); reason == "" {
				return usage("--reason is missing: say why, for the record")
			}
			if err := checkReason(reason); err != nil {
				return err
			}
			s, err := a.openOrganization(c, org)
			if err != nil {
				return err
			}
			defer s.close()
			done, err := runlog.WithdrawVoucher(c.Context(), s.db, s.organization, args[0], whoami(), reason)
			if err != nil {
				return withCounter(fmt.Errorf("nothing was withdrawn:\n%w", err))
			}
			if a.output == outputJSON {
				return printJSON(c.OutOrStdout(), done)
			}
			return say(c.OutOrStdout(), "voucher %s: %s withdrawn", done.VoucherID, count(len(done.Entries), "entry"))
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&reason, "reason", "", "`text` for the record: why")
	return c
}

// withCounter adds the counter-entry to the refusal of what is exported.
func withCounter(err error) error {
	var refused *runlog.RefusedError
	if !errors.As(err, &refused) || len(refused.Counter) == 0 {
		return err
	}
	rows := [][]string{{"entry_id", "voucher_id", "entry_date", "account", "amount", "currency", "text", "dimensions"}}
	for _, e := range refused.Counter {
		dimensions := ""
		if len(e.Dimensions) > 0 {
			text, _ := json.Marshal(e.Dimensions) // texts
			dimensions = string(text)
		}
		rows = append(rows, []string{e.EntryID, e.VoucherID, e.Date.Format(time.DateOnly), e.Account, e.Amount, e.Currency, e.Text, dimensions})
	}
	var file strings.Builder
	if wrong := statement.WriteRows(&file, statement.PointDialect, rows); wrong != nil {
		return errors.Join(err, wrong)
	}
	return fmt.Errorf("%w\na counter-entry would be, with a date of an open period, as a file for entries import:\n%s", err, strings.TrimSpace(file.String()))
}

func (a *app) entriesHistory() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "history VOUCHER --org NAME", Short: "Show how a voucher's entries were corrected: who, when, why, and what was there",
		Example: `  starter entries history 20261-7 --org $ORG`,
		Args:    exactly(1, "the ID of a voucher"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := a.openOrganization(c, org)
			if err != nil {
				return err
			}
			defer s.close()
			list, err := runlog.VoucherHistory(c.Context(), s.db, s.organization, args[0])
			if err != nil {
				return err
			}
			if len(list) == 0 && a.output != outputJSON {
				return say(c.OutOrStdout(), "voucher %s was not corrected", args[0])
			}
			return a.print(c.OutOrStdout(), entryHistory{list}, changeTable(list))
		},
	}
	organizationFlag(c, &org)
	return c
}

// entryHistory is what entries history prints as JSON.
type entryHistory struct {
	Changes []runlog.RecordedChange `json:"changes"`
}

// changeTable has a line for each field that a correction changed.
func changeTable(list []runlog.RecordedChange) [][]string {
	rows := [][]string{{"CHANGED", "ENTRY", "WHAT", "OLD", "NEW", "BY", "REASON"}}
	for _, r := range list {
		for i, d := range r.Differences() {
			at, by, reason := r.ChangedAt.Local().Format("2006-01-02 15:04:05 MST"), r.Actor, dash(r.Reason)
			if i > 0 {
				at, by, reason = "", "", ""
			}
			rows = append(rows, []string{at, r.EntryID, d.Field, dash(d.Old), dash(d.New), by, reason})
		}
	}
	return rows
}
