package model

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// run is an export and where its workflow is. A run that dies loses everything
// below export.
type run struct {
	export  runlog.Export
	closed  bool
	retried bool
	done    string // why it is over: "" while it is not, "all" or an error's kind

	planned    bool
	next, upto int    // the planned chunk to be sent next, and the last one
	halves     []int  // chunks that halving made, to be sent before it
	highest    int    // chunk number given out
	verify     string // the reason, while a refused voucher is to be looked for
	invocation *invocation
}

// left is whether something is to be sent.
func (r *run) left() bool {
	return r.planned && r.done == "" && (len(r.halves) > 0 || r.next <= r.upto)
}

func (r *run) chunk() int {
	if n := len(r.halves); n > 0 {
		return r.halves[n-1]
	}
	return r.next
}

// sent goes on to the next chunk.
func (r *run) sent() {
	if n := len(r.halves); n > 0 {
		r.halves = r.halves[:n-1]
	} else {
		r.next++
	}
	r.invocation, r.verify = nil, ""
	if len(r.halves) == 0 && r.next > r.upto {
		r.done = "all"
	}
}

// start claims a period: a new one, or one that was claimed before.
func (w *world) start(t *rapid.T) {
	spec := w.specs[rapid.IntRange(0, len(w.specs)-1).Draw(t, "integration")]
	period := rapid.SampledFrom(months).Draw(t, "period")
	w.claim(spec, period, nil)
}

func (w *world) claim(spec integrations.Integration, period string, parent *uuid.UUID) *run {
	from, to, err := integrations.Period(period)
	require.NoError(w.t, err)
	e := runlog.Export{
		OrganizationID: w.org, ID: uuid.New(), IntegrationID: spec.ID, AdapterName: spec.Adapter, Period: period, PeriodStart: from, PeriodEnd: to,
		Trigger: "manual", TriggeredBy: "model", StartedAt: time.Now(), WorkflowID: "w", RunID: uuid.New(), ParentID: parent,
	}
	if parent != nil {
		e.Trigger = "retry"
	}
	found, mine, err := runlog.Claim(context.Background(), w.worker, e)
	require.NoError(w.t, err)
	if first, before := w.claimed[e.IdempotencyKey()]; before {
		require.False(w.t, mine, "period %s was claimed before", period)
		require.Equal(w.t, first, found.ID)
		return nil
	}
	require.True(w.t, mine)
	w.claimed[e.IdempotencyKey()] = e.ID
	r := &run{export: found}
	w.runs = append(w.runs, r)
	return r
}

// chunkSize makes chunks of up to three vouchers.
const chunkSize = 6

// plan plans a run, for the first time or again, and compares what was refused
// with what the model says: vouchers that are not whole by the period's end.
func (w *world) plan(t *rapid.T) {
	w.planRun(pick(t, w.runs, func(r *run) bool { return !r.closed && r.done == "" && !r.planned }))
}

func (w *world) planRun(r *run) {
	before := w.read()
	first := true
	for _, row := range before {
		first = first && row.Export != r.export.ID
	}
	last, err := runlog.Plan(context.Background(), w.worker, r.export, integrations.Export{}, chunkSize)
	require.NoError(w.t, err)
	r.planned, r.next, r.upto, r.highest = true, 1, last, last
	if last == 0 {
		r.done = "all"
	}
	if first && r.export.ParentID == nil {
		w.requirePlanned(r, before, w.read())
	}
}

// requirePlanned compares a first plan with the model: it takes what is due and
// new, and with that the lines of the same voucher that were refused before,
// even those of a later period that was planned earlier.
func (w *world) requirePlanned(r *run, before, after map[entry]entryRow) {
	for _, v := range w.vouchers {
		var due []line
		fresh := false
		for _, l := range v.lines {
			row, had := before[entry{r.export.IntegrationID, l.id}]
			if isDue := l.day.Before(r.export.PeriodEnd); isDue || had && row.Chunk == 0 {
				due, fresh = append(due, l), fresh || isDue && !had
			}
		}
		if !fresh {
			continue
		}
		for _, l := range due {
			row, ok := after[entry{r.export.IntegrationID, l.id}]
			require.True(w.t, ok, "%s is due and was not taken", l.id)
			require.Equal(w.t, r.export.ID, row.Export, l.id)
			require.Equal(w.t, l.day.Before(r.export.PeriodStart), row.Late, l.id)
			if len(due) == 2 {
				require.Equal(w.t, "planned", row.State, "%s is of a whole voucher", l.id)
			} else {
				require.Equal(w.t, "rejected", row.State, "%s is of a voucher that is not whole", l.id)
				require.Zero(w.t, row.Chunk)
			}
		}
	}
}

// die ends a run's workflow; another takes the run over and knows only what is
// in the database.
func (w *world) die(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool { return !r.closed })
	*r = run{export: r.export}
}

// giveUp closes a run that is over, or in the middle as one that is cancelled.
func (w *world) giveUp(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool { return !r.closed && (r.done != "" || r.planned) })
	if r.done == "" {
		r.done = string(classify.Cancelled)
	}
	w.close(r)
}

func (w *world) close(r *run) {
	if r.done != "all" {
		r.export.ErrorClass, r.export.ErrorCode = string(classify.Permanent), r.done
	}
	closed, err := runlog.CloseExport(context.Background(), w.worker, r.export)
	require.NoError(w.t, err)
	count := map[string]int{}
	for _, row := range w.read() {
		if row.Export == r.export.ID {
			count[row.State]++
			count["total"]++
		}
	}
	require.Equal(w.t, []int{count["total"], count["exported"], count["rejected"], count["unknown"] + count["sent"]},
		[]int{closed.Total, closed.Exported, closed.Rejected, closed.Unknown})
	if r.done == "all" && closed.Unknown == 0 {
		require.Equal(w.t, "complete", closed.Status)
		require.Equal(w.t, closed.Total, closed.Exported+closed.Rejected)
	} else {
		require.Equal(w.t, "failed", closed.Status)
	}
	r.export, r.closed = closed, true
	again, err := runlog.CloseExport(context.Background(), w.worker, runlog.Export{OrganizationID: w.org, ID: closed.ID, ErrorClass: "permanent"})
	require.NoError(w.t, err)
	require.Equal(w.t, closed, again, "closing again changes nothing")
}

// retry starts a retry of a closed run, once.
func (w *world) retry(t *rapid.T) {
	w.retryRun(pick(t, w.runs, func(r *run) bool { return r.closed && !r.retried }))
}

func (w *world) retryRun(r *run) *run {
	r.retried = true
	for _, spec := range w.specs {
		if spec.ID == r.export.IntegrationID {
			return w.claim(spec, r.export.Period, &r.export.ID)
		}
	}
	return nil
}

// after says what a run does after an invocation, as package workflows does.
func (w *world) after(r *run, trail activities.Trail, ok bool) {
	ctx, chunk, last := context.Background(), r.chunk(), trail.Last()
	r.invocation = nil
	settle := func(state string) {
		require.NoError(w.t, runlog.SettleChunk(ctx, w.worker, w.org, r.export.ID, chunk, state, last.Message, nil))
	}
	refused := []classify.Kind{classify.Business, classify.BadRequest, classify.Unprocessable, classify.Duplicate, classify.Transformation}
	atomic := w.acts.Adapters[r.export.AdapterName].(adapters.Exporter).Limits().Atomic
	switch {
	case ok:
		r.sent()
	case last.Kind == classify.UnknownOutcome:
		r.sent()
		settle("unknown")
	case r.verify == "" && slices.Contains(refused, last.Kind):
		atomic = atomic && !trail.Uncertain() && trail.Marked()
		halved, err := runlog.SplitChunk(ctx, w.worker, w.org, r.export.ID, chunk, r.highest+1, "refused", atomic)
		require.NoError(w.t, err)
		switch {
		case halved:
			r.sent()
			r.highest++
			r.halves, r.done = append(r.halves, r.highest, chunk), ""
		case atomic:
			r.sent()
		default:
			r.verify = "refused"
		}
	case last.Kind.Class() == classify.Permanent:
		r.done = string(last.Kind)
		if trail.Marked() && !trail.Uncertain() && r.verify == "" {
			settle("planned")
		}
	}
	// Anything else waits, and the chunk is tried again by another invocation.
}
