package signin_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/console/signin"
)

// Many sign in at once: each gets a session of their own, and the issuer is asked for its document once.
// Of codes at the same moment no more than sixteen are exchanged; the others are told to try again.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	var tokens sync.Map
	var ok, later atomic.Int32
	var wait sync.WaitGroup
	for range 40 {
		wait.Go(func() {
			c := w.browser(nil)
			resp, err := c.Get(w.console.URL + signin.BeginPath)
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK:
				ok.Add(1)
				if _, twice := tokens.LoadOrStore(w.cookies(c)["__Host-ledgerline"], true); twice {
					t.Error("two people have one session")
				}
			case http.StatusServiceUnavailable:
				later.Add(1)
			default:
				t.Error(resp.Status)
			}
		})
	}
	wait.Wait()
	require.Positive(t, ok.Load())
	require.EqualValues(t, 40, ok.Load()+later.Load())
	require.Equal(t, ok.Load(), w.sessions.begun.Load())
	require.Equal(t, 1, w.issuer.fetched("/.well-known/openid-configuration"))
}
