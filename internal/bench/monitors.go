package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/workflows"
)

// monitors measures what watching costs: one probe from its timer to its row,
// and the worker while many monitors wait.
func monitors(ctx context.Context, s *servers) error {
	stack, c, w, stop, err := s.process(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := probes(ctx, stack, c); err != nil {
		return err
	}
	return fleet(ctx, stack, c, w)
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
	if err := engine.EnsureMonitor(ctx, c, organization, id, "xledger-main"); err != nil {
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
		case e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == activities.RecordHealthName:
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

// watch makes an organization with n integrations and starts their monitors as
// fast as the server takes them. health is the section of their file as it is
// stored; seen says that they are healthy, as of now.
func watch(ctx context.Context, stack *devstack.Stack, c client.Client, n int, health string, seen bool) error {
	organization := uuid.New()
	conn, err := pgx.Connect(ctx, stack.URL(devstack.Admin))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `
		INSERT INTO ledgerline.integrations (organization_id, integration_id, name, adapter, base_url, policy, applied_by, health, credential_refs)
		SELECT $1, gen_random_uuid(), 'n' || i, 'xledger', $2, '{}', 'bench', $4, jsonb_build_object('token', $5::text) FROM generate_series(1, $3::int) i
		RETURNING integration_id`, organization, stack.Vendors["xledger"], n, health, stack.Secret(organization, "xledger-token", sandbox.DemoXledgerToken))
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return err
	}
	if seen {
		if _, err := conn.Exec(ctx, `
			INSERT INTO ledgerline.integration_health (organization_id, integration_id, state, since, failures, failed_probes, latency, evidence_at, observations, changes)
			SELECT organization_id, integration_id, 'healthy', now(), 0, 0, interval '0', now(), 1, 0 FROM ledgerline.integrations WHERE organization_id = $1`, organization); err != nil {
			return err
		}
	}
	next := make(chan uuid.UUID, len(ids))
	for _, id := range ids {
		next <- id
	}
	_, err = many(ctx, func(ctx context.Context) error { return engine.EnsureMonitor(ctx, c, organization, <-next, "") }, 32, len(ids))
	return err
}

// spread measures how evenly the first probes of a fleet come whose monitors
// were all started at once.
func spread(ctx context.Context, s *servers) error {
	const n, interval, window = 600, time.Minute, 10 * time.Second
	stack, c, _, stop, err := s.process(ctx)
	if err != nil {
		return err
	}
	defer stop()
	stack.Sandbox.Reset()
	if err := watch(ctx, stack, c, n, fmt.Sprintf(`{"interval": %d, "maxInterval": %[1]d}`, interval), false); err != nil {
		return err
	}
	time.Sleep(interval + 5*time.Second)
	var at []time.Time
	for _, e := range stack.Sandbox.Log() {
		at = append(at, e.At)
	}
	if len(at) < n*9/10 { // one that began late may leave its probe out: others have reached the host
		return fmt.Errorf("%d of %d probes were made within the interval", len(at), n)
	}
	slices.SortFunc(at, time.Time.Compare)
	most := 0
	for first, last := 0, 0; last < min(n, len(at)); last++ { // the first probe of each; others prove the host from then on
		for at[last].Sub(at[first]) > window {
			first++
		}
		most = max(most, last-first+1)
	}
	report("probes_most_in_10s_to_mean", float64(most)/(n*window.Seconds()/interval.Seconds()), "x_mean", atMost(1.5))
	return nil
}

// fleet measures the worker's memory and processor while monitors wait.
func fleet(ctx context.Context, stack *devstack.Stack, c client.Client, w *devstack.Process) error {
	before, err := residentMB(w.PID())
	if err != nil {
		return err
	}
	began := time.Now()
	// Healthy and just seen: no probe falls into the minute that is measured.
	if err := watch(ctx, stack, c, settings.watched, `{"interval": 14400000000000}`, true); err != nil {
		return err
	}
	started := time.Since(began)
	// Until the worker, too, has made sure of each, some 40 a second from its next look on.
	time.Sleep(time.Until(began.Add(75*time.Second + time.Duration(settings.watched)*time.Second/40)))
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
	fmt.Printf("# monitors: %d started in %.0f s, %.0f/s; the worker without them %.0f MB; processor %v\n",
		settings.watched, started.Seconds(), float64(settings.watched)/started.Seconds(), before, ratios)
	report(fmt.Sprintf("monitors_%d_worker_cpu", settings.watched), median(ratios), "%_of_a_core", atMost(1))
	report(fmt.Sprintf("monitors_%d_worker_rss", settings.watched), median(memory), "MB", atMost(150))
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
