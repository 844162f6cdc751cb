package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

func (a *app) sync() *cobra.Command {
	var org, integration, period string
	var dryRun, unfinished bool
	var how waitOptions
	c := &cobra.Command{
		Use:   "sync --org UUID --integration NAME --period PERIOD",
		Short: "Export a period's accounting entries, once",
		Long: `Exports every accounting entry up to the end of the period that no export has
taken yet: a month 2026-10, an ISO week 2026-W45 or a day 2026-11-23. A period
is exported once: the second time prints the first export and sends nothing.
A period that is not over yet needs --unfinished: entries that come later go
with the next one.

Entries that the vendor refuses are rejected voucher by voucher and do not hold
up the rest; see starter exports show and starter exports retry.`,
		Example: "  starter sync --org $ORG --integration xledger-main --period 2026-10",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			start, end, err := exports.ParsePeriod(period)
			if err != nil {
				return usage("--period: %w", err)
			}
			if now := time.Now(); end.After(now) && !unfinished {
				return usage("--period %s is not over before %s; entries that come later would go with the next period: wait, or add --unfinished", period, end.Format(time.DateOnly))
			}
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			spec, err := findIntegration(c.Context(), pool, organization, integration)
			if err != nil {
				return err
			}
			if dryRun {
				return a.previewSync(c, pool, spec, exports.Export{OrganizationID: organization, IntegrationID: spec.ID, PeriodStart: start, PeriodEnd: end})
			}
			return a.runSync(c, pool, workflows.SyncInput{
				OrganizationID: organization, IntegrationID: spec.ID, AdapterName: spec.Adapter, Policy: spec.Policy, OwnQueue: spec.Limits.OwnQueue(),
				Period: period, PeriodStart: start, PeriodEnd: end, Trigger: exports.ByHand, TriggeredBy: whoami(),
			}, how)
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "`name` or UUID of the integration")
	c.Flags().StringVar(&period, "period", "", "what to export: 2026-10, 2026-W45 or 2026-11-23")
	c.Flags().BoolVar(&unfinished, "unfinished", false, "export a period that is not over yet")
	how.flags(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be sent and what refused, and call nobody")
	return c
}

// previewSync prints what an export would do.
func (a *app) previewSync(c *cobra.Command, db runlog.Beginner, spec integrations.Integration, e exports.Export) error {
	x, ok := activities.Adapters()[spec.Adapter].(adapters.Exporter)
	if !ok {
		return fmt.Errorf("adapter %s takes no exports", spec.Adapter)
	}
	sources, err := a.sources()
	if err != nil {
		return err
	}
	p, err := runlog.PreviewExport(c.Context(), db, sources, e, spec.Export, activities.ChunkSize(x.Vendor(), spec.Export))
	if err != nil {
		return err
	}
	say(c.ErrOrStderr(), "dry run: nothing is planned or sent")
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), p)
	}
	say(c.OutOrStdout(), "%d entries in %d vouchers and %d chunks, %d of them late: %s", p.Entries, p.Vouchers, p.Chunks, p.Late, dash(amountsOf(p.Amounts)))
	if len(p.Rejected) == 0 {
		return nil
	}
	rows := [][]string{{"VOUCHER", "WOULD BE REJECTED"}}
	for _, r := range p.Rejected {
		rows = append(rows, []string{r.VoucherID, r.Reason})
	}
	return table(c.OutOrStdout(), rows)
}

// waitOptions says how a command deals with the run that it starts.
type waitOptions struct{ wait, noWait, exitStatus bool }

func (w *waitOptions) flags(c *cobra.Command) {
	c.Flags().BoolVar(&w.wait, "wait", true, "wait for the end and show progress")
	c.Flags().BoolVar(&w.noWait, "no-wait", false, "start it and do not wait for the end")
	c.Flags().BoolVar(&w.exitStatus, "exit-status", false, "exit 3 if the export failed or has rejected or unknown entries")
	c.MarkFlagsMutuallyExclusive("wait", "no-wait")
}

// runSync starts a run, or joins the one of its period that is running.
func (a *app) runSync(c *cobra.Command, db runlog.Beginner, in workflows.SyncInput, how waitOptions) error {
	temporal, _, err := a.temporal(c.Context())
	if err != nil {
		return err
	}
	defer temporal.Close()
	run, err := temporal.ExecuteWorkflow(c.Context(), engine.SyncOptions(in), workflows.SyncName, in)
	if err != nil {
		return err
	}
	say(c.ErrOrStderr(), "run %s", run.GetID())
	if how.noWait || !how.wait {
		return nil
	}
	watched, stop := context.WithCancel(c.Context())
	var watching sync.WaitGroup
	watching.Go(func() { showProgress(watched, c.ErrOrStderr(), temporal, db, in.OrganizationID, run.GetID()) })
	var result workflows.SyncResult
	err = run.Get(c.Context(), &result)
	stop()
	watching.Wait()
	switch {
	case c.Context().Err() != nil:
		return fmt.Errorf("no longer waiting; the run goes on: starter exports list --org %s", in.OrganizationID)
	case err != nil:
		return err
	case result.Refused != "":
		return errors.New(result.Refused)
	case result.AlreadyExported && result.Export.Status == exports.Pending:
		// Another run, such as the schedule's, is at it.
		say(c.ErrOrStderr(), "this period is being exported by %s; waiting for that one", result.Export.WorkflowID)
		if err := temporal.GetWorkflow(c.Context(), result.Export.WorkflowID, result.Export.RunID.String()).Get(c.Context(), &result); err != nil {
			return err
		}
	case result.AlreadyExported:
		say(c.ErrOrStderr(), "this period has its export already; nothing was sent now")
	}
	e := result.Export
	if a.output == "json" {
		err = printJSON(c.OutOrStdout(), result)
	} else {
		err = exportTable(c.OutOrStdout(), []exports.Export{e})
	}
	if err == nil && how.exitStatus && (e.Status != exports.Complete || e.Rejected+e.Unknown > 0) {
		return exitError{code: exitPermanent}
	}
	return err
}

// showProgress shows how far a run is until ctx ends. Chunks come from the run
// and entries from the database, which knows them.
func showProgress(ctx context.Context, w io.Writer, temporal client.Client, db runlog.Beginner, organization uuid.UUID, workflowID string) {
	var bar *progress
	for tick := time.NewTicker(500 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			if bar != nil {
				bar.end()
			}
			return
		case <-tick.C:
		}
		value, err := temporal.QueryWorkflow(ctx, workflowID, "", workflows.ProgressQuery)
		var p exports.Progress
		if err != nil || value.Get(&p) != nil || p.Export.ID == uuid.Nil {
			continue
		}
		n, err := runlog.CountEntries(ctx, db, organization, p.Export.ID)
		if err != nil || n.Total == 0 {
			continue
		}
		if bar == nil {
			bar = newProgress(w, "exporting", n.Total)
		}
		note := fmt.Sprintf("%d of %d entries, %d chunks left", n.Exported, n.Total, p.Left())
		if n.Rejected > 0 {
			note += fmt.Sprintf(", %d rejected", n.Rejected)
		}
		if until := p.Export.DeferredUntil; until != nil {
			note += ", waits until " + until.Local().Format(time.TimeOnly)
		} else if until := p.WaitsUntil(); !until.IsZero() {
			note += ", waits until " + until.Local().Format(time.TimeOnly) + " for what the vendor may still be doing"
		}
		bar.set(n.Exported+n.Rejected+n.Unknown, note)
	}
}
