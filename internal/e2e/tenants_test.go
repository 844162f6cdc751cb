package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// limited is an organization with n Xledger integrations, "x0", "x1", …, that
// have the limits of a section.
func limited(t *testing.T, n int, retry, section string) tenant {
	t.Helper()
	o := tenant{id: uuid.New(), integrations: make(map[string]integrations.Integration)}
	var b strings.Builder
	fmt.Fprintf(&b, "organization: %s\nintegrations:\n", o.id)
	for i := range n {
		fmt.Fprintf(&b, "  - {id: %s, name: x%d, adapter: xledger, baseURL: %q, inFlight: 1s, credentials: {token: %q}, retry: %s, limits: %s}\n",
			uuid.New(), i, stack.Vendors["xledger"], stack.Secret(o.id, "xledger-token", sandbox.DemoXledgerToken), retry, section)
	}
	list, err := integrations.Parse("limited.yaml", []byte(b.String()), integrations.Options{DevHosts: stack.DevHosts()})
	require.NoError(t, err)
	pool, err := runlog.Open(t.Context(), stack.URL(devstack.Operator), 1)
	require.NoError(t, err)
	defer pool.Close()
	_, err = runlog.ApplyIntegrations(t.Context(), pool, list, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	for _, in := range list {
		o.integrations[in.Name] = in
	}
	return o
}

// all runs invocations at once and returns their outcomes, by position.
func all(t *testing.T, list []activities.Invocation) []workflows.Outcome {
	t.Helper()
	out := make([]workflows.Outcome, len(list))
	var wg sync.WaitGroup
	places := make(chan struct{}, 50)
	for i, in := range list {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			var err error
			if out[i], err = engine.Execute(ctx, temporal, in); err != nil {
				id := workflows.InvokeID(in.OrganizationID, in.CorrelationID)
				t.Errorf("%v; its run: %s", err, strings.Join(lastEvents(context.WithoutCancel(ctx), id, ""), "\n"))
			}
		})
	}
	wg.Wait()
	require.False(t, t.Failed())
	return out
}
