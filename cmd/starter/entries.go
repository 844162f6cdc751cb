package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/runlog"
)

// entries is the group of commands on accounting entries.
func (a *app) entries() *cobra.Command {
	c := &cobra.Command{Use: "entries", Short: "Check and import accounting entries"}
	c.AddCommand(a.entriesCheck(), a.entriesImport())
	return c
}

func (a *app) entriesImport() *cobra.Command {
	var org, file string
	var format entryFormat
	c := &cobra.Command{
		Use:   "import --org NAME --file FILE",
		Short: "Store accounting entries, all or none",
		Long: `Stores accounting entries from a CSV file or a file of JSON Lines, all or none. The
first line of a CSV file names the columns, and each line of JSON Lines is an object
with them: ` + strings.Join(entryColumns, ", ") + `;
currency (NOK), text and dimensions may be left out.

Dates are written 2026-10-31. Amounts are decimal with a point and at most two
places; in JSON a number or a text. Dimensions are a JSON object of texts, in CSV in
one cell. An entry that is stored already with the same values is left alone.

Blanks around a value are dropped, also no-break ones; an ID, account or voucher with
an invisible character is refused.

Errors in a file are reported with line and column, the first ` + fmt.Sprint(maxErrors) + ` at length. A voucher
that does not sum to zero is stored with a warning: its other lines may come with
another file.`,
		Example: `  starter entries import --org $ORG --file entries.csv
  produce | starter entries import --org $ORG --file - --format jsonl`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, size, err := openEntries(c, file, format)
			if err != nil {
				return err
			}
			defer in.Close()
			s, err := a.openOrganization(c, org)
			if err != nil {
				return err
			}
			defer s.close()
			bar := newProgress(c.ErrOrStderr(), "import", size)
			result, err := runlog.ImportEntries(c.Context(), s.db, s.organization, readEntries(file, format, in, func(bytes, entries int) {
				bar.set(bytes, count(entries, "entry"))
			}))
			bar.end()
			var wrong fileError
			switch {
			case errors.As(err, &wrong):
				return usage("nothing was imported:\n%w", err)
			case err != nil:
				return fmt.Errorf("nothing was imported: %w", err)
			}
			warnUnbalanced(c.ErrOrStderr(), result)
			if a.output == outputJSON {
				return printJSON(c.OutOrStdout(), result)
			}
			return say(c.OutOrStdout(), "%s added, %d unchanged", count(result.Added, "entry"), result.Unchanged)
		},
	}
	organizationFlag(c, &org)
	entriesFlags(c, &file, &format)
	return c
}

func entriesFlags(c *cobra.Command, file *string, format *entryFormat) {
	c.Flags().StringVarP(file, "file", "f", "", "CSV or JSON Lines `file`; - is standard input")
	c.Flags().StringVar((*string)(format), "format", "", "csv or jsonl; if not given, by the file's name or its first character")
}

// openEntries opens what --file names. size is in bytes, 0 if it is not known.
func openEntries(c *cobra.Command, file string, format entryFormat) (in io.ReadCloser, size int, err error) {
	switch {
	case format != "" && format != formatCSV && format != formatJSONLines:
		return nil, 0, usage("--format %q: want csv or jsonl", format)
	case file == "":
		return nil, 0, usage("--file is missing: want a CSV or JSON Lines file, or - for standard input")
	case file == "-":
		return io.NopCloser(c.InOrStdin()), 0, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, usage("--file: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = int(info.Size())
	}
	return f, size, nil
}

// entryJSON is an entry as entries check -o json prints it.
type entryJSON struct {
	EntryID    string            `json:"entryId"`
	VoucherID  string            `json:"voucherId"`
	Date       string            `json:"entryDate"` // 2026-10-31
	Account    string            `json:"account"`
	Amount     string            `json:"amount"` // decimal
	Currency   string            `json:"currency"`
	Text       string            `json:"text"`
	Dimensions map[string]string `json:"dimensions"`
}

// entriesCheck is the first half of import: it reads, without a database.
func (a *app) entriesCheck() *cobra.Command {
	var file string
	var format entryFormat
	c := &cobra.Command{
		Use:   "check --file FILE",
		Short: "Read a file of accounting entries and print what was read; nothing is stored",
		Long: `Reads a file as entries import does, without a database, and prints what it read.
Exit code 2 if anything is wrong with it.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, _, err := openEntries(c, file, format)
			if err != nil {
				return err
			}
			defer in.Close()
			list := []entryJSON{}
			rows := [][]string{{"ENTRY", "VOUCHER", "DATE", "ACCOUNT", "AMOUNT", "CURRENCY", "TEXT", "DIMENSIONS"}}
			for e, err := range readEntries(file, format, in, func(int, int) {}) {
				var wrong fileError
				if errors.As(err, &wrong) {
					return usage("the file cannot be imported:\n%w", err)
				}
				if err != nil {
					return err
				}
				date := e.Date.Format(time.DateOnly)
				list = append(list, entryJSON{e.EntryID, e.VoucherID, date, e.Account, e.Amount, e.Currency, e.Text, e.Dimensions})
				dimensions := ""
				for _, name := range slices.Sorted(maps.Keys(e.Dimensions)) {
					dimensions += name + "=" + e.Dimensions[name] + " "
				}
				rows = append(rows, []string{e.EntryID, e.VoucherID, date, e.Account, e.Amount, e.Currency, dash(e.Text), dash(strings.TrimSpace(dimensions))})
			}
			return a.print(c.OutOrStdout(), map[string]any{"entries": list}, rows)
		},
	}
	entriesFlags(c, &file, &format)
	return c
}

// warnUnbalanced warns of vouchers that an export would reject as they are.
func warnUnbalanced(w io.Writer, result runlog.ImportResult) {
	if result.Unbalanced == 0 {
		return
	}
	var list []string
	for _, d := range result.Examples {
		list = append(list, fmt.Sprintf("%s by %s", d.VoucherID, d.Difference))
	}
	if more := result.Unbalanced - int64(len(list)); more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	say(w, "warning: an export would reject vouchers that do not sum to zero: %s", strings.Join(list, ", "))
}
