package workflows_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// answer is what a caller's wait for an outcome came to.
type answer struct {
	outcome workflows.Outcome
	err     error
}

func (a *answer) Accept()          {}
func (a *answer) Reject(err error) { a.err = err }
func (a *answer) Complete(v any, err error) {
	a.err = err
	a.outcome, _ = v.(workflows.Outcome)
}

// A caller who waits for an outcome says what it asked for: one that asked for something
// else is refused, however the bytes of the body are set.
func TestOutcomeIsOfTheSameRequest(t *testing.T) {
	b := newBench(t)
	in := b.invocation()
	in.Operation, in.Body = adapters.Call, json.RawMessage(`{ "query": "{ a(text: \"<&>\") }" }`)
	other := in
	other.Body = json.RawMessage(`{"query":"{ b }"}`)
	spaced := in
	spaced.Body = json.RawMessage(`{"query":"{ a(text: \"<&>\") }"}`)
	var same, also, none, another answer
	for i, c := range []struct {
		into *answer
		args []any
	}{{&same, []any{workflows.RequestSum(in)}}, {&also, []any{workflows.RequestSum(spaced)}}, {&none, nil}, {&another, []any{workflows.RequestSum(other)}}} {
		b.env.RegisterDelayedCallback(func() {
			b.env.UpdateWorkflow(workflows.OutcomeUpdate, string(rune('a'+i)), c.into, c.args...)
		}, 0)
	}
	b.sandbox.Script(sandbox.Rule{Times: 1, Status: 503})
	out := b.run(t, in)
	for _, a := range []answer{same, also, none} {
		require.NoError(t, a.err)
		require.Equal(t, out.CorrelationID, a.outcome.CorrelationID)
	}
	var refused *temporal.ApplicationError
	require.True(t, errors.As(another.err, &refused), "%v", another.err)
	require.Equal(t, "other_request", refused.Type())
	require.Empty(t, another.outcome)
}

func TestRequestSum(t *testing.T) {
	in := activities.Invocation{IntegrationID: uuid.New(), Operation: adapters.Ping, AdapterName: "xledger"}
	travelled := in
	encoded, err := json.Marshal(in)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &travelled))
	require.Equal(t, workflows.RequestSum(in), workflows.RequestSum(travelled))
	for name, change := range map[string]func(*activities.Invocation){
		"integration": func(in *activities.Invocation) { in.IntegrationID = uuid.New() },
		"operation":   func(in *activities.Invocation) { in.Operation = adapters.Call },
		"body":        func(in *activities.Invocation) { in.Body = json.RawMessage(`1`) },
	} {
		changed := in
		change(&changed)
		require.NotEqual(t, workflows.RequestSum(in), workflows.RequestSum(changed), name)
	}
}

// What kind a failure is stands beside the seven members of it.
func TestOutcomeKind(t *testing.T) {
	b := newBench(t)
	b.sandbox.Script(sandbox.Rule{Status: 403})
	out := b.run(t, b.invocation())
	require.Equal(t, classify.Forbidden, out.Kind)
	var members struct{ Failure map[string]any }
	encoded, err := json.Marshal(out)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &members))
	require.Len(t, members.Failure, 7)
}
