package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// trouble is what one organization does while another's invocations are timed.
type trouble struct {
	name      string
	fails     sandbox.Rule // what becomes of nine in ten of its requests
	perSecond int          // invocations that it starts
	rate      int          // requestsPerMinute of its integration, which has a queue of its own then; 0 for none
}

const (
	quietPerSecond = 10 // invocations of the organization that is timed
	quietSamples   = 200
	vendorMS       = 150 // a vendor that is well answers after this
)

var well = sandbox.Rule{DelayMS: vendorMS}

// troubles are told apart from a machine that is merely busy by the same load
// with a vendor that is well.
var troubles = []trouble{
	{"busy", well, 20, 0},
	{"failing", sandbox.Rule{DelayMS: vendorMS, Status: 503}, 20, 0},
	{"hanging", sandbox.Rule{Hang: true}, 20, 0},
	{"busy_40", well, 40, 0},
	{"hanging_40", sandbox.Rule{Hang: true}, 40, 0}, // 400 attempts in 10 s, which is an attempt's time
	{"hanging_40_own_queue", sandbox.Rule{Hang: true}, 40, 6000},
}

// isolation measures the invocations of one organization alone and then while
// another's fail, in turn, on one worker with its default settings.
func isolation(ctx context.Context, s *servers) error {
	stack, c, _, quit, err := s.process(ctx)
	if err != nil {
		return err
	}
	defer quit()
	calm := uuid.New()
	list, err := stack.Apply(ctx, calm, "")
	if err != nil {
		return err
	}
	one := func(ctx context.Context) error {
		out, err := engine.Execute(ctx, c, ping(calm, list["xledger-main"]))
		if err == nil && !out.OK {
			err = fmt.Errorf("an invocation failed: %s", out.Failure.Message)
		}
		return err
	}
	defer stack.Sandbox.Reset()
	alone := func() (latencies, error) { return steadily(ctx, time.Second/quietPerSecond, quietSamples, one) }
	stack.Sandbox.Script(well)
	if _, err := steadily(ctx, time.Second/quietPerSecond, quietSamples/4, one); err != nil { // warm up
		return err
	}
	p50, p99, busy := make(map[string][]float64), make(map[string][]float64), make(map[string][]float64) // by trouble
	wanted := slices.DeleteFunc(slices.Clone(troubles), func(t trouble) bool { return !settings.trouble.MatchString(t.name) })
	for range 3 {
		machine := make(map[int]float64) // p99 beside the same load with a vendor that is well
		quiet, err := alone()
		if err != nil {
			return err
		}
		fmt.Printf("# isolation: alone p50 %.0f p99 %.0f max %.0f ms, processors %.0f %% busy\n", quiet.at(50), quiet.at(99), quiet.at(100), quiet.busy)
		for _, t := range wanted {
			stack.Sandbox.Reset()
			t.fails.Match.BodyContains = "fails"
			stack.Sandbox.Script(t.fails, well)
			requests, stop, err := t.begin(ctx, stack, c)
			if err != nil {
				return err
			}
			with, err := alone()
			n := requests()
			if err := errors.Join(err, stop()); err != nil {
				return err
			}
			fmt.Printf("# isolation: beside %s p50 %.0f p99 %.0f max %.0f ms, %.0f %%; %d requests of it\n", t.name, with.at(50), with.at(99), with.at(100), with.busy, n)
			if t.fails.Status == 0 && !t.fails.Hang {
				machine[t.perSecond] = with.at(99)
			} else if m := machine[t.perSecond]; m > 0 {
				busy[t.name] = append(busy[t.name], with.at(99)/m)
			}
			p50[t.name], p99[t.name] = append(p50[t.name], with.at(50)/quiet.at(50)), append(p99[t.name], with.at(99)/quiet.at(99))
		}
	}
	bound := 1.2
	if runtime.NumCPU() <= 2 { // Temporal, its database and the sandbox share them with the worker
		bound = 2
	}
	for _, t := range wanted {
		report("isolation_p50_"+t.name, median(p50[t.name]), "x_quiet", atMost(bound))
		report("isolation_p99_"+t.name, median(p99[t.name]), "x_quiet", atMost(bound))
		if len(busy[t.name]) > 0 {
			report("isolation_p99_"+t.name+"_to_busy", median(busy[t.name]), "x_busy", atMost(1.2))
		}
	}
	return nil
}

// begin starts the trouble of a new organization, whose breaker nobody knows.
// requests is how many of it reached the vendor; stop ends it and leaves nothing
// behind.
func (t trouble) begin(ctx context.Context, stack *devstack.Stack, c client.Client) (requests func() int, stop func() error, err error) {
	organization := uuid.New()
	mine, err := backlogged(ctx, stack, organization, t.rate)
	if err != nil {
		return nil, nil, err
	}
	if t.rate > 0 {
		time.Sleep(attemptsEnd) // until the worker has seen it
	}
	var mu sync.Mutex
	var started []client.WorkflowRun
	start := func(ctx context.Context) error {
		in := ping(organization, mine)
		word := "fails"
		if rand.IntN(10) == 0 {
			word = "works"
		}
		in.Operation, in.Body = adapters.Call, json.RawMessage(`{"query":"query `+word+` { __typename }"}`)
		in.Summary, _ = engine.Describe(in)
		run, err := c.ExecuteWorkflow(ctx, engine.InvokeOptions(in), workflows.InvokeName, in)
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
		_, err := steadily(running, time.Second/time.Duration(t.perSecond), 1<<20, start)
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

// latencies is what [steadily] found: milliseconds, in order of size.
type latencies struct {
	took []float64
	busy float64 // percent of all processors' time, the whole machine
}

func (t latencies) at(percent int) float64 {
	return t.took[min(len(t.took)*percent/100, len(t.took)-1)]
}

// steadily starts f n times, so far apart, whether the ones before have ended or
// not. It returns early if ctx ends, and waits for what was started.
func steadily(ctx context.Context, apart time.Duration, n int, f func(context.Context) error) (t latencies, err error) {
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
	used, all, unread := processors()
	t.busy = 100 * float64(used-usedBefore) / float64(max(all-allBefore, 1))
	slices.Sort(t.took)
	return t, errors.Join(err, unread)
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
