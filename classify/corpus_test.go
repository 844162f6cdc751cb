package classify_test

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
)

// tables are those that the adapters use, by name.
var tables = vendors.Tables()

// TestCorpus runs every labelled vendor response through the tables that the
// adapters use.
func TestCorpus(t *testing.T) {
	raw, err := os.ReadFile("testdata/vendor-responses.json")
	require.NoError(t, err)
	var corpus []struct {
		ID, Vendor, Op, Body, Why string
		Status                    int
		Headers                   map[string]string
		Class                     classify.Class
		Retry                     bool
		RetryAfter                *float64 `json:"retry_after_s"`
	}
	require.NoError(t, json.Unmarshal(raw, &corpus))
	require.GreaterOrEqual(t, len(corpus), 64, "the corpus has shrunk")
	for _, c := range corpus {
		t.Run(c.ID, func(t *testing.T) {
			h := http.Header{}
			for k, v := range c.Headers {
				h.Set(k, v)
			}
			table, ok := tables[c.Vendor]
			require.True(t, ok, "no table for vendor %s", c.Vendor)
			got := classify.Response(classify.HTTPResponse{
				Op: classify.Op(c.Op), Status: c.Status, Header: h, Body: []byte(c.Body),
				Received: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
			}, table)
			require.Equal(t, c.Class, got.Class, "%s: %+v", c.Why, got)
			require.Equal(t, c.Retry, got.Retry(), "%s: %+v", c.Why, got)
			want := 0.0
			if c.RetryAfter != nil {
				want = *c.RetryAfter
			}
			require.Equal(t, want, got.RetryAfter.Seconds(), "%s: %+v", c.Why, got)
			require.Equal(t, c.Status, got.HTTPStatus)
		})
	}
}
