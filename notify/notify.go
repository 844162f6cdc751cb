// Package notify decides what people are notified of, and sends it.
//
// Whoever sees something that people may have to know reports an [Event];
// [Event.Notifications] says which notifications follow, by one table. Each has a
// [Cause], a [Message] says it in words, and two ways lead to its receivers.
//
// The one idea: a message is made of facts, never of text that somebody else
// wrote. A [Notification] has fields for names, periods, times, counts and the
// kind of an error, and no field that could hold a vendor's answer, an entry
// or a secret; [Notification.Validate] refuses what is no such word. What
// happened in full is read with the commands that a message names, by those
// who may.
//
// [Webhook.Send] and [MailServer.Send] make one attempt each and say what came
// of it in a [Result]. They do not try again and store nothing: when to try
// again is Temporal's, and who was notified is the database's. Every attempt at
// one notification has the same ID, so that a receiver recognises a duplicate.
package notify

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/internal/lazy"
)

// Cause is why people are notified. It is stored and public.
type Cause string

// The causes.
const (
	Failing       Cause = "failing"        // two runs in a row failed, the vendor cannot be reached or throttles or fails for long, or credits are used up
	Recovered     Cause = "recovered"      // a failing period is over
	ExportFailed  Cause = "export_failed"  // a scheduled export failed
	ExportOverdue Cause = "export_overdue" // an export has been pending for too long, or its run no longer exists
	ExportEnded   Cause = "export_ended"   // an overdue export is no longer pending
	Late          Cause = "late"           // a scheduled run started later than its drift threshold allows
	Missed        Cause = "missed"         // a scheduled run did not happen
	Quota80       Cause = "quota_80"       // as much of the month's requests is used as warnAt says, by default 80 %
	Quota100      Cause = "quota_100"      // all of the month's requests are used
	Credentials   Cause = "credentials"    // the vendor refuses the credentials
	SecretExpires Cause = "secret_expires" // a secret expires in 30, 7 or 1 days, or has expired
	Rejected      Cause = "rejected"       // an export has entries that were refused
	LateErrors    Cause = "late_errors"    // the vendor found errors in entries after it had accepted them
	Unsent        Cause = "unsent"         // an export ended before it had sent all of its entries
	Test          Cause = "test"           // somebody wants to see that it works

	ExportRecovered   Cause = "export_recovered"   // nothing is left of an export that failed
	WorkflowFailing   Cause = "workflow_failing"   // a workflow cannot continue, because its code fails
	WorkflowRecovered Cause = "workflow_recovered" // it continues, or has ended
)

// Causes returns every cause, in the order of the documentation.
func Causes() []Cause {
	all := make([]Cause, len(wordings))
	for i, w := range wordings {
		all[i] = w.cause
	}
	return all
}

// Name is what people and files call the cause. The record, and webhooks, on which receivers
// rely, have another name for one of them.
func (c Cause) Name() string {
	if c == Rejected {
		return "refused"
	}
	return string(c)
}

// CauseNamed is the cause of a name, or of the name in the record.
func CauseNamed(name string) (Cause, bool) {
	for _, c := range Causes() {
		if c.Name() == name || string(c) == name {
			return c, true
		}
	}
	return "", false
}

// Notification is what happened. Facts that do not matter for its cause stay
// at their zero value.
type Notification struct {
	OrganizationID uuid.UUID
	IntegrationID  uuid.UUID // uuid.Nil for a [Test], which concerns none
	Cause          Cause
	OccurredAt     time.Time // the zero value is now
	Facts          Facts
	RemindAfter    time.Duration // of one that opens an incident: it is queued again whenever the incident has lasted as long; 0 is never
}

// Facts are what is known beyond the cause. They are stored as they are.
type Facts struct {
	ErrorKind   classify.Kind `json:"errorKind,omitempty"` // never the message
	ExportID    *uuid.UUID    `json:"exportId,omitempty"`
	Period      string        `json:"period,omitempty"`      // of an export: 2026-10, 2026-W45, 2026-11-23
	ScheduledAt *time.Time    `json:"scheduledAt,omitempty"` // of a run
	LateSeconds int64         `json:"lateSeconds,omitempty"`
	Since       *time.Time    `json:"since,omitempty"`   // when a failing period began
	Entries     *Entries      `json:"entries,omitempty"` // of an export
	Quota       *Quota        `json:"quota,omitempty"`
	Secret      *Secret       `json:"secret,omitempty"`
	Waiting     *Waiting      `json:"waiting,omitempty"`  // of an export that is overdue
	Workflow    *Workflow     `json:"workflow,omitempty"` // whose tasks fail
	Others      []string      `json:"others,omitempty"`   // further integrations of which the same is true
	Earlier     *Earlier      `json:"earlier,omitempty"`  // set by the database
}

// Entries counts the entries of an export by what became of them.
type Entries struct {
	Total      int `json:"total"`
	Exported   int `json:"exported"`
	Rejected   int `json:"rejected"`
	Unknown    int `json:"unknown"`
	LateErrors int `json:"lateErrors"` // of the exported ones
	Unsent     int `json:"unsent"`     // not sent, or with the proof that nothing was done
}

// Quota is how much of a month's requests is used.
type Quota struct {
	Month   string `json:"month"` // 2026-11
	Used    int64  `json:"used"`
	Limit   int64  `json:"limit"`
	Percent int    `json:"percent"` // the threshold that is reached
}

// Secret is a secret that ends. It has the secret's name, never its value.
type Secret struct {
	Credential string        `json:"credential"` // its name in the integration file
	Source     expiry.Source `json:"source"`     // who says when it ends
	ExpiresAt  time.Time     `json:"expiresAt"`
	Days       int           `json:"days"` // the threshold that is reached: 30, 7, 1, or 0 once it has expired
}

// Waiting is why an export is still pending.
type Waiting struct {
	For   WaitReason `json:"for"`
	Until *time.Time `json:"until,omitempty"` // nil: not known
}

// WaitReason is what an export waits for.
type WaitReason string

// The reasons, the first that holds.
const (
	ForRun      WaitReason = "run"         // its run no longer exists, so somebody has to resume it
	ForResume   WaitReason = "resume"      // its integration is paused
	ForVendor   WaitReason = "vendor"      // it is deferred; the error kind says why, breaker_open for one
	ForWrites   WaitReason = "open_writes" // for what was sent and may still take effect
	ForProgress WaitReason = "progress"    // nothing: it is under way, or no worker takes it
)

// WaitReasons are all of them.
var WaitReasons = []WaitReason{ForRun, ForResume, ForVendor, ForWrites, ForProgress}

// Workflow is a workflow of Temporal.
type Workflow struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// Valid reports whether its names are words of ours. Whoever reaches Temporal can
// start a workflow under any ID.
func (w Workflow) Valid() bool {
	return credential().MatchString(w.Type) && workflowID().MatchString(w.ID)
}

// Earlier is what came within an hour after the cause's last notification and
// was suppressed.
type Earlier struct {
	Count        int      `json:"count"`
	Integrations []string `json:"integrations"` // at most [MaxNames]
}

// MaxNames is how many integrations a notification names beside its own.
const MaxNames = 20

var (
	kindWord   = lazy.Regexp(`^[a-z_]{0,40}$`)
	periodWord = lazy.Regexp(`^([0-9]{4}-(W?[0-9]{2}|[0-9]{2}-[0-9]{2}))?$`)
	credential = lazy.Regexp(`^[A-Za-z]{1,40}$`)
	nameWord   = lazy.Regexp(`^[a-z0-9-]{1,63}$`)
	workflowID = lazy.Regexp(`^[A-Za-z0-9/:._+-]{1,250}$`)
)

// Validate reports all that keeps a notification from being queued. Its errors
// never repeat a value: one in the wrong place may be a secret.
func (n Notification) Validate() error {
	var wrong []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("notification: "+format, args...))
		}
	}
	known := slices.Contains(Causes(), n.Cause)
	check(known, "unknown cause; want one of %v", Causes())
	check(n.OrganizationID != uuid.Nil, "no organization")
	check(n.IntegrationID != uuid.Nil || n.Cause == Test, "no integration")
	check(kindWord().MatchString(string(n.Facts.ErrorKind)), "the error kind is not one word; want a classify.Kind")
	check(periodWord().MatchString(n.Facts.Period), "the period is not one; want 2026-10, 2026-W45 or 2026-11-23")
	check(n.Facts.Quota == nil || periodWord().MatchString(n.Facts.Quota.Month), "the quota's month is not one; want 2026-11")
	if s := n.Facts.Secret; s != nil {
		check(credential().MatchString(s.Credential), "the secret's name is not one word; want that of a credential")
		check(s.Source == expiry.File || s.Source == expiry.Token, "the secret's source is none; want file or jwt")
	}
	check(n.Facts.Waiting == nil || slices.Contains(WaitReasons, n.Facts.Waiting.For), "what it waits for is not known; want one of %v", WaitReasons)
	check(n.Facts.Workflow == nil || n.Facts.Workflow.Valid(), "the workflow's type or ID is no name of ours")
	check(len(n.Facts.Others) <= MaxNames, "%d further integrations; want at most %d", len(n.Facts.Others), MaxNames)
	check(!slices.ContainsFunc(n.Facts.Others, func(s string) bool { return !nameWord().MatchString(s) }), "a further integration is not a name")
	return errors.Join(wrong...)
}

// Result is what came of one attempt to send.
type Result struct {
	Kind       classify.Kind // [classify.OK] if the receiver has it
	Status     int           // HTTP status or SMTP code; 0 if there was no answer
	Permanent  bool          // trying again cannot help
	RetryAfter time.Duration // what the receiver asks for; 0 if nothing
	Err        error         // for the log, to be redacted: it may quote the receiver; nil if the status says all
	Secrets    []string      // of this attempt, to be masked in Err; nil without one
}

// Kinds of results that [classify] has no word for.
const (
	Gone             classify.Kind = "gone"              // 410: the receiver wants no more
	ChannelRemoved   classify.Kind = "channel_removed"   // the file does not have it any more
	ChannelDisabled  classify.Kind = "channel_disabled"  // its receiver was gone before
	MailDeferred     classify.Kind = "mail_deferred"     // SMTP 4xx
	MailRefused      classify.Kind = "mail_refused"      // SMTP 5xx
	RecipientRefused classify.Kind = "recipient_refused" // some recipients; the others have it
	NoStartTLS       classify.Kind = "no_starttls"       // the mail server offers none
)

// Delivered reports whether the receiver has it.
func (r Result) Delivered() bool { return r.Kind == classify.OK || r.Kind == RecipientRefused }
