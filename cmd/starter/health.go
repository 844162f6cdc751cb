package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
)

// watchEvery is how often health --watch looks.
const watchEvery = 2 * time.Second

func (a *app) health() *cobra.Command {
	var org string
	var watch bool
	c := &cobra.Command{
		Use:   "health [--org UUID]",
		Short: "How integrations are doing: state, last success and error, next probe, secrets that end",
		Long: `Shows how integrations are doing, of one organization or of all.

  healthy      the last thing that was seen is a success
  degraded     failures, or the vendor refuses the credentials or a probe
  unreachable  failures in a row, or confirmed by a probe
  passive      the vendor throttles or credits are used up: no probes until a
               call succeeds
  paused       by starter integrations pause
  unknown      nothing was seen yet

A state that nobody keeps up to date, since no worker with monitors runs, is
marked as stale. starter health history shows how a state came to be.

SECRET is the credential that ends first, where its end is known: Entra's client
secret by clientSecretExpires in the integration file, and a JSON Web Token by
its own exp, whose signature is not verified. From 30 days before on it says how
many days are left. A worker looks at least twice a day.

With --watch the table is shown anew every two seconds on a terminal; elsewhere
each change is a line. Ctrl-C ends it.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var organizations []uuid.UUID
			if org != "" {
				id, err := parseUUID("--org", org)
				if err != nil {
					return err
				}
				organizations = []uuid.UUID{id}
			}
			pool, err := a.database(c.Context())
			if err != nil {
				return err
			}
			defer pool.Close()
			look := func(ctx context.Context) (seen healthSeen, err error) {
				if seen.list, err = healths(ctx, pool, organizations); err == nil {
					seen.used, err = quotas(ctx, pool, seen.list)
				}
				seen.at = time.Now()
				return seen, err
			}
			if watch {
				return a.watchHealth(c, look)
			}
			seen, err := look(c.Context())
			if err != nil {
				return err
			}
			return a.printHealth(c.OutOrStdout(), seen)
		},
	}
	organizationFlag(c, &org)
	c.Flags().BoolVar(&watch, "watch", false, "go on and show changes")
	c.AddCommand(a.healthHistory())
	return c
}

func (a *app) healthHistory() *cobra.Command {
	var org, integration string
	c := &cobra.Command{
		Use:   "history --org UUID --integration NAME",
		Short: "Every change of an integration's health, and what was seen last",
		Long: `Shows every change of an integration's health, and the last 96 observations,
oldest first: of calls several like ones in a row in one line, probes and
warm-ups. LATENCY is that of the last of them.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			in, err := find(c.Context(), pool, organization, integration)
			if err != nil {
				return err
			}
			list, err := runlog.ListHealthHistory(c.Context(), pool, organization, in.ID)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), append([]runlog.HealthEntry{}, list...))
			}
			return table(c.OutOrStdout(), historyTable(list))
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&integration, "integration", "", "`name` or UUID of the integration")
	return c
}

func historyTable(list []runlog.HealthEntry) [][]string {
	rows := [][]string{{"AT", "ENTRY", "KIND", "CHANGE", "SOURCE", "COUNT", "LATENCY"}}
	for _, e := range list {
		row := []string{e.At.UTC().Format(time.RFC3339), string(e.Type), string(e.Kind), "-", dash(string(e.Source)), "-", "-"}
		if e.Type == runlog.HealthChange {
			row[3] = string(e.From) + " > " + string(e.To)
		} else {
			row[5], row[6] = fmt.Sprint(e.Count), e.Latency.Round(time.Millisecond).String()
		}
		rows = append(rows, row)
	}
	return rows
}

// healthSeen is what one look shows.
type healthSeen struct {
	list []runlog.HealthStatus
	used map[uuid.UUID]quotaUsed // by integration
	at   time.Time               // days until secrets end count from it
}

// quotaUsed is how much of this month's requests is used.
type quotaUsed struct {
	Month    string `json:"month"` // UTC
	Requests int64  `json:"requests"`
	Limit    int64  `json:"limit,omitempty"`
	Percent  *int   `json:"percent,omitempty"` // of the limit; absent without one
}

func (u quotaUsed) String() string {
	if u.Percent != nil {
		return fmt.Sprintf("%d %%", *u.Percent)
	}
	return fmt.Sprint(u.Requests)
}

// healths reads the health of some organizations, or of all.
func healths(ctx context.Context, db runlog.Beginner, organizations []uuid.UUID) ([]runlog.HealthStatus, error) {
	if organizations == nil {
		var err error
		if organizations, err = runlog.ListOrganizations(ctx, db); err != nil {
			return nil, err
		}
	}
	all := []runlog.HealthStatus{}
	for _, o := range organizations {
		list, err := runlog.ListHealth(ctx, db, o)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// quotas says how much of this month's requests each integration has used.
func quotas(ctx context.Context, db runlog.Beginner, list []runlog.HealthStatus) (map[uuid.UUID]quotaUsed, error) {
	used, seen := make(map[uuid.UUID]quotaUsed), make(map[uuid.UUID]bool)
	for _, h := range list {
		if seen[h.OrganizationID] {
			continue
		}
		seen[h.OrganizationID] = true
		usage, err := runlog.ListUsage(ctx, db, h.OrganizationID, limits.Month(time.Now()))
		if err != nil {
			return nil, err
		}
		for _, u := range usage {
			used[u.IntegrationID] = quotaUsed{u.Month, u.Total, u.Limits.MonthlyRequests, quotaOf(u).Percent}
		}
	}
	return used, nil
}

// watchHealth shows health until the context ends, which is its way out.
func (a *app) watchHealth(c *cobra.Command, look func(context.Context) (healthSeen, error)) error {
	out, ctx := c.OutOrStdout(), c.Context()
	shown := make(map[uuid.UUID]string)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		seen, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			say(c.ErrOrStderr(), "starter: health could not be read, trying again: %v", err)
		case isTerminal(out) && a.output == "table":
			control(out, "\x1b[H\x1b[2J")
			if err := a.printHealth(out, seen); err != nil {
				return err
			}
		default:
			for _, h := range seen.list {
				if s := seenState(h) + seen.secretDue(h); shown[h.IntegrationID] != s {
					shown[h.IntegrationID] = s
					if err := a.printChange(out, seen, h); err != nil {
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

// printChange writes one line.
func (a *app) printChange(out io.Writer, seen healthSeen, h runlog.HealthStatus) error {
	if a.output == "json" {
		return printJSON(out, seen.json(h))
	}
	reason := ""
	if h.Record != nil && h.Record.State != health.Healthy {
		reason = string(h.Record.Reason)
	}
	if h.Pause != nil {
		reason = h.Pause.By + ": " + h.Pause.Reason
	}
	secret := ""
	if seen.secretDue(h) != "" {
		secret = "  secret " + seen.secret(h)
	}
	return say(out, "%s  %s  %s  %s  %s%s", time.Now().UTC().Format(time.RFC3339), h.OrganizationID, h.Name, seenState(h), dash(reason), secret)
}

// healthJSON is what -o json prints of an integration.
type healthJSON struct {
	State string `json:"state"`
	Stale bool   `json:"stale"` // nobody keeps it up to date
	runlog.HealthStatus
	Quota  *quotaUsed  `json:"quota,omitempty"`
	Secret *secretJSON `json:"secret"` // null: no end is known
}

// secretJSON is the secret that ends first.
type secretJSON struct {
	expiry.Secret
	DaysLeft int    `json:"daysLeft"` // calendar days of UTC; negative after the end
	Expired  bool   `json:"expired"`
	Summary  string `json:"summary"` // "secret clientSecret expires in 12 days (2026-12-08)"
}

// secret is an integration's first secret to end in words; until its first
// threshold only the date.
func (seen healthSeen) secret(h runlog.HealthStatus) string {
	switch {
	case h.Secret == nil:
		return "-"
	case seen.secretDue(h) == "":
		return h.Secret.Credential + " until " + h.Secret.ExpiresAt.UTC().Format(time.DateOnly)
	}
	return h.Secret.Credential + " " + h.Secret.When(seen.at)
}

// secretDue is the threshold that the secret has reached, of this end; "" if
// none.
func (seen healthSeen) secretDue(h runlog.HealthStatus) string {
	if h.Secret == nil {
		return ""
	}
	days, due := h.Secret.Due(seen.at)
	if !due {
		return ""
	}
	return fmt.Sprintf(" %s %d %d", h.Secret.Credential, h.Secret.ExpiresAt.Unix(), days)
}

func (seen healthSeen) json(h runlog.HealthStatus) healthJSON {
	shown := healthJSON{State: stateOf(h), Stale: h.Stale(time.Now()), HealthStatus: h}
	if u, ok := seen.used[h.IntegrationID]; ok {
		shown.Quota = &u
	}
	if s := h.Secret; s != nil {
		shown.Secret = &secretJSON{*s, s.DaysLeft(seen.at), !seen.at.Before(s.ExpiresAt), "secret " + s.Credential + " " + s.When(seen.at)}
	}
	return shown
}

// seenState is the state, and whether it is stale.
func seenState(h runlog.HealthStatus) string {
	if h.Stale(time.Now()) {
		return stateOf(h) + " (stale)"
	}
	return stateOf(h)
}

// stateOf is the state as people see it.
func stateOf(h runlog.HealthStatus) string {
	switch {
	case h.Pause != nil:
		return "paused"
	case h.Record == nil:
		return string(health.Unknown)
	}
	return string(h.Record.State)
}

// lights are the colours of a traffic light, for terminals.
var lights = map[string]string{
	"healthy": "\x1b[32m", "degraded": "\x1b[33m", "unreachable": "\x1b[31m", "passive": "\x1b[34m", "paused": "\x1b[90m", "unknown": "\x1b[90m",
}

func (a *app) printHealth(out io.Writer, seen healthSeen) error {
	list := seen.list
	if a.output == "json" {
		shown := []healthJSON{}
		for _, h := range list {
			shown = append(shown, seen.json(h))
		}
		return printJSON(out, shown)
	}
	colour := isTerminal(out) && os.Getenv("NO_COLOR") == ""
	several := false
	rows := [][]string{{" ", "INTEGRATION", "ADAPTER", "STATE", "SINCE", "LAST SUCCESS", "LAST ERROR", "NEXT PROBE", "QUOTA", "SECRET"}}
	for _, h := range list {
		several = several || h.OrganizationID != list[0].OrganizationID
		row := []string{"●", h.Name, h.Adapter, seenState(h), "-", "-", "-", "-", "-", seen.secret(h)}
		if r := h.Record; r != nil {
			row[4], row[5] = ago(r.Since), ago(r.LastSuccessAt)
			if r.LastFailure != "" {
				row[6] = string(r.LastFailure) + " " + ago(r.LastFailureAt)
			}
		}
		if u, ok := seen.used[h.IntegrationID]; ok {
			row[8] = u.String()
		}
		if h.Pause != nil {
			row[4] = ago(h.Pause.At)
		} else if h.NextProbeAt != nil {
			row[7] = "in " + max(0, time.Until(*h.NextProbeAt)).Round(time.Second).String()
			if h.Stale(time.Now()) {
				row[7] = "was due " + ago(*h.NextProbeAt)
			}
		}
		rows = append(rows, row)
	}
	if several {
		rows[0] = append(rows[0], "ORGANIZATION")
		for i, h := range list {
			rows[i+1] = append(rows[i+1], h.OrganizationID.String())
		}
	}
	if colour {
		return colourTable(out, rows, list)
	}
	return table(out, rows)
}

// colourTable is [table] with the first cell of each row in the colour of its
// integration's state.
func colourTable(out io.Writer, rows [][]string, list []runlog.HealthStatus) error {
	var b strings.Builder
	if err := table(&b, rows); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if light, rest, ok := strings.Cut(line, " "); ok && i > 0 {
			state := stateOf(list[i-1])
			if list[i-1].Stale(time.Now()) {
				state = string(health.Unknown)
			}
			control(out, lights[state]+light+"\x1b[0m")
			line = " " + rest
		}
		if err := say(out, "%s", line); err != nil {
			return err
		}
	}
	return nil
}

// ago is how long ago something was, in short.
func ago(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	d := time.Since(at)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(max(0, d).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return at.UTC().Format(time.DateOnly)
}

// isTerminal reports whether out is a terminal that can do more than print.
func isTerminal(out io.Writer) bool { return terminal(out) != nil && os.Getenv("TERM") != "dumb" }
