package console

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/proof"
	"github.com/ledgerline/ledgerline/redact"
	"github.com/ledgerline/ledgerline/runlog"
)

const (
	mostJobs = 4         // checks at once
	jobsKept = time.Hour // after their end
	jobFor   = time.Hour // a check takes at most

	shownDifferences = 200
)

// jobs are checks at the vendor that run or have ended lately. They are kept in memory: one
// that the end of the console interrupts is made again.
type jobs struct {
	background
	list map[uuid.UUID]*job
	run  context.Context // of all of them; made with the first
	stop context.CancelFunc
}

// job is a check at the vendor.
type job struct {
	mu           sync.Mutex
	id           uuid.UUID
	organization uuid.UUID
	integration  integrationName
	period       string
	began        time.Time
	done, total  int
	ended        *time.Time
	result       *proof.Proof
	failed       error
}

// of is the newest check of a period, nil if there is none.
func (j *jobs) of(organization, integration uuid.UUID, period string) *uuid.UUID {
	j.mu.Lock()
	defer j.mu.Unlock()
	var newest *job
	for _, one := range j.list {
		if one.organization == organization && one.integration.ID == integration && one.period == period && (newest == nil || one.began.After(newest.began)) {
			newest = one
		}
	}
	if newest == nil {
		return nil
	}
	return &newest.id
}

// begin starts a check, unless one of the period runs or too many do.
func (j *jobs) begin(one *job, run func(context.Context, *job)) (*job, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	running := 0
	for id, other := range j.list {
		ended := other.end()
		switch {
		case ended != nil && one.began.Sub(*ended) > jobsKept:
			delete(j.list, id)
		case ended == nil && other.organization == one.organization && other.integration.ID == one.integration.ID && other.period == one.period:
			return other, true
		case ended == nil:
			running++
		}
	}
	if j.closed || running >= mostJobs {
		return nil, false
	}
	if j.list == nil {
		j.list = make(map[uuid.UUID]*job)
		j.run, j.stop = context.WithCancel(context.Background())
	}
	j.list[one.id] = one
	j.all.Go(func() {
		ctx, cancel := context.WithTimeout(j.run, jobFor)
		defer cancel()
		run(ctx, one)
	})
	return one, true
}

func (j *job) end() *time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.ended
}

// close interrupts what runs and waits for it.
func (j *jobs) close(ctx context.Context) error {
	j.background.close()
	if j.stop != nil {
		j.stop()
	}
	gone := make(chan struct{})
	go func() { j.all.Wait(); close(gone) }()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkStarted is a check that has begun, or runs already.
type checkStarted struct {
	ID uuid.UUID `json:"checkId"`
}

// prove asks the vendor about everything that a period has sent.
func (r *request) prove(nothing) (*done, error) {
	in, c, err := r.findChain()
	if err != nil {
		return nil, err
	}
	if err := r.c.ready(r.Context()); err != nil {
		return nil, refuse(http.StatusServiceUnavailable, "engine_unavailable").because(err)
	}
	actor, now := r.who.Actor(), r.c.Now
	one, ok := r.c.jobs.begin(&job{id: uuid.New(), organization: r.org.ID, integration: nameOf(in), period: c.First().Period, began: r.now}, func(ctx context.Context, j *job) {
		p := proof.Prover{DB: r.c.DB, Sources: r.c.Sources, Temporal: r.c.Temporal, Integration: in, Actor: actor, Keep: shownDifferences, Progress: func(done, total int) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.done, j.total = done, total
		}}
		result, err := p.Chain(ctx, c, nil)
		if err == nil {
			r.found(context.WithoutCancel(ctx), j, result)
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		ended := now()
		j.ended, j.failed = &ended, err
		if err == nil {
			j.result = &result
		} else {
			r.c.Log.Error("a check at the vendor failed", "organization_id", j.organization, "integration", in.Name, "period", j.period, "error", redact.Text(err.Error()))
		}
	})
	if !ok {
		return nil, refuse(http.StatusTooManyRequests, "too_many_checks")
	}
	return &done{Status: http.StatusAccepted, Target: "/checks/" + one.id.String(), Result: checkStarted{one.id}}, nil
}

// check is how far a check at the vendor is, and what it found.
type check struct {
	ID          uuid.UUID       `json:"checkId"`
	Integration integrationName `json:"integration"`
	Period      string          `json:"period"`
	BeganAt     time.Time       `json:"beganAt"`
	EndedAt     *time.Time      `json:"endedAt,omitempty"`
	Done        int             `json:"entriesDone"`
	Total       int             `json:"entriesTotal"`
	Failed      bool            `json:"failed"`
	Agrees      *bool           `json:"agrees"` // nil: it has not ended, or the export has not
	Findings    []finding       `json:"findings"`
	Differences []differs       `json:"differences"`
	More        int             `json:"moreDifferences,omitempty"`
}

// finding is one thing that was compared, in the reader's language.
type finding struct {
	ExportID *uuid.UUID `json:"exportId,omitempty"`
	What     string     `json:"what"`
	Agrees   *bool      `json:"agrees"` // nil: that cannot be said
	Found    string     `json:"found,omitempty"`
}

// differs is an entry on which the record and the vendor do not agree.
type differs struct {
	VoucherID string          `json:"voucherId"`
	EntryID   string          `json:"entryId"`
	State     exports.Outcome `json:"state,omitempty"` // on record; "" if it is not there
	Says      string          `json:"says"`
	Agrees    *bool           `json:"agrees"`
}

// findingNames are the names of what is checked in the table of words.
var findingNames = map[proof.Kind]string{
	proof.HasEnded: "ended", proof.AddUp: "addUp", proof.ExportedEntries: "exported", proof.Amounts: "amounts", proof.SHA256: "hash", proof.WorkflowResult: "workflow",
	proof.RunLogs: "logs", proof.Control: "control", proof.AtVendor: "atVendor", proof.NotExported: "notExported", proof.OpenOutcome: "open", proof.Asking: "asking", proof.Adopted: "adopted",
}

// matches are how an entry can be found, in the order in which a finding says them.
var matches = []proof.Match{proof.Exact, proof.NotThere, proof.Duplicate, proof.OtherAmount, proof.Elsewhere}

// agreed is the result of a check, as programs have it.
func agreed(a proof.Agreement) *bool {
	switch a {
	case proof.Agrees:
		return new(true)
	case proof.Disagrees:
		return new(false)
	}
	return nil
}

// say puts a proof into the reader's language.
func (c *check) say(r *request, p proof.Proof) {
	c.Agrees, c.More = p.Agrees, p.More
	for _, f := range p.Findings {
		one := finding{ExportID: f.ExportID, What: r.said.T("finding." + findingNames[f.Kind]), Agrees: agreed(f.Agrees)}
		var parts []string
		for _, m := range matches {
			if n := f.Found[m]; n > 0 {
				parts = append(parts, r.said.T("found."+string(m), "n", n))
			}
		}
		one.Found = r.said.List(parts)
		c.Findings = append(c.Findings, one)
	}
	for _, d := range p.Differences {
		says := r.said.T("found."+string(d.Match), "n", 1)
		if d.OpenUntil != nil {
			says += ". " + r.said.T("period.openUntil", "time", r.said.Time(*d.OpenUntil, r.now))
		}
		c.Differences = append(c.Differences, differs{d.VoucherID, d.EntryID, exports.OutcomeOf[d.State.OnRecord()], says, agreed(d.Agrees)})
	}
}

// found puts the result of a check on record, beside what asked for it.
func (r *request) found(ctx context.Context, j *job, is proof.Proof) {
	ctx, cancel := context.WithTimeout(ctx, recordWithin)
	defer cancel()
	a := runlog.ConsoleAction{ID: uuid.New(), Subject: r.who.Subject, Actor: r.who.Actor(), Action: "checked", Target: "/checks/" + j.id.String()}
	if _, err := runlog.BeginConsoleAction(ctx, r.c.DB, j.organization, a); err != nil {
		r.c.Log.Error("the result of a check could not be recorded", "error", problemOf(err).logged())
		return
	}
	after := asJSON(map[string]any{"integration": j.integration.Name, "period": j.period, "agrees": is.Agrees, "differences": len(is.Differences) + is.More})
	if err := runlog.EndConsoleAction(ctx, r.c.DB, j.organization, a.ID, http.StatusOK, nil, after, nil); err != nil {
		r.c.Log.Error("the result of a check could not be recorded", "error", problemOf(err).logged())
	}
}

// Percent is how far it is.
func (c check) Percent() int {
	if c.Total == 0 {
		return 0
	}
	return min(100, c.Done*100/c.Total)
}

func (r *request) check() (any, error) {
	id, err := uuid.Parse(r.PathValue("job"))
	if err != nil {
		return nil, notFound()
	}
	r.c.jobs.mu.Lock()
	j := r.c.jobs.list[id]
	r.c.jobs.mu.Unlock()
	if j == nil || j.organization != r.org.ID {
		return nil, notFound()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	c := check{ID: j.id, Integration: j.integration, Period: j.period, BeganAt: j.began, EndedAt: j.ended, Done: j.done, Total: j.total, Failed: j.failed != nil, Findings: []finding{}, Differences: []differs{}}
	if j.result != nil {
		c.say(r, *j.result)
	}
	return c, nil
}
