package workflows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
)

// A success whose body is too large once it is encoded is a success without its
// body, at every limit; the vendor is called once and one row is left.
func TestLargeAnswers(t *testing.T) {
	for name, fill := range map[string]string{"<": "<", "a control character": "\\u0001", "invalid UTF-8": "\xff", "plain": "abcdefgh"} {
		for _, size := range []int{200_000, 316_000, 317_000, 450_000, 1<<20 - 1, 1 << 20, 1<<20 + 1, 3 << 20} {
			b := newBench(t)
			body := []byte(`{"data":{"addProjects":{"x":"` + strings.Repeat(fill, (size-40)/len(fill)) + `"}}}`)
			b.sandbox.Script(sandbox.Rule{Status: 200, Bytes: body})
			in := b.invocation()
			in.Operation, in.Body = adapters.Call, json.RawMessage(`{"query":"mutation { addProjects(inputs: []) { x } }"}`)
			out := b.run(t, in)
			require.True(t, out.OK, "%s %d: %+v", name, size, out.Failure)
			require.Equal(t, classify.Done, out.Effect)
			require.Len(t, b.sandbox.Log(), 1)
			require.Len(t, b.rows, 1)
			require.Equal(t, []any{1, classify.Done}, []any{b.rows[0].TotalAttempts, b.rows[0].Effect})
			if len(body) > 1<<20 && name != "invalid UTF-8" { // which becomes a single replacement
				require.NotNil(t, out.Response.Omitted, "%s %d", name, size)
			}
			if out.Response.Omitted != nil {
				require.Empty(t, out.Response.Body)
				require.Len(t, out.Response.Omitted.SHA256, 64)
			}
			encoded, err := json.Marshal(out)
			require.NoError(t, err)
			require.Less(t, len(encoded), 2_000_000)
		}
	}
}

// Hostile texts do not change what an answer means.
func TestHostileAnswers(t *testing.T) {
	canary := sandbox.DemoXledgerToken
	cases := map[string]struct {
		rule     sandbox.Rule
		class    classify.Class
		kind     classify.Kind
		attempts int
	}{
		"invalid UTF-8 in a permanent error": {sandbox.Rule{Status: 400, Bytes: []byte("{\"errors\":[{\"message\":\"\xff\xfe " + canary + "\"}]}")}, classify.Permanent, classify.BadRequest, 1},
		"3 MB of error text":                 {sandbox.Rule{Status: 422, Body: `{"errors":[{"message":"` + strings.Repeat("long "+canary+" ", 3<<20/40) + `"}]}`}, classify.Permanent, classify.Unprocessable, 1},
		"5 MB success":                       {sandbox.Rule{Status: 200, BodySize: 5 << 20}, classify.Permanent, classify.PayloadTooLarge, 1},
		"control characters":                 {sandbox.Rule{Status: 400, Body: "{\"errors\":[{\"message\":\"a\\u0000b\\u202e\\u001b[31m\"}]}"}, classify.Permanent, classify.BadRequest, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.sandbox.Script(c.rule)
			out := b.run(t, b.invocation())
			require.Equal(t, c.class, out.Failure.ErrorClass)
			require.Equal(t, c.attempts, out.TotalAttempts)
			require.Len(t, b.sandbox.Log(), c.attempts)
			require.Equal(t, c.kind, b.rows[0].ErrorKind)
			require.NotContains(t, out.Failure.Message+b.rows[0].ErrorMessage+b.log.String(), canary)
			require.LessOrEqual(t, len([]rune(out.Failure.Message)), 500)
			require.False(t, strings.ContainsAny(out.Failure.Message, "\x00\x1b\u202e\n"))
		})
	}
}

// A panicking adapter is a defect of ours; its value may hold anything and is
// not shown.
func TestPanicIsContained(t *testing.T) {
	canary := strings.Join([]string{"panic", "canary", "77"}, "-")
	b := newBench(t)
	in := b.invocation()
	acts, err := activities.New(activities.Options{
		Store: b, Adapters: map[string]adapters.Adapter{"xledger": broken{canary}}, Secrets: b.secrets, Log: slog.New(slog.NewJSONHandler(&b.log, nil)),
	})
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silent)
	b.env = suite.NewTestWorkflowEnvironment()
	workflows.Register(b.env, acts)
	out := b.run(t, in)
	require.Equal(t, 1, out.TotalAttempts)
	require.Equal(t, classify.Internal, b.rows[0].ErrorKind)
	require.NotContains(t, out.Failure.Message+b.log.String(), canary)
	require.Contains(t, out.Failure.Message, "broken.Do")
}

// broken panics with a secret.
type broken struct{ canary string }

func (broken) Vendor() adapters.Vendor { return adapters.Vendor{} }

func (broken) Describe(adapters.Operation, []byte) (adapters.Description, error) {
	return adapters.Description{Guard: adapters.ReadOnly}, nil
}

func (b broken) Do(context.Context, *adapters.Conn, adapters.Operation, []byte) (adapters.Response, classify.Verdict) {
	panic(b.canary)
}
