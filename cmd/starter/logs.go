package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// pollEvery is how often logs --follow looks for new rows.
const pollEvery = time.Second

// followOverlap is how far before the newest row logs --follow looks again. A row is
// written when its invocation has ended, so it can be older than one that is printed
// already. The longest invocation takes a minute; an outage of the database delays
// rows for longer, and those are only found without --follow.
const followOverlap = 2 * time.Minute

// logOptions are the flags of logs.
type logOptions struct {
	org, adapter, class, since, correlation string
	follow                                  bool
}

func (a *app) logs() *cobra.Command {
	var o logOptions
	c := &cobra.Command{
		Use:   "logs --org NAME",
		Short: "Print an organization's audit rows, oldest first",
		Long: `Prints an organization's audit rows: one for each failed attempt, one for a success
after a failure, and one for an ad-hoc write that succeeded at once. EFFECT is what
is known of a write: done, none, or open until a time. With -o json each line is an
object.`,
		Example: "  starter logs --org $ORG --class permanent --since 24h\n  starter logs --org $ORG --follow -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := o.filter()
			if err != nil {
				return err
			}
			s, err := a.openOrganization(c, o.org)
			if err != nil {
				return err
			}
			defer s.close()
			p := attemptPrinter{session: s}
			if err := p.pages(c.Context(), f); err != nil || !o.follow {
				return err
			}
			return p.follow(c.Context(), f)
		},
	}
	organizationFlag(c, &o.org)
	f := c.Flags()
	f.StringVar(&o.adapter, "adapter", "", "only of this `adapter`")
	f.StringVar(&o.class, "class", "", "only of this `class`: transient, permanent, timeout or success")
	sinceFlag(c, &o.since)
	f.StringVar(&o.correlation, "correlation-id", "", "only of the invocation with this `UUID`")
	f.BoolVarP(&o.follow, "follow", "F", false, "print new rows too, until interrupted")
	return c
}

// filter is what the flags select.
func (o *logOptions) filter() (f runlog.AttemptFilter, err error) {
	f = runlog.AttemptFilter{Adapter: o.adapter, Class: classify.Class(o.class)}
	if o.adapter != "" && !slices.Contains(vendors.Names(), o.adapter) {
		return f, usage("--adapter %q: want one of %v", o.adapter, vendors.Names())
	}
	if !slices.Contains([]classify.Class{"", classify.Transient, classify.Permanent, classify.Timeout, classify.Success}, f.Class) {
		return f, usage("--class %q: want transient, permanent, timeout or success", o.class)
	}
	if o.correlation != "" {
		if f.CorrelationID, err = parseUUID("--correlation-id", o.correlation); err != nil {
			return f, err
		}
	}
	f.Since, err = parseSince(o.since)
	return f, err
}

// sinceFlag adds --since, for [parseSince].
func sinceFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(into, "since", "", "only from then on: a `duration` such as 24h, or a time such as 2026-11-23T08:00:00Z")
}

// parseSince reads --since: a duration before now, or a time.
func parseSince(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return time.Now().Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usage("--since %q: want a duration such as 24h, or a time such as 2026-11-23T08:00:00Z", s)
}

// attemptPrinter prints each row once.
type attemptPrinter struct {
	*session
	hasHeading bool
	recent     map[attemptKey]time.Time // printed, and recent enough to be found again
	newest     time.Time
}

type attemptKey struct {
	correlation uuid.UUID
	attempt     int
}

// pages prints all rows page by page, so that memory does not grow with them.
func (p *attemptPrinter) pages(ctx context.Context, f runlog.AttemptFilter) error {
	for {
		rows, next, err := runlog.ListAttempts(ctx, p.db, p.organization, f)
		if err != nil {
			return err
		}
		if err := p.print(rows); err != nil {
			return err
		}
		if len(rows) < runlog.MaxPage {
			return nil
		}
		f.After = next
	}
}

// follow prints new rows until ctx ends.
func (p *attemptPrinter) follow(ctx context.Context, f runlog.AttemptFilter) error {
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery):
		}
		from := p.newest
		if from.IsZero() {
			from = began
		}
		if from = from.Add(-followOverlap); from.After(f.Since) {
			f.Since = from
		}
		if err := p.pages(ctx, f); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			p.say("note: %v; trying again", err)
		}
		for k, at := range p.recent {
			if at.Before(f.Since) {
				delete(p.recent, k)
			}
		}
	}
}

func (p *attemptPrinter) print(rows []runlog.AttemptRow) error {
	out, fresh := p.command.OutOrStdout(), p.unprinted(rows)
	if p.app.output == outputJSON {
		for _, r := range fresh {
			if err := printJSONLine(out, r); err != nil {
				return err
			}
		}
		return nil
	}
	var cells [][]string
	if !p.hasHeading {
		cells = [][]string{{"OCCURRED AT         ", "CORRELATION ID                      ", "ADAPTER        ", "OPERATION", "#", "CLASS    ", "KIND               ", "HTTP", "EFFECT             ", "MESSAGE"}}
		p.hasHeading = true
	}
	for _, r := range fresh {
		class, message := r.ErrorClass, r.ErrorMessage
		if class == "" {
			class, message = classify.Success, "after "+count(r.TotalAttempts, "attempt")
			if r.TotalAttempts == 1 {
				message = "at the first attempt"
			}
		}
		http := "-"
		if r.HTTPStatus != 0 {
			http = fmt.Sprint(r.HTTPStatus)
		}
		cells = append(cells, []string{r.OccurredAt.UTC().Format("2006-01-02T15:04:05Z"), r.CorrelationID.String(),
			fmt.Sprintf("%-15s", r.AdapterName), fmt.Sprintf("%-9s", r.Operation), fmt.Sprint(r.AttemptNumber), fmt.Sprintf("%-9s", class),
			fmt.Sprintf("%-19s", r.ErrorKind), fmt.Sprintf("%-4s", http), fmt.Sprintf("%-19s", effectOf(r.Effect, r.OpenUntil)), clip(message, 100)})
	}
	return table(out, cells)
}

// unprinted returns the rows that are not printed yet, and remembers them.
func (p *attemptPrinter) unprinted(rows []runlog.AttemptRow) (fresh []runlog.AttemptRow) {
	if p.recent == nil {
		p.recent = make(map[attemptKey]time.Time)
	}
	for _, r := range rows {
		k := attemptKey{r.CorrelationID, r.AttemptNumber}
		if _, printed := p.recent[k]; printed {
			continue
		}
		if time.Since(r.OccurredAt) < 2*followOverlap {
			p.recent[k] = r.OccurredAt
		}
		if r.OccurredAt.After(p.newest) {
			p.newest = r.OccurredAt
		}
		fresh = append(fresh, r)
	}
	return fresh
}
