// Package exports holds what an export is and what its run does next.
//
// An [Export] is one period of one integration, and its row in the audit record
// (bufdir_export_audit_log). The run that owns it sends its entries in chunks.
// [Progress] is how far that run is: a state machine, which the workflow Sync runs
// again from its history and which tests run without Temporal.
//
//	Begin ──► Take an item ──► the caller makes it ──► Follow its Result ──┐
//	             ▲                                                         │
//	             ├──── Halved, Drawn, Fitted ◄──── chunks are arranged ◄───┤
//	             └─────────────── it sleeps, or continues now ◄────────────┤
//	                                                                       ▼
//	                                                     Finish ◄── over, or failed
//
// What follows from a [Result] is decided by one function that changes nothing (decide.go).
// Nothing is halved or rejected before it is proved that none of it is at the vendor,
// and a refusal that is not about vouchers ends the run with its entries as they are.
//
// The package is pure: no I/O, no clock, no Temporal. It never holds entries, only the
// numbers of their chunks.
package exports

import (
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
)

// Export is one export operation: a row of bufdir_export_audit_log. A field is the column of its name, or of its db
// tag.
type Export struct {
	OrganizationID    uuid.UUID         `json:"organizationId"`
	ID                uuid.UUID         `json:"exportId" db:"export_id"`
	IntegrationID     uuid.UUID         `json:"integrationId"`
	AdapterName       string            `json:"adapterName"`
	Period            string            `json:"period"`
	PeriodStart       time.Time         `json:"periodStart"` // a day, at 00:00 UTC
	PeriodEnd         time.Time         `json:"periodEnd"`   // the first day after it
	Trigger           Trigger           `json:"trigger"`
	TriggeredBy       string            `json:"triggeredBy"`
	ParentID          *uuid.UUID        `json:"parentExportId,omitempty" db:"parent_export_id"` // of a retry
	ScheduledAt       *time.Time        `json:"scheduledAt,omitempty"`
	StartedAt         time.Time         `json:"startedAt"`
	DeferredUntil     *time.Time        `json:"deferredUntil,omitempty"`
	DeferredFor       classify.Kind     `json:"deferredFor,omitempty"` // the kind of the error that it waits for to pass
	FinishedAt        *time.Time        `json:"finishedAt,omitempty"`
	Status            Status            `json:"status"`
	Total             int               `json:"entriesTotal" db:"entries_total"`
	Exported          int               `json:"entriesExported" db:"entries_exported"`
	Rejected          int               `json:"entriesRejected" db:"entries_rejected"`
	Unknown           int               `json:"entriesUnknown" db:"entries_unknown"`
	LateErrors        int               `json:"entriesWithLateErrors" db:"entries_with_late_errors"` // of the exported ones: the vendor reported an error later
	Attempts          int               `json:"attempts"`                                            // of all the run's invocations
	Chunks            int               `json:"chunks"`                                              // planned; attempts beyond them are retries, look-ups and halving
	Requests          int               `json:"requests"`                                            // made to the vendor for them, look-ups included
	LookUps           int               `json:"lookUps"`                                             // of those: for what the vendor has, for late errors, for its contract
	Isolating         int               `json:"isolating"`                                           // of those: to find the vouchers that it refuses
	ChunkSize         int               `json:"chunkSize,omitempty" db:"-"`                          // of a run that ends: most entries in a request from now on; 0 changes nothing
	ChunkFull         int               `json:"chunkFull,omitempty" db:"-"`                          // most entries by the file and the vendor
	WarmUp            time.Duration     `json:"warmUp"`                                              // how long the vendor's first answer took; 0 if it was not asked
	ColdStart         bool              `json:"coldStart"`                                           // it had to connect or fetch a token first
	WarmUpMS          map[string]int64  `json:"warmUpMS,omitempty"`                                  // where its time went, in ms
	Amounts           map[string]string `json:"amounts"`                                             // sum of the positive amounts by currency
	SHA256            string            `json:"sha256,omitempty"`
	LastCorrelationID *uuid.UUID        `json:"lastCorrelationId,omitempty"`
	ErrorClass        classify.Class    `json:"errorClass,omitempty"`
	ErrorCode         classify.Kind     `json:"errorCode,omitempty"`
	ErrorMessage      string            `json:"errorMessage,omitempty"`
	WorkflowID        string            `json:"workflowId"`
	RunID             uuid.UUID         `json:"runId"` // of the owner, see [Owner]
	Fence             int64             `json:"fence"`
}

// Unsent is how many entries of a closed export are as they were planned: its run ended
// before it had sent them, or with the proof that the vendor has none of them.
func (e Export) Unsent() int {
	if e.Status == Pending {
		return 0
	}
	return e.Total - e.Exported - e.Rejected - e.Unknown
}

// Reference is how a command line names the export, which is one of an integration: by its
// period, of which a command takes the export and its retries; an adoption, of which a period
// can have several, and a retry, which can be that of an adoption, by the beginning of its ID.
func (e Export) Reference(integration string) string {
	if e.Trigger == ByAdopting || e.ParentID != nil || integration == "" {
		return Short(e.ID)
	}
	return e.Period + " --integration " + integration
}

// Short is the beginning of an ID, which is enough for a command to find the export by.
func Short(id uuid.UUID) string { return id.String()[:8] }

// Owner is the run that the export belongs to.
func (e Export) Owner() Owner {
	return Owner{OrganizationID: e.OrganizationID, IntegrationID: e.IntegrationID, ExportID: e.ID, Fence: e.Fence, RunID: e.RunID}
}

// IdempotencyKey is what makes a period of an integration one export, and the
// retry of an export one retry. Each adoption has a key of its own.
func (e Export) IdempotencyKey() string {
	key := e.IntegrationID.String() + "/" + e.Period
	switch {
	case e.Trigger == ByAdopting:
		key += "/adopt/" + e.ID.String()
	case e.ParentID != nil:
		key += "/retry/" + e.ParentID.String()
	}
	return key
}

// Drift is how much later than scheduled an export started; 0 if it was not
// scheduled.
func (e Export) Drift() time.Duration {
	if e.ScheduledAt == nil {
		return 0
	}
	return e.StartedAt.Sub(*e.ScheduledAt)
}

// Owner is the run that may give orders about an export: the one that claimed it last.
// Fence grows with each owner. RunID is the run's own, as Temporal gives it, so that a
// reset, which replays an old number, is noticed.
type Owner struct {
	OrganizationID, IntegrationID, ExportID uuid.UUID
	Fence                                   int64
	RunID                                   uuid.UUID

	// Place is where the integration's entries go now: an answer from there says nothing
	// about what was sent elsewhere.
	Place string
}
