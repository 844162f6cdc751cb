package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/entryfile"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/outlook"
	"github.com/ledgerline/ledgerline/runlog"
)

// entries is the group of commands on accounting entries.
func (a *app) entries() *cobra.Command {
	c := &cobra.Command{Use: "entries", Short: "Check, import, list and correct accounting entries"}
	c.AddCommand(a.entriesCheck(), a.entriesImport(), a.entriesList(), a.entriesWithdraw(), a.entriesHistory())
	return c
}

func (a *app) entriesImport() *cobra.Command {
	var org, integration string
	var read readFlags
	var corrects correction
	c := &cobra.Command{
		Use:   "import --org NAME --file FILE",
		Short: "Store accounting entries, all or none",
		Long: `Stores accounting entries from an Excel workbook (.xlsx), a CSV file or a file of
JSON Lines, all or none. An entry that is stored already with the same values is left
alone. One that is stored with other values is an error, unless --replace is given:
then it is replaced if no vendor has it, and no export that has not ended. What was
there stays on record, see starter entries history. A stored line that the file has no
more is not removed: with --replace it is named. --dry-run says what would be done,
stores nothing, and works with a login that may only read.

` + readingHelp + `

With --integration, columns are named as export.columns of that integration's file
says; --columns replaces all of these names. Entries belong to the organization, whichever
integration is named.

Errors in a file are reported with line and column, the first ` + fmt.Sprint(entryfile.ShownErrors) + ` at length. A voucher
that does not sum to zero is stored with a warning: its other lines may come with
another file. So is one of more than one currency, which no export takes.`,
		Example: `  starter entries import --org $ORG --file entries.xlsx
  starter entries import --org $ORG --file hovedbok.csv --columns entry_id=Linje
  starter entries import --org $ORG --file hovedbok.csv --integration xledger-main
  starter entries import --org $ORG --file corrected.xlsx --replace --reason "wrong account"
  produce | starter entries import --org $ORG --file - --format jsonl`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			options, err := corrects.options()
			if err != nil {
				return err
			}
			var s *session
			if integration != "" { // it says how the file is read
				if s, err = a.openIntegration(c, org, integration); err != nil {
					return err
				}
				defer s.close()
				read.options.ColumnsFrom(s.integration)
			}
			f, err := read.open(c)
			if err != nil {
				return err
			}
			defer f.Close()
			if s == nil {
				if s, err = a.openOrganization(c, org); err != nil {
					return err
				}
				defer s.close()
			}
			bar := newProgress(c.ErrOrStderr(), "import", f.Size())
			result, err := runlog.ImportEntries(c.Context(), s.db, s.organization, f.Entries(func(bytes, entries int) {
				bar.set(bytes, count(entries, "entry"))
			}), options)
			bar.end()
			var wrong *entryfile.Error
			if errors.As(err, &wrong) {
				return usage("nothing was imported:\n%w", err)
			}
			say(c.ErrOrStderr(), "%s", readingLine(f.Reading()))
			for _, warning := range f.Warnings() {
				say(c.ErrOrStderr(), "warning: %s", warning)
			}
			if err := a.printImport(c, options, result, err); err != nil {
				return err
			}
			if result.Added+result.Replaced > 0 {
				s.warnNotTaken(f.Contents())
			}
			if !options.DryRun {
				s.sayWhereTo(result)
			}
			return nil
		},
	}
	organizationFlag(c, &org)
	integrationFlag(c, &integration)
	c.Flags().Lookup("integration").Usage = "`name` or UUID of the integration whose export.columns name the columns"
	read.add(c)
	corrects.flags(c)
	return c
}

// warnNotTaken warns of what integrations that export entries would refuse of the file's. One
// that was named is asked in any case.
func (s *session) warnNotTaken(contents integrations.Contents) {
	list, err := outlook.NotTaken(s.command.Context(), s.db, s.organization, s.integration.ID, contents)
	if err != nil {
		s.say("note: whether exports take these entries cannot be said now: %v", err)
	}
	for _, what := range list {
		s.say("warning: %s", what)
	}
}

// warnUnbalanced warns of vouchers that an export would refuse as they are.
func warnUnbalanced(w io.Writer, result runlog.ImportResult) {
	var unbalanced, mixed []string
	for _, d := range result.Examples {
		unbalanced = append(unbalanced, fmt.Sprintf("%s by %s", d.VoucherID, d.Difference))
	}
	for _, m := range result.MixedOnes {
		mixed = append(mixed, mixedVoucher(m.VoucherID, m.Currencies))
	}
	warnRefused(w, unbalanced, result.Unbalanced, mixed, result.Mixed)
}

// warnRefused warns of vouchers, of which lists have the first of all.
func warnRefused[N int | int64](w io.Writer, unbalanced []string, allUnbalanced N, mixed []string, allMixed N) {
	if allUnbalanced > 0 {
		say(w, "warning: an export would refuse vouchers that do not sum to zero: %s", firstOf(unbalanced, allUnbalanced))
	}
	if allMixed > 0 {
		say(w, "warning: an export would refuse vouchers that have more than one currency: %s", firstOf(mixed, allMixed))
	}
}

// warnLeft names the vouchers with lines that the file does not have.
func warnLeft(w io.Writer, result runlog.ImportResult) {
	shown := result.Left[:min(len(result.Left), 10)]
	for _, l := range shown {
		what := "line that is not in this file, and it stays"
		if l.Lines != 1 {
			what = "lines that are not in this file, and they stay"
		}
		say(w, "warning: voucher %s has %d more %s (sum %s): %s; to take the voucher out and import it again: starter entries withdraw %s --reason TEXT",
			l.VoucherID, l.Lines, what, l.Sum, firstOf(l.EntryIDs, l.Lines), l.VoucherID)
	}
	if more := result.LeftCount - int64(len(shown)); more > 0 {
		say(w, "warning: %d more vouchers have lines that are not in this file; -o json names the first 1,000", more)
	}
}

// mixedVoucher is such as: V7 (EUR, NOK).
func mixedVoucher(voucher string, currencies [2]string) string {
	return fmt.Sprintf("%s (%s, %s)", voucher, currencies[0], currencies[1])
}

// firstOf are the first of all.
func firstOf[N int | int64](list []string, all N) string {
	if more := all - N(len(list)); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ", ")
}
