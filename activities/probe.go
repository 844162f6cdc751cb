package activities

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// Target is the integration that a monitor watches, and the time by the workflow's clock.
type Target struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  uuid.UUID `json:"integrationId"`
	Now            time.Time `json:"now"`
}

// InspectName is the name under which [Activities.Inspect] is registered.
const InspectName = "Inspect"

// InspectInput says which integration to inspect.
type InspectInput struct{ Target }

// InspectResult is what a monitor acts on. Gone means that the integration no longer
// exists.
type InspectResult struct {
	Name   string         `json:"name,omitempty"` // of the integration
	Gone   bool           `json:"gone,omitempty"`
	Paused bool           `json:"paused,omitempty"`
	Policy health.Policy  `json:"policy"`
	Record *health.Record `json:"record,omitempty"` // as stored; nil if nothing was seen yet
	WarmUp time.Time      `json:"warmUp,omitzero"`  // when to warm up for the next scheduled run; zero if none is near
	RunAt  time.Time      `json:"runAt,omitzero"`   // when that run is due
}

// lookahead is how far ahead a monitor knows the schedule. It inspects its integration
// more often than that.
const lookahead = 26 * time.Hour

// Inspect reads what a monitor acts on. As every probe that is due does, it also
// looks at when the secrets end: a monitor does one or the other at least twice a
// day, also while its integration is paused or not probed.
func (a *Activities) Inspect(ctx context.Context, in InspectInput) (InspectResult, error) {
	r, found, err := a.inspect(ctx, in.Target)
	if err == nil && !r.Gone {
		a.recordSecrets(ctx, in.Target, found)
	}
	return r, storeError(err)
}

func (a *Activities) inspect(ctx context.Context, t Target) (InspectResult, runlog.MonitorTarget, error) {
	found, err := a.options.Store.MonitorTarget(ctx, t.OrganizationID, t.IntegrationID)
	if errors.Is(err, runlog.ErrNotFound) {
		return InspectResult{Gone: true}, found, nil
	}
	if err != nil {
		return InspectResult{}, found, err
	}
	r := InspectResult{Name: found.Name, Paused: found.Paused, Policy: found.Policy, Record: found.Record}
	if s := found.Schedule; s != nil && s.WarmUpLead() > 0 {
		// A run whose warm-up is past has none.
		if due := s.FiringsBetween(t.Now.Add(s.WarmUpLead()), t.Now.Add(lookahead)); len(due) > 0 {
			r.RunAt, r.WarmUp = due[0], due[0].Add(-s.WarmUpLead())
		}
	}
	return r, found, nil
}

// ProbeName is the name under which [Activities.Probe] is registered.
const ProbeName = "Probe"

// ProbeInput asks for a probe.
type ProbeInput struct {
	Target
	Planned time.Time     `json:"planned"` // when it was due
	Record  health.Record `json:"record"`
}

// SkipReason is why a probe that was due, or a warm-up, was not made.
type SkipReason string

// The reasons. Of a warm-up they are SkippedPaused and the last two.
const (
	SkippedPaused  SkipReason = "paused"
	SkippedOff     SkipReason = "off"     // the file has switched probes off
	SkippedQuota   SkipReason = "quota"   // too little of the quota is left
	SkippedShared  SkipReason = "shared"  // others reached the vendor's host
	SkippedNothing SkipReason = "nothing" // an error of ours: the vendor was not asked
	SkippedTraffic SkipReason = "traffic" // traffic keeps the worker warm
	skippedPassive SkipReason = "passive" // the vendor throttles
)

// ProbeResult is what came of a probe that was due.
type ProbeResult struct {
	Inspected   InspectResult       `json:"inspected"`
	Skipped     SkipReason          `json:"skipped,omitempty"`
	Observation *health.Observation `json:"observation,omitempty"` // nil if skipped; the workflow says when
}

// Probe checks whether the vendor answers, with its lightest request, once.
// It must not be retried: an attempt that was lost may have reached the vendor.
func (a *Activities) Probe(ctx context.Context, in ProbeInput) (ProbeResult, error) {
	inspected, found, err := a.inspect(ctx, in.Target)
	if err != nil {
		return ProbeResult{}, storeError(err)
	}
	if !inspected.Gone {
		a.recordSecrets(ctx, in.Target, found)
	}
	skip := func(why SkipReason) (ProbeResult, error) { return ProbeResult{Inspected: inspected, Skipped: why}, nil }
	host := HostOf(found.BaseURL)
	switch {
	case inspected.Gone:
		return ProbeResult{Inspected: inspected}, nil
	case inspected.Paused:
		return skip(SkippedPaused)
	case inspected.Policy.NoProbes:
		return skip(SkippedOff)
	}
	reached, err := a.options.Store.HostLastReached(ctx, host)
	if err != nil {
		return ProbeResult{}, storeError(err)
	}
	if in.Record.Proven(inspected.Policy, in.Planned, reached) {
		return skip(SkippedShared)
	}
	at := a.ping(ctx, in.Target, found.Adapter, limits.Probe)
	if at.Kind == classify.QuotaSpent {
		return skip(SkippedQuota)
	}
	o := at.Observation(health.Probe)
	if o.Signal() == health.Nothing {
		return skip(SkippedNothing)
	}
	if at.reached() {
		// The planned time, so that this integration's next probe does not take
		// this one for somebody else's.
		if err := a.options.Store.RecordHostReached(ctx, host, in.Planned); err != nil {
			a.refusals().note("RecordHostReached", "a vendor's host could not be noted as reached", err,
				"organization_id", in.OrganizationID, "integration_id", in.IntegrationID)
		}
	}
	return ProbeResult{Inspected: inspected, Observation: &o}, nil
}

// ping makes one ping. It is observed like every attempt, with its purpose.
func (a *Activities) ping(ctx context.Context, t Target, adapter string, purpose limits.Purpose) Attempt {
	in := Invocation{
		OrganizationID: t.OrganizationID, IntegrationID: t.IntegrationID, AdapterName: adapter, CorrelationID: uuid.New(),
		Operation: adapters.Ping, Policy: classify.DefaultPolicy(), Purpose: purpose,
	}
	ctx, cancel := context.WithTimeout(ctx, in.Policy.AttemptTimeout)
	defer cancel()
	at := Attempt{Number: 1, StartedAt: time.Now()}
	out := a.attempt(ctx, in, Trail{at})
	at.EndedAt = time.Now()
	at.apply(out)
	a.observe(in, out, at)
	if at.Class != classify.Success {
		a.options.Log.Info(string(purpose)+" failed", "correlation_id", in.CorrelationID, "organization_id", t.OrganizationID, "integration_id", t.IntegrationID,
			"adapter", adapter, "class", at.Class, "kind", at.Kind, "rule", at.Rule, "http_status", at.HTTPStatus, "message", at.Message)
	}
	return at
}

// Observation is what an attempt shows of an integration's health.
func (at Attempt) Observation(source health.Source) health.Observation {
	return health.Observation{At: at.EndedAt, Kind: at.Kind, Source: source, Count: 1, Latency: at.EndedAt.Sub(at.StartedAt)}
}

// reached reports whether the vendor's host answered. Refused credentials do
// not show that: it may be the token endpoint that answered.
func (at Attempt) reached() bool {
	s := health.SignalOf(at.Kind)
	return s == health.Success || s == health.Answer
}

// HostOf is the host of a base URL, which integrations may share.
func HostOf(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return baseURL
	}
	return u.Host
}

// RecordHealthName is the name under which [Activities.RecordHealth] is registered.
const RecordHealthName = "RecordHealth"

// RecordHealthInput is what came of observations of an integration.
type RecordHealthInput struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  uuid.UUID `json:"integrationId"`
	health.Update
}

// RecordHealth stores what came of observations, and reports it. It is idempotent,
// and so is a report: people are not notified again of what they know.
func (a *Activities) RecordHealth(ctx context.Context, in RecordHealthInput) error {
	if err := a.options.Store.RecordHealth(ctx, in.OrganizationID, in.IntegrationID, in.Update); err != nil {
		if !runlog.IsTransient(err) && !errors.Is(err, context.Canceled) {
			a.options.Log.Error("the database refuses an integration's health; it is tried again",
				"organization_id", in.OrganizationID, "integration_id", in.IntegrationID, "error", redact.Text(err.Error()))
			return temporal.NewApplicationErrorWithOptions(redact.Text(err.Error()), auditRefused, temporal.ApplicationErrorOptions{NextRetryDelay: 5 * time.Minute})
		}
		return storeError(err)
	}
	for _, c := range in.Changes {
		a.options.Log.Info("health changed", "organization_id", in.OrganizationID, "integration_id", in.IntegrationID, "from", c.From, "to", c.To, "reason", c.Reason)
	}
	for _, e := range notify.HealthEvents(in.OrganizationID, in.IntegrationID, in.Update) {
		if _, err := a.options.Store.ReportEvent(ctx, e); err != nil {
			return storeError(err)
		}
	}
	return nil
}
