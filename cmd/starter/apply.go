package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) integrationsApply() *cobra.Command {
	var files []string
	var o runlog.ApplyOptions
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make integrations and their schedules what a file says",
		Long: `Makes an organization's integrations, and their Temporal Schedules, what a file
says: created, updated, unchanged. What the organization has besides is named
and left alone, or removed with --prune: its past stays on record, it is not
called any more, and applying it again brings it back.

Everything that can be known is checked first: the file, the source of entries
and the worker's right to read it, the database's rules, Temporal. Then the rows
are stored, all or none, and the schedules follow. Should that be cut off, apply
the same file again: it does what is left.`,
		Example: `  starter integrations apply -f integrations.yaml --dry-run
  starter integrations apply -f integrations.yaml --prune`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := a.readFiles(c, files)
			if err != nil {
				return err
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			o.By = whoami()
			done, err := a.apply(c.Context(), pool, file.Integrations, o)
			if err == nil || len(done) > 0 {
				tellApplied(c.ErrOrStderr(), done, o)
			}
			if err != nil {
				return err
			}
			if err := a.applyChannels(c, pool, file, o.DryRun); err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), done)
			}
			rows := [][]string{{"ACTION", "NAME", "ADAPTER", "INTEGRATION", "ORGANIZATION"}}
			for _, ch := range done {
				if ch.Action != runlog.ActionNotInFile && ch.Action != "" {
					rows = append(rows, []string{string(ch.Action), ch.Name, ch.Adapter, ch.IntegrationID.String(), ch.OrganizationID.String()})
				}
			}
			return table(c.OutOrStdout(), rows)
		},
	}
	c.Flags().StringSliceVarP(&files, "file", "f", nil, "integration `file`; - is standard input")
	c.Flags().BoolVar(&o.Prune, "prune", false, "remove what the organization has and the file has not")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would change and change nothing")
	return c
}

// applied is what became of an integration and of its schedule.
type applied struct {
	runlog.IntegrationChange
	Schedule *appliedSchedule `json:"schedule,omitempty"`
}

type appliedSchedule struct {
	Action   engine.ScheduleChange `json:"action"`
	Schedule string                `json:"schedule,omitempty"`
	Paused   bool                  `json:"paused,omitempty"`
	Next     []engine.Firing       `json:"next,omitempty"`
	Remarks  []string              `json:"remarks,omitempty"`
}

// scheduleStep is something to do in Temporal.
type scheduleStep struct {
	in     integrations.Integration
	remove bool // also of an integration that was removed by an apply that was cut off
	result *appliedSchedule
}

// apply checks, stores and then lets Temporal follow. Rows come first because
// they are the truth: a schedule without a row would start runs that nobody
// knows, and a row without its schedule is set right by the next apply.
func (a *app) apply(ctx context.Context, pool *pgxpool.Pool, list []integrations.Integration, o runlog.ApplyOptions) ([]applied, error) {
	if err := a.checkSources(ctx, list); err != nil {
		return nil, fmt.Errorf("nothing was applied:\n%w", err)
	}
	dry := o
	dry.DryRun = true
	changes, err := runlog.ApplyIntegrations(ctx, pool, list, dry)
	if err != nil {
		return nil, fmt.Errorf("nothing was applied: %w", err)
	}
	done := make([]applied, len(changes))
	for i, c := range changes {
		done[i].IntegrationChange = c
	}
	steps, err := scheduleSteps(ctx, pool, list, done)
	if err != nil {
		return nil, fmt.Errorf("nothing was applied: %w", err)
	}
	var temporal client.Client
	if len(steps) > 0 {
		if temporal, _, err = a.temporal(ctx); err != nil {
			return nil, fmt.Errorf("nothing was applied: %w", err)
		}
		defer temporal.Close()
	}
	for i := range steps {
		if err := steps[i].take(ctx, pool, temporal, true); err != nil {
			return nil, fmt.Errorf("nothing was applied: schedule of %s: %w", steps[i].in.Name, err)
		}
	}
	if o.DryRun {
		return done, nil
	}
	if changes, err = runlog.ApplyIntegrations(ctx, pool, list, o); err != nil {
		return nil, fmt.Errorf("nothing was applied: %w", err)
	}
	for i, c := range changes[:min(len(changes), len(done))] {
		done[i].IntegrationChange = c // somebody else may have applied meanwhile
	}
	for i := range steps {
		if err := steps[i].take(ctx, pool, temporal, false); err != nil {
			return done, cutOff(steps, i, err)
		}
	}
	return done, nil
}

// checkSources says everything that is wrong with the sources of entries.
func (a *app) checkSources(ctx context.Context, list []integrations.Integration) error {
	sources, err := a.sources()
	if err != nil {
		return err
	}
	var faults []error
	type place struct {
		organization uuid.UUID
		source       string
	}
	asked := make(map[place]error)
	for _, in := range list {
		if in.Export.Source == "" {
			continue
		}
		at := place{in.OrganizationID, in.Export.Source}
		err, known := asked[at]
		if !known {
			err = sources.Check(ctx, at.organization, at.source)
			asked[at] = err
		}
		var fault *runlog.SourceError
		if err != nil && !errors.As(err, &fault) {
			faults = append(faults, fmt.Errorf("integration %s: export.source %s: its database cannot be asked: %s; check %s and that the server is up",
				in.Name, in.Export.Source, environ.Cause(err), runlog.SourceVariable))
		} else if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				faults = append(faults, fmt.Errorf("integration %s: export.%s", in.Name, line))
			}
		}
	}
	return errors.Join(faults...)
}

// scheduleSteps lists what there may be to do in Temporal, what goes away
// first, and hangs the results on the changes.
func scheduleSteps(ctx context.Context, db runlog.Beginner, list []integrations.Integration, done []applied) (steps []scheduleStep, err error) {
	before := make(map[uuid.UUID]integrations.Integration)
	var gone []integrations.Integration
	seen := make(map[uuid.UUID]bool)
	for _, in := range list {
		if seen[in.OrganizationID] {
			continue
		}
		seen[in.OrganizationID] = true
		known, err := runlog.ListIntegrations(ctx, db, in.OrganizationID)
		if err != nil && !unreadable(err) { // applying is what repairs a row
			return nil, err
		}
		for _, k := range known {
			before[k.ID] = k
		}
		removed, err := runlog.ListRemovedIntegrations(ctx, db, in.OrganizationID)
		if err != nil && !unreadable(err) {
			return nil, err
		}
		gone = append(gone, removed...)
	}
	var makes []scheduleStep
	inFile := make(map[uuid.UUID]bool)
	for i := range done {
		was := before[done[i].IntegrationID]
		switch {
		case i < len(list):
			inFile[list[i].ID] = true
			// Also without a schedule before and now: one may be left over.
			if list[i].Schedule != nil || was.Schedule != nil {
				done[i].Schedule = &appliedSchedule{}
				makes = append(makes, scheduleStep{in: list[i], result: done[i].Schedule})
			}
		case done[i].Action == runlog.ActionRemoved && was.Schedule != nil:
			done[i].Schedule = &appliedSchedule{}
			steps = append(steps, scheduleStep{in: was, remove: true, result: done[i].Schedule})
		}
	}
	for _, k := range gone {
		if k.Schedule != nil && !inFile[k.ID] {
			steps = append(steps, scheduleStep{in: k, remove: true, result: &appliedSchedule{}})
		}
	}
	return append(steps, makes...), nil
}

// take does the step, or with dryRun finds out what it would do.
func (s *scheduleStep) take(ctx context.Context, db runlog.Beginner, temporal client.Client, dryRun bool) (err error) {
	in := s.in
	if s.remove {
		s.result.Action, err = engine.RemoveSchedule(ctx, temporal, in.OrganizationID, in.ID, dryRun)
		return err
	}
	// Asked now: a pause outlives the removal of its integration, and somebody
	// may have paused it since the file was read.
	p, err := runlog.LoadPause(ctx, db, in.OrganizationID, in.ID)
	if err != nil && !errors.Is(err, runlog.ErrNotFound) {
		return err
	}
	note := ""
	if p != nil {
		note = noteOf(*p)
	}
	if s.result.Action, err = engine.ApplySchedule(ctx, temporal, in, note, dryRun); err != nil || in.Schedule == nil {
		return err
	}
	now := time.Now()
	*s.result = appliedSchedule{
		Action: s.result.Action, Schedule: in.Schedule.String(), Paused: p != nil,
		Next: engine.Firings(*in.Schedule, in.Schedule.Next(now, 5)), Remarks: in.Schedule.Remarks(now),
	}
	return nil
}

// cutOff says what is done and what is not after step i failed.
func cutOff(steps []scheduleStep, i int, err error) error {
	names := func(list []scheduleStep) string {
		var out []string
		for _, s := range list {
			out = append(out, s.in.Name)
		}
		if len(out) == 0 {
			return "none"
		}
		return strings.Join(out, ", ")
	}
	return fmt.Errorf("the integrations are stored, and of their schedules these are done: %s; these are not: %s. Apply the same file again, and it does what is left: schedule of %s: %w",
		names(steps[:i]), names(steps[i:]), steps[i].in.Name, err)
}

// tellApplied says in words what the table does not show.
func tellApplied(w io.Writer, done []applied, o runlog.ApplyOptions) {
	if o.DryRun {
		say(w, "dry run: nothing was changed")
	}
	for _, ch := range done {
		if ch.Action == runlog.ActionNotInFile {
			say(w, "%s: not in the file (use --prune to remove it)", ch.Name)
		}
		s := ch.Schedule
		switch {
		case s == nil || s.Action == engine.NoSchedule:
			continue
		case s.Schedule == "":
			say(w, "schedule %s: %s", ch.Name, s.Action)
			continue
		case s.Paused:
			say(w, "schedule %s: %s and paused, %s", ch.Name, s.Action, s.Schedule)
		default:
			say(w, "schedule %s: %s, %s", ch.Name, s.Action, s.Schedule)
		}
		for _, r := range s.Remarks {
			say(w, "  note: it %s", r)
		}
		for _, f := range s.Next {
			say(w, "  %s exports %s", local(f.At), f.Period)
		}
	}
}

// local shows a time to people, in its own zone.
func local(t time.Time) string { return t.Format("Mon 2006-01-02 15:04 MST") }
