package model

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// run is one run of the workflow Sync, as Temporal knows it. What it makes next,
// and what follows, is package exports' own; here is what Temporal does for it:
// it runs its activities, keeps its history and wakes it.
type run struct {
	w        *world
	id       uuid.UUID
	workflow string
	input    workflows.SyncInput
	skew     time.Duration // of the server's clock against the database's
	started  time.Time

	state
	history []state // where it can be reset to

	over      bool // it has ended, in whatever way
	continued bool // by another one of its chain
	task      *task
	call      *invocation
	wakes     time.Time // by the server's clock
	last      error     // of its last activity
}

// state is what a run's history brings back.
type state struct {
	phase    phase
	progress exports.Progress
	handed   bool // its export comes from the run before
	claims   int
	split    *exports.Split
	item     exports.Item // whose activity is made, of arranging
}

// phase is what a run is about to do.
type phase string

const (
	claiming  phase = "claim"
	planning  phase = "plan"
	stepping  phase = "step"
	halving   phase = "halve"
	arranging phase = "arrange"
	sleeping  phase = "sleep"
	closing   phase = "close"
)

// invocation is one that a run waits for.
type invocation struct {
	in        activities.Invocation
	item      exports.Item
	attempts  int32 // that Temporal has made
	scheduled time.Time
	next      time.Time // when the next one is made
	beat      activities.Trail
}

func (s state) copy() state {
	raw, err := json.Marshal(s.progress)
	if err != nil {
		panic(err)
	}
	s.progress = exports.Progress{}
	if err := json.Unmarshal(raw, &s.progress); err != nil {
		panic(err)
	}
	return s
}

func (r *run) now() time.Time { return r.w.clock.Now().Add(r.skew) }

// alive answers as Temporal does, to a run that asks for another: only a closed
// status is an end, and a run that has continued as new lives on in its
// successor. Nil asks for the newest of the workflow ID, for nobody.
func (w *world) alive(workflow string, id, asking uuid.UUID) bool {
	for _, r := range slices.Backward(w.runs) {
		if r.workflow != workflow || id != uuid.Nil && r.id != id {
			continue
		}
		if id != uuid.Nil && r.continued {
			return w.alive(workflow, uuid.Nil, asking)
		}
		return !r.over && r.id != asking
	}
	return false
}

// wait is how long a run waits until it goes on.
func (r *run) wait() time.Duration {
	at := r.wakes
	if r.call != nil {
		at = r.call.next
	}
	if at.IsZero() {
		return 0
	}
	return at.Sub(r.now())
}

// goOn makes the next activity of a run. With a nil t nothing goes wrong.
func (r *run) goOn(t *rapid.T) {
	switch {
	case r.call != nil:
		r.attempt(t)
		return
	case r.phase == stepping && r.progress.Over():
		r.phase = closing
	}
	switch r.phase {
	case claiming:
		e := r.progress.Export
		if !r.handed {
			in := r.input
			e = exports.Export{
				OrganizationID: in.OrganizationID, ID: uuid.NewSHA1(in.IntegrationID, []byte("export/"+r.id.String())), IntegrationID: in.IntegrationID, AdapterName: in.AdapterName,
				Period: in.Period, PeriodStart: in.PeriodStart, PeriodEnd: in.PeriodEnd, Trigger: in.Trigger, TriggeredBy: in.TriggeredBy, ParentID: in.ParentID, StartedAt: r.started,
			}
		}
		r.do(t, activities.ClaimName, activities.ClaimInput{Export: e, HandedOver: r.handed})
	case planning:
		r.do(t, activities.PlanName, activities.PlanInput{Export: r.progress.Export})
	case stepping:
		item, ok, sleep := r.progress.Take(r.now())
		if !ok {
			r.wakes = r.now().Add(sleep)
			return
		}
		if item.Do != "" {
			r.phase, r.item = arranging, item
			r.remember()
			r.arrange(t)
			return
		}
		r.call = &invocation{item: item, in: r.input.Invocation(r.progress.Export, item, r.w.newID()), scheduled: r.now()}
		r.attempt(t)
	case halving:
		r.do(t, activities.SplitName, activities.SplitInput{Export: r.progress.Export, Split: *r.split})
	case arranging:
		r.arrange(t)
	case sleeping:
		r.do(t, activities.DeferName, activities.DeferInput{Export: r.progress.Export})
	case closing:
		r.progress.Finish()
		r.do(t, activities.CloseName, activities.CloseInput{Export: r.progress.Export})
	}
}

// arrange makes the activity of an item that is no invocation.
func (r *run) arrange(t *rapid.T) {
	p := r.progress
	switch r.item.Do {
	case exports.DoDraw:
		r.do(t, activities.DrawName, activities.DrawInput{Export: p.Export, Draw: p.Draw(r.item)})
	case exports.DoFit:
		r.do(t, activities.FitName, activities.FitInput{Export: p.Export, Fit: p.Fit(r.item)})
	default:
		r.do(t, activities.SplitName, activities.SplitInput{Export: p.Export, Split: *p.Split(r.item)})
	}
}

// arranged notes what came of that activity.
func (r *run) arranged(k *task) {
	p := &r.progress
	switch r.item.Do {
	case exports.DoDraw:
		var out exports.DrawResult
		require.NoError(r.w.t, k.result(&out))
		p.Drawn(p.Draw(r.item), out)
	case exports.DoFit:
		var out exports.FitResult
		require.NoError(r.w.t, k.result(&out))
		p.Fitted(p.Fit(r.item), out, r.item)
	default:
		var out activities.SplitResult
		require.NoError(r.w.t, k.result(&out))
		p.Halved(p.Split(r.item), out.Halved)
	}
}

// called does what follows from an invocation.
func (r *run) called(result activities.CallResult, err error) {
	c := r.call
	r.call = nil
	shown := workflows.ResultOf(c.in, c.item, workflows.OutcomeOf(c.in, result, activities.HoldResult{}, err), result)
	f := r.progress.Follow(shown, r.now(), r.input.DeferBase)
	switch {
	case f.Reclaim:
		r.reclaim()
	case r.progress.Failed():
		r.phase = closing
	case f.Split != nil:
		r.phase, r.split = halving, f.Split
	case f.Sleep > 0:
		r.phase, r.wakes = sleeping, r.now().Add(f.Sleep)
	}
	r.remember()
}

func (r *run) remember() { r.history = append(r.history, r.state.copy()) }

// reclaim has a run claim its export again.
func (r *run) reclaim() {
	if r.claims++; r.claims > 10 {
		r.over = true
		return
	}
	r.phase, r.handed, r.progress, r.split = claiming, false, exports.Progress{}, nil
}

// did does what follows from an activity that keeps the record.
func (r *run) did(k *task) {
	var failed *temporal.ApplicationError
	r.last = k.err
	if errors.As(k.err, &failed) && failed.Type() == string(classify.NotOwner) {
		r.reclaim()
		r.remember()
		return
	}
	if errors.As(k.err, &failed) && failed.Type() == string(classify.Configuration) {
		require.Fail(r.w.t, "the set-up is refused", "%v", k.err)
	}
	if k.err != nil { // it is made again
		r.wakes = r.now().Add(time.Second)
		return
	}
	switch r.phase {
	case claiming:
		var c activities.ClaimResult
		require.NoError(r.w.t, k.result(&c))
		r.claimed(c)
	case planning:
		var planned activities.PlanResult
		require.NoError(r.w.t, k.result(&planned))
		r.progress.Plan = planned.Plan
		r.progress.Begin()
		r.phase = stepping
	case halving:
		var split activities.SplitResult
		require.NoError(r.w.t, k.result(&split))
		r.progress.Halved(r.split, split.Halved)
		r.phase, r.split = stepping, nil
	case arranging:
		r.arranged(k)
		r.phase, r.item = stepping, exports.Item{}
	case sleeping:
		r.wakes = *r.progress.Export.DeferredUntil
		r.progress.Export.DeferredUntil = nil
		r.phase = stepping
	case closing:
		var closed activities.CloseResult
		require.NoError(r.w.t, k.result(&closed))
		r.checkClosed(closed.Export)
		r.progress.Export, r.over = closed.Export, true
		return // there is nothing to be reset to after its end
	}
	r.remember()
}

func (r *run) claimed(c activities.ClaimResult) {
	key := c.Export.IdempotencyKey()
	first, known := r.w.claimed[key]
	if known {
		require.Equal(r.w.t, first, c.Export.ID, "period %s has two exports", key)
	}
	r.w.claimed[key] = c.Export.ID
	switch {
	case r.handed && !c.Mine:
		r.reclaim()
	case r.handed:
		e := &r.progress.Export
		e.WorkflowID, e.RunID, e.Fence = c.Export.WorkflowID, c.Export.RunID, c.Export.Fence
		r.phase = stepping
	case !c.Mine:
		r.over = true // already exported, or another run does
	default:
		r.progress = exports.Progress{Export: c.Export}
		r.phase = planning
	}
}

// chunkSize makes chunks of up to three vouchers.
const chunkSize = 6

// requirePlanned compares a first plan with the model: it takes what is due and
// new, or was corrected since it was refused, and with that the lines of the same voucher that were refused before,
// even those of a later period that was planned earlier.
func (r *run) requirePlanned(before, after map[entry]entryRow) {
	e := r.progress.Export
	for _, v := range r.w.vouchers {
		var due []line
		fresh, corrected, torn := false, false, false
		for _, l := range v.lines {
			row, had := before[entry{e.IntegrationID, l.id}]
			if isDue := l.day.Before(e.PeriodEnd); isDue || had && (row.Chunk == 0 || row.Corrected) {
				due, fresh, corrected = append(due, l), fresh || isDue && (!had || row.Corrected), corrected || row.Corrected
			}
			torn = torn || had && row.Chunk > 0 && !row.Corrected // of it the vendor has a part, or its export has not ended
		}
		if !fresh || corrected && torn {
			continue
		}
		for _, l := range due {
			row, ok := after[entry{e.IntegrationID, l.id}]
			require.True(r.w.t, ok, "%s is due and was not taken", l.id)
			require.Equal(r.w.t, e.ID, row.Export, l.id)
			require.Equal(r.w.t, l.day.Before(e.PeriodStart), row.Late, l.id)
			if len(due) == len(v.lines) && v.missing == nil {
				require.Equal(r.w.t, "planned", row.State, "%s is of a whole voucher", l.id)
			} else {
				require.Equal(r.w.t, "rejected", row.State, "%s is of a voucher that is not whole", l.id)
				require.Zero(r.w.t, row.Chunk)
			}
		}
	}
}

// checkClosed compares a closed export's row with its entries.
func (r *run) checkClosed(closed exports.Export) {
	t, e := r.w.t, r.progress.Export
	count := map[string]int{}
	for _, row := range r.w.read() {
		if row.Export == closed.ID {
			count[row.State]++
			count["total"]++
		}
	}
	if r.w.closed[closed.ID].status == "" { // by this task, or a try of it that was not heard
		require.Equal(t, []int{count["total"], count["exported"], count["rejected"], count["unknown"] + count["sent"]},
			[]int{closed.Total, closed.Exported, closed.Rejected, closed.Unknown})
		want := exports.Complete
		if e.ErrorClass != "" || count["unknown"]+count["sent"]+count["planned"] > 0 {
			want = exports.Failed
		}
		require.Equal(t, want, closed.Status)
	}
	if e.ErrorClass == "" {
		require.Zero(t, count["planned"], "a run that went to its end has left entries: %+v", r.progress)
	}
	before, err := runlog.LoadExport(context.Background(), r.w.database.Worker, r.w.org, closed.ID)
	require.NoError(t, err)
	other := before
	other.ErrorClass = "permanent"
	again, err := runlog.CloseExport(context.Background(), r.w.database.Worker, other)
	require.NoError(t, err)
	require.Equal(t, before, again, "closing again changes nothing")
}

func (r *run) String() string {
	return fmt.Sprintf("%s %s %s %v %+v", r.workflow, r.id, r.phase, r.last, r.progress)
}
