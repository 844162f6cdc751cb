package workflows

import (
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/notify"
)

// InvokeID is the workflow ID of an invocation. The same correlation ID is the
// same invocation.
func InvokeID(organization, correlation uuid.UUID) string {
	return "invoke/" + organization.String() + "/" + correlation.String()
}

// NotifyID is the workflow ID of a delivery: the same notification and channel
// is the same delivery.
func NotifyID(k notify.DeliveryKey) string {
	return "notify/" + k.NotificationID.String() + "/" + k.Channel
}

// MonitorID is the workflow ID of an integration's monitor.
func MonitorID(organization, integration uuid.UUID) string {
	return "monitor/" + organization.String() + "/" + integration.String()
}

// SyncID is the workflow ID of a run, which is its period's: there is at most one run
// of a period at a time.
func SyncID(in SyncInput) string {
	id := "export/" + in.OrganizationID.String() + "/" + in.IntegrationID.String() + "/" + in.Period
	if in.ParentID != nil {
		id += "/retry/" + in.ParentID.String()
	}
	return id
}

// BackfillID is the workflow ID of an integration's backfill: there is at most one at
// a time.
func BackfillID(organization, integration uuid.UUID) string {
	return "backfill/" + organization.String() + "/" + integration.String()
}
