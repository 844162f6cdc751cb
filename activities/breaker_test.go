package activities

import (
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/limits"
)

// A chunk that was settled before is a success without a call: it says nothing
// of the vendor.
func TestSettledSaysNothing(t *testing.T) {
	a := &Activities{options: Options{Gate: new(limits.Gate), Log: slog.New(slog.DiscardHandler)}}
	in := Invocation{IntegrationID: uuid.New()}
	call := func(v classify.Verdict) {
		a.behindBreaker(in, new(destination), func() outcome { return outcome{verdict: v} })
	}
	for range limits.Failures {
		call(classify.Verdict{Class: classify.Success, Kind: classify.OK, Rule: RuleSettled})
		call(classify.Verdict{Class: classify.Transient, Kind: classify.Unavailable, HTTPStatus: 503})
	}
	open, _ := a.options.Gate.Breakers.State(in.IntegrationID)
	require.True(t, open)
}
