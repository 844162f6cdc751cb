package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/engine"
)

// checkAgain refuses flags that say again what the old call says.
func (o *callOptions) checkAgain(c *cobra.Command) (calls.Ref, error) {
	for _, name := range []string{"integration", "operation", "body", "correlation-id", "idempotent"} {
		if c.Flags().Changed(name) {
			return calls.Ref{}, usage("--%s goes with a new call; --again makes the old one's request: leave one of the two out", name)
		}
	}
	r, err := calls.ParseRef(o.again)
	if err != nil {
		return r, usage("--again %q: %w", o.again, err)
	}
	if o.org != "" { // without it the error names those that there are
		err = checkOrganization("--org", o.org)
	}
	return r, err
}

// callAgain makes a call again as a new one, and prints its outcome.
func (a *app) callAgain(c *cobra.Command, o callOptions) error {
	ref, err := o.checkAgain(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
	defer cancel()
	c.SetContext(ctx)
	s, err := a.openOrganization(c, o.org)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.connect(); err != nil {
		return err
	}
	id, err := calls.Sources{DB: s.db, Temporal: s.temporal}.Find(ctx, s.organization, ref)
	if err != nil {
		return err
	}
	in, err := engine.CallAgain(ctx, s.temporal, s.db, s.organization, id, whoami())
	if err != nil {
		return err
	}
	s.say("call %s again, correlation ID %s", id, in.CorrelationID)
	traced, end := a.traces.Begin(ctx, "starter call", in)
	noWorker := s.watchWorkers(ctx)
	outcome, err := engine.Execute(traced, s.temporal, in)
	end(outcome, err)
	if why := noWorker(); err != nil {
		return o.noOutcome(ctx, s, in.CorrelationID, why, err)
	}
	if err := printJSON(c.OutOrStdout(), outcome); err != nil || !o.exitStatus {
		return err
	}
	return outcomeStatus(outcome)
}
