package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// quotaUse is the number of requests of this month, and their share of the limit.
type quotaUse struct {
	Month    string `json:"month"` // UTC
	Requests int64  `json:"requests"`
	Limit    int64  `json:"limit,omitempty"`
	Percent  *int   `json:"percent,omitempty"` // of the limit; absent without one
}

func (u quotaUse) String() string {
	if u.Percent != nil {
		return fmt.Sprintf("%d %%", *u.Percent)
	}
	return fmt.Sprint(u.Requests)
}

// healthJSON is what -o json prints of an integration.
type healthJSON struct {
	State          health.State  `json:"state"`
	Stale          bool          `json:"stale"` // no worker keeps it up to date
	OrganizationID uuid.UUID     `json:"organizationId"`
	Organization   string        `json:"organization,omitempty"` // its short name
	IntegrationID  uuid.UUID     `json:"integrationId"`
	Name           string        `json:"name"`
	Adapter        string        `json:"adapter"`
	Paused         *runlog.Pause `json:"paused,omitempty"`
	Health         *recordJSON   `json:"health"`                  // null: nothing was seen yet
	ProbeInterval  string        `json:"probeInterval,omitempty"` // such as "15m0s"
	NextProbeAt    *time.Time    `json:"nextProbeAt"`             // null: none is due
	Quota          *quotaUse     `json:"quota,omitempty"`
	Secret         *secretJSON   `json:"secret"` // null: no expiry is known
}

// recordJSON is what is on record of an integration's health.
type recordJSON struct {
	State         health.State  `json:"state"`
	Since         time.Time     `json:"since"`
	Reason        classify.Kind `json:"reason,omitempty"` // of a state that is not healthy
	LastSuccessAt time.Time     `json:"lastSuccessAt,omitzero"`
	LastFailureAt time.Time     `json:"lastFailureAt,omitzero"`
	LastFailure   classify.Kind `json:"lastFailure,omitempty"`
	Failures      int           `json:"failures"`          // in a row
	FailedProbes  int           `json:"failedProbes"`      // in a row
	Latency       string        `json:"latency,omitempty"` // of the last success, such as "120ms"
}

// duration is a duration in JSON; "" if there is none.
func duration(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return d.Round(time.Millisecond).String()
}

// secretJSON is the secret that expires first.
type secretJSON struct {
	expiry.Secret
	DaysLeft int    `json:"daysLeft"` // calendar days of UTC; negative once it has expired
	Expired  bool   `json:"expired"`
	Summary  string `json:"summary"` // "secret clientSecret expires in 12 days (2026-12-08)"
}

func (r healthReport) json(h runlog.HealthStatus) healthJSON {
	out := healthJSON{
		State: healthState(h), Stale: r.stale(h), OrganizationID: h.OrganizationID, Organization: r.names[h.OrganizationID].Short, IntegrationID: h.IntegrationID,
		Name: h.Name, Adapter: h.Adapter, Paused: h.Pause, ProbeInterval: duration(h.ProbeInterval), NextProbeAt: h.NextProbeAt,
	}
	if is := h.Record; is != nil {
		out.Health = &recordJSON{is.State, is.Since, is.Reason, is.LastSuccessAt, is.LastFailureAt, is.LastFailure, is.Failures, is.FailedProbes, duration(is.Latency)}
	}
	if u, ok := r.used[h.IntegrationID]; ok {
		out.Quota = &u
	}
	if s := h.Secret; s != nil {
		out.Secret = &secretJSON{*s, s.DaysLeft(r.at), !r.at.Before(s.ExpiresAt), "secret " + s.Credential + " " + s.When(r.at)}
	}
	return out
}

// printChange writes an integration's health on one line.
func (a *app) printChange(out io.Writer, r healthReport, h runlog.HealthStatus) error {
	if a.output == outputJSON {
		return printJSON(out, r.json(h))
	}
	reason := ""
	if h.Record != nil && h.Record.State != health.Healthy {
		reason = string(h.Record.Reason)
	}
	if h.Pause != nil {
		reason = h.Pause.By + ": " + h.Pause.Reason
	}
	secret := ""
	if r.secretDue(h) != "" {
		secret = "  secret " + r.secret(h)
	}
	return say(out, "%s  %s  %s  %s  %s%s", when.Local(time.Now()), called(r.names, h.OrganizationID), h.Name, r.stateText(h), dash(reason), secret)
}

func (a *app) printHealth(out io.Writer, r healthReport) error {
	list := r.list
	if a.output == outputJSON {
		all := []healthJSON{}
		for _, h := range list {
			all = append(all, r.json(h))
		}
		return printJSON(out, all)
	}
	several := false
	rows := [][]string{{" ", "INTEGRATION", "ADAPTER", "STATE", "SINCE", "LAST SUCCESS", "LAST ERROR", "NEXT PROBE", "QUOTA", "SECRET"}}
	for _, h := range list {
		several = several || h.OrganizationID != list[0].OrganizationID
		rows = append(rows, r.row(h))
	}
	if several {
		rows[0] = append(rows[0], "ORGANIZATION")
		for i, h := range list {
			rows[i+1] = append(rows[i+1], called(r.names, h.OrganizationID))
		}
	}
	if screen(out) && os.Getenv("NO_COLOR") == "" {
		return r.colourTable(out, rows)
	}
	return table(out, rows)
}

func (r healthReport) row(h runlog.HealthStatus) []string {
	row := []string{"●", h.Name, h.Adapter, r.stateText(h), "-", "-", "-", "-", "-", r.secret(h)}
	if record := h.Record; record != nil {
		row[4], row[5] = ago(record.Since), ago(record.LastSuccessAt)
		if record.LastFailure != "" {
			row[6] = string(record.LastFailure) + " " + ago(record.LastFailureAt)
		}
	}
	if u, ok := r.used[h.IntegrationID]; ok {
		row[8] = u.String()
	}
	switch {
	case h.Pause != nil:
		row[4] = ago(h.Pause.At)
	case h.NextProbeAt != nil && r.stale(h) && h.NextProbeAt.After(time.Now()):
		row[7] = "not probed"
	case h.NextProbeAt != nil && r.stale(h):
		row[7] = "was due " + ago(*h.NextProbeAt)
	case h.NextProbeAt != nil:
		row[7] = "in " + max(0, time.Until(*h.NextProbeAt)).Round(time.Second).String()
	}
	return row
}

// colourTable is [table] with the first cell of each row in the colour of the state.
func (r healthReport) colourTable(out io.Writer, rows [][]string) error {
	list := r.list
	var b strings.Builder
	if err := table(&b, rows); err != nil {
		return err
	}
	for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if light, rest, ok := strings.Cut(line, " "); ok && i > 0 {
			state := healthState(list[i-1])
			if r.stale(list[i-1]) {
				state = health.Unknown
			}
			control(out, stateColours[state]+light+"\x1b[0m")
			line = " " + rest
		}
		if err := say(out, "%s", line); err != nil {
			return err
		}
	}
	return nil
}

// statePaused is shown instead of the health of a paused integration.
const statePaused health.State = "paused"

// healthState is the state as people see it.
func healthState(h runlog.HealthStatus) health.State {
	switch {
	case h.Pause != nil:
		return statePaused
	case h.Record == nil:
		return health.Unknown
	}
	return h.Record.State
}

// stale reports whether nobody keeps an integration's health up to date.
func (r healthReport) stale(h runlog.HealthStatus) bool {
	return r.unwatched != "" && h.Pause == nil && h.Record != nil || h.Stale(time.Now())
}

// stateText is the state, and whether it is stale.
func (r healthReport) stateText(h runlog.HealthStatus) string {
	if r.stale(h) {
		return string(healthState(h)) + " (stale)"
	}
	return string(healthState(h))
}

// stateColours are the colours of a traffic light, for terminals.
var stateColours = map[health.State]string{
	health.Healthy: "\x1b[32m", health.Degraded: "\x1b[33m", health.Unreachable: "\x1b[31m", health.Passive: "\x1b[34m", statePaused: "\x1b[90m", health.Unknown: "\x1b[90m",
}

// secret describes the secret that expires first: only its date until it reaches the
// first threshold.
func (r healthReport) secret(h runlog.HealthStatus) string {
	switch {
	case h.Secret == nil:
		return "-"
	case r.secretDue(h) == "":
		return h.Secret.Credential + " until " + h.Secret.ExpiresAt.UTC().Format(time.DateOnly)
	}
	return h.Secret.Credential + " " + h.Secret.When(r.at)
}

// secretDue identifies the secret and the threshold that it has reached; "" if none.
func (r healthReport) secretDue(h runlog.HealthStatus) string {
	if h.Secret == nil {
		return ""
	}
	days, due := h.Secret.Due(r.at)
	if !due {
		return ""
	}
	return fmt.Sprintf(" %s %d %d", h.Secret.Credential, h.Secret.ExpiresAt.Unix(), days)
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
	return at.Local().Format(time.DateOnly)
}
