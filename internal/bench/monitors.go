package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// watched is how many monitors wait between two probes. A dev server on a small
// machine takes minutes to start more; the worker holds at most 10,000 anyway,
// its default for workflows in the cache.
const watched = 2000

// monitors measures what watching costs: one probe from its timer to its row,
// the worker while many monitors wait, and what the observer takes from
// invocations that succeed at once.
func monitors(ctx context.Context, s *servers) error {
	stack, err := s.start(ctx)
	if err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	if err := observing(ctx, stack, c); err != nil {
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
	if err := probes(ctx, stack, c); err != nil {
		return err
	}
	return fleet(ctx, stack, c, w)
}

// observing compares invocations with and without the observer, in turn.
func observing(ctx context.Context, stack *devstack.Stack, c client.Client) error {
	organization := uuid.New()
	list, err := stack.Apply(ctx, organization, "")
	if err != nil {
		return err
	}
	pool, err := runlog.Open(ctx, stack.URL(devstack.Worker), 4)
	if err != nil {
		return err
	}
	defer pool.Close()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	acts := activities.New(pool, stack.DevHosts(), quiet)
	defer acts.Client.CloseIdle()
	observer := activities.NewObserver(func(ctx context.Context, organization, integration uuid.UUID, seen []health.Observation) error {
		return workflows.TellMonitor(ctx, c, organization, integration, seen)
	}, activities.ObserverOptions{}, quiet)
	running, stop := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() { observer.Run(running); close(told) }()
	defer func() { stop(); <-told }()
	on := make(chan bool, 1)
	on <- false
	acts.Observe = func(in activities.Invocation, done activities.Attempt) {
		is := <-on
		on <- is
		if is {
			observer.Observe(in, done)
		}
	}
	w := worker.New(c, activities.TaskQueue, workflows.WorkerOptions())
	workflows.Register(w, acts)
	if err := w.Start(); err != nil {
		return err
	}
	defer w.Stop()
	one := func(ctx context.Context) error {
		in := ping(organization, list["xledger-main"])
		options := workflows.StartOptions(in)
		options.EnableEagerStart = true
		run, err := c.ExecuteWorkflow(ctx, options, workflows.InvokeName, in)
		if err != nil {
			return err
		}
		return run.Get(ctx, nil)
	}
	round := func(observe bool) (float64, error) {
		<-on
		on <- observe
		return many(ctx, one, 32, 300)
	}
	if _, err := round(true); err != nil { // warm up
		return err
	}
	var ratios []float64
	for range 9 {
		without, err := round(false)
		if err != nil {
			return err
		}
		with, err := round(true)
		if err != nil {
			return err
		}
		ratios = append(ratios, without/with)
	}
	report("observer_invocation_throughput", median(ratios), "x_without", atLeast(0.95))
	return nil
}

// probes measures a probe from its timer to its row, by an integration that is
// probed every second. How late a server's timers fire is not part of it.
func probes(ctx context.Context, stack *devstack.Stack, c client.Client) error {
	organization := uuid.New()
	list, err := stack.Apply(ctx, organization, "")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, stack.URL(devstack.Admin))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	id := list["xledger-main"].ID
	if _, err := conn.Exec(ctx, `UPDATE ledgerline.integrations SET health = '{"interval": 1000000000, "maxInterval": 1000000000}' WHERE integration_id = $1`, id); err != nil {
		return err
	}
	if err := workflows.EnsureMonitor(ctx, c, organization, id); err != nil {
		return err
	}
	time.Sleep(20 * time.Second)
	var costs []float64
	var fired time.Time
	records := make(map[int64]bool) // by the event that scheduled one
	events := c.GetWorkflowHistory(ctx, workflows.MonitorID(organization, id), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return err
		}
		switch {
		case e.GetTimerFiredEventAttributes() != nil:
			fired = e.GetEventTime().AsTime()
		case e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == activities.RecordName:
			records[e.GetEventId()] = true
		case records[e.GetActivityTaskCompletedEventAttributes().GetScheduledEventId()] && !fired.IsZero():
			costs = append(costs, float64(e.GetEventTime().AsTime().Sub(fired).Microseconds())/1000)
			fired = time.Time{}
		}
	}
	if len(costs) < 5 {
		return fmt.Errorf("%d probes in 20 s: too few to measure", len(costs))
	}
	report("probe_timer_to_row", median(costs), "ms", atMost(100))
	return c.TerminateWorkflow(ctx, workflows.MonitorID(organization, id), "", "measured")
}

// fleet measures the worker's memory and processor while monitors wait.
func fleet(ctx context.Context, stack *devstack.Stack, c client.Client, w *devstack.Process) error {
	before, err := residentMB(w.PID())
	if err != nil {
		return err
	}
	organization := uuid.New()
	conn, err := pgx.Connect(ctx, stack.URL(devstack.Admin))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// Healthy and just seen: no probe falls into the minute that is measured.
	rows, err := conn.Query(ctx, `
		INSERT INTO ledgerline.integrations (organization_id, integration_id, name, adapter, base_url, policy, applied_by, health)
		SELECT $1, gen_random_uuid(), 'n' || i, 'xledger', $2, '{}', 'bench', '{"interval": 14400000000000}' FROM generate_series(1, $3::int) i
		RETURNING integration_id`, organization, stack.Vendors["xledger"], watched)
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `
		INSERT INTO ledgerline.integration_health (organization_id, integration_id, state, since, failures, failed_probes, latency, evidence_at, observations, changes)
		SELECT organization_id, integration_id, 'healthy', now(), 0, 0, interval '0', now(), 1, 0 FROM ledgerline.integrations WHERE organization_id = $1`, organization); err != nil {
		return err
	}
	next := make(chan uuid.UUID, len(ids))
	for _, id := range ids {
		next <- id
	}
	began := time.Now()
	if _, err := many(ctx, func(ctx context.Context) error { return workflows.EnsureMonitor(ctx, c, organization, <-next) }, 32, len(ids)); err != nil {
		return err
	}
	started := time.Since(began)
	time.Sleep(2 * time.Minute) // they have looked, and the worker has found all of them running, 50 a second
	var ratios, memory []float64
	for range 3 {
		cpu, err := processorTime(w.PID())
		if err != nil {
			return err
		}
		time.Sleep(20 * time.Second)
		after, err := processorTime(w.PID())
		if err != nil {
			return err
		}
		mb, err := residentMB(w.PID())
		if err != nil {
			return err
		}
		ratios = append(ratios, 100*(after-cpu).Seconds()/20)
		memory = append(memory, mb-before)
	}
	fmt.Printf("# monitors: %d started in %.0f s, %.0f/s; the worker without them %.0f MB\n", watched, started.Seconds(), watched/started.Seconds(), before)
	report("monitors_2000_worker_cpu", median(ratios), "%_of_a_core", atMost(1))
	report("monitors_2000_worker_rss", median(memory), "MB", atMost(150))
	return nil
}

// processorTime is what a process has used of the processors.
func processorTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // the name may hold blanks
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d: /proc stat is too short", pid)
	}
	var ticks int64
	for _, f := range fields[11:13] { // user and system, in hundredths of a second
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
