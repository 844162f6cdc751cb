package workflows

import (
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
	ChangedSignal  = "changed"  // the integration was changed, paused, resumed or removed: look again
)

// MonitorInput says which integration to watch.
type MonitorInput struct {
	OrganizationID uuid.UUID        `json:"organizationId"`
	IntegrationID  uuid.UUID        `json:"integrationId"`
	Resume         *MonitorProgress `json:"resume,omitempty"` // where the run before this one in the chain stopped
}

// MonitorProgress is what a monitor knows.
type MonitorProgress struct {
	Record    health.Record            `json:"record"`
	Watched   activities.InspectResult `json:"watched"`
	WarmedFor time.Time                `json:"warmedFor,omitzero"` // the scheduled run that was warmed up for last
	LookedAt  time.Time                `json:"lookedAt"`
}

// lookAgain is how long a monitor goes without looking at its integration. It
// is told of changes; this is for the schedule ahead, and if nobody tells.
const lookAgain = 12 * time.Hour

// stepsPerRun is after how many wakes a monitor continues as new: a day of
// probes, about 1,500 events.
const stepsPerRun = 96

// idleFor is how long an integration must have been without traffic on a worker
// to be worth a warm-up.
const idleFor = time.Minute

// Monitor watches one integration for as long as there is one: it takes in what
// traffic shows, probes when that shows nothing for a while, and warms up
// before a scheduled run. What it concludes is package health's; what it knows
// outlives it in PostgreSQL, so that a monitor that was ended goes on.
//
//	         ┌── observed: apply, record ◄── workers, when something may change
//	wait ────┼── probe is due: probe, apply, record
//	  ▲      ├── warm-up is due: warm up, apply, record
//	  │      └── changed, or 12 hours: look at the integration again
//	  └──────────────┘
func Monitor(ctx workflow.Context, in MonitorInput) error {
	m := monitor{target: activities.Target{OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID}}
	observed, changed := workflow.GetSignalChannel(ctx, ObservedSignal), workflow.GetSignalChannel(ctx, ChangedSignal)
	if err := activities.CheckTarget(in.OrganizationID, in.IntegrationID); err != nil {
		return notValid(err)
	}
	if in.Resume != nil && continued(ctx) {
		m.MonitorProgress = *in.Resume
	} else if err := m.look(ctx); err != nil {
		return err
	}
	var timer workflow.Future // the one that is running; when it fires; how it is ended
	var fires time.Time
	endTimer := func() {}
	for step := 0; !m.Watched.Gone; step++ {
		if seen, look := received(observed, changed, workflow.Now(ctx)); len(seen) > 0 || look {
			if err := m.take(ctx, seen, look); err != nil {
				return err
			}
			continue
		}
		if step >= stepsPerRun || workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.Resume = &m.MonitorProgress
			return workflow.NewContinueAsNewError(ctx, MonitorName, in)
		}
		at, act := m.next(workflow.Now(ctx))
		if wait := at.Sub(workflow.Now(ctx)); wait <= 0 {
			if err := act(ctx, at); err != nil {
				return err
			}
			continue
		}
		// A timer that fires too early is left: traffic puts probes off all the
		// time, and another timer would be two events each time.
		if timer == nil || at.Before(fires) {
			endTimer()
			var timerCtx workflow.Context
			timerCtx, endTimer = workflow.WithCancel(ctx)
			timer, fires = workflow.NewTimer(timerCtx, at.Sub(workflow.Now(ctx))), at
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

// received drains the signals, which anybody may have sent who reaches Temporal.
func received(observed, changed workflow.ReceiveChannel, now time.Time) (seen []health.Observation, look bool) {
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
		look = true
	}
	return seen, look
}

// monitor is a running [Monitor].
type monitor struct {
	MonitorProgress
	target activities.Target
}

// next is what a monitor does next, and when.
func (m *monitor) next(now time.Time) (at time.Time, act func(workflow.Context, time.Time) error) {
	at, act = m.LookedAt.Add(lookAgain), func(ctx workflow.Context, _ time.Time) error { return m.look(ctx) }
	if m.Watched.Paused {
		return at, act
	}
	if probe, ok := m.Record.NextProbe(m.Watched.Policy, m.target.IntegrationID.String(), now); ok && probe.Before(at) {
		at, act = probe, m.probe
	}
	warm := m.Watched.WarmUp
	if !warm.IsZero() && m.Record.State != health.Passive && m.Watched.RunAt.After(m.WarmedFor) && warm.Before(at) {
		at, act = warm, m.warmUp
	}
	return at, act
}

// look reads the integration. A monitor that is new takes the record up that
// was stored last.
func (m *monitor) look(ctx workflow.Context) error {
	var w activities.InspectResult
	if err := runUntilDone(ctx, activities.InspectName, "look at the integration", m.at(ctx), &w); err != nil {
		return err
	}
	m.know(ctx, w)
	return nil
}

func (m *monitor) know(ctx workflow.Context, w activities.InspectResult) {
	m.LookedAt = workflow.Now(ctx)
	if m.Record.State == "" && !w.Gone {
		m.Record = health.New(workflow.Now(ctx), w.Policy)
		if w.Record != nil {
			m.Record = *w.Record
		}
	}
	w.Record = nil
	m.Watched = w
}

func (m *monitor) at(ctx workflow.Context) activities.Target {
	m.target.Now = workflow.Now(ctx)
	return m.target
}

// take acts on signals.
func (m *monitor) take(ctx workflow.Context, seen []health.Observation, look bool) error {
	if len(seen) > 0 {
		if err := m.record(ctx, seen...); err != nil {
			return err
		}
	}
	if look {
		if err := m.look(ctx); err != nil || m.Watched.Gone || m.Record.Observations == 0 {
			return err
		}
		return m.record(ctx) // the next probe may be another
	}
	return nil
}

// probeOptions allow one attempt: one that was lost may have reached the
// vendor, and the next probe is soon enough.
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
	in := activities.ProbeInput{Target: m.at(ctx), Planned: planned, Record: m.Record}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, probeOptions("probe")), activities.ProbeName, in).Get(ctx, &p)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.Record = m.Record.ProbeSent(planned)
	if err == nil {
		m.know(ctx, p.Watched)
	} // else no worker, no database, or a worker that was lost: it shows nothing
	switch {
	case m.Watched.Gone:
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
	m.WarmedFor = m.Watched.RunAt
	var r activities.WarmUpResult
	in := activities.WarmUpInput{Target: m.at(ctx), UnlessTraffic: idleFor}
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
	return m.look(ctx) // for the run after this one
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
	if at, ok := m.Record.NextProbe(m.Watched.Policy, m.target.IntegrationID.String(), workflow.Now(ctx)); ok && !m.Watched.Paused {
		u.NextProbeAt = at
		u.ProbeInterval, _ = m.Record.Wait(m.Watched.Policy)
	}
	return runUntilDone(ctx, activities.RecordHealthName, "health: "+string(m.Record.State), u, nil)
}
