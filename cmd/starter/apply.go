package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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
	var yes bool
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make integrations and their schedules match a file",
		Long: `Makes an organization's integrations, and their Temporal Schedules, match a file.
An integration that the file does not have is reported and left alone, or removed
with --prune: it is no longer called, its records are kept, and it comes back when
it is applied again. What is removed is listed first, and asked for: at a terminal
with a question; elsewhere --prune needs --yes.

It shows each field that differs, of organizations, notification channels and
integrations: + added, ~ changed (old → new), - removed. Secrets are references and
are shown. With -o json these are the changes of each integration. A login that may
only read can do it with --dry-run.

An integration with entries of which only the vendor can tell is neither removed nor
led elsewhere (adapter, base URL, tenant, company, journal, table): the message names
the exports, until when they are open, and what settles them.

Everything that can be checked is checked first: the file, the sources of entries
and the worker's right to read them, the rules of the database, Temporal. Then the
rows are stored, all or none, and then the schedules. If that is interrupted, apply
the same file again: it does the rest.`,
		Example: `  starter integrations apply -f integrations.yaml --dry-run
  starter integrations apply -f integrations.yaml --prune --yes`,
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
			o.By, o.Organizations = whoami(), file.Organizations
			results, err := a.apply(c.Context(), pool, file.Integrations, o, func(planned []applyResult) error {
				if err := sayAround(c, pool, file); err != nil {
					return err
				}
				sayDifferences(c.ErrOrStderr(), planned)
				if o.DryRun {
					return nil
				}
				return confirmPrune(c, planned, yes)
			})
			if err == nil || len(results) > 0 {
				sayApplied(c.ErrOrStderr(), results, o)
			}
			if err != nil {
				return err
			}
			if err := a.applyChannels(c, pool, file, o.DryRun); err != nil {
				return err
			}
			names, err := organizationNames(c.Context(), pool)
			if err != nil {
				return err
			}
			maps.Copy(names, namesOf(file.Organizations)) // of a dry run too
			return a.printApplyResults(c.OutOrStdout(), results, names)
		},
	}
	c.Flags().StringSliceVarP(&files, "file", "f", nil, "integration `file`; - is standard input")
	c.Flags().BoolVar(&o.Prune, "prune", false, "remove the integrations that the file does not have")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "print what would change and change nothing")
	c.Flags().BoolVar(&yes, "yes", false, "remove what --prune lists, without a question")
	return c
}

// applyResult is what was done to an integration and to its schedule.
type applyResult struct {
	runlog.IntegrationChange
	Organization string          `json:"organization,omitempty"` // its short name
	Schedule     *scheduleResult `json:"schedule,omitempty"`
}

// apply checks everything, has what would be done confirmed, stores the rows and then
// changes the schedules. Rows
// come first because they decide: a schedule without a row would start runs of an
// unknown integration, and a row without its schedule gets it from the next apply.
func (a *app) apply(ctx context.Context, pool *pgxpool.Pool, list []integrations.Integration, o runlog.ApplyOptions, confirm func([]applyResult) error) ([]applyResult, error) {
	if err := a.checkSources(ctx, list); err != nil {
		return nil, fmt.Errorf("nothing was applied:\n%w", err)
	}
	plan := o
	plan.DryRun = true
	changes, err := runlog.ApplyIntegrations(ctx, pool, list, plan)
	if err != nil {
		return nil, fmt.Errorf("nothing was applied: %w", err)
	}
	results := make([]applyResult, len(changes))
	for i, c := range changes {
		results[i].IntegrationChange = c
	}
	schedules, err := scheduleChanges(ctx, pool, list, results)
	if err != nil {
		return nil, fmt.Errorf("nothing was applied: %w", err)
	}
	var temporal client.Client
	if len(schedules) > 0 {
		if !a.reads { // what only reads encrypts nothing
			if err := usePayloadKeys(ctx, pool); err != nil {
				return nil, fmt.Errorf("nothing was applied: %w", err)
			}
		}
		if temporal, _, err = a.temporal(ctx); err != nil {
			return nil, fmt.Errorf("nothing was applied: %w", err)
		}
		defer temporal.Close()
	}
	for i := range schedules {
		if err := schedules[i].apply(ctx, pool, temporal, true); err != nil {
			return nil, fmt.Errorf("nothing was applied: schedule of %s: %w", schedules[i].in.Name, err)
		}
	}
	if err := confirm(results); err != nil {
		return nil, err
	}
	if o.DryRun {
		return results, nil
	}
	o.Listed = make(map[uuid.UUID]bool)
	for _, r := range results {
		o.Listed[r.IntegrationID] = true
	}
	if changes, err = runlog.ApplyIntegrations(ctx, pool, list, o); err != nil {
		return nil, fmt.Errorf("nothing was applied: %w", err)
	}
	for i, c := range changes[:min(len(changes), len(results))] {
		results[i].IntegrationChange = c // somebody else may have applied a file in between
	}
	for i := range schedules {
		if err := schedules[i].apply(ctx, pool, temporal, false); err != nil {
			return results, partialApplyError(schedules, i, err)
		}
	}
	return results, nil
}

// checkSources returns everything that is wrong with the sources of entries.
func (a *app) checkSources(ctx context.Context, list []integrations.Integration) error {
	sources, err := a.sources()
	if err != nil {
		return err
	}
	var errs []error
	type place struct {
		organization uuid.UUID
		source       string
	}
	checked := make(map[place]error)
	for _, in := range list {
		if in.Export.Source == "" {
			continue
		}
		at := place{in.OrganizationID, in.Export.Source}
		err, known := checked[at]
		if !known {
			err = sources.Check(ctx, at.organization, at.source)
			checked[at] = err
		}
		var wrong *runlog.SourceError
		if err != nil && !errors.As(err, &wrong) {
			errs = append(errs, fmt.Errorf("integration %s: export.source %s: cannot ask its database: %s; check %s and that the server is up",
				in.Name, in.Export.Source, environ.Cause(err), runlog.SourceVariable))
		} else if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				errs = append(errs, fmt.Errorf("integration %s: export.%s", in.Name, line))
			}
		}
	}
	return errors.Join(errs...)
}

// sayAround says what differs besides the integrations: names of organizations, and channels.
func sayAround(c *cobra.Command, pool *pgxpool.Pool, file integrations.File) error {
	names, err := organizationNames(c.Context(), pool)
	if err != nil {
		return err
	}
	channels, err := runlog.ApplyChannels(c.Context(), pool, file.Channels, whoami(), true)
	if err != nil {
		return fmt.Errorf("nothing was applied: %w", err)
	}
	sayOrganizations(c.ErrOrStderr(), names, file.Organizations)
	sayChannels(c.ErrOrStderr(), channels)
	return nil
}

// applyChannels makes the channels match the file, and reports those of an
// organization for which the file has no notifications section.
func (a *app) applyChannels(c *cobra.Command, pool *pgxpool.Pool, file integrations.File, dryRun bool) error {
	words := c.ErrOrStderr()
	changes, err := runlog.ApplyChannels(c.Context(), pool, file.Channels, whoami(), dryRun)
	if err != nil && !dryRun {
		return fmt.Errorf("the integrations are stored, the notification channels are not: %w; apply the same file again", err)
	}
	if err != nil {
		return err
	}
	for _, ch := range changes {
		say(words, "notifications to %s (%s): %s", ch.Name, ch.Kind, ch.Action)
	}
	seen := make(map[uuid.UUID]bool)
	for _, in := range file.Integrations {
		if _, stated := file.Channels[in.OrganizationID]; stated || seen[in.OrganizationID] {
			continue
		}
		seen[in.OrganizationID] = true
		list, err := runlog.ListChannels(c.Context(), pool, in.OrganizationID)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			say(words, "organization %s: the file has no notifications section, so %s left as before; to remove them, write notifications: []", called(namesOf(file.Organizations), in.OrganizationID), count(len(list), "channel"))
		}
	}
	return nil
}

// printApplyResults prints what was done to each integration of the file.
func (a *app) printApplyResults(w io.Writer, results []applyResult, names map[uuid.UUID]integrations.Organization) error {
	rows := [][]string{{"ACTION", "NAME", "ADAPTER", "INTEGRATION", "ORGANIZATION"}}
	for i, r := range results {
		results[i].Organization = names[r.OrganizationID].Short
		if r.Action != runlog.ActionNotInFile && r.Action != "" {
			rows = append(rows, []string{string(r.Action), r.Name, r.Adapter, r.IntegrationID.String(), called(names, r.OrganizationID)})
		}
	}
	return a.print(w, results, rows)
}

// local shows a time to people, in its own zone.
func local(t time.Time) string { return t.Format("Mon 2006-01-02 15:04 MST") }

// localTime is local with seconds.
func localTime(t time.Time) string { return t.Format("Mon 2006-01-02 15:04:05 MST") }

// scheduleResult is what was done to a schedule.
type scheduleResult struct {
	Action   engine.ScheduleChange `json:"action"`
	Schedule string                `json:"schedule,omitempty"`
	Paused   bool                  `json:"paused,omitempty"`
	Next     []engine.Firing       `json:"next,omitempty"`
	Remarks  []string              `json:"remarks,omitempty"`
}

// scheduleChange makes a schedule match the file.
type scheduleChange struct {
	in     integrations.Integration
	remove bool // also of an integration that an interrupted apply has removed
	result *scheduleResult
}

// scheduleChanges lists what there may be to do in Temporal, removals first, and
// points the results to it.
func scheduleChanges(ctx context.Context, db runlog.Beginner, list []integrations.Integration, results []applyResult) (changes []scheduleChange, err error) {
	before := make(map[uuid.UUID]integrations.Integration)
	var removed []integrations.Integration
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
		rows, err := runlog.ListRemovedIntegrations(ctx, db, in.OrganizationID)
		if err != nil && !unreadable(err) {
			return nil, err
		}
		removed = append(removed, rows...)
	}
	var updates []scheduleChange
	inFile := make(map[uuid.UUID]bool)
	for i := range results {
		was := before[results[i].IntegrationID]
		switch {
		case i < len(list):
			inFile[list[i].ID] = true
			// Also if it had no schedule and has none now: one may be left over.
			if list[i].Schedule != nil || was.Schedule != nil {
				results[i].Schedule = &scheduleResult{}
				updates = append(updates, scheduleChange{in: list[i], result: results[i].Schedule})
			}
		case results[i].Action == runlog.ActionRemoved && was.Schedule != nil:
			results[i].Schedule = &scheduleResult{}
			changes = append(changes, scheduleChange{in: was, remove: true, result: results[i].Schedule})
		}
	}
	for _, k := range removed {
		if k.Schedule != nil && !inFile[k.ID] {
			changes = append(changes, scheduleChange{in: k, remove: true, result: &scheduleResult{}})
		}
	}
	return append(changes, updates...), nil
}

// apply makes the change, or with dryRun finds out what it would do.
func (s *scheduleChange) apply(ctx context.Context, db runlog.Beginner, temporal client.Client, dryRun bool) (err error) {
	in := s.in
	if s.remove {
		s.result.Action, err = engine.RemoveSchedule(ctx, temporal, in.OrganizationID, in.ID, dryRun)
		return err
	}
	// Read now: a pause outlives the removal of its integration, and somebody may
	// have paused it since the file was read.
	p, err := runlog.LoadPause(ctx, db, in.OrganizationID, in.ID)
	if err != nil && !errors.Is(err, runlog.ErrNotFound) {
		return err
	}
	note := ""
	if p != nil {
		note = engine.PauseNote(*p)
	}
	if s.result.Action, err = engine.ApplySchedule(ctx, temporal, in, note, dryRun); err != nil || in.Schedule == nil {
		return err
	}
	now := time.Now()
	*s.result = scheduleResult{
		Action: s.result.Action, Schedule: in.Schedule.String(), Paused: p != nil,
		Next: engine.Firings(*in.Schedule, in.Schedule.Next(now, 5)), Remarks: in.Schedule.Remarks(now),
	}
	return nil
}

// partialApplyError says which schedules are changed and which are not after change
// i has failed.
func partialApplyError(changes []scheduleChange, i int, err error) error {
	names := func(list []scheduleChange) string {
		var out []string
		for _, s := range list {
			out = append(out, s.in.Name)
		}
		return cmp.Or(strings.Join(out, ", "), "none")
	}
	return fmt.Errorf("the integrations are stored; their schedules are only changed in part (done: %s; not done: %s). Apply the same file again, which does the rest: schedule of %s: %w",
		names(changes[:i]), names(changes[i:]), changes[i].in.Name, err)
}
