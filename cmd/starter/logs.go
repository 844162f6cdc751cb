package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// pollEvery is how often logs --follow looks for new rows.
const pollEvery = time.Second

// followOverlap is how far behind the newest row logs --follow looks again: a row is
// written when its invocation is over, so it can be older than one that is
// there already. The longest invocation takes a minute; an outage of the
// database delays rows for longer, and those are only found without --follow.
const followOverlap = 2 * time.Minute

func (a *app) logs() *cobra.Command {
	var org, adapter, class, since, correlation string
	var follow bool
	c := &cobra.Command{
		Use:   "logs --org UUID",
		Short: "Print the audit rows of an organization, oldest first",
		Long: `Prints the audit rows of an organization: one for each failed attempt, one for a
success that came after a failure, and one for an ad-hoc write that succeeded at
once. EFFECT is what is known of a write: done, none, or open until a time. With
-o json, one object a line.`,
		Example: "  starter logs --org $ORG --class permanent --since 24h\n  starter logs --org $ORG --follow -o json",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, err := parseUUID("--org", org)
			if err != nil {
				return err
			}
			f := runlog.AttemptFilter{Adapter: adapter, Class: classify.Class(class)}
			if adapter != "" && !slices.Contains(vendors.Names(), adapter) {
				return usage("--adapter %q: want one of %v", adapter, vendors.Names())
			}
			classes := []classify.Class{"", classify.Transient, classify.Permanent, classify.Timeout, classify.Success}
			if !slices.Contains(classes, f.Class) {
				return usage("--class %q: want transient, permanent, timeout or success", class)
			}
			if f.Since, err = parseSince(since); err != nil {
				return err
			}
			if correlation != "" {
				if f.CorrelationID, err = parseUUID("--correlation-id", correlation); err != nil {
					return err
				}
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			p := attemptPrinter{app: a, command: c}
			if err := p.pages(c.Context(), pool, organization, f); err != nil || !follow {
				return err
			}
			return p.follow(c.Context(), pool, organization, f)
		},
	}
	organizationFlag(c, &org)
	fl := c.Flags()
	fl.StringVar(&adapter, "adapter", "", "only of this adapter")
	fl.StringVar(&class, "class", "", "only of this class: transient, permanent, timeout or success")
	fl.StringVar(&since, "since", "", "only from then on: a `duration` such as 24h, or a time such as 2026-11-23T08:00:00Z")
	fl.StringVar(&correlation, "correlation-id", "", "only of this invocation")
	fl.BoolVarP(&follow, "follow", "F", false, "go on with new rows until interrupted")
	return c
}

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

// attemptPrinter prints rows once each.
type attemptPrinter struct {
	app     *app
	command *cobra.Command
	headed  bool
	recent  map[attemptKey]time.Time // printed, and new enough to come up again
	newest  time.Time
}

type attemptKey struct {
	correlation uuid.UUID
	attempt     int
}

// pages prints all rows page by page, so that memory does not grow with them.
func (p *attemptPrinter) pages(ctx context.Context, pool *pgxpool.Pool, organization uuid.UUID, f runlog.AttemptFilter) error {
	for {
		rows, next, err := runlog.ListAttempts(ctx, pool, organization, f)
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

func (p *attemptPrinter) follow(ctx context.Context, pool *pgxpool.Pool, organization uuid.UUID, f runlog.AttemptFilter) error {
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
		if err := p.pages(ctx, pool, organization, f); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			say(p.command.ErrOrStderr(), "note: %v; trying again", err)
		}
		for k, at := range p.recent {
			if at.Before(f.Since) {
				delete(p.recent, k)
			}
		}
	}
}

func (p *attemptPrinter) print(rows []runlog.AttemptRow) error {
	if p.recent == nil {
		p.recent = make(map[attemptKey]time.Time)
	}
	var fresh []runlog.AttemptRow
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
	out := p.command.OutOrStdout()
	if p.app.output == "json" {
		for _, r := range fresh {
			if err := printJSONLine(out, r); err != nil {
				return err
			}
		}
		return nil
	}
	var cells [][]string
	if !p.headed {
		cells = [][]string{{"OCCURRED AT         ", "CORRELATION ID                      ", "ADAPTER        ", "OPERATION", "#", "CLASS    ", "KIND               ", "HTTP", "EFFECT             ", "MESSAGE"}}
		p.headed = true
	}
	for _, r := range fresh {
		class, message := string(r.ErrorClass), r.ErrorMessage
		if class == "" {
			class, message = "success", fmt.Sprintf("after %d attempts", r.TotalAttempts)
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
