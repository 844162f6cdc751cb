package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
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
	callRef
	adapter, class, since, until, correlation string
	limit                                     int
	follow                                    bool
}

func (a *app) logs() *cobra.Command {
	var o logOptions
	c := &cobra.Command{
		Use:   "logs --org NAME",
		Short: "Print an organization's audit rows, newest first",
		Long: `Prints an organization's audit rows: one for each failed attempt, one for a success
after a failure, and one for an ad-hoc write that succeeded at once. The newest are
first, and there are at most 100 of them (-n); it says when there are more. With
--follow they are in the order of time, and new ones follow.

--since and --until take a duration before now (90m, 24h, 1d, 2w), a date, which
counts as a whole (--since 2026-10-01 --until 2026-10-31 is October), or a time
(2026-10-31T08:00:00Z). A time without a zone is local.

CALL is the beginning of the correlation ID; starter show takes it. PERIOD is that of
the export that an attempt was made for, VOUCHER what the vendor refused of it.
EFFECT is what is known of a write: done, none, or open until a time.

With -o json each line is an object, with times in UTC. If there are more rows, the
last line is {"more": true, …}.`,
		Example: "  starter logs --org $ORG --class permanent --since 1d\n  starter logs --org $ORG --integration xledger-main --since 2026-10-01 --until 2026-10-31\n  starter logs --org $ORG -f -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, ref, err := o.filter(time.Now())
			if err != nil {
				return err
			}
			s, err := a.openOrganization(c, o.org)
			if err != nil {
				return err
			}
			defer s.close()
			if f.CorrelationID, f.Integration, err = o.narrow(s, ref); err != nil {
				return err
			}
			p := attemptPrinter{session: s, sources: calls.Sources{DB: s.db}}
			p.names = p.sources.Names(c.Context(), s.organization)
			if o.follow {
				return p.follow(c.Context(), f, o.limit)
			}
			return p.newest(c.Context(), f, o.limit)
		},
	}
	organizationFlag(c, &o.org)
	integrationFlag(c, &o.integration)
	f := c.Flags()
	f.StringVar(&o.adapter, "adapter", "", "only of this `adapter`")
	f.StringVar(&o.class, "class", "", "only of this `class`: transient, permanent, timeout or success")
	sinceFlag(c, &o.since, "")
	f.StringVar(&o.until, "until", "", "only before then: a `duration`, a date or a time, as for --since")
	f.StringVar(&o.correlation, "correlation-id", "", "only of the call with this `UUID`, or its first characters")
	f.BoolVar(&o.last, "last", false, "only of the newest call of the organization, or of --integration")
	f.IntVarP(&o.limit, "limit", "n", 100, "at most so many `rows`; 0 is all")
	f.BoolVarP(&o.follow, "follow", "f", false, "print new rows too, in the order of time, until interrupted")
	f.BoolVarP(&o.follow, "follow-f", "F", false, "the same as -f")
	_ = f.MarkHidden("follow-f")
	return c
}

// filter is what the flags select at a time, without the integration and the call, which
// narrow looks up.
func (o *logOptions) filter(now time.Time) (f runlog.AttemptFilter, ref *calls.Ref, err error) {
	f = runlog.AttemptFilter{Adapter: o.adapter, Class: classify.Class(o.class)}
	switch {
	case o.adapter != "" && !slices.Contains(vendors.Names(), o.adapter):
		return f, nil, usage("--adapter %q: want one of %v", o.adapter, vendors.Names())
	case !slices.Contains([]classify.Class{"", classify.Transient, classify.Permanent, classify.Timeout, classify.Success}, f.Class):
		return f, nil, usage("--class %q: want transient, permanent, timeout or success", o.class)
	case o.limit < 0:
		return f, nil, usage("-n %d: want the number of rows, or 0 for all", o.limit)
	case o.correlation != "" && o.last:
		return f, nil, usage("want --correlation-id or --last, not both")
	case o.follow && o.until != "":
		return f, nil, usage("--follow prints what comes, so it takes no --until; leave one of the two out")
	case o.last:
		ref = &calls.Ref{Last: true}
	case o.correlation != "":
		r, err := calls.ParseRef(o.correlation)
		if err != nil {
			return f, nil, usage("--correlation-id %q: %w", o.correlation, err)
		}
		ref = &r
	}
	if f.Since, err = parseSince(o.since); err != nil {
		return f, nil, err
	}
	if o.until != "" {
		if f.Until, err = when.ParseEnd(o.until, now); err != nil {
			return f, nil, usage("--until %q: %w", o.until, err)
		}
	}
	if !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return f, nil, usage("--since %s is not before --until %s: nothing is between them; give an earlier --since, or a later --until", o.since, o.until)
	}
	return f, ref, nil
}

// narrow looks up the call and the integration that the flags name.
func (o *logOptions) narrow(s *session, ref *calls.Ref) (correlation, integration uuid.UUID, err error) {
	if o.integration != "" {
		if err := s.find(o.integration); err != nil {
			return correlation, integration, err
		}
		integration = s.integration.ID
	}
	if ref != nil {
		ref.Integration = integration
		correlation, err = calls.Sources{DB: s.db}.Find(s.command.Context(), s.organization, *ref)
	}
	return correlation, integration, err
}

// sinceFlag adds --since, for [parseSince].
func sinceFlag(c *cobra.Command, into *string, otherwise string) {
	c.Flags().StringVar(into, "since", otherwise, "only from then on: a `duration` such as 24h, 1d or 2w, a date such as 2026-10-31, or a time such as 2026-11-23T08:00:00Z")
}

// parseSince reads --since: a duration before now, a date or a time.
func parseSince(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := when.Parse(s, time.Now())
	if err != nil {
		return t, usage("--since %q: %w", s, err)
	}
	return t, nil
}

// attemptPrinter prints each row once.
type attemptPrinter struct {
	*session
	sources    calls.Sources
	names      calls.Names
	hasHeading bool
	recent     map[attemptKey]time.Time // printed, and recent enough to be found again
	latest     time.Time
}

type attemptKey struct {
	correlation uuid.UUID
	attempt     int
}

// newest prints at most limit rows, the newest first, and says if there are more. All are
// printed page by page, so that memory does not grow with them.
func (p *attemptPrinter) newest(ctx context.Context, f runlog.AttemptFilter, limit int) error {
	f.Newest = true
	for printed := 0; ; {
		f.Limit = runlog.MaxPage
		if limit > 0 {
			f.Limit = min(limit-printed+1, runlog.MaxPage) // one more shows that there are others
		}
		rows, next, err := runlog.ListAttempts(ctx, p.db, p.organization, f)
		if err != nil {
			return err
		}
		last := len(rows) < f.Limit
		more := limit > 0 && printed+len(rows) > limit
		if more {
			rows = rows[:limit-printed]
		}
		if err := p.print(rows); err != nil {
			return err
		}
		if more {
			return p.sayMore(rows[len(rows)-1].OccurredAt, limit)
		}
		if printed += len(rows); last {
			return nil
		}
		f.After = next
	}
}

// sayMore says that there are older rows, and how they are seen.
func (p *attemptPrinter) sayMore(oldest time.Time, limit int) error {
	before := oldest.UTC().Format(time.RFC3339Nano)
	hint := fmt.Sprintf("there are older rows: add -n %d, -n 0 for all, or --until %s for those before these", 10*limit, before)
	if p.app.output == outputJSON {
		return printJSONLine(p.command.OutOrStdout(), struct {
			More    bool   `json:"more"`
			Until   string `json:"until"` // of the rows before these
			Message string `json:"message"`
		}{true, before, hint})
	}
	return p.say("%s", hint)
}

// follow prints the last rows in the order of time, and then new ones until ctx ends.
func (p *attemptPrinter) follow(ctx context.Context, f runlog.AttemptFilter, limit int) error {
	began := time.Now()
	if err := p.before(ctx, f, limit, began); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery):
		}
		from := began
		if p.latest.After(began) {
			from = p.latest
		}
		if from = from.Add(-followOverlap); from.After(f.Since) {
			f.Since = from
		}
		if err := p.pages(ctx, f, p.print); err != nil {
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

// before prints the rows that are there, at most limit, in the order of time. Of those that
// follow looks at again, it remembers the others too: they are not new.
func (p *attemptPrinter) before(ctx context.Context, f runlog.AttemptFilter, limit int, began time.Time) error {
	if limit == 0 {
		return p.pages(ctx, f, p.print)
	}
	again := f
	if from := began.Add(-followOverlap); from.After(f.Since) {
		again.Since = from
	}
	if err := p.pages(ctx, again, func(rows []runlog.AttemptRow) error { p.unprinted(rows); return nil }); err != nil {
		return err
	}
	f.Newest, f.Limit = true, min(limit, runlog.MaxPage)
	rows, _, err := runlog.ListAttempts(ctx, p.db, p.organization, f)
	if err != nil {
		return err
	}
	slices.Reverse(rows)
	p.unprinted(rows)
	return p.printAll(rows)
}

// pages reads all rows page by page in the order of time.
func (p *attemptPrinter) pages(ctx context.Context, f runlog.AttemptFilter, do func([]runlog.AttemptRow) error) error {
	for {
		rows, next, err := runlog.ListAttempts(ctx, p.db, p.organization, f)
		if err != nil {
			return err
		}
		if err := do(rows); err != nil {
			return err
		}
		if len(rows) < runlog.MaxPage {
			return nil
		}
		f.After = next
	}
}

// print prints the rows that are not printed yet.
func (p *attemptPrinter) print(rows []runlog.AttemptRow) error { return p.printAll(p.unprinted(rows)) }

func (p *attemptPrinter) printAll(rows []runlog.AttemptRow) error {
	fresh, err := p.sources.Rows(p.command.Context(), p.organization, rows, p.names)
	if err != nil {
		return err
	}
	out := p.command.OutOrStdout()
	if p.app.output == outputJSON {
		for _, r := range fresh {
			if err := printJSONLine(out, r); err != nil {
				return err
			}
		}
		return nil
	}
	heading := !p.hasHeading
	p.hasHeading = true
	return printRows(out, fresh, heading)
}

// printRows prints rows in columns that are as wide on each page.
func printRows(w io.Writer, rows []calls.Row, heading bool) error {
	var cells [][]string
	if heading {
		cells = append(cells, calls.RowHeading)
	}
	for _, r := range rows {
		cells = append(cells, r.Cells())
	}
	return table(w, cells)
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
		if r.OccurredAt.After(p.latest) {
			p.latest = r.OccurredAt
		}
		fresh = append(fresh, r)
	}
	return fresh
}
