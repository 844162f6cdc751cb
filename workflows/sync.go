package workflows

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// SyncName is the workflow type of [Sync].
const SyncName = "Sync"

// ProgressQuery asks a running [Sync] for its [Progress].
const ProgressQuery = "progress"

// maxDeferrals is how often a run waits for a vendor before it gives up; with
// the waits doubling from a minute to twenty, about fifteen hours.
const maxDeferrals = 48

// SyncInput says what a run exports.
type SyncInput struct {
	OrganizationID uuid.UUID              `json:"organizationId"`
	IntegrationID  uuid.UUID              `json:"integrationId"`
	AdapterName    string                 `json:"adapterName"`
	Period         string                 `json:"period"` // by the schedule if there is one
	PeriodStart    time.Time              `json:"periodStart"`
	PeriodEnd      time.Time              `json:"periodEnd"`
	Trigger        string                 `json:"trigger"`
	TriggeredBy    string                 `json:"triggeredBy"`
	ParentID       *uuid.UUID             `json:"parentExportId,omitempty"` // of a retry
	Schedule       *integrations.Schedule `json:"schedule,omitempty"`
	Policy         classify.Policy        `json:"policy"`
	DeferBase      time.Duration          `json:"deferBase,omitempty"` // the first wait of a deferral; a minute if 0
	Resume         *Progress              `json:"resume,omitempty"`    // where the run before this one in the chain stopped

	RequestsPerMinute int `json:"requestsPerMinute,omitempty"` // of its invocations
}

// Progress is how far a run is.
type Progress struct {
	Export    runlog.Export `json:"export"`
	Queue     []int         `json:"queue"` // chunks that are left, in order
	Last      int           `json:"last"`  // the highest chunk number given out
	Done      int           `json:"done"`
	Deferrals int           `json:"deferrals"` // in a row
}

// SyncResult is what became of a run. AlreadyExported is true if the period
// had its export before; then Export is that one and nobody was called.
type SyncResult struct {
	AlreadyExported bool          `json:"alreadyExported"`
	Export          runlog.Export `json:"export"`
}

// SyncOptions are the options under which a run starts. Its ID is its period's:
// there is at most one run of a period at a time.
func SyncOptions(in SyncInput) client.StartWorkflowOptions {
	id := "export/" + in.OrganizationID.String() + "/" + in.IntegrationID.String() + "/" + in.Period
	if in.ParentID != nil {
		id += "/retry/" + in.ParentID.String()
	}
	return client.StartWorkflowOptions{
		ID: id, TaskQueue: activities.TaskQueue, Priority: fairly(in.OrganizationID),
		WorkflowIDReusePolicy:    enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enums.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            in.AdapterName + " export " + in.Period,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			OrganizationID.ValueSet(in.OrganizationID.String()), IntegrationID.ValueSet(in.IntegrationID.String()), AdapterName.ValueSet(in.AdapterName)),
	}
}

// Sync exports a period once: claim it, plan which entries go in which chunk,
// send the chunks, close. PostgreSQL holds what was claimed, planned, sent and
// exported, so that whatever is killed in between, the next one goes on from
// there; entries never travel through Temporal.
func Sync(ctx workflow.Context, in SyncInput) (SyncResult, error) {
	var p Progress
	if err := workflow.SetQueryHandler(ctx, ProgressQuery, func() (Progress, error) { return p, nil }); err != nil {
		return SyncResult{}, err
	}
	if in.Resume != nil {
		p = *in.Resume
	} else {
		claimed, err := claim(ctx, in)
		if err != nil || claimed.AlreadyExported {
			return claimed, err
		}
		p.Export = claimed.Export
		if err := store(ctx, activities.PlanName, "plan", p.Export, &p.Last); err != nil {
			return SyncResult{}, err
		}
		for chunk := 1; chunk <= p.Last; chunk++ {
			p.Queue = append(p.Queue, chunk)
		}
	}
	for len(p.Queue) > 0 {
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			in.Resume = &p
			return SyncResult{}, workflow.NewContinueAsNewError(ctx, SyncName, in)
		}
		goOn, err := sendNext(ctx, in, &p)
		if err != nil {
			return SyncResult{}, err
		}
		if !goOn {
			break
		}
	}
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	result := SyncResult{}
	err := store(ctx, activities.CloseName, "close", p.Export, &result.Export)
	return result, err
}

// scheduledStart is set by Temporal Schedules: the nominal time, also when late.
var scheduledStart = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")

// claim makes the run's row, or finds the one that its period has.
func claim(ctx workflow.Context, in SyncInput) (SyncResult, error) {
	info := workflow.GetInfo(ctx)
	run, err := uuid.Parse(info.FirstRunID)
	if err != nil {
		return SyncResult{}, err
	}
	var c activities.Claimed
	var scheduled *time.Time
	if at, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart); ok && in.Schedule != nil {
		scheduled = &at
	} else if in.Schedule != nil {
		scheduled = &info.WorkflowStartTime // started by hand
	}
	err = store(ctx, activities.ClaimName, "claim "+in.Period, activities.Claim{Schedule: in.Schedule, Export: runlog.Export{
		OrganizationID: in.OrganizationID, ID: uuid.NewSHA1(run, []byte("export")), IntegrationID: in.IntegrationID, AdapterName: in.AdapterName,
		Period: in.Period, PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd, Trigger: in.Trigger, TriggeredBy: in.TriggeredBy,
		ParentID: in.ParentID, ScheduledAt: scheduled, StartedAt: info.WorkflowStartTime, WorkflowID: info.WorkflowExecution.ID, RunID: run,
	}}, &c)
	return SyncResult{AlreadyExported: !c.Mine, Export: c.Export}, err
}

// sendNext sends the chunk at the head of the queue and acts on what became of
// it. It returns false if the run cannot go on.
func sendNext(ctx workflow.Context, in SyncInput, p *Progress) (goOn bool, err error) {
	chunk := activities.Chunk{ExportID: p.Export.ID, Chunk: p.Queue[0]}
	var correlation uuid.UUID
	err = workflow.SideEffect(ctx, func(workflow.Context) any {
		return uuid.New() //workflowcheck:ignore
	}).Get(&correlation)
	if err != nil {
		return false, err
	}
	inv := activities.Invocation{
		OrganizationID: in.OrganizationID, IntegrationID: in.IntegrationID, AdapterName: in.AdapterName, CorrelationID: correlation,
		Operation: adapters.Export, Body: chunk.Body(), Policy: in.Policy, Summary: fmt.Sprintf("export %s, chunk %d", p.Export.Period, chunk.Chunk),
		RequestsPerMinute: in.RequestsPerMinute,
	}
	outcome, trail := call(ctx, inv)
	p.Export.LastCorrelationID = &correlation
	cancelled := ctx.Err() != nil
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	if err := mirror(ctx, inv, trail); err != nil {
		return false, err
	}
	settled := activities.Settled{OrganizationID: in.OrganizationID, Chunk: chunk}
	next := func() { p.Queue, p.Done, p.Deferrals = p.Queue[1:], p.Done+1, 0 }
	fail := func(code string) {
		p.Export.ErrorClass, p.Export.ErrorCode, p.Export.ErrorMessage = string(outcome.Failure.ErrorClass), code, outcome.Failure.Message
	}
	last := trail.Last()
	switch {
	case outcome.OK:
		next()
		return true, nil
	case cancelled:
		fail(string(classify.Cancelled))
		return false, nil
	case last.Kind == classify.UnknownOutcome:
		next()
		settled.State, settled.Reason = "unknown", outcome.Failure.Message
		return true, store(ctx, activities.SettleName, "outcome unknown", settled, nil)
	case refused[last.Kind]:
		settled.Into, settled.Reason = p.Last+1, outcome.Failure.Message
		var split bool
		if err := store(ctx, activities.SplitName, "refused: find the voucher", settled, &split); err != nil {
			return false, err
		}
		if !split {
			next()
			return true, nil
		}
		p.Last++
		p.Queue = append([]int{chunk.Chunk, p.Last}, p.Queue[1:]...)
		return true, nil
	case outcome.Failure.ErrorClass == classify.Permanent && last.Kind != classify.QuotaExhausted, p.Deferrals >= maxDeferrals:
		fail(string(last.Kind))
		if trail.Uncertain() {
			return false, nil // it stays marked as sent: its outcome is open
		}
		settled.State = "planned"
		return false, store(ctx, activities.SettleName, "not sent", settled, nil)
	}
	return true, wait(ctx, in, p)
}

// refused are the failures by which a vendor says no to what was sent, and not
// to who sent it.
var refused = map[classify.Kind]bool{
	classify.Business: true, classify.BadRequest: true, classify.Unprocessable: true, classify.Duplicate: true, classify.Transformation: true,
}

// wait defers the run: a durable timer, visible on its row.
func wait(ctx workflow.Context, in SyncInput, p *Progress) error {
	d := in.DeferBase
	if d == 0 {
		d = time.Minute
	}
	d = min(d<<min(p.Deferrals, 10), 20*time.Minute)
	p.Deferrals++
	until := workflow.Now(ctx).Add(d)
	p.Export.DeferredUntil = &until
	if err := store(ctx, activities.DeferName, "deferred until "+until.UTC().Format(time.RFC3339), p.Export, nil); err != nil {
		return err
	}
	err := workflow.Sleep(ctx, d)
	p.Export.DeferredUntil = nil
	return err
}

// store runs one of the activities that keep an export's record. They are
// retried without limit, like the audit rows.
func store(ctx workflow.Context, name, summary string, arg, result any) error {
	o := mirrorOptions()
	o.StartToCloseTimeout, o.Summary = 3*time.Minute, summary
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, o), name, arg).Get(ctx, result)
}
