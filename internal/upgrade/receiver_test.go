package upgrade

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// hookSecret signs notifications.
var hookSecret = "whsec_" + strings.Repeat("Q2FuYXJ5", 4)

// receiver takes notifications, each at the third attempt.
type receiver struct {
	*httptest.Server

	mu       sync.Mutex
	attempts map[string]int // by webhook-id
	refused  []string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{attempts: make(map[string]int)}
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	require.NoError(t, err)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		id := req.Header.Get("webhook-id")
		r.mu.Lock()
		defer r.mu.Unlock()
		if err := verifier.Verify(body, req.Header); err != nil {
			r.refused = append(r.refused, err.Error())
		}
		if r.attempts[id]++; r.attempts[id] < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(r.Close)
	t.Cleanup(r.CloseClientConnections)
	return r
}

func (r *receiver) host() string { return r.Listener.Addr().String() }

// calls is how often it was called.
func (r *receiver) calls() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, each := range r.attempts {
		n += each
	}
	return n
}
