package adaptertest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/adaptertest"
)

// The test of an adapter is one call.
func ExampleTest() {
	_ = func(t *testing.T) { // func TestAdapter(t *testing.T)
		adaptertest.Test(t, adaptertest.Subject{
			New:   func() adapters.Adapter { return newToy("") },
			Start: startToy, // the vendor, as it is documented, with empty books
			Connect: func(origin string) (string, map[string]string) {
				return origin + "/v1", nil // the base URL, and the integration's settings
			},
			Credentials: map[string]string{"password": toyPassword},
			Calls:       []adaptertest.Call{{Body: `{"status":true}`, Guard: adapters.ReadOnly}},
			Throttled:   []adaptertest.Answer{{Status: 200, Body: `{"error":{"code":"busy","message":"slow down"}}`}},
		})
	}
}

// An adapter that sends a write again when its answer was lost breaks a promise.
func ExampleCheck() {
	err := adaptertest.Check(toySubject("resends after a lost answer"))
	var broken *adaptertest.Broken
	if errors.As(err, &broken) {
		fmt.Println(broken.Promise)
	}
	// Output: once
}
