package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

func (a *app) sync() *cobra.Command {
	var org, integration, period string
	var dryRun, unfinished bool
	var wait waitOptions
	c := &cobra.Command{
		Use:   "sync --org NAME --integration NAME --period PERIOD",
		Short: "Export a period's accounting entries, once",
		Long: `Exports every accounting entry up to the end of the period that no export has
taken yet. A period is a month 2026-10, an ISO week 2026-W45 or a day 2026-11-23. It
is exported once: the second time, the first export is printed and nothing is sent.
A period that has not ended yet needs --unfinished: entries that come later are
exported with the next one.

Entries that the vendor refuses are rejected voucher by voucher, and the others are
exported; see starter exports show and starter exports retry.`,
		Example: "  starter sync --org $ORG --integration xledger-main --period 2026-10",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, end, err := exports.ParsePeriod(period)
			if err != nil {
				return usage("--period: %w", err)
			}
			if end.After(time.Now()) && !unfinished {
				return usage("--period %s does not end before %s; entries that come later would be exported with the next period: wait, or add --unfinished", period, end.Format(time.DateOnly))
			}
			s, err := a.openIntegration(c, org, integration)
			if err != nil {
				return err
			}
			defer s.close()
			in, err := engine.NewSync(s.integration, period, whoami())
			if err != nil {
				return err
			}
			if dryRun {
				return a.previewSync(s, exports.Export{OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd})
			}
			return a.runSync(s, in, wait)
		},
	}
	organizationFlag(c, &org)
	integrationFlag(c, &integration)
	c.Flags().StringVar(&period, "period", "", "what to export: 2026-10, 2026-W45 or 2026-11-23")
	c.Flags().BoolVar(&unfinished, "unfinished", false, "export a period that has not ended yet")
	wait.flags(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be sent and what would be rejected; send nothing")
	return c
}

// previewSync prints what an export would do.
func (a *app) previewSync(s *session, e exports.Export) error {
	out, spec := s.command.OutOrStdout(), s.integration
	x, ok := activities.Adapters()[spec.Adapter].(adapters.Exporter)
	if !ok {
		return fmt.Errorf("adapter %s takes no exports", spec.Adapter)
	}
	sources, err := a.sources()
	if err != nil {
		return err
	}
	p, err := runlog.PreviewExport(s.command.Context(), s.db, sources, e, spec.Export, activities.ChunkSize(x.Vendor(), spec.Export))
	if err != nil {
		return err
	}
	s.say("dry run: nothing is planned or sent")
	if a.output == outputJSON {
		return printJSON(out, p)
	}
	say(out, "%s in %s and %s, %d of them late: %s", count(p.Entries, "entry"), count(p.Vouchers, "voucher"), count(p.Chunks, "chunk"), p.Late, dash(amountsOf(p.Amounts)))
	if len(p.Rejected) == 0 {
		return nil
	}
	rows := [][]string{{"VOUCHER", "WOULD BE REJECTED"}}
	for _, r := range p.Rejected {
		rows = append(rows, []string{r.VoucherID, r.Reason})
	}
	return table(out, rows)
}

// waitOptions are the flags of a command that starts a run.
type waitOptions struct{ wait, noWait, exitStatus bool }

func (o *waitOptions) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.wait, "wait", true, "wait for the end and show progress")
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "start the run and do not wait for its end")
	c.Flags().BoolVar(&o.exitStatus, "exit-status", false, "exit 3 if the export failed or has rejected or unknown entries")
	c.MarkFlagsMutuallyExclusive("wait", "no-wait")
}

// runSync starts a run, or joins the one of its period that is running.
func (a *app) runSync(s *session, in workflows.SyncInput, o waitOptions) error {
	if err := s.connect(); err != nil {
		return err
	}
	ctx, out := s.command.Context(), s.command.OutOrStdout()
	run, err := s.temporal.ExecuteWorkflow(ctx, engine.SyncOptions(in), workflows.SyncName, in)
	if err != nil {
		return err
	}
	s.say("run %s", run.GetID())
	if o.noWait || !o.wait {
		return nil
	}
	result, err := s.awaitSync(run)
	if err != nil {
		return err
	}
	e := result.Export
	err = a.print(out, result, exportTable([]exports.Export{e}))
	if err == nil && o.exitStatus && (e.Status != exports.Complete || e.Rejected+e.Unknown > 0) {
		return exitError{code: exitPermanent}
	}
	return err
}

// awaitSync waits for the end of a run, and for that of another run if the period
// is being exported by that one. It shows progress.
func (s *session) awaitSync(run client.WorkflowRun) (result workflows.SyncResult, err error) {
	ctx := s.command.Context()
	watching, stop := context.WithCancel(ctx)
	var shown sync.WaitGroup
	shown.Go(func() { s.showProgress(watching, run.GetID()) })
	err = run.Get(ctx, &result)
	stop()
	shown.Wait()
	switch {
	case ctx.Err() != nil:
		return result, fmt.Errorf("no longer waiting; the run continues: starter exports list --org %s", s.org)
	case err != nil:
		return result, err
	case result.Refused != "":
		return result, errors.New(result.Refused)
	case result.AlreadyExported && result.Export.Status == exports.Pending: // by another run, such as the schedule's
		s.say("this period is being exported by %s; waiting for that run", result.Export.WorkflowID)
		err = s.temporal.GetWorkflow(ctx, result.Export.WorkflowID, result.Export.RunID.String()).Get(ctx, &result)
	case result.AlreadyExported:
		s.say("this period is exported already; nothing was sent now")
	}
	return result, err
}

// showProgress shows how far a run is until ctx ends. The number of chunks comes
// from the run and that of entries from the database.
func (s *session) showProgress(ctx context.Context, workflowID string) {
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
		value, err := s.temporal.QueryWorkflow(ctx, workflowID, "", workflows.ProgressQuery)
		var p exports.Progress
		if err != nil || value.Get(&p) != nil || p.Export.ID == uuid.Nil {
			continue
		}
		n, err := runlog.CountEntries(ctx, s.db, s.organization, p.Export.ID)
		if err != nil || n.Total == 0 {
			continue
		}
		if bar == nil {
			bar = newProgress(s.command.ErrOrStderr(), "exporting", n.Total)
		}
		note := fmt.Sprintf("%d of %s, %s left", n.Exported, count(n.Total, "entry"), count(p.Left(), "chunk"))
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
