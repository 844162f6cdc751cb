package engine_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/engine"
)

func TestDescribeKnowsReads(t *testing.T) {
	in := activities.Invocation{AdapterName: "xledger", Operation: adapters.Call}
	for body, want := range map[string]bool{`{"query":"{ a }"}`: true, `{"query":"mutation { addProjects(inputs: []) { x } }"}`: false, `1`: false} {
		in.Body = json.RawMessage(body)
		_, readOnly := engine.Describe(in)
		require.Equal(t, want, readOnly, body)
	}
}
