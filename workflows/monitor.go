package workflows

import (
	"cmp"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/health"
)

// MonitorName is the workflow type of [Monitor].
const MonitorName = "Monitor"

// Signals of a [Monitor].
const (
	ObservedSignal = "observed" // []health.Observation: what traffic showed
	ChangedSignal  = "changed"  // the integration was changed, paused, resumed or removed: read it again
)

// MonitorInput says which integration to watch.
type MonitorInput struct {
	OrganizationID uuid.UUID        `json:"organizationId"`
	IntegrationID  uuid.UUID        `json:"integrationId"`
	Resume         *MonitorProgress `json:"resume,omitempty"` // where the run before this one in the chain stopped
}

// MonitorProgress is what a monitor knows.
type MonitorProgress struct {
	Record      health.Record            `json:"record"`
	Integration activities.InspectResult `json:"integration"`
	WarmedFor   time.Time                `json:"warmedFor,omitzero"` // the scheduled run that was warmed up for last
	InspectedAt time.Time                `json:"inspectedAt"`
}

// inspectEvery is how long a monitor goes without reading its integration. It gets a signal
// of changes; this is for the schedule ahead, and for changes of which no signal came.
const inspectEvery = 12 * time.Hour

// wakesPerRun is after how many wakes a monitor continues as new: half a day
// of probes, about 800 events.
const wakesPerRun = 96

// idleFor is how long an integration must have been without traffic on a worker
// to be worth a warm-up.
const idleFor = time.Minute

// Monitor watches one integration for as long as it exists: it records what traffic shows,
// probes when that has shown nothing for a while, and warms up before a scheduled run.
// Package health decides what follows from it. What a monitor knows is in PostgreSQL too,
// where the next one finds it if a monitor is ended.
//
//	         ┌── observed: apply, record ◄── workers, when something may change
//	wait ────┼── probe is due: probe, apply, record
//	  ▲      ├── warm-up is due: warm up, apply, record
//	  │      └── changed, or 12 hours: read the integration again
//	  └──────────────┘
func Monitor(ctx workflow.Context, in MonitorInput) error {
	m := monitor{target: activities.Target{OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID}}
	observed, changed := workflow.GetSignalChannel(ctx, ObservedSignal), workflow.GetSignalChannel(ctx, ChangedSignal)
	if err := activities.CheckTarget(in.OrganizationID, in.IntegrationID); err != nil {
		return notValid(err)
	}
	if in.Resume != nil && continued(ctx) {
		m.MonitorProgress = *in.Resume
	} else if err := m.inspect(ctx); err != nil {
		return err
	}
	var timer workflow.Future // the one that is running, if any
	var fires time.Time       // when it does
	endTimer := func() {}
	for wakes := 0; !m.Integration.Gone; wakes++ {
		if seen, inspect := received(observed, changed, workflow.Now(ctx)); len(seen) > 0 || inspect {
			if err := m.handle(ctx, seen, inspect); err != nil {
				return err
			}
			continue
		}
		if wakes >= wakesPerRun || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.Resume = &m.MonitorProgress
			return workflow.NewContinueAsNewError(ctx, MonitorName, in)
		}
		at, what, act := m.next(workflow.Now(ctx))
		until := clock(at, workflow.Now(ctx))
		show(ctx, m.Integration.Name, "%s; %s at %s", cmp.Or(string(m.Record.State), "unknown"), what, until)
		if wait := at.Sub(workflow.Now(ctx)); wait <= 0 {
			if err := act(ctx, at); err != nil {
				return err
			}
			continue
		}
		// A timer that fires too early is left running: traffic defers probes all the time,
		// and another timer would be two events each time.
		if timer == nil || at.Before(fires) {
			endTimer()
			var timerCtx workflow.Context
			timerCtx, endTimer = workflow.WithCancel(ctx)
			summary := Line("until " + until + ": " + what + " of " + cmp.Or(m.Integration.Name, "the integration"))
			timer, fires = workflow.NewTimerWithOptions(timerCtx, at.Sub(workflow.Now(ctx)), workflow.TimerOptions{Summary: summary}), at
		}
		woken := workflow.NewSelector(ctx)
		woken.AddFuture(timer, func(f workflow.Future) { timer = nil })
		woken.AddReceive(observed, func(workflow.ReceiveChannel, bool) {})
		woken.AddReceive(changed, func(workflow.ReceiveChannel, bool) {})
		woken.Select(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// received drains the signals. Whoever reaches Temporal may have sent them, so what they
// say is bounded.
func received(observed, changed workflow.ReceiveChannel, now time.Time) (seen []health.Observation, inspect bool) {
	for {
		var some []health.Observation
		if !observed.ReceiveAsync(&some) {
			break
		}
		for _, o := range some {
			seen = append(seen, o.Bounded(now))
		}
	}
	for changed.ReceiveAsync(nil) {
		inspect = true
	}
	return seen, inspect
}

// monitor is a running [Monitor].
type monitor struct {
	MonitorProgress
	target activities.Target
}

// next is what a monitor does next, in words too, and when.
func (m *monitor) next(now time.Time) (at time.Time, what string, act func(workflow.Context, time.Time) error) {
	at, what, act = m.InspectedAt.Add(inspectEvery), "reading", func(ctx workflow.Context, _ time.Time) error { return m.inspect(ctx) }
	if m.Integration.Paused {
		return at, what, act
	}
	if probe, ok := m.Record.NextProbe(m.Integration.Policy, m.target.IntegrationID.String(), now); ok && probe.Before(at) {
		at, what, act = probe, "probe", m.probe
	}
	warm := m.Integration.WarmUp
	if !warm.IsZero() && m.Record.State != health.Passive && m.Integration.RunAt.After(m.WarmedFor) && warm.Before(at) {
		at, what, act = warm, "warm-up", m.warmUp
	}
	return at, what, act
}

// inspect reads the integration. A new monitor continues from the record that was stored
// last.
func (m *monitor) inspect(ctx workflow.Context) error {
	var w activities.InspectResult
	if err := runUntilDone(ctx, activities.InspectName, "read the integration", activities.InspectInput{Target: m.targetNow(ctx)}, &w); err != nil {
		return err
	}
	m.learn(ctx, w)
	return nil
}

// learn notes what was read of the integration.
func (m *monitor) learn(ctx workflow.Context, w activities.InspectResult) {
	m.InspectedAt = workflow.Now(ctx)
	if m.Record.State == "" && !w.Gone {
		m.Record = health.New(workflow.Now(ctx), w.Policy)
		if w.Record != nil {
			m.Record = *w.Record
		}
	}
	w.Record = nil
	m.Integration = w
}

// targetNow is the integration, with the present time of the workflow.
func (m *monitor) targetNow(ctx workflow.Context) activities.Target {
	m.target.Now = workflow.Now(ctx)
	return m.target
}

// handle acts on signals.
func (m *monitor) handle(ctx workflow.Context, seen []health.Observation, inspect bool) error {
	if len(seen) > 0 {
		if err := m.record(ctx, seen...); err != nil {
			return err
		}
	}
	if inspect {
		if err := m.inspect(ctx); err != nil || m.Integration.Gone || m.Record.Observations == 0 {
			return err
		}
		return m.record(ctx) // the next probe may be at another time
	}
	return nil
}

// probeOptions allow one attempt: one that was lost may have reached the vendor, and the
// next probe is soon enough.
func probeOptions(summary string) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout: 20 * time.Second, ScheduleToStartTimeout: time.Minute, Summary: summary,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
}

// probe asks the vendor. Whatever comes of it, the next probe's wait counts
// from now.
func (m *monitor) probe(ctx workflow.Context, planned time.Time) error {
	var p activities.ProbeResult
	in := activities.ProbeInput{Target: m.targetNow(ctx), Planned: planned, Record: m.Record}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, probeOptions("probe")), activities.ProbeName, in).Get(ctx, &p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.Record = m.Record.ProbeSent(planned)
	if err == nil {
		m.learn(ctx, p.Inspected)
	} // else there was no worker or no database, or a worker was lost: it shows nothing
	switch {
	case m.Integration.Gone:
		return nil
	case p.Observation != nil:
		p.Observation.At = workflow.Now(ctx)
		return m.record(ctx, *p.Observation)
	case m.Record.Observations > 0:
		return m.record(ctx)
	}
	return nil
}

// warmUp makes a worker ready for a run.
func (m *monitor) warmUp(ctx workflow.Context, _ time.Time) error {
	m.WarmedFor = m.Integration.RunAt
	var r activities.WarmUpResult
	in := activities.WarmUpInput{Target: m.targetNow(ctx), UnlessTraffic: idleFor}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, probeOptions("warm-up for "+m.WarmedFor.UTC().Format(time.RFC3339))), activities.WarmUpName, in).Get(ctx, &r)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && r.Observation != nil {
		r.Observation.At = workflow.Now(ctx)
		if err := m.record(ctx, *r.Observation); err != nil {
			return err
		}
	}
	return m.inspect(ctx) // for the run after this one
}

// record applies observations and stores what comes of them.
func (m *monitor) record(ctx workflow.Context, seen ...health.Observation) error {
	u := activities.RecordHealthInput{OrganizationID: m.target.OrganizationID, IntegrationID: m.target.IntegrationID, Update: health.Update{Observations: seen}}
	for _, o := range seen {
		var changes []health.Change
		m.Record, changes = m.Record.Apply(o)
		u.Changes = append(u.Changes, changes...)
	}
	u.Record = m.Record
	if at, ok := m.Record.NextProbe(m.Integration.Policy, m.target.IntegrationID.String(), workflow.Now(ctx)); ok && !m.Integration.Paused {
		u.NextProbeAt = at
		u.ProbeInterval, _ = m.Record.Wait(m.Integration.Policy)
	}
	return runUntilDone(ctx, activities.RecordHealthName, "health: "+string(m.Record.State), u, nil)
}
