package limits

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
)

// A new kind must be decided upon: what each says of the vendor when it came as
// an answer, and that without one only failures say anything.
func TestEveryKindSaysSomethingOrNothing(t *testing.T) {
	by := map[int][]classify.Kind{}
	for _, k := range classify.Kinds() {
		v := classify.Verdict{Class: k.Class(), Kind: k, HTTPStatus: http.StatusTeapot}
		by[says(v)] = append(by[says(v)], k)
		v.HTTPStatus = 0
		if said := says(v); k != classify.OK && said == alive {
			t.Errorf("%s without an answer closes a breaker", k)
		}
	}
	require.ElementsMatch(t, []classify.Kind{
		classify.Unavailable, classify.BadGateway, classify.GatewayTimeout, classify.ServerError, classify.DNS, classify.Network,
		classify.IncompleteResponse, classify.AttemptTimeout, classify.RequestTimeout,
	}, by[failing])
	require.ElementsMatch(t, []classify.Kind{
		classify.RateLimited, classify.UnknownOutcome, classify.Dependency, classify.BreakerOpen, classify.QuotaSpent, classify.Paused,
		classify.WorkerLost, classify.Unsettled, classify.Untrusted, classify.Late, classify.NotOwner, classify.ClaimConflict,
	}, by[nothing])
}
