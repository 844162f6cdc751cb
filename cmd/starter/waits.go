package main

import (
	"context"
	"time"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/when"
)

// waitsEvery is how often a command asks again why a run waits.
const waitsEvery = 5 * time.Second

// shownWait says why a run waits whenever that changes, and keeps until when for the bar.
type shownWait struct {
	session *session
	last    string // what was said
	note    string // for the bar
	asked   time.Time
}

// show is given how far the run is.
func (w *shownWait) show(ctx context.Context, bar *progress, p exports.Progress) {
	if p.Export.DeferredUntil == nil && p.WaitsUntil().IsZero() {
		w.last, w.note = "", ""
		return
	}
	if time.Since(w.asked) < waitsEvery {
		return
	}
	w.asked = time.Now()
	reason, err := w.reason(ctx, p)
	if err != nil {
		return // it is only shown
	}
	w.note = ""
	if reason.For == exports.WaitForProgress {
		return
	}
	if reason.Until != nil {
		w.note = ", waits until " + when.Clock(*reason.Until, time.Now())
	} else {
		w.note = ", waits"
	}
	if line := reason.String(); line != w.last {
		w.last = line
		if bar != nil {
			bar.end()
		}
		w.session.say("waits: %s", line)
	}
}

func (w *shownWait) reason(ctx context.Context, p exports.Progress) (exports.WaitReason, error) {
	facts, err := runlog.LoadWaitFacts(ctx, w.session.db, p.Export)
	if until := p.WaitsUntil(); until.After(facts.OpenUntil) {
		facts.OpenUntil = until
	}
	return facts.Reason(time.Now()), err
}
