// Package attention lists what needs a person: trouble that is there now, and does not pass
// by itself or is not over yet.
//
// An [Item] is one occurrence of a [Kind]: a period with refused vouchers, an integration
// that cannot be reached, a scheduled export that did not start. Nothing is stored for it.
// It is read from what the watcher, the monitors, exports and deliveries record, so it is
// there exactly as long as its cause is, and two who look see the same. The thresholds are
// theirs too: what counts as overdue or late, and how long before its end a secret does.
//
// [Item.Key] names the occurrence. What ends and comes again has another key, so that
// what somebody said of the first does not hide the second.
//
//	kind            there while
//	no_worker       no worker takes work
//	dead            an export is pending and its run no longer exists
//	stuck           the tasks of a workflow fail
//	failed          an export failed, was not retried, and has something left to send
//	unknown         nobody knows whether something that was sent is at the vendor
//	missed          a scheduled export did not start, and no later one has taken its entries
//	credential      the vendor refuses the credentials, or a secret is about to expire
//	overdue         an export is pending for longer than people allow
//	incident        an integration is degraded, unreachable, or its runs fail
//	refused         entries are refused, and nobody has withdrawn them
//	late_error      the vendor found errors in what it had accepted
//	elsewhere       entries of a period are refused or unknown in the export of another one
//	quota           a threshold of the month's requests is reached, or credits are used up
//	notification    the last delivery to a channel failed
//	in_flight       something that was sent may still take effect
//	late            an export started late and has not ended
//	paused          somebody has paused an integration
//
// PostgreSQL is enough. Temporal is asked, where it is given, which runs no longer exist and
// which workflows are stuck, for a short time; if it does not answer, the last that workers
// have recorded of both counts.
package attention

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/notify"
)

// Kind is what an [Item] is about. It is stored, in keys, and public.
type Kind string

// The kinds.
const (
	NoWorker     Kind = "no_worker"
	Dead         Kind = "dead"
	Stuck        Kind = "stuck"
	Failed       Kind = "failed"
	Unknown      Kind = "unknown"
	Missed       Kind = "missed"
	Credential   Kind = "credential"
	Overdue      Kind = "overdue"
	Incident     Kind = "incident"
	Refused      Kind = "refused"
	LateError    Kind = "late_error"
	Elsewhere    Kind = "elsewhere"
	Quota        Kind = "quota"
	Notification Kind = "notification"
	InFlight     Kind = "in_flight"
	Late         Kind = "late"
	Paused       Kind = "paused"
)

// kinds are all of them, the worst first, each with its section of docs/operations.md.
var kinds = []struct {
	kind   Kind
	anchor string
}{
	{NoWorker, "no-worker"},
	{Dead, "dead-run"},
	{Stuck, "workflow_failing-workflow_recovered"},
	{Failed, "export_failed-export_recovered"},
	{Unknown, "resolve"},
	{Missed, "missed"},
	{Credential, "credentials"},
	{Overdue, "export_overdue-export_ended"},
	{Incident, "failing-recovered"},
	{Refused, "refused"},
	{LateError, "late_errors"},
	{Elsewhere, "with-another-period"},
	{Quota, "quota_80-quota_100"},
	{Notification, "notification-not-delivered"},
	{InFlight, "in-flight"},
	{Late, "late"},
	{Paused, "paused"},
}

// Kinds returns every kind, the worst first.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i, k := range kinds {
		all[i] = k.kind
	}
	return all
}

// Anchor is the section of docs/operations.md that says what it means and what to do.
func (k Kind) Anchor() string {
	for _, known := range kinds {
		if known.kind == k {
			return known.anchor
		}
	}
	return ""
}

// Item is one thing that needs a person. What does not belong to its kind is zero.
type Item struct {
	Key           string         `json:"key"` // kind, subject and what tells this occurrence from another
	Kind          Kind           `json:"kind"`
	Since         time.Time      `json:"since,omitzero"` // zero: not known
	IntegrationID uuid.UUID      `json:"integrationId,omitzero"`
	Integration   string         `json:"integration,omitempty"`
	Adapter       string         `json:"adapter,omitempty"`
	Period        string         `json:"period,omitempty"`
	ExportID      *uuid.UUID     `json:"exportId,omitempty"`      // of entries, the first export of their chain
	CorrelationID *uuid.UUID     `json:"correlationId,omitempty"` // of a call
	Count         exports.Count  `json:"count,omitzero"`          // of entries
	Until         *time.Time     `json:"until,omitempty"`         // when it can end, or what it waits for; nil: not known
	ScheduledAt   *time.Time     `json:"scheduledAt,omitempty"`   // of a run
	ErrorKind     classify.Kind  `json:"errorKind,omitempty"`
	Message       string         `json:"message,omitempty"` // of the error, of the pause, or what nobody takes; redacted, and perhaps a vendor's words
	Actor         string         `json:"actor,omitempty"`   // who paused it, or made the call
	State         health.State   `json:"state,omitempty"`   // of an integration
	With          string         `json:"with,omitempty"`    // of Elsewhere: the period with which the entries went
	Channel       string         `json:"channel,omitempty"` // of notifications
	Quota         *notify.Quota  `json:"quota,omitempty"`
	Secret        *notify.Secret `json:"secret,omitempty"`   // that expires
	Waiting       notify.Waiting `json:"waiting,omitzero"`   // of Overdue and Dead
	Workflow      string         `json:"workflow,omitempty"` // ID of one that is stuck
}

// Anchor is the section of docs/operations.md for this item.
func (i Item) Anchor() string {
	switch {
	case i.Secret != nil:
		return "secret_expires"
	case i.Kind == Incident && (i.State == health.Degraded || i.State == health.Unreachable):
		return string(i.State)
	case i.Kind == Quota && i.Quota == nil:
		return string(health.Passive)
	}
	return i.Kind.Anchor()
}

// place is where an item is among others: by its kind, a secret that has not expired yet
// after what is wrong already.
func (i Item) place() int {
	at := slices.IndexFunc(kinds, func(k struct {
		kind   Kind
		anchor string
	}) bool {
		return k.kind == i.Kind
	})
	if i.Secret != nil && i.Secret.Days > 0 {
		at = slices.Index(Kinds(), Quota)
	}
	return at
}

// worstFirst sorts items: by kind, then those that came first, then by name and key.
func worstFirst(list []Item) {
	slices.SortFunc(list, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.place(), b.place()), a.Since.Compare(b.Since), cmp.Compare(a.Integration, b.Integration), cmp.Compare(a.Key, b.Key))
	})
}
