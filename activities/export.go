package activities

import (
	"cmp"
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
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// Names of the activities of an export, shown in the Temporal UI.
const (
	ClaimName = "ClaimExport"
	PlanName  = "PlanExport"
	SplitName = "SplitChunk"
	DrawName  = "DrawVoucher"
	FitName   = "FitChunks"
	DeferName = "DeferExport"
	CloseName = "CloseExport"
)

// ClaimResult is the answer of [Activities.ClaimExport].
type ClaimResult struct {
	Export    exports.Export `json:"export"`
	Mine      bool           `json:"mine"`
	TakenOver bool           `json:"takenOver,omitempty"` // from a run that no longer runs
}

// ClaimInput is what [Activities.ClaimExport] is to claim. With a schedule, the
// period is the one that was due at the export's scheduled time. With HandedOver
// the export is the one that the run before in the same chain hands over.
type ClaimInput struct {
	Export     exports.Export         `json:"export"`
	Schedule   *integrations.Schedule `json:"schedule,omitempty"`
	HandedOver bool                   `json:"handedOver,omitempty"`
}

// ClaimExport makes the calling run the owner of an export: it makes the row of
// its period, or takes over one that is pending and whose run has ended. What
// the run before still orders is refused from then on. Whoever the workflow says
// it is, the owner is the run that Temporal names, so that a reset has to claim
// again.
func (a *Activities) ClaimExport(ctx context.Context, c ClaimInput) (ClaimResult, error) {
	e := c.Export
	if c.HandedOver {
		taken, ok, err := runlog.TakeOverExport(ctx, a.DB, e, workflowOf(ctx), a.runOf(ctx))
		if ok || err != nil {
			return ClaimResult{Export: taken, Mine: ok}, storeError(err)
		}
		// It is mine by an earlier try of this step, or another run's.
		found, err := runlog.LoadExport(ctx, a.DB, e.OrganizationID, e.ID)
		if err != nil {
			return ClaimResult{}, storeError(err)
		}
		mine := found.RunID == a.runOf(ctx) && found.Status == exports.Pending
		return ClaimResult{Export: found, Mine: mine}, nil
	}
	e.WorkflowID, e.RunID = workflowOf(ctx), a.runOf(ctx)
	e.ID = uuid.NewSHA1(e.IntegrationID, []byte("export/"+e.RunID.String()))
	if c.Schedule != nil && e.ScheduledAt != nil {
		var err error
		if e.Period, err = c.Schedule.Period(*e.ScheduledAt); err == nil {
			e.PeriodStart, e.PeriodEnd, err = exports.ParsePeriod(e.Period)
		}
		if err != nil {
			return ClaimResult{}, configurationError(err)
		}
		if a.Drift != nil {
			a.Drift(e.Drift())
		}
		if late := e.Drift(); late > c.Schedule.DriftThresholdOrDefault() {
			a.Log.Error("ALERT: a scheduled export started late", "organization_id", e.OrganizationID, "integration_id", e.IntegrationID,
				"period", e.Period, "scheduled_at", *e.ScheduledAt, "drift", late.String())
		}
	}
	if day := time.Now().Add(14 * time.Hour); e.PeriodStart.After(day) { // it is nowhere later than in UTC+14
		return ClaimResult{}, configurationError(fmt.Errorf("period %s has not begun: nothing can be exported yet", e.Period))
	}
	claimed, mine, err := runlog.ClaimExport(ctx, a.DB, e)
	if overlap := (*runlog.OverlapError)(nil); errors.As(err, &overlap) {
		return ClaimResult{}, configurationError(err)
	}
	if err != nil || claimed.Status != exports.Pending || mine {
		return ClaimResult{Export: claimed, Mine: mine && claimed.Status == exports.Pending}, storeError(err)
	}
	alive, err := a.isAlive(ctx, claimed.WorkflowID, claimed.RunID)
	if err != nil || alive {
		return ClaimResult{Export: claimed}, storeError(err)
	}
	taken, ok, err := runlog.TakeOverExport(ctx, a.DB, claimed, e.WorkflowID, e.RunID)
	if !ok {
		return ClaimResult{Export: claimed}, storeError(err)
	}
	return ClaimResult{Export: taken, Mine: true, TakenOver: true}, nil
}

// isAlive reports whether a run has not ended. Only a closed status is an end:
// a run that is paused is alive, and one that has continued as new lives on in
// its successor.
func (a *Activities) isAlive(ctx context.Context, workflowID string, run uuid.UUID) (bool, error) {
	if a.Alive != nil {
		return a.Alive(ctx, workflowID, run)
	}
	var gone *serviceerror.NotFound
	for _, id := range []string{run.String(), ""} {
		d, err := activity.GetClient(ctx).DescribeWorkflowExecution(ctx, workflowID, id)
		if errors.As(err, &gone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		switch info := d.GetWorkflowExecutionInfo(); info.GetStatus() {
		case enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW:
			continue // look at the newest of the chain
		case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, enums.WORKFLOW_EXECUTION_STATUS_FAILED, enums.WORKFLOW_EXECUTION_STATUS_CANCELED,
			enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
			return false, nil
		default:
			return info.GetExecution().GetRunId() != a.runOf(ctx).String(), nil // the newest is this one itself
		}
	}
	return false, nil
}

func workflowOf(ctx context.Context) string { return activity.GetInfo(ctx).WorkflowExecution.ID }

// owner is the calling run as the owner of an export, with the number under which
// it claimed it.
func (a *Activities) owner(ctx context.Context, e exports.Export) exports.Export {
	e.RunID = a.runOf(ctx)
	return e
}

// PlanExport assigns entries to chunks. A source that cannot be planned from is
// a permanent failure, of type [classify.Configuration].
func (a *Activities) PlanExport(ctx context.Context, e exports.Export) (exports.Plan, error) {
	defer goingOn(ctx)()
	spec, err := runlog.LoadIntegration(ctx, a.DB, e.OrganizationID, e.IntegrationID)
	if errors.Is(err, runlog.ErrNotFound) {
		return exports.Plan{}, configurationError(err)
	} else if err != nil {
		return exports.Plan{}, storeError(err)
	}
	if spec.Adapter != e.AdapterName {
		return exports.Plan{}, configurationError(fmt.Errorf("integration %s uses adapter %s, not %s", spec.Name, spec.Adapter, AdapterLabel(e.AdapterName)))
	}
	exporter, ok := a.Adapters[spec.Adapter].(adapters.Exporter)
	if !ok {
		return exports.Plan{}, configurationError(fmt.Errorf("this worker has no adapter %q that takes exports", spec.Adapter))
	}
	vendor := exporter.Vendor()
	if err := vendor.NeedSettings(spec.Settings); err != nil {
		return exports.Plan{}, configurationError(err)
	}
	contract, err := runlog.LoadContract(ctx, a.DB, e.OrganizationID, e.IntegrationID)
	if err != nil {
		return exports.Plan{}, storeError(err)
	}
	full := ChunkSize(vendor, spec.Export)
	size := contract.SizeFor(full)
	chunks, err := runlog.PlanExport(ctx, a.DB, a.Sources, a.owner(ctx, e), spec.Export, full, size)
	if source := (*runlog.SourceError)(nil); errors.As(err, &source) {
		return exports.Plan{}, configurationError(err)
	}
	return exports.Plan{
		Chunks: chunks, LateErrors: vendor.Export.LateErrors, Verify: chunks > 0 && !contract.Holds(spec.ContractFile()),
		Size: size, Full: full, Ping: vendor.Export.QuietRefusal, Isolate: spec.Export.Isolating(), EqualRefusals: cmp.Or(spec.Export.EqualRefusals, integrations.DefaultEqualRefusals),
	}, storeError(err)
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
func ChunkSize(v adapters.Vendor, e integrations.ExportSettings) int {
	if e.ChunkSize > 0 {
		return min(e.ChunkSize, v.Export.Entries)
	}
	return v.Export.Default
}

// order gives an order about an export as its owner, and stores what the run has cost
// so far.
func order[T any](ctx context.Context, a *Activities, e exports.Export, give func(exports.Owner) (T, error)) (T, error) {
	owned := a.owner(ctx, e)
	result, err := give(owned.Owner())
	if err == nil {
		err = runlog.RecordCost(ctx, a.DB, owned)
	}
	return result, storeError(err)
}

// SplitInput asks to halve a refused chunk.
type SplitInput struct {
	Export exports.Export `json:"export"`
	exports.Split
}

// SplitChunk halves a refused chunk, or rejects its only voucher. It returns
// whether it was halved.
func (a *Activities) SplitChunk(ctx context.Context, s SplitInput) (bool, error) {
	return order(ctx, a, s.Export, func(o exports.Owner) (bool, error) {
		return runlog.SplitChunk(ctx, a.DB, o, s.Chunk, s.Into, s.Reason, !s.Keep)
	})
}

// DrawInput asks to move one voucher to a chunk of its own.
type DrawInput struct {
	Export exports.Export `json:"export"`
	exports.Draw
}

// DrawVoucher moves one voucher of a chunk to a chunk of its own.
func (a *Activities) DrawVoucher(ctx context.Context, d DrawInput) (exports.DrawResult, error) {
	return order(ctx, a, d.Export, func(o exports.Owner) (exports.DrawResult, error) {
		return runlog.DrawVoucher(ctx, a.DB, o, d.Chunk, d.Into, d.Place)
	})
}

// FitInput asks for smaller chunks.
type FitInput struct {
	Export exports.Export `json:"export"`
	exports.Fit
}

// FitChunks makes chunks smaller that were too much for the vendor.
func (a *Activities) FitChunks(ctx context.Context, f FitInput) (exports.FitResult, error) {
	defer goingOn(ctx)()
	return order(ctx, a, f.Export, func(o exports.Owner) (exports.FitResult, error) {
		return runlog.FitChunks(ctx, a.DB, o, f.Fit)
	})
}

// DeferExport records until when an export waits.
func (a *Activities) DeferExport(ctx context.Context, e exports.Export) error {
	var until time.Time
	if e.DeferredUntil != nil {
		until = *e.DeferredUntil
	}
	_, err := order(ctx, a, e, func(o exports.Owner) (any, error) { return nil, runlog.DeferExport(ctx, a.DB, o, until) })
	return err
}

// CloseExport counts and closes an export.
func (a *Activities) CloseExport(ctx context.Context, e exports.Export) (exports.Export, error) {
	defer goingOn(ctx)()
	closed, err := runlog.CloseExport(ctx, a.DB, a.owner(ctx, e))
	return closed, storeError(err)
}

// Chunk is the body of an invocation that exports: which entries, not the
// entries. They never travel through Temporal.
type Chunk struct {
	ExportID uuid.UUID    `json:"exportId"`
	Chunk    int          `json:"chunk"`
	Fence    int64        `json:"fence,omitempty"` // of the run that owns the export
	Step     exports.Step `json:"step,omitempty"`
}

// Body is the chunk as JSON. It is written by hand because workflows call it,
// and encoding/json counts as non-deterministic.
func (c Chunk) Body() json.RawMessage {
	body := fmt.Appendf(nil, `{"exportId":"%s","chunk":%d`, c.ExportID, c.Chunk)
	if c.Fence != 0 {
		body = fmt.Appendf(body, `,"fence":%d`, c.Fence)
	}
	if c.Step != "" {
		body = fmt.Appendf(body, `,"step":"%s"`, c.Step)
	}
	return append(body, '}')
}

// configurationError ends an export: somebody has to fix the set-up.
func configurationError(err error) error {
	return temporal.NewApplicationErrorWithOptions(cut(err.Error()), string(classify.Configuration),
		temporal.ApplicationErrorOptions{NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign})
}

// storeError keeps a database error short and without what it may quote.
func storeError(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, runlog.ErrNotOwner) { // the run has to claim again
		return temporal.NewApplicationErrorWithOptions(cut(err.Error()), string(classify.NotOwner),
			temporal.ApplicationErrorOptions{NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign})
	}
	kind := auditRefused
	if runlog.IsTransient(err) {
		kind = auditUnavailable
	}
	return temporal.NewApplicationErrorWithOptions(cut(err.Error()), kind, temporal.ApplicationErrorOptions{Category: temporal.ApplicationErrorCategoryBenign})
}
