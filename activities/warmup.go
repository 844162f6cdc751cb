package activities

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
)

// WarmUpName is the name under which [Activities.WarmUp] is registered.
const WarmUpName = "WarmUp"

// WarmUpInput asks to make an integration ready on the worker that takes it.
type WarmUpInput struct {
	Target
	// UnlessTraffic leaves it out if this worker has seen a call of the
	// integration succeed within this time; 0 never does.
	UnlessTraffic time.Duration `json:"unlessTraffic,omitempty"`
}

// WarmUpResult is how ready the worker was, and what it took to become so.
type WarmUpResult struct {
	Skipped     SkipReason          `json:"skipped,omitempty"` // why no request was made
	Cold        bool                `json:"cold"`              // there was no live connection, or no token
	Took        time.Duration       `json:"took"`              // all of it, to the vendor's answer
	Parts       adapters.Parts      `json:"parts"`
	Uptime      time.Duration       `json:"uptime"`           // of the worker
	Before      time.Duration       `json:"before,omitempty"` // all this is of a warm-up that was so long ago
	Kind        classify.Kind       `json:"kind,omitempty"`
	Observation *health.Observation `json:"observation,omitempty"`
}

// Milliseconds are the parts by name, those that took time; none if nothing was
// measured.
func (r WarmUpResult) Milliseconds() map[string]int64 {
	if r.Took == 0 {
		return nil
	}
	ms := make(map[string]int64)
	for _, part := range []struct {
		name string
		took time.Duration
	}{
		{"dns", r.Parts.DNS}, {"connect", r.Parts.Connect}, {"tls", r.Parts.TLS}, {"token", r.Parts.Token}, {"first_byte", r.Parts.FirstByte},
		{"worker_uptime", r.Uptime}, {"before_run", r.Before},
	} {
		if part.took > 0 {
			ms[part.name] = max(part.took.Milliseconds(), 1)
		}
	}
	return ms
}

// processStart is when the worker's process began, closely enough.
var processStart = time.Now()

// lastWarmUp is the last warm-up of an integration in this process.
type lastWarmUp struct {
	at time.Time
	WarmUpResult
}

// WarmUp fetches the token, opens the connection and pings the vendor, with
// one request of its own. Connections belong to a process: with several
// workers it warms the one that takes it. A failure is a result; what the run
// does about it is up to the run.
//
// When the traffic for which it is left out may be an earlier warm-up, the
// result is that of the earlier one: a run that was warmed up before its time has it on
// record.
func (a *Activities) WarmUp(ctx context.Context, in WarmUpInput) (WarmUpResult, error) {
	inspected, found, err := a.inspect(ctx, in.Target)
	if err != nil {
		return WarmUpResult{}, storeError(err)
	}
	r := WarmUpResult{Uptime: time.Since(processStart)}
	switch {
	case inspected.Gone || inspected.Paused:
		r.Skipped = SkippedPaused
	case inspected.Record != nil && inspected.Record.State == health.Passive:
		r.Skipped = skippedPassive // a vendor that throttles is left alone
	case in.UnlessTraffic > 0 && a.options.LastSuccess != nil && time.Since(a.options.LastSuccess(in.OrganizationID, in.IntegrationID)) < in.UnlessTraffic:
		if last, ok := a.warmUps.Load(in.IntegrationID); ok {
			if last := last.(lastWarmUp); time.Since(last.at) < in.UnlessTraffic {
				r = last.WarmUpResult
				r.Observation, r.Before = nil, time.Since(last.at)
			}
		}
		r.Skipped = SkippedTraffic
	}
	if r.Skipped != "" {
		return r, nil
	}
	var timing adapters.Timing
	at := a.ping(adapters.WithTiming(ctx, &timing), in.Target, found.Adapter, limits.WarmUp)
	o := at.Observation(health.WarmUp)
	r.Parts, r.Took, r.Kind, r.Observation = timing.Parts(), o.Latency, at.Kind, &o
	r.Cold = r.Parts.Cold()
	a.warmUps.Store(in.IntegrationID, lastWarmUp{time.Now(), r})
	a.logColdStart(limits.WarmUp, in.OrganizationID, in.IntegrationID, found.Adapter, r.Took, r.Parts, r.Kind)
	return r, nil
}

// idleAfter is after how long without traffic a call is the first one again, whose
// cold start is logged if it succeeds.
const idleAfter = time.Minute

// afterIdle makes an attempt measured if it is the first one after the
// integration was idle here. The result is to be called when it has ended.
func (a *Activities) afterIdle(ctx context.Context, in Invocation) (context.Context, func(Attempt)) {
	if a.options.LastSuccess == nil || time.Since(a.options.LastSuccess(in.OrganizationID, in.IntegrationID)) < idleAfter {
		return ctx, func(Attempt) {}
	}
	var timing adapters.Timing
	return adapters.WithTiming(ctx, &timing), func(at Attempt) {
		if at.Class != classify.Success {
			return
		}
		a.logColdStart(limits.Attempt, in.OrganizationID, in.IntegrationID, in.AdapterName, at.EndedAt.Sub(at.StartedAt), timing.Parts(), at.Kind)
	}
}

// logColdStart logs where the time of a cold start went. A warm one is not logged.
func (a *Activities) logColdStart(purpose limits.Purpose, organization, integration uuid.UUID, adapter string, took time.Duration, p adapters.Parts, kind classify.Kind) {
	if !p.Cold() {
		return
	}
	a.options.Log.Info("cold start", "purpose", purpose, "organization_id", organization, "integration_id", integration, "adapter", adapter,
		"took", took.String(), "dns", p.DNS.String(), "connect", p.Connect.String(), "tls", p.TLS.String(), "token", p.Token.String(),
		"first_byte", p.FirstByte.String(), "worker_uptime", time.Since(processStart).Round(time.Second).String(), "kind", kind)
}
