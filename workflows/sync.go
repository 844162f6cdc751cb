package workflows

import (
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

// ProgressQuery asks a running [Sync] for its [exports.Progress].
const ProgressQuery = "progress"

// SyncInput says what a run exports.
type SyncInput struct {
	OrganizationID uuid.UUID              `json:"organizationId"`
	IntegrationID  uuid.UUID              `json:"integrationId"`
	AdapterName    string                 `json:"adapterName"`
	Period         string                 `json:"period"` // by the schedule if there is one
	PeriodStart    time.Time              `json:"periodStart"`
	PeriodEnd      time.Time              `json:"periodEnd"`
	Trigger        exports.Trigger        `json:"trigger"`
	TriggeredBy    string                 `json:"triggeredBy"`
	ParentID       *uuid.UUID             `json:"parentExportId,omitempty"` // of a retry
	Schedule       *integrations.Schedule `json:"schedule,omitempty"`
	Policy         classify.Policy        `json:"policy"`
	DeferBase      time.Duration          `json:"deferBase,omitempty"` // the first wait of a deferral; a minute if 0
	Resume         *exports.Progress      `json:"resume,omitempty"`    // where the run before this one in the chain stopped

	OwnQueue bool `json:"ownQueue,omitempty"` // of its invocations; see [activities.Invocation]
}

// SyncResult is what became of a run. AlreadyExported is true if the period
// had its export before; then Export is that one and nobody was called. Refused
// says why a period cannot be exported at all; then there is no export.
type SyncResult struct {
	AlreadyExported bool           `json:"alreadyExported"`
	Refused         string         `json:"refused,omitempty"`
	Export          exports.Export `json:"export"`
}

// Sync exports a period once: claim it, plan which entries go in which chunk,
// send the chunks, ask what the vendor found faulty, close. PostgreSQL holds
// what was claimed, planned, sent and exported, so that whatever is killed in
// between, the next one goes on from there; entries never travel through
// Temporal.
//
// Only the run that owns the export gives orders about it. One that finds that it
// is not the owner any more, because it was reset or another one has taken the
// export over, claims again.
func Sync(ctx workflow.Context, in SyncInput) (SyncResult, error) {
	var p exports.Progress
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (exports.Progress, error) { return p, nil }); err != nil {
		return SyncResult{}, err
	}
	if err := in.Validate(); err != nil {
		return SyncResult{Refused: "the run is not valid, and nothing was sent: " + onOneLine(err)}, nil
	}
	for claims := 1; ; claims++ {
		result, err := own(ctx, in, &p)
		if !lostOwnership(err) || claims == maxClaims {
			return result, err
		}
		in.Resume = nil
	}
}

// maxClaims bounds how often a run claims its export. Each time somebody else
// must have taken it from a run that is alive.
const maxClaims = 10

// errNotOwner ends what a run does as the owner of its export.
var errNotOwner = errors.New("the run does not own its export any more")

// lostOwnership reports whether an error means that the run has to claim again.
func lostOwnership(err error) bool {
	var failed *temporal.ApplicationError
	return errors.Is(err, errNotOwner) || errors.As(err, &failed) && failed.Type() == string(classify.NotOwner)
}

// own claims an export and brings it to its end, as long as the run is the owner.
func own(ctx workflow.Context, in SyncInput, p *exports.Progress) (SyncResult, error) {
	goOn := true
	durable, _ := workflow.NewDisconnectedContext(ctx) // what is claimed must be closed, also by who is cancelled
	if in.Resume != nil {
		if !in.Resume.HandedOver(workflow.GetInfo(ctx).ContinuedExecutionRunID) {
			return SyncResult{}, errNotOwner
		}
		*p = *in.Resume
		var c activities.ClaimResult
		if err := store(durable, activities.ClaimName, "resume "+p.Export.Period, activities.ClaimInput{Export: p.Export, HandedOver: true}, &c); err != nil {
			return SyncResult{}, err
		}
		if !c.Mine {
			return SyncResult{}, errNotOwner
		}
		p.Export.WorkflowID, p.Export.RunID, p.Export.Fence = c.Export.WorkflowID, c.Export.RunID, c.Export.Fence
	} else {
		claimed, err := claim(durable, in)
		if why := configurationFault(err); why != "" {
			return SyncResult{Refused: why}, nil
		}
		if err != nil || !claimed.Mine {
			return SyncResult{AlreadyExported: true, Export: claimed.Export}, err
		}
		*p = exports.Progress{Export: claimed.Export}
		err = store(durable, activities.PlanName, "plan", p.Export, &p.Plan)
		if why := configurationFault(err); why != "" {
			p.Fail(classify.Permanent, classify.Configuration, why)
			goOn = false
		} else if err != nil {
			return SyncResult{}, err
		}
		p.Begin()
		if p.Plan.Chunks > 0 {
			w := warmUp(ctx, in)
			p.Export.WarmUp, p.Export.ColdStart, p.Export.WarmUpMS = w.Took, w.Cold, w.Milliseconds()
			p.RefusesAll = w.Skipped == "" && w.Kind == classify.Business
		}
	}
	if p.Plan.Full > 0 {
		// A worker of before would take the answer to the first step, which it does not
		// know, for that of the first chunk. It cannot replay this, and leaves the run to others.
		workflow.GetVersion(ctx, "contract", workflow.DefaultVersion, 1)
	}
	for goOn && !p.Over() {
		if ctx.Err() != nil {
			p.Fail(classify.Permanent, classify.Cancelled, "cancelled by the caller")
			break
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.Resume = p
			return SyncResult{}, workflow.NewContinueAsNewError(ctx, SyncName, in)
		}
		var err error
		if goOn, err = step(ctx, in, p); err != nil {
			return SyncResult{}, err
		}
	}
	p.Finish()
	result := SyncResult{}
	err := store(durable, activities.CloseName, "close", p.Export, &result.Export)
	return result, err
}

// warmedBy is how recent traffic must be to leave a run's warm-up out.
const warmedBy = time.Minute

// warmUp makes a worker ready for a run. It is one try of ten seconds: a vendor
// who is away will be found so by the first chunk, which can wait.
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

// configurationFault is the message of an activity's error that only a person
// can mend, or "".
func configurationFault(err error) string {
	var failed *temporal.ApplicationError
	if errors.As(err, &failed) && failed.Type() == string(classify.Configuration) {
		return failed.Message()
	}
	return ""
}

// scheduledStart is set by Temporal Schedules: the nominal time, also when late.
var scheduledStart = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// claim makes the run's row, or finds the one that its period has.
func claim(ctx workflow.Context, in SyncInput) (c activities.ClaimResult, err error) {
	info := workflow.GetInfo(ctx)
	var scheduled *time.Time
	if at, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart); ok && in.Schedule != nil {
		scheduled = &at
	} else if in.Schedule != nil {
		scheduled = &info.WorkflowStartTime // started by hand
	}
	err = store(ctx, activities.ClaimName, "claim "+in.Period, activities.ClaimInput{Schedule: in.Schedule, Export: exports.Export{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, AdapterName: in.AdapterName,
		Period: in.Period, PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd, Trigger: in.Trigger, TriggeredBy: in.TriggeredBy,
		ParentID: in.ParentID, ScheduledAt: scheduled, StartedAt: info.WorkflowStartTime, // whose run it is, its activity knows
	}}, &c)
	return c, err
}

// store runs one of the activities that keep an export's record. They are
// retried without limit, like the audit rows.
//
// Planning, closing and making chunks smaller touch every entry and may take minutes. They report that
// they go on, so that a worker that is lost in one is missed after 10 s; in the
// others it is after the 20 s that they may take.
func store(ctx workflow.Context, name, summary string, arg, result any) error {
	o := mirrorOptions()
	o.Summary = summary
	if name == activities.PlanName || name == activities.CloseName || name == activities.FitName {
		o.StartToCloseTimeout, o.HeartbeatTimeout = 3*time.Minute, 10*time.Second
	}
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), name, arg).Get(ctx, result)
}
