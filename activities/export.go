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
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

// ClaimName is the name under which [Activities.ClaimExport] is registered.
const ClaimName = "ClaimExport"

// ClaimInput is what [Activities.ClaimExport] is to claim. With a schedule, the
// period is the one that was due at the export's scheduled time. With HandedOver
// the export is the one that the run before in the same chain hands over.
type ClaimInput struct {
	Export     exports.Export         `json:"export"`
	Schedule   *integrations.Schedule `json:"schedule,omitempty"`
	HandedOver bool                   `json:"handedOver,omitempty"`
}

// ClaimResult is the export as it is claimed, or as another run has it.
type ClaimResult struct {
	Export    exports.Export `json:"export"`
	Mine      bool           `json:"mine"`
	TakenOver bool           `json:"takenOver,omitempty"` // from a run that no longer runs
}

// ClaimExport makes the calling run the owner of an export: it makes the row of
// its period, or takes over one that is pending and whose run has ended. What
// the run before still requests is refused from then on. Whatever the workflow says,
// the owner is the run that Temporal names, so that a reset has to claim again.
func (a *Activities) ClaimExport(ctx context.Context, in ClaimInput) (ClaimResult, error) {
	e, run := in.Export, a.options.RunID(ctx)
	if in.HandedOver {
		taken, ok, err := runlog.TakeOverExport(ctx, a.options.DB, e, workflowOf(ctx), run)
		if ok || err != nil {
			return ClaimResult{Export: taken, Mine: ok}, storeError(err)
		}
		// It is mine by an earlier try of this step, or another run's.
		found, err := runlog.LoadExport(ctx, a.options.DB, e.OrganizationID, e.ID)
		if err != nil {
			return ClaimResult{}, storeError(err)
		}
		mine := found.RunID == run && found.Status == exports.Pending
		return ClaimResult{Export: found, Mine: mine}, nil
	}
	e.WorkflowID, e.RunID = workflowOf(ctx), run
	e.ID = uuid.NewSHA1(e.IntegrationID, []byte("export/"+e.RunID.String()))
	if in.Schedule != nil && e.ScheduledAt != nil {
		var err error
		if e.Period, err = in.Schedule.Period(*e.ScheduledAt); err == nil {
			e.PeriodStart, e.PeriodEnd, err = exports.ParsePeriod(e.Period)
		}
		if err != nil {
			return ClaimResult{}, configurationError(err)
		}
	}
	if day := time.Now().Add(14 * time.Hour); e.PeriodStart.After(day) { // it is nowhere later than in UTC+14
		return ClaimResult{}, configurationError(fmt.Errorf("period %s has not begun: nothing can be exported yet", e.Period))
	}
	claimed, mine, err := runlog.ClaimExport(ctx, a.options.DB, e)
	if overlap := (*runlog.OverlapError)(nil); errors.As(err, &overlap) {
		return ClaimResult{}, configurationError(err)
	}
	mine = mine && err == nil && claimed.Status == exports.Pending
	if mine && in.Schedule != nil && e.ScheduledAt != nil {
		a.reportDrift(e, in.Schedule.DriftThresholdOrDefault())
	}
	if err != nil || claimed.Status != exports.Pending || mine {
		return ClaimResult{Export: claimed, Mine: mine}, storeError(err)
	}
	running, err := a.options.Alive(ctx, claimed.WorkflowID, claimed.RunID)
	if err != nil || running {
		return ClaimResult{Export: claimed}, storeError(err)
	}
	taken, ok, err := runlog.TakeOverExport(ctx, a.options.DB, claimed, e.WorkflowID, e.RunID)
	if !ok {
		return ClaimResult{Export: claimed}, storeError(err)
	}
	return ClaimResult{Export: taken, Mine: true, TakenOver: true}, nil
}

// reportDrift says how late a scheduled export is that has just been claimed.
func (a *Activities) reportDrift(e exports.Export, threshold time.Duration) {
	late := e.Drift()
	a.options.ObserveDrift(late)
	if late > threshold {
		a.options.Log.Error("ALERT: a scheduled export started late", "organization_id", e.OrganizationID, "integration_id", e.IntegrationID,
			"period", e.Period, "scheduled_at", *e.ScheduledAt, "drift", late.String())
	}
}

// Closed reports whether a status of a run is an end. A run that is paused has not ended,
// and one that has continued as new lives on in its successor.
func Closed(s enums.WorkflowExecutionStatus) bool {
	switch s {
	case enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, enums.WORKFLOW_EXECUTION_STATUS_FAILED, enums.WORKFLOW_EXECUTION_STATUS_CANCELED,
		enums.WORKFLOW_EXECUTION_STATUS_TERMINATED, enums.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return true
	}
	return false
}

// alive reports whether a run has not ended, as Temporal has it.
func alive(ctx context.Context, workflowID string, run uuid.UUID) (bool, error) {
	var gone *serviceerror.NotFound
	for _, id := range []string{run.String(), ""} {
		d, err := activity.GetClient(ctx).DescribeWorkflow(ctx, workflowID, id)
		if errors.As(err, &gone) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if d.Status == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW {
			continue // look at the newest of the chain
		}
		return !Closed(d.Status) && d.WorkflowExecution.RunID != runID(ctx).String(), nil // the newest may be this one itself
	}
	return false, nil
}

func workflowOf(ctx context.Context) string { return activity.GetInfo(ctx).WorkflowExecution.ID }

// owned is an export with the calling run as its owner, under the number under which
// it claimed it.
func (a *Activities) owned(ctx context.Context, e exports.Export) exports.Export {
	e.RunID = a.options.RunID(ctx)
	return e
}

// PlanName is the name under which [Activities.PlanExport] is registered.
const PlanName = "PlanExport"

// PlanInput is the export that [Activities.PlanExport] is to plan.
type PlanInput struct {
	Export   exports.Export `json:"export"`
	Vouchers []string       `json:"vouchers,omitempty"` // of a retry: of the rejected vouchers only these; none is all
}

// PlanResult is the plan of an export.
type PlanResult struct {
	Plan exports.Plan `json:"plan"`
}

// PlanExport assigns entries to chunks. A source that cannot be planned from is
// a permanent failure, of type [classify.Configuration].
func (a *Activities) PlanExport(ctx context.Context, in PlanInput) (PlanResult, error) {
	defer heartbeats(ctx)()
	e := in.Export
	spec, err := runlog.LoadIntegration(ctx, a.options.DB, e.OrganizationID, e.IntegrationID)
	if errors.Is(err, runlog.ErrNotFound) {
		return PlanResult{}, configurationError(err)
	} else if err != nil {
		return PlanResult{}, storeError(err)
	}
	if spec.Adapter != e.AdapterName {
		return PlanResult{}, configurationError(fmt.Errorf("integration %s uses adapter %s, not %s", spec.Name, spec.Adapter, AdapterLabel(e.AdapterName)))
	}
	exporter, ok := a.options.Adapters[spec.Adapter].(adapters.Exporter)
	if !ok {
		return PlanResult{}, configurationError(fmt.Errorf("this worker has no adapter %q that takes exports", spec.Adapter))
	}
	vendor := exporter.Vendor()
	if err := vendor.NeedSettings(spec.Settings); err != nil {
		return PlanResult{}, configurationError(err)
	}
	contract, err := runlog.LoadContract(ctx, a.options.DB, e.OrganizationID, e.IntegrationID)
	if err != nil {
		return PlanResult{}, storeError(err)
	}
	full := vendor.Export.ChunkSize(spec.Export.ChunkSize)
	size := contract.SizeFor(full)
	chunks, err := runlog.PlanRetry(ctx, a.options.DB, a.options.Sources, a.owned(ctx, e), spec.Export, full, size, in.Vouchers)
	if source := (*runlog.SourceError)(nil); errors.As(err, &source) {
		return PlanResult{}, configurationError(err)
	}
	return PlanResult{exports.Plan{
		Chunks: chunks, LateErrors: vendor.Export.LateErrors, Verify: chunks > 0 && !contract.Holds(spec.ContractFile()),
		Size: size, Full: full, Ping: vendor.Export.QuietRefusal, Isolate: spec.Export.Isolating(), EqualRefusals: cmp.Or(spec.Export.EqualRefusals, integrations.DefaultEqualRefusals),
	}}, storeError(err)
}

// heartbeats reports that an activity is under way, until it is stopped.
func heartbeats(ctx context.Context) (stop func()) {
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

// asOwner changes an export as its owner, and stores what the run has cost so far.
func asOwner[T any](ctx context.Context, a *Activities, e exports.Export, change func(exports.Owner) (T, error)) (T, error) {
	owned := a.owned(ctx, e)
	result, err := change(owned.Owner())
	if err == nil {
		err = runlog.RecordCost(ctx, a.options.DB, owned)
	}
	return result, storeError(err)
}

// SplitName is the name under which [Activities.SplitChunk] is registered.
const SplitName = "SplitChunk"

// SplitInput asks to halve a refused chunk.
type SplitInput struct {
	Export exports.Export `json:"export"`
	exports.Split
}

// SplitResult is what came of it.
type SplitResult struct {
	Halved bool `json:"halved"` // false if it is one voucher, which is rejected unless it is kept
}

// SplitChunk halves a refused chunk, or rejects its only voucher.
func (a *Activities) SplitChunk(ctx context.Context, in SplitInput) (SplitResult, error) {
	return asOwner(ctx, a, in.Export, func(o exports.Owner) (SplitResult, error) {
		halved, err := runlog.SplitChunk(ctx, a.options.DB, o, in.Chunk, in.Into, in.Reason, !in.Keep)
		return SplitResult{Halved: halved}, err
	})
}

// DrawName is the name under which [Activities.DrawVoucher] is registered.
const DrawName = "DrawVoucher"

// DrawInput asks to move one voucher to a chunk of its own.
type DrawInput struct {
	Export exports.Export `json:"export"`
	exports.Draw
}

// DrawVoucher moves one voucher of a chunk to a chunk of its own.
func (a *Activities) DrawVoucher(ctx context.Context, in DrawInput) (exports.DrawResult, error) {
	return asOwner(ctx, a, in.Export, func(o exports.Owner) (exports.DrawResult, error) {
		return runlog.DrawVoucher(ctx, a.options.DB, o, in.Chunk, in.Into, in.Place)
	})
}

// FitName is the name under which [Activities.FitChunks] is registered.
const FitName = "FitChunks"

// FitInput asks for smaller chunks.
type FitInput struct {
	Export exports.Export `json:"export"`
	exports.Fit
}

// FitChunks makes chunks smaller that were too much for the vendor.
func (a *Activities) FitChunks(ctx context.Context, in FitInput) (exports.FitResult, error) {
	defer heartbeats(ctx)()
	return asOwner(ctx, a, in.Export, func(o exports.Owner) (exports.FitResult, error) {
		return runlog.FitChunks(ctx, a.options.DB, o, in.Fit)
	})
}

// DeferName is the name under which [Activities.DeferExport] is registered.
const DeferName = "DeferExport"

// DeferInput is an export that waits until its DeferredUntil.
type DeferInput struct {
	Export exports.Export `json:"export"`
}

// DeferExport records until when an export waits.
func (a *Activities) DeferExport(ctx context.Context, in DeferInput) error {
	var until time.Time
	if in.Export.DeferredUntil != nil {
		until = *in.Export.DeferredUntil
	}
	_, err := asOwner(ctx, a, in.Export, func(o exports.Owner) (any, error) {
		return nil, runlog.DeferExport(ctx, a.options.DB, o, until, in.Export.DeferredFor)
	})
	return err
}

// CloseName is the name under which [Activities.CloseExport] is registered.
const CloseName = "CloseExport"

// CloseInput is an export that has ended, with what became of it.
type CloseInput struct {
	Export exports.Export `json:"export"`
}

// CloseResult is the export as it is on record.
type CloseResult struct {
	Export exports.Export `json:"export"`
}

// CloseExport counts and closes an export.
func (a *Activities) CloseExport(ctx context.Context, in CloseInput) (CloseResult, error) {
	defer heartbeats(ctx)()
	closed, err := runlog.CloseExport(ctx, a.options.DB, a.owned(ctx, in.Export))
	return CloseResult{Export: closed}, storeError(err)
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
	return temporal.NewApplicationErrorWithOptions(redact.Text(err.Error()), string(classify.Configuration),
		temporal.ApplicationErrorOptions{NonRetryable: true, Category: temporal.ApplicationErrorCategoryBenign})
}
