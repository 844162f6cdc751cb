package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/runlog"
)

func (a *app) show() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use:   "show CORRELATION-ID",
		Short: "Show an invocation's attempts: live while it runs, from the audit record afterwards",
		Args:  exactly(1, "one correlation ID"),
		RunE: func(c *cobra.Command, args []string) error {
			r := invocationReport{State: stateUnknown, Attempts: activities.Trail{}}
			var err error
			if r.CorrelationID, err = parseUUID("CORRELATION-ID", args[0]); err != nil {
				return err
			}
			if org != "" {
				if r.OrganizationID, err = a.findOrganization(c.Context(), org); err != nil {
					return err
				}
			}
			if err := a.readInvocation(c.Context(), c.ErrOrStderr(), &r); err != nil {
				return err
			}
			if a.output == outputJSON {
				return printJSON(c.OutOrStdout(), r)
			}
			return r.print(c.OutOrStdout())
		},
	}
	organizationFlag(c, &org)
	return c
}

// stateUnknown is the state of an invocation that Temporal cannot be asked for or no
// longer has.
const stateUnknown engine.State = "unknown"

// reportSource is where the attempts of a report come from.
type reportSource string

const (
	fromTemporal reportSource = "temporal"
	fromTable    reportSource = "table"
)

// invocationReport is what show prints.
type invocationReport struct {
	CorrelationID  uuid.UUID        `json:"correlationId"`
	OrganizationID uuid.UUID        `json:"organizationId"`
	State          engine.State     `json:"state"` // running, waiting, recording, completed, or unknown without Temporal
	Source         reportSource     `json:"source"`
	Attempts       activities.Trail `json:"attempts"`
	NextAttemptAt  *time.Time       `json:"nextAttemptAt,omitempty"`
	Reason         string           `json:"reason,omitempty"` // why it waits, or why nothing more was tried
	TotalAttempts  int              `json:"totalAttempts,omitempty"`
	Effect         classify.Effect  `json:"effect,omitempty"`    // of a write, over all attempts
	OpenUntil      *time.Time       `json:"openUntil,omitempty"` // of an open one
	Actor          string           `json:"actor,omitempty"`     // who asked for it
	UI             string           `json:"ui,omitempty"`
}

// readInvocation fills in what Temporal and the audit record have.
func (a *app) readInvocation(ctx context.Context, words io.Writer, r *invocationReport) error {
	organization := r.OrganizationID
	if err := a.readTemporal(ctx, words, r); err != nil {
		return err
	}
	if r.State == engine.Completed || r.State == stateUnknown {
		if err := a.readAuditRecord(ctx, words, r); err != nil {
			return err
		}
	}
	switch {
	case r.Source != "":
		return nil
	case organization == uuid.Nil:
		return fmt.Errorf("no invocation %s is known; to search the audit record too, add --org", r.CorrelationID)
	}
	return fmt.Errorf("no invocation %s is known", r.CorrelationID)
}

// readTemporal fills in what Temporal has. That it cannot be reached is only a note.
func (a *app) readTemporal(ctx context.Context, words io.Writer, r *invocationReport) error {
	temporal, namespace, err := a.temporal(ctx)
	if err != nil {
		return say(words, "note: %v; showing the audit record only", err)
	}
	defer temporal.Close()
	live, err := engine.InvocationStatus(ctx, temporal, r.OrganizationID, r.CorrelationID)
	var notFound *serviceerror.NotFound
	if errors.As(err, &notFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r.OrganizationID, r.State, r.Source = live.OrganizationID, live.State, fromTemporal
	r.Attempts, r.NextAttemptAt, r.TotalAttempts, r.Reason = live.Trail, live.NextAttemptAt, len(live.Trail), live.Reason
	r.setEffect()
	r.UI = fmt.Sprintf("%s/namespaces/%s/workflows/%s/%s/history", strings.TrimRight(a.uiURL, "/"), url.PathEscape(namespace), url.PathEscape(live.WorkflowID), live.RunID)
	return nil
}

// setEffect sets what is known of a write over all attempts.
func (s *invocationReport) setEffect() {
	var ended bool
	var until time.Time
	s.Effect, ended, until = s.Attempts.Effect()
	if ended { // the answer proves that it can no longer take effect
		until = s.Attempts.Last().EndedAt
	}
	if s.Effect == classify.Open && !until.IsZero() {
		s.OpenUntil = &until
	}
}

// readAuditRecord replaces the attempts by those of the audit record, if it has any: a
// read that succeeded at once has left none there.
func (a *app) readAuditRecord(ctx context.Context, words io.Writer, s *invocationReport) error {
	if s.OrganizationID == uuid.Nil {
		return nil
	}
	pool, err := a.database(ctx)
	if err != nil {
		if s.Source != "" {
			say(words, "note: %v; showing Temporal's history", err)
			return nil
		}
		return err
	}
	defer pool.Close()
	if claim, err := runlog.LoadWriteState(ctx, pool, s.OrganizationID, s.CorrelationID); err != nil {
		return err
	} else if claim != nil { // of all runs, with what the vendor said when it was asked
		s.Effect, s.OpenUntil, s.Actor = claim.Effect, claim.OpenUntil, claim.Actor
	}
	rows, _, err := runlog.ListAttempts(ctx, pool, s.OrganizationID, runlog.AttemptFilter{CorrelationID: s.CorrelationID})
	if err != nil || len(rows) == 0 {
		return err
	}
	s.Source, s.Attempts = fromTable, nil
	for _, r := range rows {
		at := activities.Attempt{
			Number: r.AttemptNumber, EndedAt: r.OccurredAt, Class: r.ErrorClass, Kind: r.ErrorKind, Rule: r.Rule,
			HTTPStatus: r.HTTPStatus, Message: r.ErrorMessage, Retryable: r.IsRetryable, Delay: r.PlannedDelay,
			Effect: r.Effect,
		}
		if r.OpenUntil != nil {
			at.OpenUntil = *r.OpenUntil
		}
		s.Actor = cmp.Or(s.Actor, r.Actor)
		if r.ErrorClass == "" {
			at.Class = classify.Success
		}
		s.Attempts = append(s.Attempts, at)
		s.TotalAttempts = max(s.TotalAttempts, r.AttemptNumber)
	}
	s.Reason = engine.Reason(s.Attempts.Last())
	return nil
}

func (s invocationReport) print(w io.Writer) error {
	say(w, "correlation   %s", s.CorrelationID)
	say(w, "organization  %s", s.OrganizationID)
	say(w, "state         %s (from %s)", s.State,
		map[reportSource]string{fromTemporal: "Temporal", fromTable: "integration_run_logs"}[s.Source])
	if s.NextAttemptAt != nil {
		say(w, "next attempt  %s, in %v", s.NextAttemptAt.Format(time.RFC3339), max(0, time.Until(*s.NextAttemptAt)).Round(100*time.Millisecond))
	}
	if s.Reason != "" {
		say(w, "reason        %s", s.Reason)
	}
	if s.Effect != "" {
		say(w, "effect        %s", effectOf(s.Effect, s.OpenUntil))
	}
	if s.Actor != "" {
		say(w, "asked by      %s", s.Actor)
	}
	if s.UI != "" {
		say(w, "temporal ui   %s", s.UI)
	}
	say(w, "")
	rows := [][]string{{"ATTEMPT", "ENDED", "CLASS", "KIND", "RULE", "HTTP", "EFFECT", "WAIT", "MESSAGE"}}
	for _, at := range s.Attempts {
		until := at.Until()
		row := []string{fmt.Sprint(at.Number), "-", string(at.Class), dash(string(at.Kind)), dash(at.Rule), "-", effectOf(at.Effect, &until), "-", clip(at.Message, 80)}
		if at.Class == "" {
			row[2] = "running"
		}
		if !at.EndedAt.IsZero() {
			row[1] = at.EndedAt.UTC().Format("15:04:05.000")
		}
		if at.HTTPStatus != 0 {
			row[5] = fmt.Sprint(at.HTTPStatus)
		}
		if at.Delay > 0 {
			row[7] = at.Delay.Round(time.Millisecond).String()
		}
		rows = append(rows, row)
	}
	return table(w, rows)
}
