package activities

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
)

// Names of the activities of a monitor, shown in the Temporal UI.
const (
	InspectName      = "Watch"
	ProbeName        = "Probe"
	WarmUpName       = "WarmUp"
	RecordHealthName = "RecordHealth"
)

// HealthStore keeps what monitors know. [New] sets it; without it nothing is
// watched.
type HealthStore struct {
	Watch    func(ctx context.Context, organization, integration uuid.UUID) (runlog.MonitorTarget, error)
	Save     func(ctx context.Context, organization, integration uuid.UUID, u health.Update) error
	HostSeen func(ctx context.Context, host string) (time.Time, error) // when it was last reached by anybody
	SawHost  func(ctx context.Context, host string, at time.Time) error
	// SaveSecrets stores when secrets end, see [runlog.RecordSecretExpiries]. Without it
	// nobody looks at them.
	SaveSecrets func(ctx context.Context, s runlog.SecretExpiries, notify func(pgx.Tx, runlog.SecretWarning) error) error
}

func newHealthStore(db runlog.Beginner) HealthStore {
	return HealthStore{
		Watch: func(ctx context.Context, organization, integration uuid.UUID) (runlog.MonitorTarget, error) {
			return runlog.MonitoredIntegration(ctx, db, organization, integration)
		},
		Save: func(ctx context.Context, organization, integration uuid.UUID, u health.Update) error {
			return runlog.RecordHealth(ctx, db, organization, integration, u)
		},
		HostSeen: func(ctx context.Context, host string) (time.Time, error) {
			return runlog.HostLastReached(ctx, db, host)
		},
		SawHost: func(ctx context.Context, host string, at time.Time) error {
			return runlog.RecordHostReached(ctx, db, host, at)
		},
		SaveSecrets: func(ctx context.Context, s runlog.SecretExpiries, notify func(pgx.Tx, runlog.SecretWarning) error) error {
			return runlog.RecordSecretExpiries(ctx, db, s, notify)
		},
	}
}

// Target is the integration that a monitor watches, and when it looks.
type Target struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  uuid.UUID `json:"integrationId"`
	Now            time.Time `json:"now"`
}

// InspectResult is what a monitor acts on. Gone means that there is no such
// integration any more.
type InspectResult struct {
	Gone   bool           `json:"gone,omitempty"`
	Paused bool           `json:"paused,omitempty"`
	Policy health.Policy  `json:"policy"`
	Record *health.Record `json:"record,omitempty"` // as stored; nil if nothing was seen yet
	WarmUp time.Time      `json:"warmUp,omitzero"`  // when to warm up for the next scheduled run; zero if none is near
	RunAt  time.Time      `json:"runAt,omitzero"`   // when that run is due
}

// lookahead is how far ahead a monitor knows the schedule. It looks again more
// often than that.
const lookahead = 26 * time.Hour

// Inspect reads what a monitor acts on. As every probe that is due does, it also
// looks at when the secrets end: a monitor does one or the other at least twice a
// day, also while its integration is paused or not probed.
func (a *Activities) Inspect(ctx context.Context, t Target) (InspectResult, error) {
	w, found, err := a.watch(ctx, t)
	if err == nil && !w.Gone {
		a.noteSecrets(ctx, t, found)
	}
	return w, storeError(err)
}

func (a *Activities) watch(ctx context.Context, t Target) (InspectResult, runlog.MonitorTarget, error) {
	found, err := a.Health.Watch(ctx, t.OrganizationID, t.IntegrationID)
	if errors.Is(err, runlog.ErrNotFound) {
		return InspectResult{Gone: true}, found, nil
	}
	if err != nil {
		return InspectResult{}, found, err
	}
	w := InspectResult{Paused: found.Paused, Policy: found.Policy, Record: found.Record}
	if s := found.Schedule; s != nil && s.WarmUpLead() > 0 {
		// A run whose warm-up is past goes without.
		if due := s.FiringsBetween(t.Now.Add(s.WarmUpLead()), t.Now.Add(lookahead)); len(due) > 0 {
			w.RunAt, w.WarmUp = due[0], due[0].Add(-s.WarmUpLead())
		}
	}
	return w, found, nil
}

// ProbeInput asks for a probe.
type ProbeInput struct {
	Target
	Planned time.Time     `json:"planned"` // when it was due
	Record  health.Record `json:"record"`
}

// Reasons why a probe that was due was not made.
const (
	SkippedPaused  = "paused"
	SkippedOff     = "off"     // the file switched probes off meanwhile
	SkippedQuota   = "quota"   // too little of the quota is left
	SkippedShared  = "shared"  // others reached the vendor's host
	SkippedNothing = "nothing" // a fault of ours: the vendor was not asked
)

// ProbeResult is what came of a probe that was due.
type ProbeResult struct {
	Watched     InspectResult       `json:"watched"`
	Skipped     string              `json:"skipped,omitempty"`
	Observation *health.Observation `json:"observation,omitempty"` // nil if skipped; the workflow says when
}

// Probe asks the vendor for a sign of life, with its lightest request, once.
// It must not be retried: an attempt that was lost may have reached the vendor.
func (a *Activities) Probe(ctx context.Context, in ProbeInput) (ProbeResult, error) {
	w, found, err := a.watch(ctx, in.Target)
	if err != nil {
		return ProbeResult{}, storeError(err)
	}
	if !w.Gone {
		a.noteSecrets(ctx, in.Target, found)
	}
	skip := func(why string) (ProbeResult, error) { return ProbeResult{Watched: w, Skipped: why}, nil }
	host := hostOf(found.BaseURL)
	switch {
	case w.Gone:
		return ProbeResult{Watched: w}, nil
	case w.Paused:
		return skip(SkippedPaused)
	case w.Policy.NoProbes:
		return skip(SkippedOff)
	}
	seen, err := a.Health.HostSeen(ctx, host)
	if err != nil {
		return ProbeResult{}, storeError(err)
	}
	if in.Record.Proven(w.Policy, in.Planned, seen) {
		return skip(SkippedShared)
	}
	done := a.ask(ctx, in.Target, found.Adapter, limits.Probe)
	if done.Kind == classify.QuotaSpent {
		return skip(SkippedQuota)
	}
	o := done.observation(health.Probe)
	if o.Signal() == health.Nothing {
		return skip(SkippedNothing)
	}
	if done.reached() {
		// The planned time, so that this integration's next probe does not take
		// this one for somebody else's.
		if err := a.Health.SawHost(ctx, host, in.Planned); err != nil {
			a.Log.Warn("a vendor's host could not be noted as reached", "error", cut(err.Error()))
		}
	}
	return ProbeResult{Watched: w, Observation: &o}, nil
}

// ask makes one ping. It is observed like every attempt, with its purpose.
func (a *Activities) ask(ctx context.Context, t Target, adapter string, purpose limits.Purpose) Attempt {
	in := Invocation{
		OrganizationID: t.OrganizationID, IntegrationID: t.IntegrationID, AdapterName: adapter, CorrelationID: uuid.New(),
		Operation: adapters.Ping, Policy: classify.DefaultPolicy(), Purpose: purpose,
	}
	ctx, cancel := context.WithTimeout(ctx, in.Policy.AttemptTimeout)
	defer cancel()
	at := Attempt{Number: 1, StartedAt: time.Now()}
	done := a.attempt(ctx, in, Trail{at})
	at.EndedAt = time.Now()
	at.Class, at.Kind, at.Rule, at.HTTPStatus, at.Message = done.verdict.Class, done.verdict.Kind, done.verdict.Rule, done.verdict.HTTPStatus, done.message
	if a.Observe != nil {
		in := in
		in.AdapterName = cmp.Or(done.adapter, OtherAdapter)
		a.Observe(in, at)
	}
	if at.Class != classify.Success {
		a.Log.Info(string(purpose)+" failed", "correlation_id", in.CorrelationID, "organization_id", t.OrganizationID, "integration_id", t.IntegrationID,
			"adapter", adapter, "class", at.Class, "kind", at.Kind, "rule", at.Rule, "http_status", at.HTTPStatus, "message", at.Message)
	}
	return at
}

// observation is what an attempt shows of an integration's health.
func (at Attempt) observation(source health.Source) health.Observation {
	return health.Observation{At: at.EndedAt, Kind: at.Kind, Source: source, Count: 1, Latency: at.EndedAt.Sub(at.StartedAt)}
}

// reached reports whether the vendor's host answered. Refused credentials do
// not show that: it may be the token endpoint that answered.
func (at Attempt) reached() bool {
	s := health.SignalOf(at.Kind)
	return s == health.Success || s == health.Answer
}

// hostOf is the host of a base URL, which integrations may share.
func hostOf(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return baseURL
	}
	return u.Host
}

// RecordHealthInput is what came of observations of an integration.
type RecordHealthInput struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  uuid.UUID `json:"integrationId"`
	health.Update
}

// RecordHealth stores what came of observations and tells of changes. It is
// idempotent; who is told may be told again.
func (a *Activities) RecordHealth(ctx context.Context, u RecordHealthInput) error {
	if err := a.Health.Save(ctx, u.OrganizationID, u.IntegrationID, u.Update); err != nil {
		if !runlog.IsTransient(err) && !errors.Is(err, context.Canceled) {
			a.Log.Error("the database refuses an integration's health; it is tried again",
				"organization_id", u.OrganizationID, "integration_id", u.IntegrationID, "error", cut(err.Error()))
			return temporal.NewApplicationErrorWithOptions(cut(err.Error()), auditRefused, temporal.ApplicationErrorOptions{NextRetryDelay: 5 * time.Minute})
		}
		return storeError(err)
	}
	for _, c := range u.Changes {
		a.Log.Info("health changed", "organization_id", u.OrganizationID, "integration_id", u.IntegrationID, "from", c.From, "to", c.To, "reason", c.Reason)
	}
	if a.OnHealth != nil && (len(u.Changes) > 0 || u.Persists()) {
		return storeError(a.OnHealth(ctx, u))
	}
	return nil
}
