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

// Chunk is the body of an invocation that exports: which entries, not the
// entries. They never travel through Temporal.
type Chunk struct {
	ExportID uuid.UUID `json:"exportId"`
	Chunk    int       `json:"chunk"`
}

// Body is the chunk as JSON. It is written by hand because workflows call it,
// and encoding/json counts as non-deterministic.
func (c Chunk) Body() json.RawMessage {
	return fmt.Appendf(nil, `{"exportId":%q,"chunk":%d}`, c.ExportID.String(), c.Chunk)
}

// exportChunk sends a chunk of an export and records that the vendor has it.
//
// The entries are marked as sent before anybody sends them. Who finds them
// marked at a first attempt does not know what the worker before it got done,
// and neither does who follows an attempt without an answer: both let the
// adapter ask the vendor first. An answer that cannot be recorded counts as
// lost for the same reason.
func (a *Activities) exportChunk(ctx context.Context, in Invocation, adapter adapters.Adapter, conn *adapters.Conn, first bool) (out outcome) {
	exporter, ok := adapter.(adapters.Exporter)
	if !ok {
		out.verdict = adapters.Fault(classify.Configuration, "export:adapter", "adapter "+in.AdapterName+" takes no exports yet")
		return out
	}
	var c Chunk
	if err := json.Unmarshal(in.Body, &c); err != nil {
		out.verdict = adapters.Fault(classify.Internal, "export:body", "the chunk's body cannot be read")
		return out
	}
	entries, sent, err := runlog.TakeChunk(ctx, a.DB, in.OrganizationID, c.ExportID, c.Chunk)
	if err != nil {
		out.verdict = adapters.Fault(classify.Dependency, "export:entries", fmt.Sprintf("the entries could not be read: %v", err))
		return out
	}
	if len(entries) == 0 { // settled before, by an attempt that could not report it
		out.verdict = classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: "export:settled"}
		out.answer.ReadBack = true
		return out
	}
	lines := make([]adapters.Entry, len(entries))
	for i, e := range entries {
		lines[i] = adapters.Entry{Key: e.VendorKey, Voucher: e.VoucherID, Account: e.Account, Amount: e.Amount, Currency: e.Currency, Text: e.Text, Date: e.Date}
	}
	body, err := exporter.ExportBody(conn.Settings, lines)
	if err != nil {
		out.verdict = adapters.Fault(classify.Transformation, "export:body", err.Error())
		return out
	}
	plan, err := exporter.Plan(adapters.Call, body)
	if err != nil || plan.Guard == adapters.Unsafe {
		out.verdict = adapters.Fault(classify.Internal, "export:guard", "the adapter made a request that cannot be looked up")
		return out
	}
	out.guard = plan.Guard
	conn.Uncertain = conn.Uncertain || sent && first
	resp, v := exporter.Do(ctx, conn, adapters.Call, body)
	out.verdict = v
	if v.Class != classify.Success {
		return out
	}
	if err := runlog.SettleChunk(ctx, a.DB, in.OrganizationID, c.ExportID, c.Chunk, "exported", ""); err != nil {
		out.verdict = adapters.Fault(classify.Dependency, "export:record", fmt.Sprintf("the vendor has the entries and this could not be recorded: %v", err))
		out.verdict.Unknown = true
		return out
	}
	out.answer = Answer{HTTPStatus: resp.Status, ReadBack: resp.ReadBack} // the vendor's list of new IDs stays with the vendor
	return out
}

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
	Export runlog.Export `json:"export"`
	Mine   bool          `json:"mine"`
}

// Claim is what [Activities.ClaimExport] is to claim. With a schedule, the
// period is the one that was due at the export's scheduled time.
type Claim struct {
	Export   runlog.Export          `json:"export"`
	Schedule *integrations.Schedule `json:"schedule,omitempty"`
}

// driftLimit is how late a scheduled export may start without an alert.
const driftLimit = 5 * time.Minute

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
			return Claimed{}, temporal.NewNonRetryableApplicationError(cut(err.Error()), string(classify.Configuration), nil)
		}
	}
	if late := e.Drift(); late > driftLimit {
		a.Log.Error("ALERT: a scheduled export started late", "organization_id", e.OrganizationID, "integration_id", e.IntegrationID,
			"period", e.Period, "scheduled_at", *e.ScheduledAt, "drift", late.String())
	}
	claimed, mine, err := runlog.Claim(ctx, a.DB, e)
	if err != nil || mine || claimed.Status != "pending" {
		return Claimed{claimed, mine}, storeError(err)
	}
	if claimed.WorkflowID != e.WorkflowID {
		d, err := activity.GetClient(ctx).DescribeWorkflowExecution(ctx, claimed.WorkflowID, "")
		var gone *serviceerror.NotFound
		if err != nil && !errors.As(err, &gone) {
			return Claimed{}, storeError(err)
		}
		if d.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return Claimed{claimed, false}, nil
		}
	}
	mine, err = runlog.TakeOver(ctx, a.DB, claimed, e.WorkflowID, e.RunID)
	if mine {
		claimed.WorkflowID, claimed.RunID = e.WorkflowID, e.RunID
	}
	return Claimed{claimed, mine}, storeError(err)
}

// PlanExport assigns entries to chunks and returns the number of the last one.
func (a *Activities) PlanExport(ctx context.Context, e runlog.Export) (int, error) {
	size := 100
	if x, ok := a.Adapters[e.AdapterName].(adapters.Exporter); ok {
		size = x.Limits().Default
	}
	chunks, err := runlog.Plan(ctx, a.DB, e, size)
	return chunks, storeError(err)
}

// Settled is what is to be recorded of a chunk.
type Settled struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	Chunk
	Into   int    `json:"into,omitempty"`  // for SplitChunk
	State  string `json:"state,omitempty"` // for SettleChunk
	Reason string `json:"reason,omitempty"`
}

// SplitChunk halves a refused chunk, or rejects its only voucher.
func (a *Activities) SplitChunk(ctx context.Context, s Settled) (bool, error) {
	split, err := runlog.SplitChunk(ctx, a.DB, s.OrganizationID, s.ExportID, s.Chunk.Chunk, s.Into, s.Reason)
	return split, storeError(err)
}

// SettleChunk records what became of a chunk.
func (a *Activities) SettleChunk(ctx context.Context, s Settled) error {
	return storeError(runlog.SettleChunk(ctx, a.DB, s.OrganizationID, s.ExportID, s.Chunk.Chunk, s.State, s.Reason))
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
	closed, err := runlog.CloseExport(ctx, a.DB, e)
	return closed, storeError(err)
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
