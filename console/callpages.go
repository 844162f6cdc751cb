package console

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

const callsOnPage = 50

// callList are attempts on record, the newest first.
type callList struct {
	Rows         []callRow        `json:"rows"`
	Next         string           `json:"next,omitempty"`
	Search       string           `json:"search"`
	Integration  string           `json:"integration"`
	Class        classify.Class   `json:"class"`
	From         string           `json:"from"` // 2026-10-31
	To           string           `json:"to"`
	Integrations []string         `json:"integrations"`
	Classes      []classify.Class `json:"classes"`
}

// callRow is an attempt, with what its kind means.
type callRow struct {
	calls.Row
	What string `json:"what"` // in the reader's language
}

var classes = []classify.Class{classify.Transient, classify.Permanent, classify.Timeout, classify.Success}

func (r *request) calls() (any, error) {
	q := r.URL.Query()
	l := callList{Rows: []callRow{}, Search: clip(strings.TrimSpace(q.Get("search")), 36), Integration: q.Get("integration"), Class: classify.Class(q.Get("class")), From: q.Get("from"), To: q.Get("to"), Classes: classes}
	f := runlog.AttemptFilter{Class: l.Class, Limit: callsOnPage + 1, Newest: true}
	if l.Class != "" && !slices.Contains(classes, l.Class) {
		return nil, refuse(http.StatusBadRequest, "parameter", "name", "class")
	}
	zone := integrations.Integration{}.Zone()
	for _, day := range []struct {
		name, text string
		to         *time.Time
		plus       int
	}{{"from", l.From, &f.Since, 0}, {"to", l.To, &f.Until, 1}} {
		if day.text == "" {
			continue
		}
		t, err := time.ParseInLocation(time.DateOnly, day.text, zone)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "parameter", "name", day.name)
		}
		*day.to = t.AddDate(0, 0, day.plus)
	}
	sources := calls.Sources{DB: r.db()}
	names := sources.Names(r.Context(), r.org.ID)
	for id, name := range names {
		l.Integrations = append(l.Integrations, name)
		if l.Integration != "" && (name == l.Integration || id.String() == l.Integration) {
			f.Integration = id
		}
	}
	slices.Sort(l.Integrations)
	l.Integrations = orEmpty(l.Integrations)
	if l.Integration != "" && f.Integration == uuid.Nil {
		return nil, refuse(http.StatusBadRequest, "parameter", "name", "integration")
	}
	if l.Search != "" {
		id, err := r.findCall(l.Search)
		if err != nil {
			var p *problem
			if errors.As(err, &p) && p.Status == http.StatusNotFound {
				return l, nil
			}
			return nil, err
		}
		f.CorrelationID = id
	}
	var err error
	if f.After, err = readCursor(q.Get("after")); err != nil {
		return nil, err
	}
	found, _, err := runlog.ListAttempts(r.Context(), r.db(), r.org.ID, f)
	if err != nil {
		return nil, err
	}
	if len(found) > callsOnPage {
		found = found[:callsOnPage]
		last := found[callsOnPage-1]
		next := runlog.AttemptCursor{OccurredAt: last.OccurredAt, CorrelationID: last.CorrelationID, AttemptNumber: last.AttemptNumber}
		l.Next = writeCursor(next)
	}
	rows, err := sources.Rows(r.Context(), r.org.ID, found, names)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		what, _ := r.said.KindAt(row.Kind, row.AdapterName)
		l.Rows = append(l.Rows, callRow{row, what})
	}
	return l, nil
}

// findCall finds a call by its ID or the first characters of it.
func (r *request) findCall(which string) (uuid.UUID, error) {
	ref, err := calls.ParseRef(which)
	if err != nil {
		return uuid.Nil, notFound()
	}
	id, err := calls.Sources{DB: r.db(), Temporal: r.c.Temporal}.Find(r.Context(), r.org.ID, ref)
	var missing *calls.MissingError
	var several *calls.AmbiguousError
	switch {
	case errors.As(err, &missing):
		return id, notFound()
	case errors.As(err, &several):
		p := refuse(http.StatusConflict, "several_calls")
		for _, one := range several.List {
			p.Lines = append(p.Lines, line{What: one})
		}
		return id, p
	}
	return id, err
}

// call is a call and its trail.
type call struct {
	calls.Report
	Trail    []trailStep `json:"trail"`
	CanAgain bool        `json:"canCallAgain"`
	Again    *uuid.UUID  `json:"calledAgainAs,omitempty"`
}

// trailStep is an attempt in words.
type trailStep struct {
	calls.Attempt
	What   string `json:"what"`   // what its kind means, in the reader's language
	Remedy string `json:"remedy"` // what to do about it
}

func (r *request) call() (any, error) {
	id, err := uuid.Parse(r.PathValue("call"))
	if err != nil {
		return nil, notFound()
	}
	report, err := calls.Sources{DB: r.db(), Temporal: r.c.Temporal}.Read(r.Context(), r.org.ID, id)
	var missing *calls.MissingError
	if errors.As(err, &missing) || err == nil && report.OrganizationID != r.org.ID {
		return nil, notFound()
	} else if err != nil {
		return nil, err
	}
	report.UI = "" // where engineers look is not for everybody
	c := call{Report: report, Trail: []trailStep{}}
	for _, a := range report.Attempts {
		what, remedy := "", ""
		if a.Kind != "" {
			what, remedy = r.said.KindAt(a.Kind, report.AdapterName)
			if report.State == engine.Completed {
				remedy = "" // nothing more is tried
			}
		}
		c.Trail = append(c.Trail, trailStep{a, what, remedy})
	}
	last := len(report.Attempts) - 1
	c.CanAgain = report.State == engine.Completed && report.Export == nil && last >= 0 && !report.Attempts[last].OK && report.Effect != classify.Done && report.Effect != classify.Open
	return c, nil
}

// calledAgain is the new call.
type calledAgain struct {
	CorrelationID uuid.UUID `json:"correlationId"`
}

// callAgain makes a failed call again, as a new one that names the old.
func (r *request) callAgain(nothing) (*done, error) {
	id, err := uuid.Parse(r.PathValue("call"))
	if err != nil {
		return nil, notFound()
	}
	report, err := calls.Sources{DB: r.db(), Temporal: r.c.Temporal}.Read(r.Context(), r.org.ID, id)
	var missing *calls.MissingError
	if errors.As(err, &missing) || err == nil && (report.OrganizationID != r.org.ID || report.Export != nil) {
		return nil, notFound()
	} else if err != nil {
		return nil, err
	}
	if err := r.c.ready(r.Context()); err != nil {
		return nil, refuse(http.StatusServiceUnavailable, "engine_unavailable").because(err)
	}
	made, err := engine.CallAgain(r.Context(), r.c.Temporal, r.db(), r.org.ID, id, r.who.Actor())
	var not *engine.NotAgainError
	if errors.As(err, &not) {
		return nil, refuse(http.StatusConflict, "not_again").because(err)
	} else if err != nil {
		return nil, err
	}
	of := calledAgain{made.CorrelationID}
	return &done{Status: http.StatusAccepted, Target: "/calls/" + made.CorrelationID.String(), Before: map[string]any{"correlationId": id}, After: of, Result: of}, nil
}
