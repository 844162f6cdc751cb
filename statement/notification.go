package statement

import (
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// Notification is a notification and what became of it at one channel. What webhooks send
// has names of its own, which receivers rely on.
type Notification struct {
	ID                uuid.UUID            `json:"notificationId"`
	Cause             string               `json:"cause"` // see [notify.Cause.Name]
	Integration       string               `json:"integration,omitempty"`
	OccurredAt        time.Time            `json:"occurredAt"`
	QueuedAt          time.Time            `json:"queuedAt"`
	Suppressed        int                  `json:"suppressed"`        // further ones within the hour
	OtherIntegrations []string             `json:"otherIntegrations"` // and their integrations
	Facts             Facts                `json:"facts"`
	Channel           string               `json:"channel,omitempty"` // "" if no channel wanted it
	State             notify.DeliveryState `json:"state"`
	Attempts          int                  `json:"attempts"`            // so far
	ErrorKind         classify.Kind        `json:"errorKind,omitempty"` // of the last attempt that failed
	HTTPStatus        int                  `json:"httpStatus,omitempty"`
	DeliveredAt       *time.Time           `json:"deliveredAt,omitempty"`
}

// Channel is where an organization is notified.
type Channel struct {
	Name       string                `json:"name"`
	Webhook    *integrations.Webhook `json:"webhook,omitempty"`
	Email      *integrations.Email   `json:"email,omitempty"`
	Causes     []string              `json:"causes,omitempty"`     // none: all
	DisabledAt *time.Time            `json:"disabledAt,omitempty"` // its receiver said that it is gone
}

// OfChannels are the views of channels; never nil.
func OfChannels(list []runlog.Channel) []Channel {
	views := make([]Channel, 0, len(list))
	for _, c := range list {
		view := Channel{Name: c.Name, Webhook: c.Webhook, Email: c.Email, DisabledAt: c.DisabledAt}
		for _, cause := range c.Causes {
			view.Causes = append(view.Causes, cause.Name())
		}
		views = append(views, view)
	}
	return views
}

// Facts are what a notification knows beyond its cause.
type Facts struct {
	ErrorKind   classify.Kind    `json:"errorKind,omitempty"`
	ExportID    *uuid.UUID       `json:"exportId,omitempty"`
	Period      string           `json:"period,omitempty"`
	ScheduledAt *time.Time       `json:"scheduledAt,omitempty"`
	LateBy      string           `json:"lateBy,omitempty"` // such as "5m0s"
	Since       *time.Time       `json:"since,omitempty"`
	Entries     *NotifiedEntries `json:"entries,omitempty"`
	Quota       *notify.Quota    `json:"quota,omitempty"`
	Secret      *notify.Secret   `json:"secret,omitempty"`
	Waiting     *notify.Waiting  `json:"waiting,omitempty"`
	Workflow    *notify.Workflow `json:"workflow,omitempty"`
	Others      []string         `json:"others,omitempty"`
	Earlier     *notify.Earlier  `json:"earlier,omitempty"`
}

// NotifiedEntries are the entries of an export when people were notified of it.
type NotifiedEntries struct {
	Total      int `json:"total"`
	Exported   int `json:"exported"`
	Refused    int `json:"refused"`
	Unknown    int `json:"unknown"`
	LateErrors int `json:"lateErrors"`
	Unsent     int `json:"unsent"`
}

// OfNotifications are the views of notifications; never nil.
func OfNotifications(list []runlog.NotificationRecord) []Notification {
	views := make([]Notification, 0, len(list))
	for _, n := range list {
		views = append(views, Notification{
			ID: n.NotificationID, Cause: n.Cause.Name(), Integration: n.Integration, OccurredAt: n.OccurredAt, QueuedAt: n.QueuedAt, Suppressed: n.Suppressed,
			OtherIntegrations: n.OtherIntegrations, Facts: factsOf(n.Facts), Channel: n.Channel, State: n.State, Attempts: n.Attempts, ErrorKind: n.ErrorKind,
			HTTPStatus: n.Status, DeliveredAt: n.DeliveredAt,
		})
	}
	return views
}

func factsOf(f notify.Facts) Facts {
	view := Facts{
		ErrorKind: f.ErrorKind, ExportID: f.ExportID, Period: f.Period, ScheduledAt: f.ScheduledAt, Since: f.Since, Quota: f.Quota, Secret: f.Secret,
		Waiting: f.Waiting, Workflow: f.Workflow, Others: f.Others, Earlier: f.Earlier,
	}
	if f.LateSeconds > 0 {
		view.LateBy = (time.Duration(f.LateSeconds) * time.Second).String()
	}
	if e := f.Entries; e != nil {
		view.Entries = &NotifiedEntries{e.Total, e.Exported, e.Rejected, e.Unknown, e.LateErrors, e.Unsent}
	}
	return view
}
