package adapters_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
)

// The first request dials, the second finds the connection; a token's time is
// not the vendor's.
func TestTiming(t *testing.T) {
	c, u := vendor(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(5 * time.Millisecond)
		w.Write([]byte(`{"data":{}}`))
	})
	ask := func(op classify.Op) adapters.Parts {
		var timing adapters.Timing
		r := read(u)
		r.Op = op
		c.Do(adapters.WithTiming(t.Context(), &timing), r)
		return timing.Parts()
	}
	first := ask(classify.Read)
	require.True(t, first.Dialled)
	require.True(t, first.Cold())
	require.Positive(t, first.Connect)
	require.Positive(t, first.FirstByte)
	second := ask(classify.Read)
	require.False(t, second.Cold())
	require.Zero(t, second.Connect)
	token := ask(classify.Token)
	require.True(t, token.Cold())
	require.False(t, token.Dialled)
	require.Positive(t, token.Token)
	require.Zero(t, token.FirstByte)
}
