package activities

import (
	"context"
	"time"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
)

// WarmUpInput asks to make an integration ready on the worker that takes it.
type WarmUpInput struct {
	Target
	// UnlessTraffic leaves it out if this worker has seen the integration's
	// traffic within this time; 0 never does.
	UnlessTraffic time.Duration `json:"unlessTraffic,omitempty"`
}

// WarmUpResult is how ready the worker was, and what it took to become so.
type WarmUpResult struct {
	Skipped     string              `json:"skipped,omitempty"` // why no request was made
	Cold        bool                `json:"cold"`              // there was no live connection, or no token
	Took        time.Duration       `json:"took"`              // all of it, to the vendor's answer
	Parts       adapters.Parts      `json:"parts"`
	Uptime      time.Duration       `json:"uptime"` // of the worker
	Kind        classify.Kind       `json:"kind,omitempty"`
	Observation *health.Observation `json:"observation,omitempty"`
}

// SkippedTraffic is why a warm-up was left out: traffic keeps the worker warm.
const SkippedTraffic = "traffic"

// SkippedPassive is why a warm-up was left out: the vendor throttles.
const SkippedPassive = "passive"

// started is when the worker's process began, as near as it matters.
var started = time.Now()

// WarmUp fetches the token, opens the connection and pings the vendor, with
// one request of its own. Connections belong to a process: with several
// workers it warms the one that takes it. A failure is a result; what the run
// does about it is its own affair.
func (a *Activities) WarmUp(ctx context.Context, in WarmUpInput) (WarmUpResult, error) {
	w, found, err := a.watch(ctx, in.Target)
	if err != nil {
		return WarmUpResult{}, storeError(err)
	}
	r := WarmUpResult{Uptime: time.Since(started)}
	switch {
	case w.Gone || w.Paused:
		r.Skipped = SkippedPaused
	case w.Record != nil && w.Record.State == health.Passive:
		r.Skipped = SkippedPassive // a vendor that throttles is left alone
	case in.UnlessTraffic > 0 && a.LastTraffic != nil && time.Since(a.LastTraffic(in.OrganizationID, in.IntegrationID)) < in.UnlessTraffic:
		r.Skipped = SkippedTraffic
	}
	if r.Skipped != "" {
		return r, nil
	}
	var timing adapters.Timing
	done := a.ask(adapters.WithTiming(ctx, &timing), in.Target, found.Adapter, limits.WarmUp)
	o := done.observation(health.WarmUp)
	r.Parts, r.Took, r.Kind, r.Observation = timing.Parts(), o.Latency, done.Kind, &o
	if r.Cold = r.Parts.Cold(); r.Cold {
		a.Log.Info("cold start", "organization_id", in.OrganizationID, "integration_id", in.IntegrationID, "adapter", found.Adapter,
			"took", r.Took.String(), "dns", r.Parts.DNS.String(), "connect", r.Parts.Connect.String(), "tls", r.Parts.TLS.String(),
			"token", r.Parts.Token.String(), "first_byte", r.Parts.FirstByte.String(), "worker_uptime", r.Uptime.Round(time.Second).String(), "kind", r.Kind)
	}
	return r, nil
}
