package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// trouble is what one organization does while another's invocations are timed.
type trouble struct {
	name  string
	fails sandbox.Rule // what becomes of nine in ten of its requests
	burst int          // invocations that it starts at once; then come perSecond
}

const (
	quietPerSecond = 8 // invocations of the organization that is timed
	quietSamples   = 200
	perSecond      = 20  // invocations of the one that is in trouble
	vendorMS       = 150 // a vendor that is well answers after this
)

// troubles are told apart from a machine that is merely busy: the first one is
// the same load with a vendor that is well.
var troubles = []trouble{
	{"busy", sandbox.Rule{DelayMS: vendorMS}, 0},
	{"unavailable", sandbox.Rule{DelayMS: vendorMS, Status: 503}, 0},
	{"hanging", sandbox.Rule{Hang: true}, 0},
	{"hanging_burst", sandbox.Rule{Hang: true}, 600},
}

// isolation measures the invocations of one organization alone and then while
// another's fail, in turn, on one worker with its default settings.
func isolation(ctx context.Context, s *servers) error {
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
	w, err := devstack.StartProcess(ctx, bin, nil, stack.Env(devstack.Worker), func(line string) bool { return strings.Contains(line, "worker ready") })
	if err != nil {
		return err
	}
	defer w.Kill()
	calm := uuid.New()
	list, err := stack.Apply(ctx, calm, "")
	if err != nil {
		return err
	}
	one := func(ctx context.Context) error {
		out, err := workflows.Execute(ctx, c, ping(calm, list["xledger-main"]))
		if err == nil && !out.OK {
			err = fmt.Errorf("an invocation failed: %s", out.Failure.Message)
		}
		return err
	}
	defer stack.Sandbox.Reset()
	alone := func() (timed, error) { return steadily(ctx, time.Second/quietPerSecond, quietSamples, one) }
	stack.Sandbox.Script(sandbox.Rule{DelayMS: vendorMS})
	if _, err := steadily(ctx, time.Second/quietPerSecond, quietSamples/4, one); err != nil { // warm up
		return err
	}
	for _, t := range troubles {
		if !settings.trouble.MatchString(t.name) {
			continue
		}
		t.fails.Match.BodyContains = "fails"
		var p50, p99 []float64
		for range 3 {
			stack.Sandbox.Reset()
			stack.Sandbox.Script(t.fails, sandbox.Rule{DelayMS: vendorMS})
			quiet, err := alone()
			if err != nil {
				return err
			}
			beside, stop, err := t.begin(ctx, stack, c)
			if err != nil {
				return err
			}
			with, err := alone()
			if err := errors.Join(err, stop()); err != nil {
				return err
			}
			fmt.Printf("# isolation %s: alone p50 %.0f p99 %.0f max %.0f ms, processors %.0f %% busy; beside it p50 %.0f p99 %.0f max %.0f ms, %.0f %%; %d requests of the other\n",
				t.name, quiet.at(50), quiet.at(99), quiet.at(100), quiet.busy, with.at(50), with.at(99), with.at(100), with.busy, beside())
			p50, p99 = append(p50, with.at(50)/quiet.at(50)), append(p99, with.at(99)/quiet.at(99))
		}
		report("isolation_"+t.name+"_p50", median(p50), "x_alone", atMost(1.2))
		report("isolation_"+t.name+"_p99", median(p99), "x_alone", atMost(1.2))
	}
	return nil
}

// begin starts the trouble of a new organization, whose breaker nobody knows.
// requests is how many of it reached the vendor; stop ends it and leaves nothing
// behind.
func (t trouble) begin(ctx context.Context, stack *devstack.Stack, c client.Client) (requests func() int, stop func() error, err error) {
	organization := uuid.New()
	list, err := stack.Apply(ctx, organization, "")
	if err != nil {
		return nil, nil, err
	}
	var mu sync.Mutex
	var started []client.WorkflowRun
	start := func(ctx context.Context) error {
		in := ping(organization, list["xledger-main"])
		mu.Lock()
		word := "fails"
		if len(started)%10 == 9 {
			word = "works"
		}
		mu.Unlock()
		in.Operation, in.Body = adapters.Call, json.RawMessage(`{"query":"query `+word+` { __typename }"}`)
		in.Summary = workflows.Describe(in)
		run, err := c.ExecuteWorkflow(ctx, workflows.StartOptions(in), workflows.InvokeName, in)
		if err == nil {
			mu.Lock()
			started = append(started, run)
			mu.Unlock()
		}
		return err
	}
	before := len(stack.Sandbox.Log())
	running, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := many(running, start, 16, t.burst)
		if err == nil {
			_, err = steadily(running, time.Second/perSecond, 1<<20, start)
		}
		done <- err
	}()
	stop = func() error {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		next := make(chan client.WorkflowRun, len(started))
		for _, run := range started {
			next <- run
		}
		_, err := many(ctx, func(ctx context.Context) error {
			run := <-next
			_ = c.TerminateWorkflow(ctx, run.GetID(), run.GetRunID(), "measured") // it may be over
			return nil
		}, 16, len(started))
		time.Sleep(attemptsEnd)
		return err
	}
	return func() int {
		n := 0
		for _, e := range stack.Sandbox.Log()[before:] {
			if e.Operation == "__typename" && e.Rule == 1 {
				n++
			}
		}
		return n
	}, stop, nil
}

// attemptsEnd is how long attempts under way take at most to end.
const attemptsEnd = 11 * time.Second

// timed is what [steadily] found: milliseconds, in order of size.
type timed struct {
	took []float64
	busy float64 // percent of all processors' time, the whole machine
}

func (t timed) at(percent int) float64 {
	return t.took[min(len(t.took)*percent/100, len(t.took)-1)]
}

// steadily starts f n times, so far apart, whether the ones before have ended or
// not. It returns early if ctx ends, and waits for what was started.
func steadily(ctx context.Context, apart time.Duration, n int, f func(context.Context) error) (t timed, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	usedBefore, allBefore, err := processors()
	if err != nil {
		return t, err
	}
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(i) * apart)
		select {
		case <-ctx.Done():
			wg.Wait()
			return t, ctx.Err()
		case <-time.After(time.Until(due)):
		}
		wg.Go(func() {
			failed := f(ctx)
			mu.Lock()
			defer mu.Unlock()
			t.took = append(t.took, float64(time.Since(due).Microseconds())/1000)
			err = errors.Join(err, failed)
		})
	}
	wg.Wait()
	used, all, fault := processors()
	t.busy = 100 * float64(used-usedBefore) / float64(max(all-allBefore, 1))
	slices.Sort(t.took)
	return t, errors.Join(err, fault)
}

// processors is the time that all processors together have worked, and all of
// it, in ticks.
func processors() (used, all int64, err error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	for i, field := range strings.Fields(line)[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		all += n
		if i != 3 && i != 4 { // idle, and waiting for a disk
			used += n
		}
	}
	return used, all, nil
}
