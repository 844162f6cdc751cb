package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/entryfile"
)

// readingHelp says how a file is read, for the help of the commands that read one.
const readingHelp = `How the file is read is found by the whole of it and printed: encoding, separator,
decimal sign, order of dates, and which column is what. Columns have our names
(entry_id, voucher_id, entry_date, account, amount, currency, text, dimensions) or the
headings of Norwegian and English systems: Bilagsnr, Dato, Konto, Beløp, or Debet and
Kredit, Valuta, Tekst, Avdeling, Prosjekt. Others are named with --columns OURS=THEIRS.
Currency (NOK), text and dimensions may be left out. What the file leaves open, such as
1.234 or 03/04/2026, is refused; --decimal-sign and --date-order say it.

Blanks around a value are dropped, also no-break ones; an ID, account or voucher with
an invisible character is refused.`

// readFlags are the flags of commands that read a file of entries.
type readFlags struct {
	file    string
	options entryfile.Options
}

func (r *readFlags) add(c *cobra.Command) {
	f, o := c.Flags(), &r.options
	f.StringVarP(&r.file, "file", "f", "", "Excel workbook (.xlsx), CSV or JSON Lines `file`; - is standard input")
	f.StringVar((*string)(&o.Format), "format", "", "csv, xlsx or jsonl; if not given, by the file's content and name")
	f.StringVar(&o.Sheet, "sheet", "", "`name` of the sheet of a workbook; if not given, the first one that is visible")
	f.StringVar(&o.Encoding, "encoding", "", "of a CSV file, if it is not found: "+strings.Join(entryfile.Encodings(), ", "))
	f.StringVar(&o.DecimalSign, "decimal-sign", "", "`, or .`, for a file that leaves it open")
	f.StringVar(&o.DateOrder, "date-order", "", "`dmy or mdy`: day or month first, for a file that leaves it open")
	f.StringToStringVar(&o.Columns, "columns", nil, "our `name=heading` in the file, several with commas; dimensions.NAME=HEADING for a dimension")
	f.StringSliceVar(&o.IDFrom, "id-from", nil, "`columns` of which entry IDs are made, for a file without them; ours or the file's headings")
	f.BoolVar(&o.IgnoreColumns, "ignore-columns", false, "leave out columns that are none of ours")
	f.BoolVar(&o.AllowDates, "allow-dates", false, "accept dates before 1990 and after next year")
}

// open opens the file and shows how far that is.
func (r *readFlags) open(c *cobra.Command) (*entryfile.File, error) {
	if r.file == "" {
		return nil, usage("--file is missing: want an Excel workbook (.xlsx), a CSV or JSON Lines file, or - for standard input")
	}
	bar := newProgress(c.ErrOrStderr(), "read", 0)
	defer bar.end()
	r.options.Progress = func(_, lines int) { bar.set(0, count(lines, "line")) }
	f, err := entryfile.OpenFile(r.file, c.InOrStdin(), r.options)
	var option *entryfile.OptionError
	if errors.As(err, &option) {
		return nil, usage("--%w", err)
	}
	return f, err
}

// sampled is how many entries entries check shows.
const sampled = 10

// entriesCheck is the first half of import: it reads, without a database.
func (a *app) entriesCheck() *cobra.Command {
	var read readFlags
	c := &cobra.Command{
		Use:   "check --file FILE",
		Short: "Read a file of accounting entries and print what was read; nothing is stored",
		Long: `Reads a file as entries import does, without a server, and prints how it was read, the
first entries as they were understood, vouchers that an export would refuse, and what is
wrong. Vouchers that do not sum to zero are a warning: their other lines may come with
another file. So are those of more than one currency.

` + readingHelp + `

The first ` + fmt.Sprint(entryfile.ShownErrors) + ` errors are shown, with line and column; -o json has all of them. Exit code 2
if anything is wrong with the file.`,
		Example: `  starter entries check --file entries.xlsx
  starter entries check --file hovedbok.csv --columns entry_id=Linje --ignore-columns -o json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			read.options.MaxErrors = entryfile.ShownErrors
			if a.output == outputJSON {
				read.options.MaxErrors = 1 << 30
			}
			f, err := read.open(c)
			if err != nil {
				return err
			}
			defer f.Close()
			bar := newProgress(c.ErrOrStderr(), "check", f.Size())
			summary, err := entryfile.Check(f, sampled, func(bytes, entries int) { bar.set(bytes, count(entries, "entry")) })
			bar.end()
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				err = printJSON(c.OutOrStdout(), summary)
			} else {
				err = printSummary(c.OutOrStdout(), summary)
			}
			if err != nil || summary.ErrorCount == 0 {
				return err
			}
			if a.output == outputJSON {
				return usage("the file cannot be imported: %s; each is in errors, with its line", count(summary.ErrorCount, "error"))
			}
			return usage("the file cannot be imported:\n%w", &entryfile.Error{File: f.Name(), Problems: summary.Errors, Count: summary.ErrorCount})
		},
	}
	read.add(c)
	return c
}

// printSummary prints what a file has, for people.
func printSummary(w io.Writer, s entryfile.Summary) error {
	if err := say(w, "%s", readingLine(s.Reading)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Reading.Columns)) {
		if err := say(w, "  %-12s %s", name, s.Reading.Columns[name]); err != nil {
			return err
		}
	}
	if len(s.Reading.LeftOut) > 0 {
		if err := say(w, "  left out: %s", strings.Join(s.Reading.LeftOut, ", ")); err != nil {
			return err
		}
	}
	if len(s.Sample) > 0 {
		rows := [][]string{{"ENTRY", "VOUCHER", "DATE", "ACCOUNT", "AMOUNT", "CURRENCY", "TEXT", "DIMENSIONS"}}
		for _, e := range s.Sample {
			var dimensions []string
			for _, name := range slices.Sorted(maps.Keys(e.Dimensions)) {
				dimensions = append(dimensions, name+"="+e.Dimensions[name])
			}
			rows = append(rows, []string{e.EntryID, e.VoucherID, e.Date, e.Account, entryfile.TwoPlaces(e.Amount), e.Currency, dash(e.Text), dash(strings.Join(dimensions, " "))})
		}
		if err := table(w, rows); err != nil {
			return err
		}
	}
	for _, warning := range s.Warnings {
		if err := say(w, "warning: %s", warning); err != nil {
			return err
		}
	}
	if s.ErrorCount > 0 {
		return nil
	}
	var unbalanced, mixed []string
	for _, v := range s.Unbalanced[:min(len(s.Unbalanced), 10)] {
		unbalanced = append(unbalanced, fmt.Sprintf("%s by %s", v.VoucherID, v.Difference))
	}
	for _, v := range s.Mixed[:min(len(s.Mixed), 10)] {
		mixed = append(mixed, mixedVoucher(v.VoucherID, v.Currencies))
	}
	warnRefused(w, unbalanced, s.UnbalancedCount, mixed, s.MixedCount)
	return say(w, "%s in %s", count(s.Count, "entry"), count(s.Vouchers, "voucher"))
}

// readingLine says how a file was read.
func readingLine(r entryfile.Reading) string {
	formats := map[entryfile.Format]string{entryfile.FormatCSV: "CSV", entryfile.FormatXLSX: "a workbook", entryfile.FormatJSONLines: "JSON Lines"}
	format := formats[r.Format]
	if format == "" {
		return "the file was not read"
	}
	line := "read as " + format
	signs := map[string]string{",": "comma", ".": "point"}
	for _, part := range []struct{ before, what string }{
		{"sheet ", r.Sheet}, {"", r.Encoding}, {"separator ", r.Separator}, {"decimal ", signs[r.DecimalSign]}, {"thousands grouped by ", r.Grouping}, {"dates ", r.DateOrder},
	} {
		if part.what != "" {
			line += ", " + part.before + part.what
		}
	}
	if r.HeadingLine > 1 {
		line += fmt.Sprintf(", headings on line %d", r.HeadingLine)
	}
	if len(r.IDFrom) > 0 {
		line += ", entry IDs made of " + strings.Join(r.IDFrom, ", ")
	}
	return line
}
