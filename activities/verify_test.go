package activities

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
)

// takesAll is a database that takes what it is given.
type takesAll struct{ pgx.Tx }

func (d takesAll) Begin(context.Context) (pgx.Tx, error) { return d, nil }
func (takesAll) Commit(context.Context) error            { return nil }
func (takesAll) Rollback(context.Context) error          { return nil }
func (takesAll) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, nil
}

// A verification that finds that the vendor refuses is a success for whoever asked. Health
// observes what the vendor answered, and an integration in trouble does not recover by it.
func TestVerifyIsObservedAsAnswered(t *testing.T) {
	graphQL := `{"errors":[{"message":"Not allowed"}]}`
	odata := `{"error":{"code":"Unlisted","message":"no"}}`
	for _, c := range []struct {
		name     string
		only     []string // adapters; nil: all
		say      []byte
		sign     []byte // nil: a token is granted
		differs  bool   // and the outcome is a success
		observed classify.Kind
	}{
		{"401", nil, answer(401, odata), nil, true, classify.Unauthorized},
		{"403", nil, answer(403, odata), nil, true, classify.Forbidden},
		{"404", nil, answer(404, odata), nil, true, classify.NotFound},
		{"200 with a refused token", []string{"xledger"}, answer(200, graphQL), nil, true, classify.Business},
		{"200 that is no answer", []string{"dataverse", "businesscentral"}, answer(200, graphQL), nil, false, ""},
		{"no token", []string{"dataverse", "businesscentral"}, answer(200, `{"value":[]}`),
			answer(401, `{"error":"invalid_client","error_description":"AADSTS7000215"}`), true, classify.Unauthorized},
		{"no token service", []string{"dataverse", "businesscentral"}, answer(200, `{"value":[]}`), answer(503, ""), false, classify.Unavailable},
		{"503", nil, answer(503, ""), nil, false, classify.Unavailable},
		{"no answer", nil, nil, nil, false, classify.AttemptTimeout},
	} {
		for _, adapter := range vendors.Names() {
			if c.only != nil && !slices.Contains(c.only, adapter) {
				continue
			}
			for _, step := range []adapters.Operation{adapters.Verify, adapters.Export} { // by hand, and before a run
				t.Run(c.name+"/"+adapter+"/"+string(step), func(t *testing.T) {
					t.Parallel()
					v := newCareless(t, adapter, random(26), random(40))
					sign := c.sign
					if sign == nil {
						sign = v.granted()
					}
					v.says(c.say, sign)
					var seen []Attempt
					v.acts.options.DB = takesAll{}
					v.acts.options.Observe = func(_ Invocation, at Attempt) { seen = append(seen, at) }
					in := v.in
					in.CorrelationID, in.Operation, in.ReadOnly, in.Policy.AttemptTimeout = uuid.New(), step, true, 2*time.Second
					if step == adapters.Export {
						in.Body = json.RawMessage(`{"step":"verify"}`)
					}
					result, err := v.env.ExecuteActivity(v.acts.Call, in)
					require.Len(t, seen, 1)
					require.NotEqual(t, health.Success, seen[0].Kind.Signal())
					if c.observed != "" {
						require.Equal(t, c.observed, seen[0].Kind)
						require.Equal(t, c.observed.Class(), seen[0].Class)
					}
					if c.differs && step == adapters.Verify {
						require.NoError(t, err)
						var out CallResult
						require.NoError(t, result.Get(&out))
						require.Equal(t, classify.OK, out.Trail.Last().Kind, "its outcome is the report")
						var contract adapters.Contract
						require.NoError(t, json.Unmarshal(out.Response.Body, &contract))
						require.NotEmpty(t, contract.Differing())
						require.NotContains(t, string(out.Response.Body), "efusal")
					} else {
						require.Error(t, err)
					}

					revoked := health.Record{State: health.Degraded, Reason: classify.Unauthorized}
					after, changes := revoked.Apply(seen[0].Observation(health.Call))
					require.NotEqual(t, health.Healthy, after.State)
					require.False(t, slices.ContainsFunc(changes, func(c health.Change) bool { return c.To == health.Healthy }))
				})
			}
		}
	}
}
