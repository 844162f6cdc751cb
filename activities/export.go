package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Names of the activities of an export, shown in the Temporal UI.
const (
	ClaimName  = "ClaimExport"
	PlanName   = "PlanExport"
	SplitName  = "SplitChunk"
	SettleName = "SettleChunk"
	DeferName  = "DeferExport"
	CloseName  = "CloseExport"
)

// Claimed is the answer of [Activities.ClaimExport].
type Claimed struct {
	Export    runlog.Export `json:"export"`
	Mine      bool          `json:"mine"`
	TakenOver bool          `json:"takenOver,omitempty"` // from a run that no longer runs
}

// Claim is what [Activities.ClaimExport] is to claim. With a schedule, the
// period is the one that was due at the export's scheduled time.
type Claim struct {
	Export   runlog.Export          `json:"export"`
	Schedule *integrations.Schedule `json:"schedule,omitempty"`
}

// ClaimExport makes the row of an export or finds that of its period. A row
// that is pending while its workflow no longer runs is taken over: two that
// went on with the same export would send its entries twice.
func (a *Activities) ClaimExport(ctx context.Context, c Claim) (Claimed, error) {
	e := c.Export
	if c.Schedule != nil && e.ScheduledAt != nil {
		var err error
		if e.Period, err = c.Schedule.Period(*e.ScheduledAt); err == nil {
			e.PeriodStart, e.PeriodEnd, err = integrations.Period(e.Period)
		}
		if err != nil {
			return Claimed{}, configurationError(err)
		}
		if a.Drift != nil {
			a.Drift(e.Drift())
		}
		if late := e.Drift(); late > c.Schedule.DriftLimit() {
			a.Log.Error("ALERT: a scheduled export started late", "organization_id", e.OrganizationID, "integration_id", e.IntegrationID,
				"period", e.Period, "scheduled_at", *e.ScheduledAt, "drift", late.String())
		}
	}
	if day := time.Now().Add(14 * time.Hour); e.PeriodStart.After(day) { // it is nowhere later than in UTC+14
		return Claimed{}, configurationError(fmt.Errorf("period %s has not begun: nothing can be exported yet", e.Period))
	}
	claimed, mine, err := runlog.Claim(ctx, a.DB, e)
	if overlap := (*runlog.OverlapError)(nil); errors.As(err, &overlap) {
		return Claimed{}, configurationError(err)
	}
	if err != nil || claimed.Status != "pending" || mine {
		return Claimed{Export: claimed, Mine: mine}, storeError(err)
	}
	if claimed.WorkflowID != e.WorkflowID {
		d, err := activity.GetClient(ctx).DescribeWorkflowExecution(ctx, claimed.WorkflowID, "")
		var gone *serviceerror.NotFound
		if err != nil && !errors.As(err, &gone) {
			return Claimed{}, storeError(err)
		}
		if d.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return Claimed{Export: claimed}, nil
		}
	}
	mine, err = runlog.TakeOver(ctx, a.DB, claimed, e.WorkflowID, e.RunID)
	if mine {
		claimed.WorkflowID, claimed.RunID = e.WorkflowID, e.RunID
	}
	return Claimed{Export: claimed, Mine: mine, TakenOver: mine}, storeError(err)
}

// Planned is the answer of [Activities.PlanExport].
type Planned struct {
	Chunks int  `json:"chunks"` // the number of the last one
	Atomic bool `json:"atomic"` // a refused request has stored nothing
	Faults bool `json:"faults"` // the vendor tells of some faults only later
}

// PlanExport assigns entries to chunks. A source that cannot be planned from is
// a permanent failure, of type [classify.Configuration].
func (a *Activities) PlanExport(ctx context.Context, e runlog.Export) (Planned, error) {
	defer goingOn(ctx)()
	exporter, ok := a.Adapters[e.AdapterName].(adapters.Exporter)
	if !ok {
		return Planned{}, configurationError(fmt.Errorf("this worker has no adapter %q that takes exports", e.AdapterName))
	}
	spec, err := runlog.Integration(ctx, a.DB, e.OrganizationID, e.IntegrationID)
	if errors.Is(err, runlog.ErrNotFound) {
		return Planned{}, configurationError(err)
	} else if err != nil {
		return Planned{}, storeError(err)
	}
	if err := adapters.NeedSettings(spec.Settings, exporter.Limits().Settings...); err != nil {
		return Planned{}, configurationError(err)
	}
	chunks, err := runlog.Plan(ctx, a.DB, e, spec.Export, ChunkSize(exporter, spec.Export))
	if source := (*runlog.SourceError)(nil); errors.As(err, &source) {
		return Planned{}, configurationError(err)
	}
	return Planned{chunks, exporter.Limits().Atomic, exporter.Limits().Faults}, storeError(err)
}

// goingOn reports that an activity goes on, until it is stopped.
func goingOn(ctx context.Context) (stop func()) {
	over := make(chan struct{})
	go func() {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			}
		}
	}()
	return func() { close(over) }
}

// ChunkSize is how many entries a request of an integration carries.
func ChunkSize(x adapters.Exporter, e integrations.Export) int {
	limits := x.Limits()
	if e.ChunkSize > 0 {
		return min(e.ChunkSize, limits.Entries)
	}
	return limits.Default
}

// Settled is what is to be recorded of a chunk.
type Settled struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	Chunk
	Into   int    `json:"into,omitempty"`   // for SplitChunk
	Atomic bool   `json:"atomic,omitempty"` // for SplitChunk: a refused request has stored nothing
	State  string `json:"state,omitempty"`  // for SettleChunk
	Reason string `json:"reason,omitempty"`
}

// SplitChunk halves a refused chunk, or rejects its only voucher.
func (a *Activities) SplitChunk(ctx context.Context, s Settled) (bool, error) {
	split, err := runlog.SplitChunk(ctx, a.DB, s.OrganizationID, s.ExportID, s.Chunk.Chunk, s.Into, s.Reason, s.Atomic)
	return split, storeError(err)
}

// SettleChunk records what became of a chunk.
func (a *Activities) SettleChunk(ctx context.Context, s Settled) error {
	return storeError(runlog.SettleChunk(ctx, a.DB, s.OrganizationID, s.ExportID, s.Chunk.Chunk, s.State, s.Reason, nil))
}

// DeferExport records until when an export waits.
func (a *Activities) DeferExport(ctx context.Context, e runlog.Export) error {
	var until time.Time
	if e.DeferredUntil != nil {
		until = *e.DeferredUntil
	}
	return storeError(runlog.Defer(ctx, a.DB, e.OrganizationID, e.ID, until))
}

// CloseExport counts and closes an export.
func (a *Activities) CloseExport(ctx context.Context, e runlog.Export) (runlog.Export, error) {
	defer goingOn(ctx)()
	closed, err := runlog.CloseExport(ctx, a.DB, e)
	return closed, storeError(err)
}

// Steps of a [Chunk].
const (
	SendStep   = ""       // send it
	VerifyStep = "verify" // ask which of its entries the vendor has, and settle it by that
	FaultsStep = "faults" // ask what the vendor found faulty of late; the chunk is 0
)

// Chunk is the body of an invocation that exports: which entries, not the
// entries. They never travel through Temporal.
type Chunk struct {
	ExportID uuid.UUID `json:"exportId"`
	Chunk    int       `json:"chunk"`
	Step     string    `json:"step,omitempty"`
	Reason   string    `json:"reason,omitempty"` // why a verified chunk was refused
}

// Body is the chunk as JSON. It is written by hand because workflows call it,
// and encoding/json counts as non-deterministic.
func (c Chunk) Body() json.RawMessage {
	body := fmt.Appendf(nil, `{"exportId":"%s","chunk":%d`, c.ExportID, c.Chunk)
	if c.Step != "" {
		body = fmt.Appendf(body, `,"step":"%s"`, c.Step)
	}
	if c.Reason != "" {
		body = fmt.Appendf(body, `,"reason":%s`, quoteJSON(c.Reason))
	}
	return append(body, '}')
}

// quoteJSON quotes valid UTF-8 as JSON demands.
func quoteJSON(s string) []byte {
	q := []byte{'"'}
	for _, r := range s {
		if r < 0x20 || r == '"' || r == '\\' {
			q = fmt.Appendf(q, `\u%04x`, r)
		} else {
			q = append(q, string(r)...)
		}
	}
	return append(q, '"')
}

// configurationError ends an export: somebody has to mend the set-up.
func configurationError(err error) error {
	return temporal.NewApplicationErrorWithOptions(cut(err.Error()), string(classify.Configuration),
		temporal.ApplicationErrorOptions{NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign})
}

// storeError keeps a database error short and without what it may quote.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	kind := auditRefused
	if runlog.IsTransient(err) {
		kind = auditUnavailable
	}
	return temporal.NewApplicationErrorWithOptions(cut(err.Error()), kind, temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
}
