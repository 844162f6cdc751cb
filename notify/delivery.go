package notify

import (
	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
)

// DeliveryKey names one delivery: a notification to a channel.
type DeliveryKey struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	NotificationID uuid.UUID `json:"notificationId"`
	Channel        string    `json:"channel"`
}

// DeliveryState is where a delivery is. It goes one way.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryPending DeliveryState = "pending"
	Delivered       DeliveryState = "delivered"
	DeliveryFailed  DeliveryState = "failed"
)

// DeliveryStates are all of them, as the database's CHECK constraint has them.
var DeliveryStates = []DeliveryState{DeliveryPending, Delivered, DeliveryFailed}

// DeliveryStatus is how far a delivery is.
type DeliveryStatus struct {
	State     DeliveryState `json:"state"`
	Attempts  int           `json:"attempts"`            // so far
	ErrorKind classify.Kind `json:"errorKind,omitempty"` // of the last attempt that failed
	Status    int           `json:"status,omitempty"`    // what was answered to it; 0 if nothing
}
