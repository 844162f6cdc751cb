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

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/outlook"
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
is exported once: the second time, the first export is printed and nothing is sent, and
the command says with which export the entries go that came later. --dry-run says what
a run would do now, that included.
A period that has not ended yet needs --unfinished: entries that come later are
exported with the next one. It ends at midnight in the time zone of the integration's
schedule, without a schedule in Europe/Oslo.

What the vendor refuses is found voucher by voucher, and the others are exported; see
starter exports show and starter exports retry.

Prints what the period came to, with the retries that it has had. Exits 3 if it is not
complete; --exit-status=false turns that off.`,
		Example: "  starter sync --org $ORG --integration xledger-main --period 2026-10",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, _, err := readPeriod("--period", period); err != nil {
				return err
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
			notDue, err := outlook.Due(c.Context(), s.db, s.integration, engine.ExportOf(in), time.Now(), unfinished)
			if err != nil {
				return err
			}
			if notDue != nil {
				return usage("--period: %w", notDue)
			}
			if dryRun {
				return a.previewSync(s, in)
			}
			return a.runSync(s, in, wait)
		},
	}
	organizationFlag(c, &org)
	integrationFlag(c, &integration)
	c.Flags().StringVar(&period, "period", "", "what to export: 2026-10, 2026-W45 or 2026-11-23")
	c.Flags().BoolVar(&unfinished, "unfinished", false, "export a period that has not ended yet")
	wait.flags(c)
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be sent and what would be refused; send nothing")
	return c
}

// previewSync prints what a run would do: as it would find things now, also that it would
// refuse, that the period has its export, or that it would wait.
func (a *app) previewSync(s *session, in workflows.SyncInput) error {
	sources, err := a.sources()
	if err != nil {
		return err
	}
	p, err := outlook.Preview(s.command.Context(), s.db, sources, s.integration, engine.ExportOf(in), in.Vouchers, time.Now())
	if err != nil {
		return err
	}
	s.say("dry run: nothing is planned or sent")
	if p.Paused != "" {
		s.say("%s", p.Paused)
	}
	out := s.command.OutOrStdout()
	if a.output == outputJSON {
		return printJSON(out, p)
	}
	if p.Message != "" {
		say(out, "%s", p.Message)
	}
	if p.Export != nil {
		return nil
	}
	say(out, "%s in %s and %s, %d of them late: %s", count(p.Entries, "entry"), count(p.Vouchers, "voucher"), count(p.Chunks, "chunk"), p.Late, dash(amountsOf(p.Amounts)))
	if len(p.Refused) == 0 {
		return nil
	}
	rows := [][]string{{"VOUCHER", "WOULD BE REFUSED"}}
	for _, r := range p.Refused {
		rows = append(rows, []string{r.VoucherID, r.Message})
	}
	return table(out, rows)
}

// waitOptions are the flags of a command that starts a run.
type waitOptions struct{ wait, noWait, exitStatus bool }

func (o *waitOptions) flags(c *cobra.Command) {
	c.Flags().BoolVar(&o.wait, "wait", true, "wait for the end and show progress")
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "start the run and do not wait for its end")
	c.Flags().BoolVar(&o.exitStatus, "exit-status", true, "exit 3 if the period is not complete, with its retries; =false: exit 0 once the run has ended")
	c.MarkFlagsMutuallyExclusive("wait", "no-wait")
}

// runSync starts a run, or joins the one of its period that is running.
func (a *app) runSync(s *session, in workflows.SyncInput, o waitOptions) error {
	if err := s.connect(); err != nil {
		return err
	}
	ctx := s.command.Context()
	run, err := s.temporal.ExecuteWorkflow(ctx, engine.SyncOptions(in), workflows.SyncName, in)
	if err != nil {
		return err
	}
	s.say("run %s", run.GetID())
	if o.noWait || !o.wait {
		return nil
	}
	result, err := s.awaitSync(run, in.Period)
	if err != nil {
		return err
	}
	return a.printSync(s, result.Export.ID, result.AlreadyExported, o)
}

// awaitSync waits for the end of a run, and for that of another run if the period
// is being exported by that one. It shows progress.
func (s *session) awaitSync(run client.WorkflowRun, period string) (result workflows.SyncResult, err error) {
	ctx := s.command.Context()
	watching, stop := context.WithCancel(ctx)
	var shown sync.WaitGroup
	shown.Go(func() { s.showProgress(watching, run.GetID()) })
	noWorker := s.watchWorkers(ctx)
	defer noWorker()
	err = run.Get(ctx, &result)
	stop()
	shown.Wait()
	switch {
	case ctx.Err() != nil:
		return result, fmt.Errorf("no longer waiting; the run continues: see it with starter exports show %s --integration %s --org %s, or end it with starter cancel %[1]s --integration %[2]s --org %[3]s",
			period, s.integration.Name, s.org)
	case err != nil:
		return result, err
	case result.Refused != "":
		return result, errors.New(result.Refused)
	case result.AlreadyExported && result.Export.Status == exports.Pending: // by another run, such as the schedule's
		s.say("this period is being exported by %s; waiting for that run", result.Export.WorkflowID)
		err = s.temporal.GetWorkflow(ctx, result.Export.WorkflowID, result.Export.RunID.String()).Get(ctx, &result)
	case result.AlreadyExported:
		s.say("nothing was sent now: %s", s.exported(result.Export))
	}
	return result, err
}

// exported says that a period has its export, and where the entries go that came later.
func (s *session) exported(e exports.Export) string {
	ctx, sources := s.command.Context(), (*runlog.Sources)(nil)
	if in, err := runlog.LoadIntegration(ctx, s.db, e.OrganizationID, e.IntegrationID); err == nil {
		s.integration = in
	}
	if all, err := s.app.sources(); err == nil {
		sources = all
	}
	message, _, err := outlook.Exported(ctx, s.db, sources, s.integration, e, time.Now())
	if err != nil {
		message += fmt.Sprintf("; where later entries go cannot be said now: %v", err)
	}
	return message
}

// showProgress shows how far a run is until ctx ends. The number of chunks comes
// from the run and that of entries from the database.
func (s *session) showProgress(ctx context.Context, workflowID string) {
	var bar *progress
	waits := shownWait{session: s}
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
			continue // without a worker it does not answer, which watchWorkers says
		}
		waits.show(ctx, bar, p)
		n, err := runlog.CountEntries(ctx, s.db, s.organization, p.Export.ID)
		if err != nil || n.Total == 0 {
			continue
		}
		if bar == nil {
			bar = newProgress(s.command.ErrOrStderr(), "exporting", n.Total)
		}
		note := fmt.Sprintf("%d of %s, %s left", n.Exported, count(n.Total, "entry"), count(p.Left(), "chunk"))
		if n.Rejected > 0 {
			note += fmt.Sprintf(", %d refused", n.Rejected)
		}
		note += waits.note
		bar.set(n.Exported+n.Rejected+n.Unknown, note)
	}
}
