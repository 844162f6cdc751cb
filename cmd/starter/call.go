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
	"github.com/ledgerline/ledgerline/calls"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/workflows"
)

// callOptions are the flags of call.
type callOptions struct {
	org, integration, operation, body, correlation, again string
	timeout                                               time.Duration
	exitStatus, idempotent                                bool
}

func (a *app) call() *cobra.Command {
	var o callOptions
	c := &cobra.Command{
		Use:   "call --org NAME --integration NAME",
		Short: "Make one call, with its retries, and print the outcome",
		Long: `Makes one call through an integration, with its retries, and prints the outcome
as JSON. A failure is an outcome too: look at failure.isRetryable, not at the exit
code, unless you ask for it with --exit-status.

A correlation ID stands for one request forever. With the same --correlation-id
again, the outcome of the first time is returned and the vendor is not called. If
that outcome is a write that may or may not have happened ("effect": "open"), and
the invocation has ended, it is made again: the vendor is asked first, if it can be
asked, and the write is sent only if it is proved that it did not happen and will
not. With another integration, operation or body it is an error.

With --again, a call that failed is made again as a new one that names it, with the
same request, which Temporal keeps for a while. It must have ended with the proof that
nothing was done, or change nothing. If somebody has made it again already, that call
is joined, or named. The first characters of the ID will do.

The caller is on record: LEDGERLINE_ACTOR, or user@host.`,
		Example: `  starter call --org $ORG --integration xledger-main --operation ping
  starter call --org $ORG --integration xledger-main --body '{"query":"{ projects { edges { node { dbId } } } }"}'
  starter call --org $ORG --integration crm --body @request.json
  starter call --org $ORG --again 3f2a`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.again != "" {
				return a.callAgain(c, o)
			}
			in, err := o.invocation(c.InOrStdin())
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), o.timeout)
			defer cancel()
			c.SetContext(ctx)
			s, err := a.openCall(c, o.org, o.integration)
			if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
				return fmt.Errorf("--timeout %v was too short to connect to PostgreSQL and Temporal: nothing was sent; give it more, such as 30s", o.timeout)
			}
			if err != nil {
				return err
			}
			defer s.close()
			asked := in
			in = engine.NewInvocation(s.integration, asked.Operation, asked.Body)
			in.CorrelationID, in.Actor, in.Idempotent = asked.CorrelationID, asked.Actor, asked.Idempotent
			s.say("correlation ID %s", in.CorrelationID)
			execute := engine.Execute
			if o.correlation != "" {
				execute = engine.ExecuteAgain
			}
			traced, end := a.traces.Begin(ctx, "starter call", in)
			noWorker := s.watchWorkers(ctx)
			outcome, err := execute(traced, s.temporal, in)
			end(outcome, err)
			if why := noWorker(); err != nil {
				return o.noOutcome(ctx, s, in.CorrelationID, why, err)
			}
			if err := printJSON(c.OutOrStdout(), outcome); err != nil || !o.exitStatus {
				return err
			}
			return outcomeStatus(outcome)
		},
	}
	o.flags(c)
	return c
}

// noOutcome is the error of a call whose outcome did not come: the caller stopped waiting, or
// the time is up. Where that was said is no matter to people, what becomes of the call is.
func (o *callOptions) noOutcome(ctx context.Context, s *session, id uuid.UUID, noWorker string, err error) error {
	see := fmt.Sprintf("see its outcome with starter show %s --org %s, or end it with starter cancel %[1]s --org %[2]s", calls.Short(id), s.org)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("no longer waiting; the call continues if it had reached Temporal: %s", see)
	case timeIsUp(ctx) && engine.Unanswered(err):
		if noWorker != "" {
			return fmt.Errorf("no outcome within %v: %s; the call continues when a worker is there: %s", o.timeout, noWorker, see)
		}
		return fmt.Errorf("no outcome within %v; the call continues: %s", o.timeout, see)
	case engine.Unanswered(err):
		return fmt.Errorf("no answer from Temporal any more; the call continues if it had reached it: %s", see)
	}
	return err
}

// timeIsUp reports whether ctx has ended, or is about to: the server knows its deadline, and
// its clock and its way here make it notice a little earlier.
func timeIsUp(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < time.Second
}

func (o *callOptions) flags(c *cobra.Command) {
	organizationFlag(c, &o.org)
	integrationFlag(c, &o.integration)
	f := c.Flags()
	f.StringVar(&o.operation, "operation", "call", "call or ping")
	f.StringVar(&o.body, "body", "", "the request: JSON, @file, or - for standard input")
	f.StringVar(&o.correlation, "correlation-id", "", "version 4 `UUID`; random if not given")
	f.StringVar(&o.again, "again", "", "make the failed call of this correlation `ID` again, as a new call with the same request")
	f.BoolVar(&o.idempotent, "idempotent", false, "you guarantee that repeating this write has no further effect: it is sent again after any transient failure, without asking first whether it happened")
	f.DurationVar(&o.timeout, "timeout", 90*time.Second, "how long to wait for the outcome; the call itself continues")
	f.BoolVar(&o.exitStatus, "exit-status", false, "exit 3 if the call failed permanently, 4 if its last allowed attempt failed")
	_ = c.RegisterFlagCompletionFunc("operation", cobra.FixedCompletions([]string{"call", "ping"}, cobra.ShellCompDirectiveNoFileComp))
}

// invocation is what the flags ask for, without the integration.
func (o *callOptions) invocation(stdin io.Reader) (in activities.Invocation, err error) {
	if o.org != "" { // without it the error names those that there are
		if err := checkOrganization("--org", o.org); err != nil {
			return in, err
		}
	}
	in = activities.Invocation{CorrelationID: uuid.New(), Operation: adapters.Operation(o.operation), Actor: whoami(), Idempotent: o.idempotent}
	if o.correlation != "" {
		if in.CorrelationID, err = parseUUID("--correlation-id", o.correlation); err != nil {
			return in, err
		}
		if in.CorrelationID.Version() != 4 {
			return in, usage("--correlation-id %s: want a random UUID (version 4), this is version %d", o.correlation, in.CorrelationID.Version())
		}
	}
	switch in.Operation {
	case adapters.Ping:
		if o.body != "" {
			return in, usage("--body: a ping has none; leave it out, or use --operation call")
		}
		if o.idempotent {
			return in, usage("--idempotent: a ping changes nothing anyway; leave it out")
		}
	case adapters.Call:
		in.Body, err = readBody(o.body, stdin)
	default:
		return in, usage("--operation %q: want call or ping", o.operation)
	}
	return in, err
}

// outcomeStatus maps a failure to an exit code.
func outcomeStatus(o workflows.Outcome) error {
	switch {
	case o.OK:
		return nil
	case o.Failure.ErrorClass == classify.Permanent:
		return exitError{code: exitPermanent}
	}
	return exitError{code: exitExhausted}
}

// readBody reads a request from an argument, a file or standard input. It checks
// only that it is JSON: what the adapter refuses is on record.
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
		return nil, usage("--body: %w; want a file that this user can read", err)
	case len(body) > adapters.MaxRequest:
		return nil, usage("--body: more than %d bytes; send less at a time", adapters.MaxRequest)
	case !json.Valid(body):
		var syntax *json.SyntaxError
		if errors.As(json.Unmarshal(body, new(any)), &syntax) {
			line := 1 + bytes.Count(body[:min(int(syntax.Offset), len(body))], []byte("\n"))
			return nil, usage("--body: not JSON: line %d: %w; want one JSON value, @file, or - for standard input", line, syntax)
		}
		return nil, usage("--body: not JSON; want one JSON value, @file, or - for standard input")
	}
	return body, nil
}
