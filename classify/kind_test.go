package classify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
)

// What a kind means to a run that exports: each is of one group at most, and all
// of a group are permanent.
func TestWhatKindsMeanToARun(t *testing.T) {
	var content, caller, passes []classify.Kind
	for _, k := range classify.Kinds() {
		n := 0
		for list, is := range map[*[]classify.Kind]bool{&content: k.RefusesContent(), &caller: k.RefusesCaller(), &passes: k.Passes()} {
			if is {
				*list, n = append(*list, k), n+1
				require.Equal(t, classify.Permanent, k.Class(), k)
			}
		}
		require.LessOrEqual(t, n, 1, k)
	}
	require.ElementsMatch(t, []classify.Kind{classify.BadRequest, classify.Unprocessable, classify.Business, classify.Duplicate, classify.Transformation, classify.RequestDocument}, content)
	require.ElementsMatch(t, []classify.Kind{classify.Unauthorized, classify.Forbidden, classify.Credentials, classify.Configuration, classify.QuotaSpent, classify.Internal}, caller)
	require.ElementsMatch(t, []classify.Kind{classify.QuotaExhausted, classify.Paused}, passes)
}
