package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// waiting is how many invocations wait for their second attempt at once.
const waiting = 5000

// workerProcess measures the real program: how long it takes to be ready, and
// its memory while many calls wait in backoff.
func workerProcess(ctx context.Context, s *servers) error {
	stack, err := s.start(ctx)
	if err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	bin, err := devstack.Build(ctx, "./cmd/worker", false)
	if err != nil {
		return err
	}
	defer os.Remove(bin)
	var starts, memory []float64
	for range 3 {
		began := time.Now()
		w, err := devstack.StartWorker(ctx, bin, []string{"--monitors=false"}, stack.Env(devstack.Worker))
		if err != nil {
			return err
		}
		starts = append(starts, time.Since(began).Seconds())
		mb, err := backoff(ctx, c, stack, w)
		w.Kill()
		if err != nil {
			return err
		}
		memory = append(memory, mb)
	}
	report("worker_ready", median(starts), "s", atMost(2))
	report("worker_rss_5000_in_backoff", median(memory), "MB", atMost(300))
	return nil
}

// backoff fills a worker with invocations whose vendor asks them to come back
// in ten minutes, and returns the worker's memory once all of them wait. The
// budget is raised for it: a server on a small machine takes minutes to
// start that many, and none may come back before the last one waits.
func backoff(ctx context.Context, c client.Client, stack *devstack.Stack, w *devstack.Process) (float64, error) {
	// Each organization's budget pays for a hundred retries. Throttling opens no
	// breaker.
	var callers []activities.Invocation
	for range waiting / 100 {
		organization := uuid.New()
		list, err := stack.Apply(ctx, organization, "")
		if err != nil {
			return 0, err
		}
		callers = append(callers, ping(organization, list["xledger-main"]))
	}
	var next atomic.Int64
	stack.Sandbox.Reset()
	stack.Sandbox.Script(sandbox.Rule{Status: 429, Headers: map[string]string{"Retry-After": "600"}})
	defer stack.Sandbox.Reset()
	_, err := many(ctx, func(ctx context.Context) error {
		in := callers[int(next.Add(1))%len(callers)]
		in.CorrelationID = uuid.New()
		in.Policy.Budget = time.Hour
		_, err := c.ExecuteWorkflow(ctx, engine.InvokeOptions(in), workflows.InvokeName, in)
		return err
	}, 32, waiting)
	if err != nil {
		return 0, err
	}
	for deadline := time.Now().Add(3 * time.Minute); len(stack.Sandbox.Log()) < waiting; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%d of %d made their first attempt in time", len(stack.Sandbox.Log()), waiting)
		}
	}
	time.Sleep(time.Second) // the last attempts report
	mb, err := residentMB(w.PID())
	if n := len(stack.Sandbox.Log()); n != waiting {
		return 0, fmt.Errorf("%d attempts of %d invocations: not all of them wait", n, waiting)
	}
	return mb, err
}

// residentMB reads a process's resident memory.
func residentMB(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmRSS of process %d", pid)
}
