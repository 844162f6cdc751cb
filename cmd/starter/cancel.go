package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"

	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) cancel() *cobra.Command {
	var o callRef
	var noWait bool
	c := &cobra.Command{
		Use:   "cancel CORRELATION-ID|EXPORT|PERIOD|--last",
		Short: "Cancel a call or an export that has not ended",
		Long: `Cancels a call, by its correlation ID, the first characters of it, or --last; or an
export, by its ID, the first characters of it, or its period and --integration. It
waits for the end and prints the outcome.

Nothing that was sent is taken back. A call makes no further attempt: it ends with the
report of the attempt under way, or as cancelled, and its attempts are on record. An
export ends as failed (cancelled) after the request under way; what was exported stays
exported, and starter exports retry sends the rest, after it has asked the vendor about
what may be there. What has ended cannot be cancelled.`,
		Example: "  starter cancel 3f2a --org $ORG\n  starter cancel --last --org $ORG --integration xledger-main\n  starter cancel 2026-10 --org $ORG --integration xledger-main",
		Args:    callArgument(&o.last, "one correlation ID, export or period"),
		RunE: func(c *cobra.Command, args []string) error {
			which, err := o.target(args)
			if err != nil {
				return err
			}
			s, err := a.openOrganization(c, o.org)
			if err != nil {
				return err
			}
			defer s.close()
			if o.integration != "" {
				if err := s.find(o.integration); err != nil {
					return err
				}
				which.call.Integration = s.integration.ID
			}
			if err := s.connect(); err != nil {
				return err
			}
			e, id, err := s.findRunning(which)
			switch {
			case err != nil:
				return err
			case e != nil:
				return s.cancelExport(*e, noWait)
			}
			return s.cancelCall(id, noWait)
		},
	}
	o.flags(c)
	c.Flags().BoolVar(&noWait, "no-wait", false, "ask for the cancellation and do not wait for the end")
	return c
}

// cancelTarget is what is to be cancelled, as the command line names it.
type cancelTarget struct {
	period string // of an export; "" if it is a call, or an export by its ID
	call   calls.Ref
}

// target reads the arguments of cancel.
func (o *callRef) target(args []string) (t cancelTarget, err error) {
	if len(args) == 1 {
		if _, _, err := exports.ParsePeriod(args[0]); err == nil {
			if o.integration == "" {
				return t, usage("--integration is missing: want it with a period; each integration has an export of %s of its own", args[0])
			}
			return cancelTarget{period: args[0]}, nil
		}
		if meant := meantPeriod(args[0]); meant != "" && !beginOfID.MatchString(args[0]) {
			return t, usage("%q: write %s, with --integration, for the export of a period", args[0], meant)
		}
	}
	t.call, err = o.parse(args)
	return t, err
}

// findRunning returns the export that is meant, or the correlation ID of the call.
func (s *session) findRunning(t cancelTarget) (*exports.Export, uuid.UUID, error) {
	ctx := s.command.Context()
	sources := calls.Sources{DB: s.db, Temporal: s.temporal}
	switch {
	case t.period != "":
		e, err := s.exportOfPeriod(t.period)
		return e, uuid.Nil, err
	case t.call.Last:
		id, err := sources.Find(ctx, s.organization, t.call)
		return nil, id, err
	}
	const few = 10
	list, err := runlog.FindExports(ctx, s.db, s.organization, t.call.Low, t.call.High, few+1)
	if err != nil {
		return nil, uuid.Nil, err
	}
	id, err := sources.Find(ctx, s.organization, t.call)
	_, whole := t.call.Whole()
	var missing *calls.MissingError
	switch {
	case len(list) == 0:
		return nil, id, err
	case len(list) == 1 && (whole || errors.As(err, &missing)):
		return &list[0], uuid.Nil, nil
	}
	ambiguous := &calls.AmbiguousError{What: "exports and calls", Prefix: t.call.Prefix, More: len(list) > few}
	for _, e := range list[:min(len(list), few)] {
		ambiguous.List = append(ambiguous.List, fmt.Sprintf("%s  export of %s, %s", e.ID, e.Period, e.Status))
	}
	var others *calls.AmbiguousError
	switch {
	case err == nil:
		ambiguous.List = append(ambiguous.List, id.String()+"  call")
	case errors.As(err, &others):
		ambiguous.List, ambiguous.More = append(ambiguous.List, others.List...), ambiguous.More || others.More
	}
	return nil, uuid.Nil, ambiguous
}

// exportOfPeriod returns the pending export of a period of the session's integration, or the
// last one.
func (s *session) exportOfPeriod(period string) (*exports.Export, error) {
	list, err := runlog.ExportsOfPeriod(s.command.Context(), s.db, s.organization, s.integration.ID, period)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no export of %s; see starter exports list", s.integration.Name, period)
	}
	for i := range list {
		if list[i].Status == exports.Pending {
			return &list[i], nil
		}
	}
	return &list[0], nil
}

// cancelCall cancels a call and prints its outcome.
func (s *session) cancelCall(id uuid.UUID, noWait bool) error {
	ctx, out := s.command.Context(), s.command.OutOrStdout()
	see := fmt.Sprintf("starter show %s --org %s", calls.Short(id), s.org)
	err := engine.CancelCall(ctx, s.temporal, s.organization, id)
	var notFound *serviceerror.NotFound
	var ended *engine.EndedError
	switch {
	case errors.As(err, &notFound):
		return s.noCall(ctx, id)
	case errors.As(err, &ended):
		return fmt.Errorf("%w; see %s", err, see)
	case err != nil:
		return err
	}
	s.say("asked call %s to end", calls.Short(id))
	if noWait {
		return nil
	}
	stop := s.watchWorkers(ctx)
	outcome, err := engine.AwaitCall(ctx, s.temporal, s.organization, id)
	stop()
	if ctx.Err() != nil {
		return fmt.Errorf("no longer waiting; the cancellation has been asked for: %s", see)
	}
	if err != nil {
		return err
	}
	if s.app.output == outputJSON {
		return printJSON(out, outcome)
	}
	return say(out, "%s", calls.CallEnded(outcome))
}

// noCall is why Temporal has no call to cancel: it ended long ago, or it is an attempt of an
// export, which is cancelled as a whole.
func (s *session) noCall(ctx context.Context, id uuid.UUID) error {
	r, err := calls.Sources{DB: s.db, Temporal: s.temporal}.Read(ctx, s.organization, id)
	switch {
	case err != nil:
		return err
	case r.Export != nil && r.Export.Status == exports.Pending:
		return fmt.Errorf("%s is an attempt of the export of %s; to cancel the export: starter cancel %s --org %s", calls.Short(id), exports.PeriodName(r.Export.Period), cancels(r), s.org)
	}
	return &engine.EndedError{What: fmt.Sprintf("call %s has ended", id)}
}

// cancels is how cancel names the export that an attempt was made for.
func cancels(r calls.Report) string {
	if r.IntegrationName == "" {
		return calls.Short(r.Export.ExportID)
	}
	return r.Export.Period + " --integration " + r.IntegrationName
}

// cancelExport cancels an export and prints what became of it.
func (s *session) cancelExport(e exports.Export, noWait bool) error {
	ctx, out := s.command.Context(), s.command.OutOrStdout()
	// Its entries are counted afterwards: that takes a while of many, and they are still being sent.
	name := s.integration.Name
	if in, err := runlog.LoadIntegration(ctx, s.db, s.organization, e.IntegrationID); name == "" && err == nil {
		name = in.Name
	}
	if err := engine.CancelExport(ctx, s.temporal, e, name); err != nil {
		return err
	}
	s.say("asked the export of %s to end", exports.PeriodName(e.Period))
	if noWait {
		return nil
	}
	stop := s.watchWorkers(ctx)
	_, err := engine.AwaitExport(ctx, s.temporal, e)
	stop()
	if ctx.Err() != nil {
		return fmt.Errorf("no longer waiting; the cancellation has been asked for: starter exports show %s --org %s", e.Reference(name), s.org)
	}
	if err != nil {
		return err
	}
	c, err := runlog.LoadChain(ctx, s.db, s.organization, e.ID)
	if err != nil {
		return err
	}
	if s.app.output == outputJSON {
		r, err := s.exportReportOf(c, e.ID)
		if err != nil {
			return err
		}
		return printJSON(out, r)
	}
	ended := c.Exports[slices.IndexFunc(c.Exports, func(is exports.Export) bool { return is.ID == e.ID })]
	return say(out, "%s", calls.ExportEnded(ended, c.Reference()))
}
