package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// watchEvery is how often health --watch reads.
const watchEvery = 2 * time.Second

func (a *app) health() *cobra.Command {
	var org string
	var watch bool
	c := &cobra.Command{
		Use:   "health [--org NAME]",
		Short: "Show how integrations are doing: state, last success and error, next probe, expiring secrets",
		Long: `Shows how the integrations of one organization, or of all, are doing.

  healthy      the last call or probe succeeded
  degraded     failures, or the vendor refuses the credentials or a probe
  unreachable  failures in a row, or confirmed by a probe
  passive      the vendor throttles or credits are used up: no probes until a
               call succeeds
  paused       by starter integrations pause
  unknown      no call and no probe yet

A state is marked as stale if nobody keeps it up to date: no worker is running, which
is said first, or the next probe is long overdue. For how a state came about, run
starter health history. The exit code says only whether health could be read; starter
doctor exits 1 if no worker runs.

SECRET is the credential that expires first, if its expiry is known: that of Entra's
client secret from clientSecretExpires in the integration file, that of a JSON Web
Token from its own exp, whose signature is not verified. From 30 days before, it says
how many days are left. A worker checks at least twice a day.

With --watch the table is shown again every two seconds on a terminal; elsewhere each
change is a line. Ctrl-C ends it.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if org != "" {
				if err := checkOrganization("--org", org); err != nil {
					return err
				}
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			var organizations []uuid.UUID
			if org != "" {
				o, err := runlog.FindOrganization(c.Context(), pool, org)
				if err != nil {
					return fmt.Errorf("--org: %w", err)
				}
				organizations = []uuid.UUID{o.ID}
			}
			if watch {
				return a.watchHealth(c, pool, organizations)
			}
			r, err := loadHealth(c.Context(), pool, organizations)
			if err != nil {
				return err
			}
			if r.unwatched != "" {
				say(c.ErrOrStderr(), "%s", r.unwatched)
			}
			return a.printHealth(c.OutOrStdout(), r)
		},
	}
	organizationFlag(c, &org)
	c.Flags().BoolVar(&watch, "watch", false, "keep running and show changes")
	c.AddCommand(a.healthHistory())
	return c
}

// healthReport is what health prints.
type healthReport struct {
	list []runlog.HealthStatus
	used map[uuid.UUID]quotaUse // by integration

	names     map[uuid.UUID]integrations.Organization
	unwatched string    // why nobody keeps it up to date; "" if a worker does
	at        time.Time // the days until a secret expires count from it
}

// loadHealth reads the health of some organizations, or of all if they are nil, and
// this month's requests.
func loadHealth(ctx context.Context, db runlog.Beginner, organizations []uuid.UUID) (r healthReport, err error) {
	r = healthReport{list: []runlog.HealthStatus{}, used: make(map[uuid.UUID]quotaUse), at: time.Now()}
	if organizations == nil {
		if organizations, err = runlog.ListOrganizations(ctx, db); err != nil {
			return r, err
		}
	}
	if r.names, err = organizationNames(ctx, db); err != nil {
		return r, err
	}
	workers, err := runlog.ListAllWorkers(ctx, db)
	if err != nil {
		return r, err
	}
	r.unwatched = runlog.Unwatched(workers)
	for _, o := range organizations {
		list, err := runlog.ListHealth(ctx, db, o)
		if err != nil {
			return r, err
		}
		r.list = append(r.list, list...)
		usage, err := runlog.ListUsage(ctx, db, o, limits.Month(r.at))
		if err != nil {
			return r, err
		}
		for _, u := range usage {
			r.used[u.IntegrationID] = quotaUse{u.Month, u.Total, u.Limits.MonthlyRequests, quotaOf(u).Percent}
		}
	}
	return r, nil
}

// watchHealth shows health until the context ends.
func (a *app) watchHealth(c *cobra.Command, db runlog.Beginner, organizations []uuid.UUID) error {
	out, ctx := c.OutOrStdout(), c.Context()
	shown := make(map[uuid.UUID]string)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		r, err := loadHealth(ctx, db, organizations)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			say(c.ErrOrStderr(), "note: health could not be read: %v; trying again", err)
		case screen(out) && a.output == outputTable:
			control(out, "\x1b[H\x1b[2J")
			if r.unwatched != "" {
				say(out, "%s", r.unwatched)
			}
			if err := a.printHealth(out, r); err != nil {
				return err
			}
		default:
			for _, h := range r.list {
				if s := r.stateText(h) + r.secretDue(h); shown[h.IntegrationID] != s {
					shown[h.IntegrationID] = s
					if err := a.printChange(out, r, h); err != nil {
						return err
					}
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *app) healthHistory() *cobra.Command {
	var org, integration string
	c := &cobra.Command{
		Use:   "history NAME --org NAME",
		Short: "Show every change of an integration's health, and the last observations",
		Long: `Shows every change of an integration's health and its last 96 observations (calls,
probes and warm-ups), oldest first. Calls in a row with the same result are one line,
with the latency of the last.`,
		Args: noArgs,
		RunE: a.onOrganization(&org, func(s *session) error {
			if err := s.find(integration); err != nil {
				return err
			}
			list, err := runlog.ListHealthHistory(s.command.Context(), s.db, s.organization, s.integration.ID)
			if err != nil {
				return err
			}
			return a.print(s.command.OutOrStdout(), historyJSON(list), historyTable(list))
		}),
	}
	organizationFlag(c, &org)
	integrationObject(c, &integration)
	return c
}

// healthEntry is what -o json prints of an entry of the history: a change has both states,
// an observation its source, count and latency.
type healthEntry struct {
	Type    runlog.HealthEntryType `json:"entry"`
	Number  int64                  `json:"number"`
	At      time.Time              `json:"at"`
	Kind    classify.Kind          `json:"kind"`
	From    health.State           `json:"from,omitempty"`
	To      health.State           `json:"to,omitempty"`
	Source  health.Source          `json:"source,omitempty"`
	Count   int                    `json:"count,omitempty"`
	Latency string                 `json:"latency,omitempty"`
}

func historyJSON(list []runlog.HealthEntry) []healthEntry {
	all := make([]healthEntry, 0, len(list))
	for _, e := range list {
		all = append(all, healthEntry{e.Type, e.Number, e.At, e.Kind, e.From, e.To, e.Source, e.Count, duration(e.Latency)})
	}
	return all
}

func historyTable(list []runlog.HealthEntry) [][]string {
	rows := [][]string{{"AT", "ENTRY", "KIND", "CHANGE", "SOURCE", "COUNT", "LATENCY"}}
	for _, e := range list {
		row := []string{when.Local(e.At), string(e.Type), string(e.Kind), "-", dash(string(e.Source)), "-", "-"}
		if e.Type == runlog.HealthChange {
			row[3] = string(e.From) + " > " + string(e.To)
		} else {
			row[5], row[6] = fmt.Sprint(e.Count), e.Latency.Round(time.Millisecond).String()
		}
		rows = append(rows, row)
	}
	return rows
}
