package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// starterCalls is how often the command is measured.
const starterCalls = 41

// starterCall measures `starter call` as people see it: from the start of the process
// until it has ended, with its outcome printed. starter_start is the part of it that a
// command takes which does nothing.
func starterCall(ctx context.Context, s *servers) error {
	stack, _, _, stop, err := s.process(ctx)
	if err != nil {
		return err
	}
	defer stop()
	bin, err := devstack.Build(ctx, "./cmd/starter", false)
	if err != nil {
		return err
	}
	defer os.Remove(bin)
	organization := uuid.New()
	if _, err := stack.Apply(ctx, organization, ""); err != nil {
		return err
	}
	run := func(args ...string) (ms float64, err error) {
		c := exec.CommandContext(ctx, bin, args...)
		c.Env = append(os.Environ(), append(stack.Env(devstack.Operator), "LEDGERLINE_ORG="+organization.String())...)
		began := time.Now()
		if out, err := c.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("starter %v: %w: %s", args, err, out)
		}
		return float64(time.Since(began).Microseconds()) / 1000, nil
	}
	var calls, starts []float64
	for i := range starterCalls + 3 {
		call, err := run("call", "--integration", "xledger-main", "--operation", "ping")
		if err != nil {
			return err
		}
		start, err := run("--help")
		if err != nil {
			return err
		}
		if i >= 3 { // caches are warm
			calls, starts = append(calls, call), append(starts, start)
		}
	}
	report("starter_call", median(calls), "ms", atMost(60))
	report("starter_start", median(starts), "ms", atMost(30))
	return nil
}
