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
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/sandbox"
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

// start starts a run of a period, under its workflow ID or another: by a schedule,
// by a person, or by both at once.
func (w *world) start(t *rapid.T) {
	spec := w.specs[rapid.IntRange(0, len(w.specs)-1).Draw(t, "integration")]
	period := rapid.SampledFrom(months).Draw(t, "period")
	other := rapid.SampledFrom([]string{"", "", "", "/another"}).Draw(t, "workflow")
	if w.begins(w.input(spec, period, nil), other) == nil {
		t.Skip()
	}
}

func (w *world) input(spec integrations.Integration, period string, parent *uuid.UUID) workflows.SyncInput {
	from, to, err := exports.ParsePeriod(period)
	require.NoError(w.t, err)
	in := workflows.SyncInput{
		OrganizationID: w.org, IntegrationID: spec.ID, AdapterName: spec.Adapter, Period: period, PeriodStart: from, PeriodEnd: to,
		Trigger: exports.ByHand, TriggeredBy: "model", ParentID: parent, Policy: policy,
	}
	if parent != nil {
		in.Trigger = exports.ByRetry
	}
	return in
}

// begins starts a run unless one of its workflow ID runs.
func (w *world) begins(in workflows.SyncInput, other string) *run {
	id := engine.SyncOptions(in).ID + other
	if w.runs != nil && w.alive(id, uuid.Nil, uuid.Nil) {
		return nil
	}
	return w.newRun(id, in, state{phase: claiming, claims: 1})
}

func (w *world) newRun(workflow string, in workflows.SyncInput, s state) *run {
	r := &run{w: w, id: w.newID(), workflow: workflow, started: w.clock.Now(), state: s}
	r.input = in
	w.runs = append(w.runs, r)
	return r
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

// goOn lets a run do the next thing.
func (w *world) goOn(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool { return !r.over && r.task == nil })
	if wait := r.wait(); wait > 0 && !rapid.SampledFrom([]bool{false, false, false, true}).Draw(t, "too early") {
		w.pass(wait)
		if r.over || r.task != nil {
			return
		}
	}
	r.wakes = time.Time{}
	r.goOn(t)
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

func (r *run) newTask(t *rapid.T, name string, arg any) *task {
	k := &task{
		w: r.w, workflow: r.workflow, run: r.id, name: name, arg: arg, attempt: 1, scheduled: r.now(),
		export: r.progress.Export.ID, integration: r.input.IntegrationID,
	}
	if t != nil {
		k.skew = rapid.SampledFrom([]time.Duration{0, 0, time.Minute, -time.Minute}).Draw(t, "the worker's clock")
		k.trouble = drawTrouble(t)
	}
	return k
}

// do makes an activity that Temporal retries without limit.
func (r *run) do(t *rapid.T, name string, arg any) {
	w, e := r.w, r.progress.Export
	first := name == activities.PlanName && e.ParentID == nil && !w.planned[e.ID]
	w.planned[e.ID] = w.planned[e.ID] || name == activities.PlanName
	before := w.read()
	k := r.newTask(t, name, arg)
	r.task = k
	if k.start() {
		r.taskOver()
		if first && k.err == nil && k.trouble.what == smooth {
			r.requirePlanned(before, w.read())
		}
	}
}

// attempt makes the next attempt of an invocation.
func (r *run) attempt(t *rapid.T) {
	c, w := r.call, r.w
	c.attempts++
	k := r.newTask(t, activities.CallName, c.in)
	k.attempt, k.scheduled, k.beat, k.correlation = c.attempts, c.scheduled, slices.Clone(c.beat), c.in.CorrelationID
	if t != nil && c.item.Step != exports.LateErrorsStep {
		v := w.vendors[w.place(k.integration)]
		ask := v.drawAsk(t)
		if keys, at := w.control(k.integration); ask.lies {
			if len(keys) == 0 || ask.needsTwo && len(keys) < 2 {
				ask = none // where there is no control, a false answer is believed: docs/vendors.md says so
			}
			ask = ask.with(func(r *sandbox.Rule) { r.AsOf = at.Add(-time.Microsecond) })
			k.trouble = trouble{} // or the control would be another one when the question comes
		}
		w.script(ask, v, v.look, c.in.CorrelationID)
		w.script(v.drawSend(t, v.inFlight+lateFor), v, v.send, c.in.CorrelationID)
	}
	r.task = k
	if k.start() {
		r.taskOver()
	}
}

// taskOver does what Temporal does, and then the run, once a task is over.
func (r *run) taskOver() {
	k := r.task
	r.task = nil
	if !k.heard() {
		r.unheard(k)
		return
	}
	if r.call != nil {
		result, err := k.called()
		last := result.Trail.Last()
		if err != nil && last.Retryable && r.call.attempts < int32(policy.MaxAttempts()) {
			r.call.beat, r.call.next = result.Trail, r.now().Add(last.Delay)
			return
		}
		r.called(result, err)
		return
	}
	r.did(k)
}

// unheard is what follows from a task that Temporal hears nothing of: it is given
// up when its time is up, and made again.
func (r *run) unheard(k *task) {
	c := r.call
	if c == nil {
		r.wakes = r.now().Add(20 * time.Second)
		return
	}
	k.mu.Lock()
	c.beat = slices.Clone(k.beat)
	k.mu.Unlock()
	given := k.began.Add(r.skew + policy.AttemptTimeout)
	wait := policy.Wait(int(c.attempts))
	if c.attempts < int32(policy.MaxAttempts()) && given.Add(wait).Before(c.scheduled.Add(policy.Budget-time.Second)) {
		c.next = given.Add(wait)
		return
	}
	r.wakes = given
	r.called(activities.CallResult{Trail: c.beat.Lost(int(c.attempts), c.scheduled, given)}, errLost)
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
// new, and with that the lines of the same voucher that were refused before,
// even those of a later period that was planned earlier.
func (r *run) requirePlanned(before, after map[entry]entryRow) {
	e := r.progress.Export
	for _, v := range r.w.vouchers {
		var due []line
		fresh := false
		for _, l := range v.lines {
			row, had := before[entry{e.IntegrationID, l.id}]
			if isDue := l.day.Before(e.PeriodEnd); isDue || had && row.Chunk == 0 {
				due, fresh = append(due, l), fresh || isDue && !had
			}
		}
		if !fresh {
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

// wake lets something go on that was held.
func (w *world) wake(t *rapid.T) {
	k := pick(t, w.heldTasks(), func(*task) bool { return true })
	fate := drawTrouble(t)
	if fate.what == lost {
		k.lose()
	} else if !k.resume(fate) {
		return
	}
	w.freed(k)
}

// freed does what follows from a task that was held and is over.
func (w *world) freed(k *task) {
	for _, r := range w.runs {
		if r.task == k {
			r.taskOver()
			return
		}
	}
	w.loners = slices.DeleteFunc(w.loners, func(other *task) bool { return other == k })
}

// alone leaves the task of a run alone: nobody waits for it any more.
func (r *run) alone() (k *task) {
	if k = r.task; k != nil {
		r.task = nil
		r.w.loners = append(r.w.loners, k)
	}
	return k
}

// timeOut lets Temporal give up an activity that is held; it may go on later.
func (w *world) timeOut(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool { return r.task != nil })
	k := r.task
	w.pass(k.began.Add(policy.AttemptTimeout).Sub(w.clock.Now()))
	if r.task == nil { // it ended meanwhile
		return
	}
	r.alone()
	r.unheard(k)
}

// terminate ends a run without a word. Its activity may go on.
func (w *world) terminate(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool { return !r.over })
	r.alone()
	r.over = true
}

// reset resets a workflow to a point in the history of one of its runs, which may
// have ended long ago. The run that was the current one is terminated.
func (w *world) reset(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool { return len(r.history) > 0 })
	to := rapid.IntRange(-1, len(r.history)-1).Draw(t, "to")
	s := state{phase: claiming, claims: 1}
	if to >= 0 {
		s = r.history[to].copy()
	}
	for _, other := range w.runs {
		if other.workflow == r.workflow && !other.over {
			other.alone()
			other.over = true
		}
	}
	n := w.newRun(r.workflow, r.input, s)
	n.history = append(n.history, r.history[:to+1]...)
}

// continueAsNew lets a run go on in another one with an empty history.
func (w *world) continueAsNew(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool {
		return !r.over && r.phase == stepping && r.call == nil && r.task == nil && !r.progress.Over()
	})
	s := r.state.copy()
	s.phase, s.claims = claiming, 1
	if s.handed = s.progress.HandedOver(r.id.String()); !s.handed {
		s.claims, s.progress, s.split = 2, exports.Progress{}, nil
	}
	r.over, r.continued = true, true
	w.newRun(r.workflow, r.input, s).wakes = r.wakes
}

// cancelRun cancels a run between two invocations.
func (w *world) cancelRun(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool { return !r.over && r.phase == stepping && r.call == nil && r.task == nil })
	r.giveUp()
}

func (r *run) giveUp() {
	e := &r.progress.Export
	e.ErrorClass, e.ErrorCode, e.ErrorMessage = classify.Permanent, classify.Cancelled, "cancelled by the caller"
	r.phase = closing
}

// retry starts a retry of a closed export.
func (w *world) retry(t *rapid.T) {
	list := w.exports()
	if len(list) == 0 {
		t.Skip()
	}
	e := pick(t, list, func(e exports.Export) bool { return e.Status != exports.Pending })
	if w.begins(w.input(w.specs[w.place(e.IntegrationID)], e.Period, &e.ID), "") == nil {
		t.Skip()
	}
}

func (r *run) String() string {
	return fmt.Sprintf("%s %s %s %v %+v", r.workflow, r.id, r.phase, r.last, r.progress)
}
