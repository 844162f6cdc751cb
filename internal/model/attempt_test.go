package model

import (
	"slices"
	"time"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"pgregory.net/rapid"
)

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
