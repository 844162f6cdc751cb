package model

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
)

// invocation is one that goes on: its attempts so far, as the next one will
// find them.
type invocation struct {
	id    uuid.UUID
	trail activities.Trail
}

// faults are what a vendor, or the network before it, does to one request; two
// more are the vendor's own.
var faults = map[string]*sandbox.Rule{
	"none":               nil,
	"unavailable":        {Status: 503},
	"bad request":        {Status: 400},
	"unauthorized":       {Status: 401},
	"lost before":        {Drop: sandbox.BeforeEffect},
	"lost after":         {Reset: sandbox.AfterEffect},
	"cut":                {TruncateAt: 20},
	"gateway":            {Status: 502},
	"not what was asked": {Status: 200, Body: `[]`},
}

// Points at which an attempt can be lost with its worker.
const (
	survives   = "survives"
	beforeCall = "dies before the call"
	afterCall  = "dies after the vendor's answer" // and may still record it, late
	noRecord   = "cannot record"
)

// attempt makes one attempt at the chunk at hand of some run.
func (w *world) attempt(t *rapid.T) {
	r := pick(t, w.runs, func(r *run) bool { return !r.closed && r.left() })
	names := []string{"none", "none", "unavailable", "throttled", "refused", "bad request", "unauthorized", "lost before", "lost after", "cut", "gateway", "not what was asked"}
	send := rapid.SampledFrom(names).Draw(t, "fault of sending")
	ask := rapid.SampledFrom(names).Draw(t, "fault of the look-up")
	fate := rapid.SampledFrom([]string{survives, survives, survives, survives, beforeCall, afterCall, noRecord}).Draw(t, "worker")
	w.attemptOf(r, send, ask, fate)
}

func (w *world) attemptOf(r *run, send, ask, fate string) {
	if r.invocation == nil {
		r.invocation = &invocation{id: uuid.New()}
	}
	v := w.vendors[w.place(r.export.IntegrationID)]
	for _, f := range []struct {
		of   sandbox.Match
		name string
	}{{v.send, send}, {v.look, ask}} {
		rule := faults[f.name]
		switch f.name {
		case "throttled":
			rule = &v.throttled
		case "refused":
			rule = &v.refused
		}
		if rule != nil {
			once := *rule
			once.Times, once.Match = 1, f.of
			once.Match.CorrelationID = r.invocation.id.String()
			w.vendor.Load().Script(once)
		}
	}
	trail := r.invocation.trail
	if fate == beforeCall {
		_, _, err := runlog.TakeChunk(context.Background(), w.worker, w.org, r.export.ID, r.chunk())
		require.NoError(w.t, err)
		w.goOn(r, trail.Begin(len(trail)+1, time.Now(), time.Now()).Lost(len(trail)+1, time.Now(), time.Now()), false)
		return
	}
	if fate == afterCall || fate == noRecord {
		w.store.failAt(2)
	}
	done, ok := w.call(r)
	w.store.failAt(0)
	if fate == afterCall {
		if done.Last().Rule == "export:record" {
			export, chunk := r.export.ID, r.chunk()
			w.late = append(w.late, func() error {
				return runlog.SettleChunk(context.Background(), w.worker, w.org, export, chunk, "exported", "", nil)
			})
		}
		done, ok = trail.Begin(len(trail)+1, time.Now(), time.Now()).Lost(len(trail)+1, time.Now(), time.Now()), false
	}
	w.goOn(r, done, ok)
}

// goOn does what Temporal does after an attempt: another one, or the outcome.
func (w *world) goOn(r *run, trail activities.Trail, ok bool) {
	last := trail.Last()
	lost := last.Rule == "trail:gap"
	if !ok && (last.Retryable || lost) && len(trail) < w.specs[0].Policy.MaxAttempts() {
		r.invocation.trail = trail
		return
	}
	w.after(r, trail, ok)
}

// call makes one real attempt.
func (w *world) call(r *run) (activities.Trail, bool) {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent{})
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(w.acts.Call, activity.RegisterOptions{Name: activities.CallName})
	if len(r.invocation.trail) > 0 {
		env.SetHeartbeatDetails(r.invocation.trail)
	}
	c := activities.Chunk{ExportID: r.export.ID, Chunk: r.chunk()}
	if r.verify != "" {
		c.Step, c.Reason = activities.VerifyStep, r.verify
	}
	value, err := env.ExecuteActivity(activities.CallName, activities.Invocation{
		OrganizationID: w.org, IntegrationID: r.export.IntegrationID, AdapterName: r.export.AdapterName, CorrelationID: r.invocation.id,
		Operation: adapters.Export, Body: c.Body(), Policy: w.specs[0].Policy,
	})
	if err == nil {
		var result activities.CallResult
		require.NoError(w.t, value.Get(&result))
		return result.Trail, true
	}
	var failed *temporal.ApplicationError
	require.ErrorAs(w.t, err, &failed)
	var trail activities.Trail
	require.NoError(w.t, failed.Details(&trail))
	return trail, false
}

// lateWord lets a worker that counts as lost record what it knows.
func (w *world) lateWord(t *rapid.T) {
	if len(w.late) == 0 {
		t.Skip()
	}
	i := rapid.IntRange(0, len(w.late)-1).Draw(t, "whose")
	require.NoError(t, w.late[i]())
	w.late = append(w.late[:i], w.late[i+1:]...)
}

// flaky is a database that goes away at the n-th transaction from now.
type flaky struct {
	runlog.Beginner
	left int
}

func (f *flaky) failAt(n int) { f.left = n }

func (f *flaky) Begin(ctx context.Context) (pgx.Tx, error) {
	if f.left > 0 {
		if f.left--; f.left == 0 {
			f.left = 1 // and stays away
			return nil, errors.New("the connection is lost")
		}
	}
	return f.Beginner.Begin(ctx)
}

type silent struct{}

func (silent) Debug(string, ...any) {}
func (silent) Info(string, ...any)  {}
func (silent) Warn(string, ...any)  {}
func (silent) Error(string, ...any) {}
