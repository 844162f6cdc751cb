package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// integration is a connection to a vendor: how it is, and what it exported.
type integration struct {
	Integration integrationName `json:"integration"`
	Schedule    string          `json:"schedule,omitempty"` // in words
	Next        *nextRun        `json:"next,omitempty"`
	Paused      *runlog.Pause   `json:"paused,omitempty"`
	Health      health.State    `json:"health"`
	Since       *time.Time      `json:"healthSince,omitempty"`
	Kind        classify.Kind   `json:"errorKind,omitempty"`
	What        string          `json:"what,omitempty"` // what that means
	Quota       *quota          `json:"quota,omitempty"`
	Expires     *time.Time      `json:"credentialExpires,omitempty"`
	Cells       []cell          `json:"periods"` // newest first
}

// cellsOnPage is how many periods the page of an integration has.
const cellsOnPage = 24

func (r *request) integration() (any, error) {
	in, err := r.findIntegration()
	if err != nil {
		return nil, err
	}
	p := integration{Integration: nameOf(in), Cells: []cell{}}
	if in.Schedule != nil {
		p.Schedule = r.said.Schedule(*in.Schedule)
	}
	facts, err := r.overviewFacts([]integrations.Integration{in}, r.now.AddDate(0, -cellsOnPage-1, 0))
	if err != nil {
		return nil, err
	}
	row := facts.row(in, nil, r.now)
	p.Paused, p.Health, p.Quota = row.Paused, row.Health, row.Quota
	if h := facts.health[in.ID]; h.Record != nil {
		p.Since, p.Kind = &h.Record.Since, h.Record.Reason
		if p.Kind != "" {
			p.What, _ = r.said.KindAt(p.Kind, in.Adapter)
		}
		if h.Secret != nil {
			p.Expires = &h.Secret.ExpiresAt
		}
	}
	if run, ok := in.NextRun(r.now); ok && p.Paused == nil {
		p.Next = &nextRun{run.At, run.Period}
	}
	day := in.Today(r.now)
	kind := facts.kindOf(in)
	for len(p.Cells) < cellsOnPage {
		c := facts.cell(in.ID, kind.Containing(day))
		p.Cells = append(p.Cells, c)
		start, _, err := exports.ParsePeriod(c.Period)
		if err != nil {
			return nil, err
		}
		day = start.AddDate(0, 0, -1)
	}
	return p, nil
}

// pauseResult is the pause of an integration; null if it has none.
type pauseResult struct {
	Paused *runlog.Pause `json:"paused"`
}

// pause stops an integration's calls, exports and probes until it is resumed.
func (r *request) pause(in reasonInput) (*done, error) {
	reason, err := reasonFor(in.Reason)
	if err != nil {
		return nil, err
	}
	spec, err := r.findIntegration()
	if err != nil {
		return nil, err
	}
	before, err := runlog.LoadPause(r.Context(), r.db(), r.org.ID, spec.ID)
	if err != nil {
		return nil, err
	}
	p, changed, err := runlog.PauseIntegration(r.Context(), r.db(), r.org.ID, spec.ID, r.who.Actor(), reason)
	if err != nil {
		return nil, err
	}
	if !changed {
		return nil, refuse(http.StatusConflict, "paused", "by", plain.Line(p.By))
	}
	// The pause holds from here on, whatever Temporal says: workers look at the record.
	if r.c.Temporal != nil {
		_, err = engine.PauseSchedule(r.Context(), r.c.Temporal, spec, engine.PauseNote(p))
		if err = errors.Join(err, engine.RefreshMonitor(r.Context(), r.c.Temporal, r.org.ID, spec.ID, spec.Name)); err != nil {
			r.c.Log.Warn("the schedule or the probes of a paused integration were not notified", "integration_id", spec.ID, "error", problemOf(err).logged())
		}
	}
	// Each worker reads pauses every few seconds: what is started now is not to slip through.
	if notice, err := runlog.AwaitPauseRead(r.Context(), r.c.DB, activities.Freshness, 2*activities.Freshness); err != nil || !notice.Done() {
		r.c.Log.Warn("it is not known that every worker knows of a pause", "integration_id", spec.ID)
	}
	return &done{Target: integrationPath(spec.Name), Before: map[string]any{"paused": before}, After: pauseResult{&p}, Result: pauseResult{&p}}, nil
}

// resume ends a pause.
func (r *request) resume(in reasonInput) (*done, error) {
	spec, err := r.findIntegration()
	if err != nil {
		return nil, err
	}
	if err := r.c.ready(r.Context()); err != nil {
		return nil, refuse(http.StatusServiceUnavailable, "engine_unavailable").because(err)
	}
	was, err := runlog.ResumeIntegration(r.Context(), r.db(), r.org.ID, spec.ID, r.who.Actor(), in.Reason)
	if err != nil {
		return nil, err
	}
	_, err = engine.ResumeSchedule(r.Context(), r.c.Temporal, spec, "integration resumed by "+r.who.Actor())
	err = errors.Join(err, engine.RefreshMonitor(r.Context(), r.c.Temporal, r.org.ID, spec.ID, spec.Name))
	if pending, listErr := runlog.ListPendingExportsOf(r.Context(), r.db(), r.org.ID, spec.ID); listErr == nil {
		err = errors.Join(err, engine.WakeExports(r.Context(), r.c.Temporal, pending))
	}
	if err != nil {
		return nil, refuse(http.StatusServiceUnavailable, "resumed_partly").because(err)
	}
	if was == nil {
		return nil, refuse(http.StatusConflict, "not_paused")
	}
	return &done{Target: integrationPath(spec.Name), Before: map[string]any{"paused": was}, After: pauseResult{}, Result: pauseResult{}}, nil
}
