package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/dial"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/internal/logger"
	"github.com/ledgerline/ledgerline/internal/tracing"
	"github.com/ledgerline/ledgerline/internal/version"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
	"github.com/ledgerline/ledgerline/usage"
	"github.com/ledgerline/ledgerline/workflows"
)

// cachedWorkflows is how many workflows are kept in memory, about 50 KB each.
// One that is not is read from its history when it is resumed: monitors that wait
// for hours need not be.
const cachedWorkflows = 2500

// run is the program. It returns nil after a signal. Only --version writes to out.
func run(ctx context.Context, args []string, getenv func(string) string, out, words io.Writer) error {
	c, err := parse(args, getenv, plain.Writer{Raw: words})
	if err != nil {
		return err
	}
	if c.version {
		_, err := fmt.Fprintln(out, version.Line("worker"))
		return err
	}
	secretStore, err := secrets.FromEnv(getenv)
	mail, mailErr := mailServer(getenv, secretStore)
	keys, keysErr := codec.FromEnv(getenv)
	if err != nil || mailErr != nil || keysErr != nil {
		return usageError{errors.Join(err, mailErr, keysErr)}
	}
	logger := newLogger(c, words)
	secretStore.Log = logger
	if secretStore.DevShared {
		logger.Warn("DEVELOPMENT: every organization can read the secrets of all, and this program's own (LEDGERLINE_DEV_SHARED_SECRETS)")
	}
	warnNoSecrets(secretStore, logger)
	if len(c.devHosts) > 0 {
		logger.Warn("DEVELOPMENT: vendor hosts may be called without TLS and at private addresses", "hosts", len(c.devHosts))
	}

	pool, err := openDatabase(ctx, c, logger)
	if err != nil {
		return err
	}
	defer pool.Close()

	metrics, err := newMetrics(secretStore)
	if err != nil {
		return err
	}
	defer metrics.close()
	metrics.startAtZero()

	self := newSelf()
	encrypted := newPayloads(keys, pool, self, logger)
	traces, err := tracing.Start(ctx, tracing.Options{Service: "ledgerline-worker", Log: logger, Failed: metrics.traceFailed})
	if err != nil {
		logger.Warn("there are no traces", "error", err)
	}
	defer traces.Close() // once attempts under way have ended

	temporal, err := dialTemporal(ctx, c, logger, metrics, traces, encrypted, &self)
	if err != nil {
		return err
	}
	defer temporal.Close()

	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		return fmt.Errorf("--listen or LEDGERLINE_LISTEN: %s", environ.Cause(err))
	}
	shared := newSlots(c.concurrency)
	server := &http.Server{Handler: endpoints(pool, temporal, metrics, shared, &encrypted.gate), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	logger.Info("answering", "listen", listener.Addr().String()) // before it is ready, so that it can be asked why not

	store := activities.NewStore(pool, logger, metrics.refused)
	heart := newHeart(pool, self, examination{
		pool: pool, secrets: secretStore, mail: mail != nil, source: c.sourceURL != "", waits: encrypted.gate.Reason,
	}.run, logger)
	heart.pauses = store.ReadPauses
	defer heart.stop() // once all that is below has ended
	encrypted.changed = heart.changed
	// Before anything is encrypted, and before any poll. A signal meanwhile ends it as it would later.
	if encrypted.admit(ctx, func() { heart.start(context.WithoutCancel(ctx)) }) != nil {
		return nil
	}
	defer encrypted.leave() // after the last task

	sources, err := openSources(ctx, c, logger)
	if err != nil {
		return err
	}
	gate := new(limits.Gate)
	options := activities.Options{
		DB: pool, Store: store, DevHosts: c.devHosts, Secrets: secretStore, Sources: sources, Mail: mail, Log: logger, Gate: gate,
		Observe: metrics.observe, Refused: metrics.refused,
		ObserveDrift: func(d time.Duration) { metrics.drift.Record(context.Background(), d.Seconds()) },
	}
	if c.monitors {
		observer := newObserver(temporal, store, logger)
		options.LastSuccess = observer.LastSuccess
		options.Observe = func(in activities.Invocation, at activities.Attempt) {
			metrics.observe(in, at)
			observer.Observe(in, at)
		}
		watching, unwatch := context.WithCancel(context.WithoutCancel(ctx))
		reported := keepMonitors(watching, pool, temporal, observer, logger)
		defer reported() // what is left, once attempts under way have ended
		defer unwatch()
	}
	// It teaches the Gate's ledger what was counted before, so it comes before all who count.
	recorder, err := usage.New(ctx, usage.Options{DB: pool, Ledger: &gate.Ledger, Log: logger})
	if err != nil {
		return err
	}
	acts, err := activities.New(options)
	if err != nil {
		return err
	}
	defer acts.CloseIdle()
	var loops sync.WaitGroup
	defer func() { loops.Wait(); recorder.FlushLast(ctx) }() // once attempts under way have ended
	worker.SetStickyWorkflowCacheSize(cachedWorkflows)       // before any worker starts, those of the queues too
	stopQueues := keepQueues(ctx, pool, acts, temporal, c.versioning(), logger)
	workerOptions := workflows.WorkerOptions()
	workerOptions.MaxConcurrentActivityExecutionSize, workerOptions.DeploymentOptions = c.concurrency, c.versioning()
	workerOptions.Interceptors = append(workerOptions.Interceptors, shared, newSteps(metrics, logger), acts.Elsewhere())
	fatal := make(chan error, 1)
	workerOptions.OnFatalError = func(err error) { fatal <- err }
	w := worker.New(temporal, activities.TaskQueue, workerOptions)
	workflows.Register(w, acts)
	if err := w.Start(); err != nil {
		stopQueues()
		return fmt.Errorf("start the Temporal worker: %w", err)
	}
	defer func() { // at once, each waits for its attempts under way
		var both sync.WaitGroup
		both.Go(w.Stop)
		both.Go(stopQueues)
		both.Wait()
	}()

	upkeep, stop := context.WithCancel(ctx)
	defer stop()
	go encrypted.keep(upkeep)
	go watchIntegrations(upkeep, pool, &metrics.states, logger)
	go keepPartitions(upkeep, pool, logger)
	loops.Go(func() { recorder.Run(upkeep) })
	go watch(upkeep, pool, temporal, metrics, logger, c.pendingLimit, c.remindAfter)
	go measure(upkeep, pool, metrics, logger)
	go drainNotifications(upkeep, temporal, pool, logger)
	heart.start(context.WithoutCancel(ctx))
	logger.Info("worker ready", "listen", listener.Addr().String(), "task_queue", activities.TaskQueue, "concurrency", c.concurrency)
	notifySystemd(getenv, notifyReady, logger)

	select {
	case <-ctx.Done():
		heart.stopping()
		notifySystemd(getenv, notifyStopping, logger)
		logger.Info("stopping: attempts under way are finished first", "at_most", workerOptions.WorkerStopTimeout.String())
		return nil
	case err := <-fatal:
		return fmt.Errorf("the Temporal worker has failed: %w", err)
	}
}

// newLogger writes to w.
func newLogger(c config, w io.Writer) *slog.Logger { return logger.New(c.logFormat, c.logLevel, w) }

// warnNoSecrets says at the start what each call would say.
func warnNoSecrets(s *secrets.Store, logger *slog.Logger) {
	switch _, err := os.Stat(s.Dir); {
	case s.Dir == "" && len(s.Prefixes) == 0 && !s.DevShared:
		logger.Warn("no organization has secrets, and calls that need one fail: neither LEDGERLINE_SECRETS nor LEDGERLINE_ENV_SECRETS is set")
	case s.Dir != "" && err != nil:
		logger.Warn("the folder of secrets cannot be read, and calls that need one of it fail", "variable", "LEDGERLINE_SECRETS", "error", err)
	}
}

// openDatabase connects, makes the partitions and checks that the rules hold.
func openDatabase(ctx context.Context, c config, logger *slog.Logger) (*pgxpool.Pool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.startup)
	defer cancel()
	pool, err := runlog.Open(ctx, c.databaseURL, 0)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("cannot reach PostgreSQL: %s; check DATABASE_URL and that the server is up", environ.RootCause(err))
	}
	// The self-check reports a schema that is missing; only then can it fail.
	_, partitionErr := runlog.EnsurePartitions(ctx, pool)
	warnings, err := runlog.SelfCheck(ctx, pool, runlog.SelfCheckOptions{Role: "ledgerline_worker", Relax: c.relax})
	if err == nil {
		err = partitionErr
	}
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("the database is not fit for use: %w", err)
	}
	for _, w := range warnings {
		logger.Warn("DEVELOPMENT: unsafe database", "warning", w)
	}
	return pool, nil
}

// openSources returns the reader of sources, whose login must have no more rights than
// that takes. Its database may be away: calls and other exports do not need it.
func openSources(ctx context.Context, c config, logger *slog.Logger) (*runlog.Sources, error) {
	sources, err := runlog.NewSources(c.sourceURL, c.databaseURL)
	if err != nil {
		return nil, err
	}
	sources.Log = logger
	ctx, cancel := context.WithTimeout(ctx, c.startup)
	defer cancel()
	unfit, err := sources.CheckLogin(ctx)
	if err != nil {
		logger.Warn("the login of the sources could not be checked; it is again whenever it is used", "variable", runlog.SourceVariable, "error", environ.RootCause(err))
	}
	if len(unfit) > 0 {
		return nil, fmt.Errorf("the login of the sources (%s) is not fit for use: %s", runlog.SourceVariable, strings.Join(unfit, "; "))
	}
	return sources, nil
}

// dialTemporal connects and checks that the search attributes are there. self learns how
// Temporal sees the worker.
func dialTemporal(ctx context.Context, c config, logger *slog.Logger, m *metrics, traces *tracing.Traces, encrypted *payloads, self *runlog.Heartbeat) (client.Client, error) {
	dialed, namespace, err := dial.Temporal(ctx, dial.Options{Within: c.startup, Keys: encrypted.keys, Gate: &encrypted.gate, Configure: func(o *client.Options) {
		o.Identity, self.Namespace = self.Identity, o.Namespace
		o.Logger = log.NewStructuredLogger(logger)
		o.MetricsHandler = m.handler
		o.Interceptors = traces.Interceptors()
		o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(activities.LocalClock(logger)))
	}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.startup)
	defer cancel()
	missing, err := engine.MissingSearchAttributes(ctx, dialed, namespace)
	switch {
	case dial.Refused(err) != "":
		dialed.Close()
		return nil, fmt.Errorf("the worker is refused by Temporal: %s; %s", environ.Cause(err), dial.Refused(err))
	case err != nil:
		logger.Warn("the search attributes could not be checked", "error", err)
	case len(missing) > 0:
		dialed.Close()
		return nil, fmt.Errorf("the Temporal namespace %q lacks search attributes: %s; run starter migrate", namespace, strings.Join(missing, ", "))
	}
	return dialed, nil
}

// keepPartitions makes the next months' partitions long before they are needed.
func keepPartitions(ctx context.Context, pool *pgxpool.Pool, logger *slog.Logger) {
	for tick := time.NewTicker(6 * time.Hour); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			if made, err := runlog.EnsurePartitions(ctx, pool); err != nil {
				logger.Error("partitions could not be made; audit rows wait once the last one ends", "error", err)
			} else if made > 0 {
				logger.Info("partitions made", "count", made)
			}
		}
	}
}
