package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/runlog"
)

// soak is one run of the program.
type soak struct {
	config
	ctx      context.Context
	plan     *plan
	words    io.Writer
	began    time.Time
	stack    *devstack.Stack
	vendors  map[string]string // base URLs, through the proxy
	wires    map[string]*wire
	temporal client.Client
	admin    *pgxpool.Pool // sees everything
	operator *pgxpool.Pool
	fleet    *fleet

	mu       sync.Mutex
	planned  map[string]int   // faults by name
	fired    map[string]int   // those that met something
	scripted map[string][]int // rules of the sandbox by fault, to be looked at in the end
	deleted  map[string]bool  // keys, by somebody at the vendor
	resolved map[string]bool  // keys that people found at the vendor
	report   report
}

// run soaks and reports. Whatever keeps it from its end is a violation too.
func run(ctx context.Context, c config, words io.Writer) report {
	list := faults
	if c.cluster {
		list = clusterFaults()
	}
	s := &soak{config: c, ctx: ctx, plan: newPlan(c.seed, c.length, list), words: words, began: time.Now(), planned: make(map[string]int),
		fired: make(map[string]int), scripted: make(map[string][]int), deleted: make(map[string]bool), resolved: make(map[string]bool), wires: make(map[string]*wire), report: report{seed: c.seed}}
	s.say("seed %d, %d books, %s", c.seed, len(s.plan.books), c.length)
	if err := s.do(ctx); err != nil {
		s.violated("the soak did not come to its end: %v", err)
	}
	for _, v := range s.report.violations {
		s.say("VIOLATED %s", v)
	}
	return s.report
}

func (s *soak) do(ctx context.Context) (err error) {
	s.stack, err = devstack.StartStack(ctx, devstack.StackOptions{Log: s.words, Temporal: devstack.TemporalOptions{
		Config: map[string]string{"history.timerProcessorMaxTimeShift": `"50ms"`}, Split: s.cluster,
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stack.Close()) }()
	if err := s.connect(ctx); err != nil {
		return err
	}
	defer s.admin.Close()
	defer s.operator.Close()
	defer s.temporal.Close()
	bin, err := devstack.Build(ctx, "./cmd/worker", s.race)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(bin))
	for _, b := range s.plan.books {
		if err := s.setUp(ctx, b); err != nil {
			return fmt.Errorf("set up %s: %w", b.name, err)
		}
	}
	if err := s.store(ctx, s.plan.clock); err != nil {
		return err
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	s.fleet = newFleet(working, bin, [][]string{s.env(""), s.env(s.apart())})
	defer s.fleet.done.Wait()
	defer stop()
	watched := make(chan struct{})
	go func() { s.watch(working); close(watched) }()

	s.soak(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.say("the faults are over, %d fired; settling", s.count(s.fired))
	s.settle(ctx)
	stop()
	<-watched
	s.fleet.done.Wait()
	return s.check(ctx)
}

// connect opens the way of this program, which no fault spoils, and the wires.
func (s *soak) connect(ctx context.Context) (err error) {
	upstreams := map[string]string{
		"vendor": s.stack.DevHosts()[0], "postgres": fmt.Sprintf("127.0.0.1:%d", s.stack.Postgres.Port()), "temporal": s.stack.Temporal.HostPort(),
	}
	if s.cluster {
		upstreams[apart+"postgres"], upstreams[apart+"temporal"] = upstreams["postgres"], upstreams["temporal"]
	}
	for name, upstream := range upstreams {
		if s.wires[name], err = newWire(name, upstream); err != nil {
			return err
		}
	}
	s.vendors = sandbox.Addresses("http://" + s.wires["vendor"].address())
	if s.admin, err = runlog.Open(ctx, s.stack.URL(devstack.Admin), 4); err != nil {
		return err
	}
	if s.operator, err = runlog.Open(ctx, s.stack.URL(devstack.Operator), 4); err != nil {
		return err
	}
	s.temporal, err = client.Dial(s.stack.Temporal.ClientOptions())
	return err
}

// env is a worker's environment: everything it needs is behind a wire. Those to PostgreSQL
// and Temporal have names with a prefix.
func (s *soak) env(prefix string) []string {
	direct := fmt.Sprintf("127.0.0.1:%d", s.stack.Postgres.Port())
	return append(s.stack.Env(devstack.Worker),
		"DATABASE_URL="+strings.Replace(s.stack.URL(devstack.Worker), direct, s.wires[prefix+"postgres"].address(), 1),
		"TEMPORAL_ADDRESS="+s.wires[prefix+"temporal"].address(),
		"LEDGERLINE_DEV_VENDOR_HOSTS="+s.wires["vendor"].address())
}

// apart is the prefix of the second worker's wires.
func (s *soak) apart() string {
	if s.cluster {
		return apart
	}
	return ""
}

// soak plays all lanes to their ends.
func (s *soak) soak(ctx context.Context) {
	var lanes sync.WaitGroup
	for _, l := range s.plan.lanes {
		for _, r := range l {
			s.planned[r.fault.name]++
		}
	}
	for _, l := range s.plan.lanes {
		lanes.Go(func() {
			var retries sync.WaitGroup
			for i, r := range l {
				if i%10 == 0 {
					s.say("%s: round %d of %d", r.book.name, i+1, len(l))
				}
				if ctx.Err() == nil {
					s.play(ctx, r, &retries)
				}
			}
			retries.Wait()
		})
	}
	lanes.Wait()
}

// play makes a round. A vendor's fault is over with its run, the others are by
// themselves, and their runs go on.
func (s *soak) play(ctx context.Context, r *round, under *sync.WaitGroup) {
	if err := s.store(ctx, r); err != nil {
		s.violated("settled: %s: %v", r.fault.name, err)
		return
	}
	if r.fault.rules == nil {
		met, err := r.fault.act(ctx, s, r)
		if met {
			s.met(r.fault.name)
		}
		switch {
		case err == nil || ctx.Err() != nil:
		case !s.overtaken(ctx, r):
			s.violated("fault %s on %s %s could not be made: %v", r.fault.name, r.book.name, r.period, err)
		case !met:
			s.say("fault %s did not meet %s %s: that had failed by another one", r.fault.name, r.book.name, r.period)
			s.mu.Lock()
			s.planned[r.fault.name]--
			s.report.overtaken++
			s.mu.Unlock()
		}
		under.Go(func() { s.finish(ctx, r) })
		return
	}
	rules := r.fault.rules(r.book.vendor, r.marker())
	first := s.stack.Sandbox.Script(rules...)
	s.mu.Lock()
	for n := range rules {
		s.scripted[r.fault.name] = append(s.scripted[r.fault.name], first+n)
	}
	s.mu.Unlock()
	if err := s.begin(ctx, r); err != nil && ctx.Err() == nil {
		s.violated("settled: %s: %v", r.fault.name, err)
	}
	s.finish(ctx, r)
}

// overtaken is true if a round's run has failed by a fault of another lane, such as
// a refused token, before its own fault could meet it.
func (s *soak) overtaken(ctx context.Context, r *round) (failed bool) {
	err := s.admin.QueryRow(ctx, `SELECT status = 'failed' FROM ledgerline.bufdir_export_audit_log
		WHERE integration_id = $1 AND period = $2 AND parent_export_id IS NULL`, r.book.id, r.period).Scan(&failed)
	return err == nil && failed
}

func (s *soak) met(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fired[name]++
}

func (s *soak) violated(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.violations = append(s.report.violations, fmt.Sprintf(format, args...))
}

// say tells people how far it is.
func (s *soak) say(format string, args ...any) {
	fmt.Fprintf(s.words, "%6.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

func (s *soak) count(m map[string]int) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range m {
		n += c
	}
	return n
}
