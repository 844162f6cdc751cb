package notify

import (
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
)

// Event is something that happened and that people may have to know. Whoever
// sees it reports it; [policy] alone decides what follows.
type Event struct {
	Kind           EventKind
	OrganizationID uuid.UUID
	IntegrationID  uuid.UUID
	OccurredAt     time.Time // the zero value is now
	Facts          Facts     // what its notifications say; some of it decides too

	// The rest only decides. What an event does not have is zero.
	State           health.State       // after a HealthChanged or HealthObserved; Facts.ErrorKind is its reason
	Since           time.Time          // of a HealthObserved: since when the state and its reason are as they are
	Observation     health.Observation // of a HealthObserved
	LatestRunFailed bool               // of a HealthChanged: the integration's latest run, unless it was cancelled, failed
	Runs            []Run              // of an ExportClosed: the integration's latest runs, newest first
	Trigger         exports.Trigger    // of an ExportClosed
	Status          exports.Status     // of an ExportClosed
	Pending         bool               // of a LateErrorsFound: the export has not been closed yet
	PendingFor      time.Duration      // of an ExportPending: since the export started
	Limit           time.Duration      // of an ExportPending: how long it may be pending
	RemindAfter     time.Duration      // of an ExportPending: people are notified again whenever it has lasted as long
	Tick            exports.TickResult // of a TickRecorded
}

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	ExportClosed    EventKind = "export_closed"     // a run has ended, or adopted entries
	ExportPending   EventKind = "export_pending"    // an export is pending, and it is known why
	LateErrorsFound EventKind = "late_errors_found" // the vendor found errors in entries of an export after it had accepted them
	TickRecorded    EventKind = "tick_recorded"     // it is known what came of a time at which a schedule should have fired
	HealthChanged   EventKind = "health_changed"    // an integration's state, or the reason for it
	HealthObserved  EventKind = "health_observed"   // an outcome that may have changed nothing
	QuotaReached    EventKind = "quota_reached"     // a threshold of the month's requests
	SecretExpiring  EventKind = "secret_expiring"   // a threshold of days until a secret expires, or the expiry
	WorkflowStuck   EventKind = "workflow_stuck"    // the tasks of a workflow fail, so it cannot continue
	WorkflowResumed EventKind = "workflow_resumed"  // they work again, or it has ended
)

// EventKinds are all of them.
var EventKinds = []EventKind{
	ExportClosed, ExportPending, LateErrorsFound, TickRecorded, HealthChanged, HealthObserved, QuotaReached, SecretExpiring,
	WorkflowStuck, WorkflowResumed,
}

// Run is a run that ended and that says something of the vendor: it failed, or
// the vendor took entries of it. One that was cancelled or adopted does not.
type Run struct {
	ExportID  uuid.UUID
	Period    string
	Failed    bool
	ErrorKind classify.Kind // "" if it did not fail
}

// lastsAfter is how long trouble that changes no state lasts before people are
// notified.
const lastsAfter = time.Hour

// PendingLimit is how long an export may be pending before people are notified: half its
// period, at most a day.
func PendingLimit(e exports.Export) time.Duration {
	return min(e.PeriodEnd.Sub(e.PeriodStart)/2, 24*time.Hour)
}

// RemindAfter is how long an export that is overdue stays so before people are notified
// again.
const RemindAfter = 24 * time.Hour

// policy says of what people are notified. Every line of an event's kind whose
// condition holds is one notification, in the order of [Causes]. An event of
// which no line holds concerns nobody.
var policy = []struct {
	kind  EventKind
	when  func(Event) bool
	cause Cause
}{
	{ExportClosed, twoRunsFailed, Failing},
	{ExportClosed, latestRunSucceeded, Recovered},
	{ExportClosed, scheduledOneFailed, ExportFailed},
	{ExportClosed, isComplete, ExportRecovered},
	{ExportClosed, always, ExportEnded},
	{ExportClosed, refused, Credentials},
	{ExportClosed, hasRejected, Rejected},
	{ExportClosed, hasLateErrors, LateErrors},
	{ExportClosed, hasUnsent, Unsent},
	{ExportPending, overdue, ExportOverdue},
	{LateErrorsFound, closedBefore, LateErrors},
	{TickRecorded, late, Late},
	{TickRecorded, notDone, Missed},
	{HealthChanged, outOfReach, Failing},
	{HealthChanged, worksAgain, Recovered},
	{HealthChanged, refused, Credentials},
	{HealthObserved, troubleLasts, Failing},
	{QuotaReached, nearLimit, Quota80},
	{QuotaReached, atLimit, Quota100},
	{SecretExpiring, always, SecretExpires},
	{WorkflowStuck, always, WorkflowFailing},
	{WorkflowResumed, always, WorkflowRecovered},
}

// Notifications returns what people are notified of because of an event, in the
// order of [Causes].
func (e Event) Notifications() (list []Notification) {
	if e.Trigger == exports.ByAdopting {
		return nil // nothing was sent, so it says nothing of the vendor
	}
	for _, line := range policy {
		if line.kind == e.Kind && line.when(e) {
			n := Notification{OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, Cause: line.cause, OccurredAt: e.OccurredAt, Facts: e.Facts, RemindAfter: e.RemindAfter}
			if e.Kind == ExportClosed && line.cause == Failing { // it is about the runs, and another one may be the latest
				n.Facts = Facts{ErrorKind: e.Runs[0].ErrorKind, ExportID: &e.Runs[0].ExportID, Period: e.Runs[0].Period}
			}
			list = append(list, n)
		}
	}
	return list
}

// Handling is what a notification of a cause does.
type Handling string

// The handlings.
const (
	Queues          Handling = "queues"           // it is queued, whatever came before
	OpensIncident   Handling = "opens_incident"   // it is queued if it is news, and its end is notified too
	ClosesIncidents Handling = "closes_incidents" // it is queued if people were notified of what it ends
)

// Pace is how soon a notification of a cause is queued after another one of it.
type Pace string

// The paces.
const (
	Hourly Pace = "hourly"  // at most one an hour in an organization; what comes meanwhile is one message when the hour is over
	AtOnce Pace = "at_once" // each by itself, whatever came before: what it is about bounds how many there are
)

// incidents are what begins and ends: the cause of the beginning, that of the end,
// what it is about, if that is not the integration as such, and the pace of both.
// There is one at a time of each beginning and subject.
//
// An export begins and ends once: a scheduled one fails at most once for each
// integration and period, and one is overdue once and again each day. The tasks of
// all workflows can fail at once, because one version of a worker cannot run them.
var incidents = []struct {
	begins, ends Cause
	subject      func(Facts) string
	pace         Pace
}{
	{Failing, Recovered, nil, Hourly},
	{Credentials, Recovered, nil, Hourly},
	{ExportFailed, ExportRecovered, export, AtOnce},
	{ExportOverdue, ExportEnded, export, AtOnce},
	{WorkflowFailing, WorkflowRecovered, workflow, Hourly},
}

func export(f Facts) string {
	if f.ExportID == nil {
		return ""
	}
	return f.ExportID.String()
}

func workflow(f Facts) string {
	if f.Workflow == nil {
		return ""
	}
	return f.Workflow.ID
}

// Handling returns what a notification of the cause does.
func (c Cause) Handling() Handling {
	for _, i := range incidents {
		switch c {
		case i.begins:
			return OpensIncident
		case i.ends:
			return ClosesIncidents
		}
	}
	return Queues
}

// Pace returns how soon a notification of the cause follows another one of it.
func (c Cause) Pace() Pace {
	for _, i := range incidents {
		if c == i.begins || c == i.ends {
			return i.pace
		}
	}
	return Hourly
}

// Ends returns the causes of the incidents that a notification of the cause closes.
func (c Cause) Ends() (list []Cause) {
	for _, i := range incidents {
		if i.ends == c {
			list = append(list, i.begins)
		}
	}
	return list
}

// EndedBy returns the cause that notifies of the end of what the cause begins; "" if
// it begins nothing.
func (c Cause) EndedBy() Cause {
	for _, i := range incidents {
		if i.begins == c {
			return i.ends
		}
	}
	return ""
}

// OfIntegration reports whether the incidents that the cause begins or ends are of an
// integration as such, and not of an export or a workflow.
func (c Cause) OfIntegration() bool {
	for _, i := range incidents {
		if c == i.begins || c == i.ends {
			return i.subject == nil
		}
	}
	return false
}

// Subject names what the incident of a notification is about: an export or a workflow;
// "" if that is its integration as such, or nothing.
func (n Notification) Subject() string {
	for _, i := range incidents {
		if i.subject != nil && (n.Cause == i.begins || n.Cause == i.ends) {
			return i.subject(n.Facts)
		}
	}
	return ""
}

// HealthEvents returns the events of an update of an integration's health: its
// changes, and its last observation.
func HealthEvents(organization, integration uuid.UUID, u health.Update) (events []Event) {
	for _, c := range u.Changes {
		events = append(events, Event{
			Kind: HealthChanged, OrganizationID: organization, IntegrationID: integration, Facts: Facts{ErrorKind: c.Reason}, State: c.To,
		})
	}
	if n := len(u.Observations); n > 0 {
		events = append(events, Event{
			Kind: HealthObserved, OrganizationID: organization, IntegrationID: integration, Facts: Facts{ErrorKind: u.Record.Reason},
			State: u.Record.State, Since: u.Record.Since, Observation: u.Observations[n-1],
		})
	}
	return events
}

func always(Event) bool { return true }

// refused reports whether the vendor refuses the credentials.
func refused(e Event) bool {
	return e.State != health.Healthy && e.Facts.ErrorKind.Signal() == health.Refused
}

// twoRunsFailed: one failure may pass by itself.
func twoRunsFailed(e Event) bool { return len(e.Runs) > 1 && e.Runs[0].Failed && e.Runs[1].Failed }

func latestRunSucceeded(e Event) bool { return len(e.Runs) > 0 && !e.Runs[0].Failed }

func hasRejected(e Event) bool { return e.Facts.Entries != nil && e.Facts.Entries.Rejected > 0 }

func hasLateErrors(e Event) bool { return e.Facts.Entries != nil && e.Facts.Entries.LateErrors > 0 }

// scheduledOneFailed: one that somebody started, that person watches; one that was
// cancelled, that person knows of.
func scheduledOneFailed(e Event) bool {
	return e.Trigger == exports.BySchedule && e.Status == exports.Failed && e.Facts.ErrorKind != classify.Cancelled
}

func isComplete(e Event) bool { return e.Status == exports.Complete }

// overdue: where the run no longer exists, waiting for the limit helps nobody.
func overdue(e Event) bool {
	return e.PendingFor >= e.Limit || e.Facts.Waiting != nil && e.Facts.Waiting.For == ForRun
}

// hasUnsent: whoever cancelled a run knows, and refused credentials and a scheduled
// export that failed are notified as such.
func hasUnsent(e Event) bool {
	return e.Facts.Entries != nil && e.Facts.Entries.Unsent > 0 && e.Facts.ErrorKind != classify.Cancelled && !refused(e) && !scheduledOneFailed(e)
}

// closedBefore: of an export that is still pending, closing it notifies.
func closedBefore(e Event) bool { return !e.Pending }

func late(e Event) bool { return e.Tick == exports.TickLate }

func notDone(e Event) bool {
	return e.Tick == exports.TickMissed || e.Tick == exports.TickSkipped || e.Tick == exports.TickPaused
}

func outOfReach(e Event) bool {
	return e.State != health.Healthy && !refused(e) && (e.State == health.Unreachable || e.Facts.ErrorKind == classify.QuotaExhausted)
}

// worksAgain: a vendor that answers again does not fix a run that failed.
func worksAgain(e Event) bool { return e.State == health.Healthy && !e.LatestRunFailed }

// troubleLasts reports whether an observation shows trouble that has lasted,
// although the state does not change: a degraded integration that gets no proper
// answer, or a passive one whose calls are throttled on and on. Refused
// credentials were notified when they were first seen.
func troubleLasts(e Event) bool {
	o := e.Observation
	trouble := o.Signal() == health.Failure || o.Signal() == health.Throttled || o.Signal() == health.Answer && o.Source != health.Call
	state := e.State == health.Passive || e.State == health.Degraded && e.Facts.ErrorKind.Signal() != health.Refused
	return trouble && state && o.At.Sub(e.Since) >= lastsAfter
}

func nearLimit(e Event) bool { return e.Facts.Quota != nil && e.Facts.Quota.Percent < 100 }

func atLimit(e Event) bool { return e.Facts.Quota != nil && e.Facts.Quota.Percent >= 100 }
