package main

import (
	"context"
	"crypto/rand"
	"fmt"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/workflows"
)

// encryption compares invocations whose payloads are encrypted with the same ones in clear:
// in turn, in one process, each with a client and a worker of its own. A client that only
// looks for what is encrypted, as programs without a key have, is among them.
func encryption(ctx context.Context, s *servers) error {
	t, err := s.tenant(ctx, "")
	if err != nil {
		return err
	}
	defer t.pool.Close()
	secret := make([]byte, codec.KeySize)
	_, _ = rand.Read(secret)
	keys, err := codec.New("bench", map[string][]byte{"bench": secret})
	if err != nil {
		return err
	}
	functions := make([]func(context.Context) error, 3)
	for i, with := range []*codec.Keys{nil, {}, keys} {
		own := t.temporal
		if with != nil {
			options := t.stack.Temporal.ClientOptions()
			if err := with.Secure(&options, nil); err != nil {
				return err
			}
			if own, err = client.Dial(options); err != nil {
				return err
			}
			defer own.Close()
		}
		acts, err := newActivities(t.stack, t.pool)
		if err != nil {
			return err
		}
		defer acts.CloseIdle()
		queue := fmt.Sprintf("bench-codec-%d", i)
		w := worker.New(own, queue, workflows.WorkerOptions())
		workflows.Register(w, acts)
		if err := w.Start(); err != nil {
			return err
		}
		defer w.Stop()
		functions[i] = func(ctx context.Context) error {
			in := ping(t.organization, t.integration)
			options := engine.InvokeOptions(in)
			options.TaskQueue, options.EnableEagerStart = queue, true
			run, err := own.ExecuteWorkflow(ctx, options, workflows.InvokeName, in)
			if err != nil {
				return err
			}
			return run.Get(ctx, nil)
		}
	}
	took, err := inTurn(ctx, 32, 300, 9, functions...)
	if err != nil {
		return err
	}
	fmt.Printf("# concurrency 32: in clear %.0f/s, looking for what is encrypted %.0f/s, encrypted %.0f/s\n",
		300/median(took[0]), 300/median(took[1]), 300/median(took[2]))
	report("codec_throughput", median(ratios(took[0], took[2])), "x_plain", atLeast(0.95))
	return nil
}
