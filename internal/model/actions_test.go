package model

import (
	"time"

	"github.com/google/uuid"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/workflows"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

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
