package main

import (
	"fmt"
	"io"
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
				return a.previewSync(c, pool, runlog.Export{OrganizationID: organization, IntegrationID: spec.ID, AdapterName: spec.Adapter, PeriodStart: start, PeriodEnd: end})
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
func (a *app) previewSync(c *cobra.Command, db runlog.Beginner, e runlog.Export) error {
	x, ok := activities.Adapters()[e.AdapterName].(adapters.Exporter)
	if !ok {
		return fmt.Errorf("adapter %s takes no exports yet", e.AdapterName)
	}
	p, err := runlog.PreviewPlan(c.Context(), db, e, x.Limits().Default)
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
			case len(problems) == 0:
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
