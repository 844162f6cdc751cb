package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// entries is the group of commands on accounting entries.
func (a *app) entries() *cobra.Command {
	c := &cobra.Command{Use: "entries", Short: "Accounting entries that wait for export"}
	c.AddCommand(a.entriesImport())
	return c
}

var entryColumns = []string{"entry_id", "voucher_id", "entry_date", "account", "amount", "currency", "text"}

func (a *app) entriesImport() *cobra.Command {
	var org, file string
	c := &cobra.Command{
		Use:   "import --org UUID --file FILE.csv",
		Short: "Store accounting entries, all or none",
		Long: `Stores accounting entries from a CSV file, all or none. The first line names the
columns: ` + strings.Join(entryColumns, ", ") + `; currency (NOK) and text may be
left out. Dates are 2026-10-31, amounts decimal with a point and at most two
places. An entry that is there already, the same in everything, is left alone.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, err := parseUUID("--org", org)
			if err != nil {
				return err
			}
			in := c.InOrStdin()
			if file == "" {
				return usage("--file is missing: want a CSV file, or - for standard input")
			} else if file != "-" {
				f, err := os.Open(file)
				if err != nil {
					return usage("--file: %w", err)
				}
				defer f.Close()
				in = f
			}
			entries, err := readEntries(file, in)
			if err != nil {
				return usage("nothing was imported:\n%w", err)
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			added, err := runlog.ImportEntries(c.Context(), pool, organization, entries)
			if err != nil {
				return fmt.Errorf("nothing was imported: %w", err)
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), map[string]int64{"added": added, "unchanged": int64(len(entries)) - added})
			}
			fmt.Fprintf(c.OutOrStdout(), "%d added, %d there before\n", added, int64(len(entries))-added)
			return nil
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVarP(&file, "file", "f", "", "CSV `file`; - is standard input")
	return c
}

var (
	decimal  = regexp.MustCompile(`^-?\d{1,18}(\.\d{1,2})?$`)
	currency = regexp.MustCompile(`^[A-Z]{3}$`)
)

// maxFaults is how many faults of a file are shown.
const maxFaults = 20

// readEntries reads a CSV file. Its error names every fault with line and
// column.
func readEntries(name string, in io.Reader) ([]runlog.SourceEntry, error) {
	r := csv.NewReader(in)
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w; want a first line with %s", name, err, strings.Join(entryColumns, ","))
	}
	at := make(map[string]int)
	for i, h := range head {
		h = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))
		if !slices.Contains(entryColumns, h) {
			return nil, fmt.Errorf("%s:1: column %q; known are %s", name, h, strings.Join(entryColumns, ", "))
		}
		at[h] = i
	}
	for _, h := range entryColumns[:5] {
		if _, ok := at[h]; !ok {
			return nil, fmt.Errorf("%s:1: column %s is missing", name, h)
		}
	}
	var entries []runlog.SourceEntry
	var faults []error
	lines := make(map[string]int)
	for len(faults) < maxFaults {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		line, _ := r.FieldPos(0)
		get := func(h string) string {
			if i, ok := at[h]; ok && i < len(record) {
				return strings.Clone(strings.TrimSpace(record[i]))
			}
			return ""
		}
		check := func(ok bool, column, want string) {
			if !ok {
				faults = append(faults, fmt.Errorf("%s:%d: %s %q: want %s", name, line, column, get(column), want))
			}
		}
		date, dateErr := time.Parse(time.DateOnly, get("entry_date"))
		e := runlog.SourceEntry{
			EntryID: get("entry_id"), VoucherID: get("voucher_id"), Date: date, Account: get("account"), Amount: get("amount"),
			Currency: get("currency"), Text: get("text"),
		}
		if e.Currency == "" {
			e.Currency = "NOK"
		}
		check(e.EntryID != "", "entry_id", "a name")
		check(e.VoucherID != "", "voucher_id", "a name")
		check(dateErr == nil, "entry_date", "a date such as 2026-10-31")
		check(e.Account != "", "account", "an account")
		check(decimal.MatchString(e.Amount), "amount", "a decimal number such as -1250.50")
		check(currency.MatchString(e.Currency), "currency", "three letters such as NOK")
		if first, twice := lines[e.EntryID]; twice {
			faults = append(faults, fmt.Errorf("%s:%d: entry_id %q stands here twice; first in line %d", name, line, e.EntryID, first))
		}
		lines[e.EntryID] = line
		entries = append(entries, e)
	}
	if len(faults) >= maxFaults {
		faults = append(faults, fmt.Errorf("%s: and maybe more", name))
	}
	if len(faults) == 0 && len(entries) == 0 {
		faults = append(faults, fmt.Errorf("%s: no entries", name))
	}
	return entries, errors.Join(faults...)
}

func (a *app) sync() *cobra.Command {
	var org, integration, period string
	var noWait, dryRun bool
	c := &cobra.Command{
		Use:   "sync --org UUID --integration NAME --period PERIOD",
		Short: "Export a period's accounting entries, once",
		Long: `Exports every accounting entry up to the end of the period that no export has
taken yet: a month 2026-10, an ISO week 2026-W45 or a day 2026-11-23. A period
is exported once: the second time prints the first export and sends nothing.

Entries that the vendor refuses are rejected voucher by voucher and do not hold
up the rest; see starter exports show and starter exports retry.`,
		Example: "  starter sync --org $ORG --integration xledger-main --period 2026-10",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			start, end, err := integrations.Period(period)
			if err != nil {
				return usage("--period: %w", err)
			}
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			spec, err := find(c.Context(), pool, organization, integration)
			if err != nil {
				return err
			}
			if dryRun {
				return a.previewSync(c, pool, spec, runlog.Export{OrganizationID: organization, IntegrationID: spec.ID, PeriodStart: start, PeriodEnd: end})
			}
			return a.runSync(c, workflows.SyncInput{
				OrganizationID: organization, IntegrationID: spec.ID, AdapterName: spec.Adapter, Policy: spec.Policy,
				Period: period, PeriodStart: start, PeriodEnd: end, Trigger: "manual", TriggeredBy: whoami(),
			}, noWait)
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "`name` or UUID of the integration")
	c.Flags().StringVar(&period, "period", "", "what to export: 2026-10, 2026-W45 or 2026-11-23")
	c.Flags().BoolVar(&noWait, "no-wait", false, "start it and do not wait for the end")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be sent and what refused, and call nobody")
	return c
}

// previewSync prints what an export would do.
func (a *app) previewSync(c *cobra.Command, db runlog.Beginner, spec integrations.Integration, e runlog.Export) error {
	x, ok := activities.Adapters()[spec.Adapter].(adapters.Exporter)
	if !ok {
		return fmt.Errorf("adapter %s takes no exports", spec.Adapter)
	}
	p, err := runlog.PreviewPlan(c.Context(), db, e, spec.Export, activities.ChunkSize(x, spec.Export))
	if err != nil {
		return err
	}
	fmt.Fprintln(c.ErrOrStderr(), "dry run: nothing is planned or sent")
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), p)
	}
	fmt.Fprintf(c.OutOrStdout(), "%d entries in %d vouchers and %d chunks, %d of them late: %s\n", p.Entries, p.Vouchers, p.Chunks, p.Late, dash(amountsOf(p.Amounts)))
	if len(p.Rejected) == 0 {
		return nil
	}
	rows := [][]string{{"VOUCHER", "WOULD BE REJECTED"}}
	for _, r := range p.Rejected {
		rows = append(rows, []string{r.VoucherID, r.Reason})
	}
	return table(c.OutOrStdout(), rows)
}

// amountsOf lists sums by currency.
func amountsOf(amounts map[string]string) string {
	var list []string
	for k, v := range amounts {
		list = append(list, k+" "+v)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// runSync starts a run, or joins the one of its period that is running.
func (a *app) runSync(c *cobra.Command, in workflows.SyncInput, noWait bool) error {
	temporal, _, err := a.temporal(c.Context())
	if err != nil {
		return err
	}
	defer temporal.Close()
	run, err := temporal.ExecuteWorkflow(c.Context(), workflows.SyncOptions(in), workflows.SyncName, in)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "run %s\n", run.GetID())
	if noWait {
		return nil
	}
	var result workflows.SyncResult
	if err := run.Get(c.Context(), &result); err != nil {
		return err
	}
	if result.Refused != "" {
		return errors.New(result.Refused)
	}
	if result.AlreadyExported {
		fmt.Fprintln(c.ErrOrStderr(), "this period has its export already; nothing was sent now")
	}
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), result)
	}
	return exportTable(c.OutOrStdout(), []runlog.Export{result.Export})
}

func exportTable(w io.Writer, list []runlog.Export) error {
	rows := [][]string{{"STARTED", "EXPORT", "PERIOD", "ADAPTER", "TRIGGER", "STATUS", "ENTRIES", "EXPORTED", "REJECTED", "UNKNOWN", "AMOUNTS", "ERROR"}}
	for _, e := range list {
		status := e.Status
		if e.DeferredUntil != nil {
			status += " until " + e.DeferredUntil.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{
			e.StartedAt.UTC().Format(time.RFC3339), e.ID.String(), e.Period, e.AdapterName, e.Trigger, status, strconv.Itoa(e.Total),
			strconv.Itoa(e.Exported), strconv.Itoa(e.Rejected), strconv.Itoa(e.Unknown), dash(amountsOf(e.Amounts)), dash(clip(strings.TrimPrefix(e.ErrorCode+": "+e.ErrorMessage, ": "), 60)),
		})
	}
	return table(w, rows)
}

func (a *app) exports() *cobra.Command {
	c := &cobra.Command{Use: "exports", Short: "What became of exports"}
	c.AddCommand(a.exportsList(), a.exportsShow(), a.exportsRetry(), a.exportsProve())
	return c
}

func (a *app) exportsList() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "list --org UUID", Short: "An organization's exports, newest first", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := runlog.Exports(c.Context(), pool, organization, 100)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), list)
			}
			return exportTable(c.OutOrStdout(), list)
		},
	}
	organizationFlag(c, &org)
	return c
}

func (a *app) exportsShow() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "show EXPORT --org UUID", Short: "An export, and its entries that were not exported", Args: exactly(1, "the UUID of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			e, problems, err := a.findExport(c, org, args[0])
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), map[string]any{"export": e, "problems": problems})
			}
			if err := exportTable(c.OutOrStdout(), []runlog.Export{e}); err != nil || len(problems) == 0 {
				return err
			}
			rows := [][]string{{"VOUCHER", "ENTRY", "STATE", "REASON"}}
			for _, p := range problems {
				rows = append(rows, []string{p.VoucherID, p.EntryID, p.State, dash(p.Reason)})
			}
			fmt.Fprintln(c.OutOrStdout())
			return table(c.OutOrStdout(), rows)
		},
	}
	organizationFlag(c, &org)
	return c
}

func (a *app) findExport(c *cobra.Command, org, which string) (runlog.Export, []runlog.Problem, error) {
	organization, err := parseUUID("--org", org)
	if err != nil {
		return runlog.Export{}, nil, err
	}
	id, err := parseUUID("EXPORT", which)
	if err != nil {
		return runlog.Export{}, nil, err
	}
	pool, err := a.database(c.Context())
	if err != nil {
		return runlog.Export{}, nil, err
	}
	defer pool.Close()
	e, err := runlog.ExportByID(c.Context(), pool, organization, id)
	if err != nil {
		return e, nil, err
	}
	problems, err := runlog.Problems(c.Context(), pool, organization, id, 1000)
	return e, problems, err
}

func (a *app) exportsRetry() *cobra.Command {
	var org string
	var noWait bool
	c := &cobra.Command{
		Use: "retry EXPORT --org UUID", Short: "Send what an export did not get done, as an export of its own",
		Long: `Makes a new export, with the given one as its parent, of the entries that the
vendor refused, that were not sent, or whose outcome is unknown; the vendor is
asked about those first. An export has one retry; retry that one if need be.`,
		Args: exactly(1, "the UUID of an export"),
		RunE: func(c *cobra.Command, args []string) error {
			e, problems, err := a.findExport(c, org, args[0])
			switch {
			case err != nil:
				return err
			case e.Status == "pending":
				return fmt.Errorf("export %s is not over yet", e.ID)
			case len(problems) == 0 && (e.Status == "complete" || e.Total > 0): // a failed one without entries could not plan
				fmt.Fprintln(c.ErrOrStderr(), "nothing to retry: every entry is exported, or has gone to a retry")
				return nil
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			spec, err := find(c.Context(), pool, e.OrganizationID, e.IntegrationID.String())
			if err != nil {
				return err
			}
			parent := e.ID
			return a.runSync(c, workflows.SyncInput{
				OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, AdapterName: spec.Adapter, Policy: spec.Policy,
				Period: e.Period, PeriodStart: e.PeriodStart, PeriodEnd: e.PeriodEnd, Trigger: "retry", TriggeredBy: whoami(), ParentID: &parent,
			}, noWait)
		},
	}
	organizationFlag(c, &org)
	c.Flags().BoolVar(&noWait, "no-wait", false, "start it and do not wait for the end")
	return c
}
