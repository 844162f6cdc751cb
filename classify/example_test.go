package classify_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
)

// Xledger throttles inside HTTP 200; only the code says so.
func ExampleResponse() {
	v := classify.Response(classify.HTTPResponse{
		Op: classify.Write, Status: http.StatusOK, Received: time.Now(),
		Body: []byte(`{"errors":[{"message":"slow down","code":"BAD_REQUEST.BURST_RATE_LIMIT_REACHED"}]}`),
	}, xledger.Codes)
	fmt.Println(v.Class, v.Kind, v.Retry(), v.RetryAfter)
	// Output: transient rate_limited true 5s
}

func ExampleRetryAfter() {
	d, ok := classify.RetryAfter(http.Header{"Retry-After": {"120"}}, time.Now())
	fmt.Println(d, ok)
	// Output: 2m0s true
}

// The waits are the same each time they are asked for: jitter comes from the
// correlation ID and the slot.
func ExamplePolicy_Wait() {
	p := classify.DefaultPolicy()
	for slot := 1; slot <= p.MaxRetries; slot++ {
		fmt.Println(p.Wait(slot))
	}
	// Output:
	// 1s
	// 2s
	// 4s
}
