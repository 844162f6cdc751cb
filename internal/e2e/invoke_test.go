package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// Three retries after 1 s, 2 s and 4 s ± 20 %, by the
// clock of the vendor, and the policy is what the Temporal UI shows.
func TestBackoffForReal(t *testing.T) {
	startWorker(t)
	in := newTenant(t, "").ping("xledger-main")
	script(in, sandbox.Rule{Times: 3, Status: 503})
	require.True(t, execute(t, in).OK)
	finish(t, in)
	require.Equal(t, "1:transient/unavailable 2:transient/unavailable 3:transient/unavailable 4:/ok", trail(rowsOf(t, in)))
	log := reached(in)
	require.Len(t, log, 4)
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		require.GreaterOrEqual(t, log[i+1].At.Sub(log[i].At), want*8/10, "a wait is never shorter than planned")
	}
	for _, e := range events(t, in) {
		if a := e.GetActivityTaskScheduledEventAttributes(); a.GetActivityType().GetName() == activities.CallName {
			p := a.GetRetryPolicy()
			require.Equal(t, time.Second, p.GetInitialInterval().AsDuration())
			require.Equal(t, 2.0, p.GetBackoffCoefficient())
			require.Equal(t, 4*time.Second, p.GetMaximumInterval().AsDuration())
			require.EqualValues(t, 4, p.GetMaximumAttempts())
			require.Equal(t, classify.NonRetryable(), p.GetNonRetryableErrorTypes())
			require.Equal(t, 10*time.Second, a.GetStartToCloseTimeout().AsDuration())
			require.Less(t, a.GetScheduleToCloseTimeout().AsDuration(), time.Minute)
		}
	}
}

// An adapter that hangs is cut off by its timeout, which is a
// timeout and uses a retry slot.
func TestHangTimesOut(t *testing.T) {
	startWorker(t)
	in := newTenant(t, "{baseDelay: 200ms, attemptTimeout: 6s}").ping("xledger-main") // a margin of 300 ms to report in
	script(in, sandbox.Rule{Times: 1, Hang: true})
	require.True(t, execute(t, in).OK)
	finish(t, in)
	require.Equal(t, "1:timeout/attempt_timeout 2:/ok", trail(rowsOf(t, in)), "the worker itself reports the timeout")
}

// The default attempt timeout is 10 s; this is the one test that waits for it.
func TestHangTimesOutAt10s(t *testing.T) {
	startWorker(t)
	in := newTenant(t, "{maxRetries: 0}").ping("xledger-main")
	script(in, sandbox.Rule{Hang: true})
	began := time.Now()
	out := execute(t, in)
	require.GreaterOrEqual(t, time.Since(began), 9*time.Second)
	require.Equal(t, classify.Timeout, out.Failure.ErrorClass)
	require.Nil(t, out.Failure.HTTPStatus)
	require.False(t, out.Failure.IsRetryable)
}

// A vendor that fails and succeeds in turn leaves exactly the
// expected rows, for every adapter.
func TestAlternatingVendor(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	for _, name := range []string{"xledger-main", "crm", "erp"} {
		for range 3 {
			in := o.ping(name)
			script(in, sandbox.Rule{Alternate: true, Status: 502})
			out := execute(t, in)
			require.True(t, out.OK)
			require.Equal(t, 2, out.TotalAttempts)
			finish(t, in)
			require.Equal(t, "1:transient/bad_gateway 2:/ok", trail(rowsOf(t, in)))
			again := o.ping(name)
			require.True(t, execute(t, again).OK)
			require.Empty(t, rowsOf(t, again), "a success at the first attempt writes nothing")
		}
	}
}

// waitFor waits until the vendor has been asked n times by an invocation.
func waitFor(t *testing.T, in activities.Invocation, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(reached(in)) >= n }, 60*time.Second, 20*time.Millisecond,
		"the vendor was asked %d times, waiting for %d", len(reached(in)), n)
}

// A worker that is killed during attempts 2 and 4 leaves no gap: both are on
// record as lost.
func TestWorkerKilled(t *testing.T) {
	w := startWorker(t)
	in := newTenant(t, quick).ping("xledger-main")
	script(in, sandbox.Rule{Times: 1, Status: 503}, sandbox.Rule{Times: 1, Hang: true},
		sandbox.Rule{Times: 1, Status: 504}, sandbox.Rule{Times: 1, Hang: true})
	begin(t, in)
	waitFor(t, in, 2)
	w.Kill()
	w = startWorker(t)
	waitFor(t, in, 4)
	w.Kill()
	startWorker(t)
	out := finish(t, in)
	require.Equal(t, 4, out.TotalAttempts)
	require.Equal(t, classify.Timeout, out.Failure.ErrorClass)
	require.False(t, out.Failure.IsRetryable)
	rows := rowsOf(t, in)
	require.Equal(t, "1:transient/unavailable 2:timeout/worker_lost 3:transient/gateway_timeout 4:timeout/worker_lost", trail(rows))
	require.True(t, rows[1].Retryable)
	require.False(t, rows[3].Retryable)
}

// A write whose worker is killed after the vendor has acted is not doubled.
func TestWorkerKilledAfterEffect(t *testing.T) {
	w := startWorker(t)
	o := newTenant(t, quick)
	in := o.ping("xledger-main")
	key := uuid.NewString()
	in.Operation = adapters.Call
	in.Body = json.RawMessage(fmt.Sprintf(`{"query":"mutation($in:[AddGLImportItemsInput!]!){addGLImportItems(inputs:$in){edges{clientId}}}","variables":{"in":[
		{"node":{"extIdentifier":"%s-1","trRegNumber":"9","amount":"5.00","account":{"code":"1920"}}},
		{"node":{"extIdentifier":"%s-2","trRegNumber":"9","amount":"-5.00","account":{"code":"3000"}}}]}}`, key, key))
	// The effect is there; the answer drips so slowly that the kill comes first.
	script(in, sandbox.Rule{Times: 1, DripMS: 500})
	begin(t, in)
	waitFor(t, in, 1)
	require.Eventually(t, func() bool { return effects(key) == 2 }, 10*time.Second, 10*time.Millisecond)
	w.Kill()
	startWorker(t)
	out := finish(t, in)
	require.True(t, out.OK)
	require.True(t, out.Response.ReadBack)
	require.Equal(t, 2, effects(key), "each item exactly once")
	require.Equal(t, "1:timeout/worker_lost 2:/ok", trail(rowsOf(t, in)))
}

func effects(key string) int {
	n := 0
	for _, e := range stack.Sandbox.Effects() {
		if strings.HasPrefix(e.Key, key) {
			n++
		}
	}
	return n
}

// A database outage does not stand between the caller and the outcome, and
// loses no row.
func TestDatabaseOutage(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	require.True(t, execute(t, o.ping("xledger-main")).OK) // the worker knows the integration now
	require.NoError(t, stack.Postgres.Stop(t.Context(), "immediate"))
	var all []activities.Invocation
	for i := range 10 {
		in := o.ping("xledger-main")
		script(in, sandbox.Rule{Times: 1 + i%2*3, Status: 503})
		out := execute(t, in)
		require.Equal(t, i%2 == 0, out.OK, "the outcome comes while the database is down")
		all = append(all, in)
	}
	require.NoError(t, stack.Postgres.Start(t.Context()))
	for i, in := range all {
		finish(t, in)
		want := "1:transient/unavailable 2:/ok"
		if i%2 == 1 {
			want = "1:transient/unavailable 2:transient/unavailable 3:transient/unavailable 4:transient/unavailable"
		}
		require.Equal(t, want, trail(rowsOf(t, in)))
	}
}

// SIGTERM lets the attempt under way finish.
func TestSIGTERM(t *testing.T) {
	w := startWorker(t)
	in := newTenant(t, "").ping("xledger-main")
	script(in, sandbox.Rule{DelayMS: 1500})
	begin(t, in)
	waitFor(t, in, 1)
	require.NoError(t, w.Signal(syscall.SIGTERM))
	require.NoError(t, w.Wait(), w.Output())
	require.Len(t, reached(in), 1)
	startWorker(t)
	out := finish(t, in)
	require.True(t, out.OK)
	require.Equal(t, 1, out.TotalAttempts)
	require.Len(t, reached(in), 1, "no second call")
}

// The same correlation ID again returns the stored outcome and calls nobody,
// while it runs, after it, and however it was started.
func TestSameCorrelationID(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	in := o.ping("xledger-main")
	script(in, sandbox.Rule{Times: 1, Status: 401})
	first := execute(t, in)
	require.Equal(t, first, execute(t, in))
	finish(t, in)
	require.Equal(t, first, execute(t, in))
	require.Len(t, reached(in), 1)

	plain := o.ping("xledger-main")
	begin(t, plain)
	want := finish(t, plain)
	require.Equal(t, want, execute(t, plain))
	require.Len(t, reached(plain), 1)
}

// A history's length does not depend on the number of attempts.
func TestHistoryLength(t *testing.T) {
	startWorker(t)
	o := newTenant(t, quick)
	for _, c := range []struct {
		name string
		rule sandbox.Rule
		want int
	}{
		{"success", sandbox.Rule{Times: 1, DelayMS: 1}, 11},
		{"failure at once", sandbox.Rule{Status: 400}, 18},
		{"failure after four attempts", sandbox.Rule{Status: 503}, 18},
	} {
		in := o.ping("xledger-main")
		script(in, c.rule)
		begin(t, in)
		finish(t, in)
		require.Len(t, events(t, in), c.want, c.name)
	}
}

// A cancelled invocation records the attempt under way and ends.
func TestCancel(t *testing.T) {
	startWorker(t)
	o := newTenant(t, "")
	in := o.ping("xledger-main")
	script(in, sandbox.Rule{Times: 1, Status: 503}, sandbox.Rule{Status: 503, DelayMS: 1000})
	run := begin(t, in)
	waitFor(t, in, 2)
	require.NoError(t, temporal.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()))
	out := finish(t, in)
	require.False(t, out.OK)
	require.False(t, out.Failure.IsRetryable)
	rows := rowsOf(t, in)
	require.Len(t, rows, 2, trail(rows))
	require.LessOrEqual(t, len(reached(in)), 2, "nothing is called after the cancellation")
}

// An operator who resets an activity makes Temporal count from one again; the
// trail does not.
func TestActivityReset(t *testing.T) {
	startWorker(t)
	in := newTenant(t, "{baseDelay: 2s, coefficient: 1, attemptTimeout: 5s}").ping("xledger-main")
	script(in, sandbox.Rule{Times: 2, Status: 503})
	run := begin(t, in)
	waitFor(t, in, 1)
	resetActivity(t, run)
	require.True(t, finish(t, in).OK)
	rows := rowsOf(t, in)
	for i, r := range rows {
		require.Equal(t, i+1, r.Attempt, trail(rows))
	}
	require.Len(t, rows, 3, trail(rows))
}

// Two organizations cannot see each other's rows, whatever they ask.
func TestOrganizationsAreApart(t *testing.T) {
	startWorker(t)
	a, b := newTenant(t, quick), newTenant(t, quick)
	for _, o := range []tenant{a, b} {
		in := o.ping("xledger-main")
		script(in, sandbox.Rule{Status: 400})
		execute(t, in)
		finish(t, in)
	}
	// A names B's integration: refused, nobody is called, and A's record shows it.
	foreign := a.ping("xledger-main")
	foreign.IntegrationID = b.integrations["xledger-main"].ID
	out := execute(t, foreign)
	require.Equal(t, classify.Permanent, out.Failure.ErrorClass)
	finish(t, foreign)
	require.Empty(t, reached(foreign))
	require.Equal(t, a.id, rowsOf(t, foreign)[0].Org)

	conn, err := pgx.Connect(t.Context(), stack.URL(devstack.Reader))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	seen := func(setting string) (n int) {
		tx, err := conn.Begin(t.Context())
		require.NoError(t, err)
		defer tx.Rollback(t.Context())
		_, err = tx.Exec(t.Context(), "SELECT set_config('app.organization_id', $1, true)", setting)
		require.NoError(t, err)
		require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM ledgerline.integration_run_logs").Scan(&n))
		return n
	}
	require.Equal(t, 2, seen(a.id.String()))
	require.Equal(t, 1, seen(b.id.String()))
	require.Equal(t, 0, seen(""))
}
