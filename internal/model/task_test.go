package model

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"pgregory.net/rapid"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// task is one attempt at an activity, in a goroutine of its own. It comes to
// points at which it can be held, lost or troubled: before and after each
// transaction, and when a request of it has reached the vendor. Of all tasks at
// most one runs at a time, so that what happens has an order, which is drawn.
type task struct {
	w                *world
	workflow         string
	run              uuid.UUID // of the workflow, as Temporal gives it
	name             string
	arg              any
	export           uuid.UUID // that it is about
	correlation      uuid.UUID // of an invocation
	integration      uuid.UUID
	repeats          bool // a repeat of what it sends has no further effect
	attempt          int32
	scheduled, began time.Time     // by the server's clock
	real             time.Time     // when it began, by the machine's
	skew             time.Duration // of its worker's clock
	trouble          trouble

	cancel context.CancelFunc
	held   string        // where it is held; "" if it is not
	at     chan string   // it has come to where it is held
	on     chan struct{} // it goes on
	done   chan struct{}
	value  converter.EncodedValue
	err    error

	requests sync.WaitGroup // of it, that the vendor works on

	mu     sync.Mutex
	points int
	dead   bool             // its worker is lost: nothing that it does reaches anybody
	doomed bool             // its time is up: nothing that it sends leaves, and nobody hears its result
	beat   activities.Trail // its last heartbeat
	sent   []*request       // its requests that carry keys and have no record yet
	marked time.Time        // when its last transaction was committed
}

// trouble is what happens to a task at one of its points, counted from the one
// at which it goes on.
type trouble struct {
	what string
	at   int
}

// What can happen at a point.
const (
	smooth = ""
	hold   = "is held"
	lost   = "is lost with its worker"
	fails  = "finds that the database fails"                         // the transaction is not begun, or rolled back
	unsaid = "does not learn that its transaction was committed"     // and is not lost
	silent = "is lost after its transaction, before it learns of it" // with its worker
)

func drawTrouble(t *rapid.T) trouble {
	what := rapid.SampledFrom([]string{smooth, smooth, smooth, smooth, hold, hold, lost, fails, unsaid, silent}).Draw(t, "trouble")
	if what == smooth {
		return trouble{}
	}
	return trouble{what, rapid.IntRange(0, 11).Draw(t, "at point")}
}

var (
	errLost = errors.New("the worker is lost")
	errDown = errors.New("unexpected EOF")
)

// start runs a task until it is over or held. It returns whether it is over.
func (t *task) start() bool {
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel, t.at, t.on, t.done = cancel, make(chan string), make(chan struct{}), make(chan struct{})
	t.began, t.real = t.w.clock.Now(), time.Now()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx, Interceptors: []interceptor.WorkerInterceptor{&informer{task: t}}})
	acts := t.activities()
	for name, f := range map[string]any{
		activities.CallName: acts.Call, activities.ClaimName: acts.ClaimExport, activities.PlanName: acts.PlanExport,
		activities.SplitName: acts.SplitChunk, activities.DeferName: acts.DeferExport, activities.CloseName: acts.CloseExport,
		activities.DrawName: acts.DrawVoucher, activities.FitName: acts.FitChunks,
	} {
		env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	go func() {
		defer close(t.done)
		t.value, t.err = env.ExecuteActivity(t.name, t.arg)
	}()
	return t.wait()
}

// wait lets a task run.
func (t *task) wait() (over bool) {
	t.w.running.Store(t)
	defer t.w.running.Store(nil)
	select {
	case t.held = <-t.at:
		return false
	case <-t.done:
		t.held = ""
		t.requests.Wait()
		return true
	}
}

// resume lets a task that is held go on.
func (t *task) resume(next trouble) (over bool) {
	t.mu.Lock()
	next.at += t.points
	t.trouble = next
	t.mu.Unlock()
	t.on <- struct{}{}
	return t.wait()
}

// lose loses a task that is held.
func (t *task) lose() {
	t.mu.Lock()
	t.dead = true
	t.mu.Unlock()
	t.cancel()
	for !t.resume(trouble{}) {
	}
}

// doom lets the time of a task that is held run out: nothing that it sends leaves
// any more. What it does in the database is not stopped, as of a worker that is
// frozen between its last look at the clock and its query.
func (t *task) doom() {
	t.mu.Lock()
	t.doomed = true
	t.mu.Unlock()
	t.cancel()
}

// heard reports whether anybody hears what becomes of a task.
func (t *task) heard() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.dead && !t.doomed
}

// point is where something may happen to a task. It returns what does; held is
// over when it returns.
func (t *task) point(where string) string {
	t.mu.Lock()
	n := t.points
	t.points++
	what := smooth
	switch {
	case t.dead:
		what = lost
	case t.trouble.what != smooth && n == t.trouble.at:
		if what = t.trouble.what; what == lost {
			t.dead = true
		}
	}
	t.mu.Unlock()
	switch what {
	case lost:
		t.cancel()
	case hold:
		t.at <- where
		<-t.on
		t.mu.Lock()
		if what = smooth; t.dead {
			what = lost
		}
		t.mu.Unlock()
	}
	return what
}

// Where a task is held.
const (
	beforeBegin = "before a transaction"
	afterCommit = "after a transaction"
	arrived     = "at the vendor"
)

// store is the database as a task sees it. Every transaction is at the clock's
// time, and none ends because the task's context does.
type store struct{ t *task }

func (s store) Begin(ctx context.Context) (pgx.Tx, error) {
	switch s.t.point(beforeBegin) {
	case lost:
		return nil, errLost
	case fails, unsaid, silent:
		return nil, errDown
	}
	ctx = context.WithoutCancel(ctx)
	tx, err := s.t.w.begin(ctx, s.t.w.database.Worker)
	if err != nil {
		return nil, err
	}
	return transaction{tx, s.t, s.t.w.ordersOf(s.t)}, nil
}

type transaction struct {
	pgx.Tx
	t      *task
	orders *orders // what must not change
}

func (x transaction) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return x.Tx.Exec(context.WithoutCancel(ctx), sql, args...)
}

func (x transaction) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return x.Tx.Query(context.WithoutCancel(ctx), sql, args...)
}

func (x transaction) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return x.Tx.QueryRow(context.WithoutCancel(ctx), sql, args...)
}

func (x transaction) Rollback(ctx context.Context) error {
	return x.Tx.Rollback(context.WithoutCancel(ctx))
}

func (x transaction) Commit(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	t := x.t
	t.mu.Lock()
	what := smooth
	if t.trouble.what != hold && t.trouble.what != lost && t.points == t.trouble.at {
		what = t.trouble.what
	}
	t.mu.Unlock()
	if what == fails {
		t.point("")
		_ = x.Tx.Rollback(ctx)
		return errDown
	}
	if err := x.Tx.Commit(ctx); err != nil {
		return err
	}
	t.w.committed(t)
	x.orders.check()
	switch what {
	case unsaid:
		t.point("")
		return errDown
	case silent:
		t.mu.Lock()
		t.dead = true
		t.mu.Unlock()
	}
	if t.point(afterCommit) == lost {
		return errLost
	}
	return nil
}

// activities are a worker's.
func (t *task) activities() *activities.Activities {
	db, log := store{t}, slog.New(slog.DiscardHandler)
	acts, err := activities.New(activities.Options{
		DB: db, Store: claims{activities.NewStore(db, log, nil), t.w}, Adapters: t.w.adapters, Client: t.w.client, Secrets: t.w.secrets, Log: log,
		Now: func() time.Time { return t.w.clock.Now().Add(t.skew) },
		Alive: func(_ context.Context, workflow string, run uuid.UUID) (bool, error) {
			return t.w.alive(workflow, run, t.run), nil
		},
	})
	require.NoError(t.w.t, err)
	return acts
}

// claims are what calls keep in the database: the claims of writes. What an
// integration is, the world knows, and the audit record is not of interest.
type claims struct {
	activities.Store
	w *world
}

func (c claims) Integration(_ context.Context, _, id uuid.UUID) (integrations.Integration, error) {
	return c.w.specs[c.w.place(id)], nil
}

func (claims) Pause(context.Context, uuid.UUID, uuid.UUID) (*runlog.Pause, error) { return nil, nil }

func (claims) InsertAttempts(context.Context, uuid.UUID, []runlog.AttemptRow) error { return nil }

// result is what Temporal hears of a task: what it returned, or its error.
func (t *task) result(into any) error {
	if t.err == nil {
		require.NoError(t.w.t, t.value.Get(into))
	}
	return t.err
}

// called is what Temporal hears of an attempt at a call, with its trail.
func (t *task) called() (activities.CallResult, error) {
	var r activities.CallResult
	err := t.result(&r)
	if err != nil {
		var failed *temporal.ApplicationError
		require.ErrorAs(t.w.t, err, &failed)
		require.NoError(t.w.t, failed.Details(&r.Trail), "%v", err)
	}
	return r, err
}

// informer gives a task's activity the information that Temporal would.
type informer struct {
	interceptor.WorkerInterceptorBase
	task *task
}

func (i *informer) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &inbound{interceptor.ActivityInboundInterceptorBase{Next: next}, i.task}
}

type inbound struct {
	interceptor.ActivityInboundInterceptorBase
	task *task
}

func (i *inbound) Init(out interceptor.ActivityOutboundInterceptor) error {
	return i.Next.Init(&outbound{interceptor.ActivityOutboundInterceptorBase{Next: out}, i.task})
}

type outbound struct {
	interceptor.ActivityOutboundInterceptorBase
	task *task
}

func (o *outbound) GetInfo(ctx context.Context) activity.Info {
	info := o.Next.GetInfo(ctx)
	info.Attempt, info.ScheduledTime, info.StartedTime = o.task.attempt, o.task.scheduled, o.task.began
	info.StartToCloseTimeout, info.ScheduleToCloseTimeout = policy.AttemptTimeout, policy.Budget-time.Second
	info.WorkflowExecution.ID, info.WorkflowExecution.RunID = o.task.workflow, o.task.run.String()
	return info
}

func (o *outbound) RecordHeartbeat(_ context.Context, details ...any) {
	o.task.mu.Lock()
	defer o.task.mu.Unlock()
	if trail, ok := append(details, nil)[0].(activities.Trail); ok && !o.task.dead && !o.task.doomed {
		o.task.beat = append(activities.Trail(nil), trail...)
	}
}

func (o *outbound) HasHeartbeatDetails(context.Context) bool {
	o.task.mu.Lock()
	defer o.task.mu.Unlock()
	return len(o.task.beat) > 0
}

func (o *outbound) GetHeartbeatDetails(_ context.Context, into ...any) error {
	o.task.mu.Lock()
	defer o.task.mu.Unlock()
	raw, err := json.Marshal(o.task.beat)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into[0])
}
