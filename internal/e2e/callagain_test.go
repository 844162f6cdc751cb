package e2e

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// write is a call of a tenant that can be looked up, and its key.
func (o tenant) write() (in activities.Invocation, key string) {
	key, body := item()
	in = engine.NewInvocation(o.integrations["xledger-main"], adapters.Call, []byte(body))
	in.Actor = "kari"
	return in, key
}

// integration acts on the tenant's integration.
func integration(t *testing.T, o tenant, args ...string) {
	t.Helper()
	_, words, code := starter(t, "", append(append([]string{"integrations"}, args...), "--org", o.id.String(), "--integration", "xledger-main")...)
	require.Zero(t, code, words)
}

// A call that failed is made again as a new one, once, whoever asks and however many at once;
// what may have happened is not.
func TestCallAgain(t *testing.T) {
	startWorker(t)
	db, err := pgxpool.New(t.Context(), stack.URL(devstack.Operator))
	require.NoError(t, err)
	defer db.Close()
	again := func(o tenant, id uuid.UUID) (activities.Invocation, error) {
		return engine.CallAgain(t.Context(), temporal, db, o.id, id, "ola")
	}
	refused := func(t *testing.T, o tenant, id, names uuid.UUID, says string) {
		t.Helper()
		_, err := again(o, id)
		var not *engine.NotAgainError
		require.ErrorAs(t, err, &not)
		require.Equal(t, names, not.CorrelationID)
		require.Contains(t, not.Why, says)
	}

	t.Run("it failed", func(t *testing.T) {
		o := newTenant(t, quick)
		first, key := o.write()
		script(first, sandbox.Rule{Times: 100, Status: 429}) // exhausted, and nothing was done
		out := execute(t, first)
		require.False(t, out.OK)
		require.NotEqual(t, classify.Open, out.Effect)
		finish(t, first)

		var all sync.WaitGroup
		ids := make([]uuid.UUID, 8)
		for i := range ids {
			all.Go(func() {
				in, err := again(o, first.CorrelationID)
				if err == nil { // one that comes when it has succeeded is refused
					ids[i] = in.CorrelationID
				}
			})
		}
		all.Wait()
		second, err := again(o, first.CorrelationID)
		if err != nil {
			var not *engine.NotAgainError
			require.ErrorAs(t, err, &not)
			second = first
			second.CorrelationID = not.CorrelationID
		}
		for _, id := range ids {
			require.Contains(t, []uuid.UUID{uuid.Nil, second.CorrelationID}, id)
		}
		require.True(t, finish(t, second).OK)
		require.Len(t, stack.Sandbox.Records(key), 1)
		refused(t, o, first.CorrelationID, second.CorrelationID, "succeeded")
		refused(t, o, second.CorrelationID, second.CorrelationID, "succeeded")
		require.Equal(t, []string{"ola, call " + first.CorrelationID.String() + " again"},
			queryStrings(t, "SELECT actor FROM ledgerline.integration_run_logs WHERE correlation_id = $1", second.CorrelationID))
	})

	t.Run("its repeat fails too", func(t *testing.T) {
		o := newTenant(t, quick)
		first, key := o.write()
		script(first, sandbox.Rule{Times: 100, Status: 429})
		require.False(t, execute(t, first).OK)
		finish(t, first)
		integration(t, o, "pause", "--reason", "test")
		second, err := again(o, first.CorrelationID)
		require.NoError(t, err)
		require.False(t, finish(t, second).OK)
		integration(t, o, "resume")
		third, err := again(o, second.CorrelationID)
		require.NoError(t, err)
		require.Equal(t, []any{first.CorrelationID, 2}, []any{*third.Repeats, third.Repeat}, "it names the first one")
		require.True(t, finish(t, third).OK)
		refused(t, o, first.CorrelationID, third.CorrelationID, "succeeded")
		refused(t, o, second.CorrelationID, third.CorrelationID, "succeeded")
		require.Len(t, stack.Sandbox.Records(key), 1)
	})

	t.Run("Temporal has forgotten them", func(t *testing.T) {
		for name, ask := range map[string]func(context.Context, client.Client, activities.Invocation) (workflows.Outcome, error){
			"asked again": engine.ExecuteAgain, "asked": engine.Execute,
		} {
			o := newTenant(t, quick)
			first, key := o.write()
			script(first, sandbox.Rule{Times: 100, Status: 429})
			require.False(t, execute(t, first).OK, name)
			finish(t, first)
			second, err := again(o, first.CorrelationID)
			require.NoError(t, err, name)
			require.True(t, finish(t, second).OK, name)
			forget(t, first)
			forget(t, second)
			out, err := ask(t.Context(), temporal, first)
			require.NoError(t, err, name)
			require.Equal(t, []any{false, classify.NotOwner}, []any{out.OK, out.Kind}, name)
			require.Contains(t, out.Failure.Message, "was made again as call "+second.CorrelationID.String(), name)
			require.Len(t, stack.Sandbox.Records(key), 1, name)
		}
	})

	t.Run("it may have happened", func(t *testing.T) {
		o := newTenant(t, quick)
		in, key := o.write()
		script(in, sandbox.Rule{Times: 1, Reset: sandbox.AfterEffect}, sandbox.Rule{Times: 100, Status: 503})
		out := execute(t, in)
		require.Equal(t, classify.Open, out.Effect)
		finish(t, in)
		refused(t, o, in.CorrelationID, in.CorrelationID, "may have taken effect")
		require.Len(t, stack.Sandbox.Records(key), 1)
	})

	t.Run("it succeeded, or there is none", func(t *testing.T) {
		o := newTenant(t, quick)
		in, _ := o.write()
		require.True(t, execute(t, in).OK)
		finish(t, in)
		refused(t, o, in.CorrelationID, in.CorrelationID, "succeeded")
		id := uuid.New()
		refused(t, o, id, id, "is not in Temporal any more")
		_, err := engine.CallAgain(t.Context(), temporal, db, newTenant(t, quick).id, in.CorrelationID, "ola")
		require.ErrorContains(t, err, "is not in Temporal any more", "another organization's")
	})

	t.Run("it runs", func(t *testing.T) {
		o := newTenant(t, quick)
		in, _ := o.write()
		script(in, sandbox.Rule{Times: 1, DelayMS: 1500})
		begin(t, in)
		refused(t, o, in.CorrelationID, in.CorrelationID, "has not ended")
		require.True(t, finish(t, in).OK)
	})

	t.Run("nothing was asked, because it was paused", func(t *testing.T) {
		o := newTenant(t, quick)
		in, key := o.write()
		integration(t, o, "pause", "--reason", "test")
		require.Equal(t, classify.Paused, execute(t, in).Kind)
		finish(t, in)
		integration(t, o, "resume")
		out, words, code := starter(t, "", "call", "--org", o.id.String(), "--again", in.CorrelationID.String()[:13])
		require.Zero(t, code, words)
		outcome := fromJSON[workflows.Outcome](t, out)
		require.True(t, outcome.OK, out)
		require.Contains(t, words, "call "+in.CorrelationID.String()+" again, correlation ID "+outcome.CorrelationID.String())
		_, err := engine.ExecuteAgain(t.Context(), temporal, in)
		var not *engine.NotAgainError
		require.ErrorAs(t, err, &not, "the old one is not made under its own ID either")
		require.Contains(t, not.Why, outcome.CorrelationID.String())
		require.Len(t, stack.Sandbox.Records(key), 1)
	})

	t.Run("it was ended from outside", func(t *testing.T) {
		o := newTenant(t, quick)
		in, _ := o.write()
		script(in, sandbox.Rule{Times: 1, DelayMS: 1500})
		begin(t, in)
		waitFor(t, in, 1)
		require.NoError(t, temporal.TerminateWorkflow(t.Context(), workflows.InvokeID(o.id, in.CorrelationID), "", "test"))
		refused(t, o, in.CorrelationID, in.CorrelationID, "ended from outside")
	})
}
