package classify_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Second, " 5": 5 * time.Second, "315360000": 24 * time.Hour, "99999999999999999999": 24 * time.Hour,
		"Mon, 23 Nov 2026 12:00:30 GMT": 30 * time.Second, "Monday, 23-Nov-26 12:00:30 GMT": 30 * time.Second, "Mon Nov 23 12:00:30 2026": 30 * time.Second,
		"Sat, 23 Nov 2069 12:00:00 GMT": 24 * time.Hour,
	} {
		d, ok := classify.RetryAfter(http.Header{"Retry-After": {value}}, now)
		require.True(t, ok, value)
		require.Equal(t, want, d, value)
	}
	for _, value := range []string{"", "-1", "NaN", "1e309", "1_000", "1.5", "+5", "Mon, 23 Nov 2026 11:00:00 GMT", "soon"} {
		_, ok := classify.RetryAfter(http.Header{"Retry-After": {value}}, now)
		require.False(t, ok, value)
	}
	d, _ := classify.RetryAfter(http.Header{"Retry-After": {"9"}, "X-Ms-Retry-After-Ms": {"1500"}}, now)
	require.Equal(t, 1500*time.Millisecond, d)
	d, _ = classify.RetryAfter(http.Header{"Retry-After": {"junk", "7"}}, now)
	require.Equal(t, 7*time.Second, d, "the first valid one of several")
}

func TestPolicy(t *testing.T) {
	p := classify.DefaultPolicy()
	require.NoError(t, p.Validate())
	tight := p
	tight.Budget = 48400 * time.Millisecond
	require.NoError(t, tight.Validate())
	tight.Budget--
	require.ErrorContains(t, tight.Validate(), "worst case of 48.4s (4 attempts of")
	id := uuid.NewString()
	for slot, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		d := p.NextDelay(id, slot+1, 0)
		require.Equal(t, d, p.NextDelay(id, slot+1, 0), "reproducible")
		require.GreaterOrEqual(t, d, want*8/10)
		require.LessOrEqual(t, d, want*12/10)
		require.Equal(t, time.Minute, p.NextDelay(id, slot+1, time.Minute))
	}
	p.MaxRetries = 9
	require.ErrorContains(t, p.Validate(), "budget")
	require.NotContains(t, classify.NonRetryable(), "rate_limited")
	require.Contains(t, classify.NonRetryable(), "business")
}
