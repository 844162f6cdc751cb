package workflows

import (
	"cmp"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
)

// SyncName is the workflow type of [Sync].
const SyncName = "Sync"

// ProgressQuery asks a running [Sync] for its [ProgressReport].
const ProgressQuery = "progress"

// ResumedSignal makes a [Sync] that waits because its integration was paused look again.
const ResumedSignal = "resumed"

// SyncInput says what a run exports.
type SyncInput struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	IntegrationID  uuid.UUID `json:"integrationId"`
	// IntegrationName is shown to people; "" in runs of schedules that were applied before there was one.
	IntegrationName string                 `json:"integrationName,omitempty"`
	AdapterName     string                 `json:"adapterName"`
	Period          string                 `json:"period"` // by the schedule if there is one
	PeriodStart     time.Time              `json:"periodStart"`
	PeriodEnd       time.Time              `json:"periodEnd"`
	Trigger         exports.Trigger        `json:"trigger"`
	TriggeredBy     string                 `json:"triggeredBy"`
	ParentID        *uuid.UUID             `json:"parentExportId,omitempty"` // of a retry
	Schedule        *integrations.Schedule `json:"schedule,omitempty"`
	Policy          classify.Policy        `json:"policy"`
	DeferBase       time.Duration          `json:"deferBase,omitempty"` // the first wait of a deferral; a minute if 0
	Resume          *exports.Progress      `json:"resume,omitempty"`    // where the run before this one in the chain stopped

	OwnQueue bool `json:"ownQueue,omitempty"` // of its invocations; see [activities.Invocation]

	Vouchers []string `json:"vouchers,omitempty"` // of a retry: of the rejected vouchers only these; none is all
}

// Summary is what the Temporal UI shows of a run.
func (in SyncInput) Summary() string {
	return Line(cmp.Or(in.IntegrationName, in.AdapterName) + " export " + in.Period)
}

// SyncResult is what became of a run. AlreadyExported is true if the period had its
// export before; then Export is that one, and the vendor was not called. Refused says why
// a period cannot be exported at all; then there is no export.
type SyncResult struct {
	AlreadyExported bool           `json:"alreadyExported"`
	Refused         string         `json:"refused,omitempty"`
	Export          exports.Export `json:"export"`
}

// Sync exports a period once: claim it, plan which entries go in which chunk, send
// the chunks, ask for late errors, close. PostgreSQL holds what was claimed, planned,
// sent and exported, so that whatever is killed in between, the next run continues
// from there. Entries never travel through Temporal.
//
//	claim ──► plan ──► warm up ──► next item ──► close
//	  ▲                             │  ▲  │
//	  └──── no longer the owner ────┘  └──┘ until nothing is left, or the run fails
//
// Only the run that owns the export gives orders about it. A run that finds that it is
// no longer the owner, because it was reset or another run has taken the export over,
// claims again.
func Sync(ctx workflow.Context, in SyncInput) (SyncResult, error) {
	var p exports.Progress
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (ProgressReport, error) {
		return reportOf(in, p, workflow.Now(ctx)), nil
	}); err != nil {
		return SyncResult{}, err
	}
	if err := in.Validate(); err != nil {
		return ended(ctx, in, SyncResult{Refused: "the run is not valid, and nothing was sent: " + onOneLine(err)})
	}
	for claims := 1; ; claims++ {
		result, err := syncAsOwner(ctx, in, &p)
		switch {
		case err == nil:
			return ended(ctx, in, result)
		case !lostOwnership(err) || claims == maxClaims:
			return result, err
		}
		in.Resume = nil
	}
}

// ended is the last thing that a run does.
func ended(ctx workflow.Context, in SyncInput, r SyncResult) (SyncResult, error) {
	e := r.Export
	show(ctx, in.IntegrationName, "%s; %d of %d entries exported, %d refused, %d unknown", cmp.Or(string(r.Ending()), "done"), e.Exported, e.Total, e.Rejected, e.Unknown)
	return r, noteEnding(ctx, syncOutcome, r.Ending())
}

// maxClaims bounds how often a run claims its export. Each time somebody else
// must have taken it from a run that is alive.
const maxClaims = 10

// errNotOwner ends what a run does as the owner of its export.
var errNotOwner = errors.New("the run no longer owns its export")

// lostOwnership reports whether an error means that the run has to claim again.
func lostOwnership(err error) bool {
	var failed *temporal.ApplicationError
	return errors.Is(err, errNotOwner) || errors.As(err, &failed) && failed.Type() == string(classify.NotOwner)
}

// syncAsOwner brings an export to its end, as long as the run is its owner.
func syncAsOwner(ctx workflow.Context, in SyncInput, p *exports.Progress) (SyncResult, error) {
	durable, _ := workflow.NewDisconnectedContext(ctx) // what is claimed must be closed, also by a run that was cancelled
	if in.Resume != nil {
		if err := resume(durable, in, p); err != nil {
			return SyncResult{}, err
		}
	} else if result, begun, err := begin(ctx, in, p); !begun {
		return result, err
	}
	for !p.Failed() && !p.Over() {
		if ctx.Err() != nil {
			p.Fail(classify.Permanent, classify.Cancelled, "cancelled by the caller")
			break
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.Resume = p
			return SyncResult{}, workflow.NewContinueAsNewError(ctx, SyncName, in)
		}
		if err := makeNext(ctx, in, p); err != nil {
			return SyncResult{}, err
		}
	}
	p.Finish()
	show(ctx, in.IntegrationName, "%s; the export is being closed", sent(p))
	var closed activities.CloseResult
	err := runUntilDone(durable, activities.CloseName, "close", activities.CloseInput{Export: p.Export}, &closed)
	return SyncResult{Export: closed.Export}, err
}

// resume takes over from the run before this one in the chain, which continued as new.
func resume(ctx workflow.Context, in SyncInput, p *exports.Progress) error {
	if !in.Resume.HandedOver(workflow.GetInfo(ctx).ContinuedExecutionRunID) {
		return errNotOwner
	}
	*p = *in.Resume
	var claimed activities.ClaimResult
	err := runUntilDone(ctx, activities.ClaimName, "resume "+p.Export.Period, activities.ClaimInput{Export: p.Export, HandedOver: true}, &claimed)
	if err != nil {
		return err
	}
	if !claimed.Mine {
		return errNotOwner
	}
	p.Export.WorkflowID, p.Export.RunID, p.Export.Fence = claimed.Export.WorkflowID, claimed.Export.RunID, claimed.Export.Fence
	return nil
}

// begin claims an export, plans it and warms up. Where there is nothing to be done,
// begun is false and result is the run's. A plan that only a person can put right fails
// the export, which then goes to its close.
func begin(ctx workflow.Context, in SyncInput, p *exports.Progress) (result SyncResult, begun bool, err error) {
	durable, _ := workflow.NewDisconnectedContext(ctx)
	show(ctx, in.IntegrationName, "its entries are being planned")
	claimed, err := claim(durable, in)
	if why := configurationError(err); why != "" {
		return SyncResult{Refused: why}, false, nil
	}
	if err != nil || !claimed.Mine {
		return SyncResult{AlreadyExported: true, Export: claimed.Export}, false, err
	}
	*p = exports.Progress{Export: claimed.Export}
	var planned activities.PlanResult
	err = runUntilDone(durable, activities.PlanName, "plan", activities.PlanInput{Export: p.Export, Vouchers: in.Vouchers}, &planned)
	p.Plan = planned.Plan
	if why := configurationError(err); why != "" {
		p.Fail(classify.Permanent, classify.Configuration, why)
	} else if err != nil {
		return SyncResult{}, false, err
	}
	p.Begin()
	if p.Plan.Chunks > 0 {
		w := warmUp(ctx, in)
		p.Export.WarmUp, p.Export.ColdStart, p.Export.WarmUpMS = w.Took, w.Cold, w.Milliseconds()
		p.RefusesAll = w.Skipped == "" && w.Kind == classify.Business
	}
	return SyncResult{}, true, nil
}

// scheduledStart is set by Temporal Schedules: the nominal time, also when late.
var scheduledStart = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// claim makes the run's row, or finds the one that its period has. Whose run it is, the
// activity knows from Temporal.
func claim(ctx workflow.Context, in SyncInput) (c activities.ClaimResult, err error) {
	info := workflow.GetInfo(ctx)
	var scheduled *time.Time
	if at, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart); ok && in.Schedule != nil {
		scheduled = &at
	} else if in.Schedule != nil {
		scheduled = &info.WorkflowStartTime // started by hand
	}
	err = runUntilDone(ctx, activities.ClaimName, "claim "+in.Period, activities.ClaimInput{Schedule: in.Schedule, Export: exports.Export{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, AdapterName: in.AdapterName,
		Period: in.Period, PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd, Trigger: in.Trigger, TriggeredBy: in.TriggeredBy,
		ParentID: in.ParentID, ScheduledAt: scheduled, StartedAt: info.WorkflowStartTime,
	}}, &c)
	return c, err
}

// warmedBy is how recent traffic must be for a run to skip its warm-up.
const warmedBy = time.Minute

// warmUp makes a worker ready for a run: token, connection, the vendor's first answer.
// It is one attempt of ten seconds. If the vendor is away, the first chunk will show it,
// and a chunk can wait.
func warmUp(ctx workflow.Context, in SyncInput) (r activities.WarmUpResult) {
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 12 * time.Second, ScheduleToCloseTimeout: 20 * time.Second, Summary: "warm up", RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}), activities.WarmUpName, activities.WarmUpInput{
		Target: activities.Target{OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, Now: workflow.Now(ctx)}, UnlessTraffic: warmedBy,
	}).Get(ctx, &r)
	if err != nil {
		return activities.WarmUpResult{}
	}
	return r
}

// configurationError is the message of an activity's error that only a person can put
// right, or "".
func configurationError(err error) string {
	var failed *temporal.ApplicationError
	if errors.As(err, &failed) && failed.Type() == string(classify.Configuration) {
		return failed.Message()
	}
	return ""
}

// runUntilDone runs one of the activities that keep a record. Like the audit rows, they
// are retried without limit.
//
// Planning, closing and making chunks smaller touch every entry and may take minutes.
// They send heartbeats, so that a worker that is lost in one is noticed after 10 s; in
// the others it is after the 20 s that they may take.
func runUntilDone(ctx workflow.Context, name, summary string, arg, result any) error {
	o := mirrorOptions()
	o.Summary = summary
	if name == activities.PlanName || name == activities.CloseName || name == activities.FitName {
		o.StartToCloseTimeout, o.HeartbeatTimeout = 3*time.Minute, 10*time.Second
	}
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), name, arg).Get(ctx, result)
}
