package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/workflows"
)

func (a *app) call() *cobra.Command {
	var org, integration, operation, body, correlation string
	var timeout time.Duration
	var exitStatus, idempotent bool
	c := &cobra.Command{
		Use:   "call --org UUID --integration NAME",
		Short: "Make one call, with its retries, and print the outcome",
		Long: `Makes one call through an integration, with its retries, and prints the outcome
as JSON. A failure is an outcome too: look at failure.isRetryable, not at the
exit code, unless you ask for it with --exit-status.

A correlation ID stands for one request for good. The same --correlation-id again
returns the outcome of the first time and calls nobody. If it was not known then
whether a write had happened ("effect": "open") and its invocation has ended, it
is made again: the vendor is asked first, where it can be asked, and the write is
sent only if it is proved that it did not happen and will not. With another
integration, operation or body it is an error.

Who asked is on record: LEDGERLINE_ACTOR, or user@host.`,
		Example: `  starter call --org $ORG --integration xledger-main --operation ping
  starter call --org $ORG --integration xledger-main --body '{"query":"{ projects { edges { node { dbId } } } }"}'
  starter call --org $ORG --integration crm --body @request.json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, err := parseUUID("--org", org)
			if err != nil {
				return err
			}
			in := activities.Invocation{OrganizationID: organization, CorrelationID: uuid.New(), Operation: adapters.Operation(operation),
				Actor: whoami(), Idempotent: idempotent}
			if correlation != "" {
				if in.CorrelationID, err = parseUUID("--correlation-id", correlation); err != nil {
					return err
				}
				if in.CorrelationID.Version() != 4 {
					return usage("--correlation-id %s: want a random UUID (version 4), this is version %d", correlation, in.CorrelationID.Version())
				}
			}
			switch in.Operation {
			case adapters.Ping:
				if body != "" {
					return usage("--body: a ping has none")
				}
				if idempotent {
					return usage("--idempotent: a ping changes nothing anyway")
				}
			case adapters.Call:
				if in.Body, err = readBody(body, c.InOrStdin()); err != nil {
					return err
				}
			default:
				return usage("--operation %q: want call or ping", operation)
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			pool, err := a.database(ctx)
			if err != nil {
				return err
			}
			defer pool.Close()
			spec, err := find(ctx, pool, organization, integration)
			if err != nil {
				return err
			}
			in.IntegrationID, in.AdapterName, in.Policy = spec.ID, spec.Adapter, spec.Policy
			in.OwnQueue = spec.Limits.OwnQueue()
			in.Summary, in.ReadOnly = engine.Describe(in)
			temporal, _, err := a.temporal(ctx)
			if err != nil {
				return err
			}
			defer temporal.Close()

			say(c.ErrOrStderr(), "correlation ID %s", in.CorrelationID)
			execute := engine.Execute
			if correlation != "" {
				execute = engine.ExecuteAgain
			}
			outcome, err := execute(ctx, temporal, in)
			if err != nil {
				if errors.Is(ctx.Err(), context.DeadlineExceeded) {
					return fmt.Errorf("no outcome within %v; the call goes on, see: starter show %s --org %s", timeout, in.CorrelationID, organization)
				}
				return err
			}
			if err := printJSON(c.OutOrStdout(), outcome); err != nil {
				return err
			}
			if exitStatus {
				return status(outcome)
			}
			return nil
		},
	}
	organizationFlag(c, &org)
	f := c.Flags()
	f.StringVar(&integration, "integration", "", "`name` or UUID of the integration")
	f.StringVar(&operation, "operation", "call", "call or ping")
	f.StringVar(&body, "body", "", "the request: JSON, @file, or - for standard input")
	f.StringVar(&correlation, "correlation-id", "", "version 4 `UUID`; made if left out")
	f.BoolVar(&idempotent, "idempotent", false, "you vouch that a repeat of this write has no further effect: it is sent again after any transient failure, and nobody asks first whether it happened")
	f.DurationVar(&timeout, "timeout", 90*time.Second, "how long to wait for the outcome; the call itself goes on")
	f.BoolVar(&exitStatus, "exit-status", false, "exit 3 if the call failed for good, 4 if it was tried as often as allowed")
	_ = c.RegisterFlagCompletionFunc("operation", cobra.FixedCompletions([]string{"call", "ping"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// status maps a failure to an exit code.
func status(o workflows.Outcome) error {
	switch {
	case o.OK:
		return nil
	case o.Failure.ErrorClass == classify.Permanent:
		return exitError{code: exitPermanent}
	}
	return exitError{code: exitExhausted}
}

// readBody reads a request from an argument, a file or standard input. It
// checks that it is JSON; the adapter checks the rest, and that is on record.
func readBody(arg string, stdin io.Reader) (json.RawMessage, error) {
	var body []byte
	var err error
	switch {
	case arg == "":
		return nil, usage("--body is missing: want JSON, @file, or - for standard input")
	case arg == "-":
		body, err = io.ReadAll(io.LimitReader(stdin, adapters.MaxRequest+1))
	case strings.HasPrefix(arg, "@"):
		body, err = os.ReadFile(arg[1:])
	default:
		body = []byte(arg)
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	switch {
	case err != nil:
		return nil, usage("--body: %w", err)
	case len(body) > adapters.MaxRequest:
		return nil, usage("--body: more than %d bytes; send less at a time", adapters.MaxRequest)
	case !json.Valid(body):
		var syntax *json.SyntaxError
		if errors.As(json.Unmarshal(body, new(any)), &syntax) {
			line := 1 + bytes.Count(body[:min(int(syntax.Offset), len(body))], []byte("\n"))
			return nil, usage("--body: not JSON: line %d: %w", line, syntax)
		}
		return nil, usage("--body: not JSON")
	}
	return body, nil
}
