package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/console"
	"github.com/ledgerline/ledgerline/console/signin"
	"github.com/ledgerline/ledgerline/internal/dial"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/internal/logger"
	"github.com/ledgerline/ledgerline/internal/tracing"
	"github.com/ledgerline/ledgerline/internal/version"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
)

// stopWithin is how long requests under way are waited for.
const stopWithin = 10 * time.Second

// run is the program. It returns nil after a signal. Only --version writes to out.
func run(ctx context.Context, args []string, getenv func(string) string, out, words io.Writer) error {
	c, err := parse(args, getenv, plain.Writer{Raw: words})
	if err != nil {
		return err
	}
	if c.version {
		_, err := fmt.Fprintln(out, version.Line("console"))
		return err
	}
	keys := c.keys
	logs := logger.New(c.logFormat, c.logLevel, words)
	pool, err := openDatabase(ctx, c, logs)
	if err != nil {
		return err
	}
	defer pool.Close()
	sources, err := runlog.NewSources(c.sourceURL, c.databaseURL)
	if err != nil {
		return err
	}
	sources.Log = logs
	traces, err := tracing.Start(ctx, tracing.Options{Service: "ledgerline-console", Log: logs})
	if err != nil {
		logs.Warn("there are no traces", "error", err)
	}
	defer traces.Close()
	if err := usePayloadKeys(ctx, pool, keys); err != nil {
		return err
	}
	temporal, _, err := dial.Temporal(ctx, dial.Options{Within: c.startup, Keys: keys, Configure: func(o *client.Options) {
		o.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
		o.Interceptors = traces.Interceptors()
	}})
	if err != nil {
		return err
	}
	defer temporal.Close()
	who, err := signIn(ctx, c, pool)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	pages, err := console.New(console.Options{
		DB: pool, Sources: sources, Temporal: temporal, SignIn: who, PublicURL: c.public, Log: logs, Metrics: registry, Development: c.development, Trace: traces.Begin,
	})
	if err != nil {
		return err
	}
	if c.development {
		logs.Warn("DEVELOPMENT: nobody signs in, and everybody on this machine is an administrator of all organizations")
	}
	counting, stop := context.WithCancel(ctx)
	var sums sync.WaitGroup
	sums.Go(func() { pages.Sum(counting) })
	defer sums.Wait() // before the pool is closed
	defer stop()
	return serve(ctx, c, pages, endpoints(pool, temporal, registry), logs)
}

// serve serves until ctx ends.
func serve(ctx context.Context, c config, pages *console.Console, ops http.Handler, logs *slog.Logger) error {
	listener, err := net.Listen("tcp", c.listen)
	if err != nil {
		return fmt.Errorf("--listen or LEDGERLINE_CONSOLE_LISTEN: %s", environ.Cause(err))
	}
	behind, err := net.Listen("tcp", c.ops)
	if err != nil {
		listener.Close()
		return fmt.Errorf("--ops-listen or LEDGERLINE_CONSOLE_OPS_LISTEN: %s", environ.Cause(err))
	}
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 2 * time.Minute, WriteTimeout: 5 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(logs.Handler(), slog.LevelDebug)}
	inside := &http.Server{Handler: ops, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 2)
	go func() {
		if c.pair != nil {
			server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*c.pair}, MinVersion: tls.VersionTLS12}
			failed <- server.ServeTLS(listener, "", "")
		} else {
			failed <- server.Serve(listener)
		}
	}()
	go func() { failed <- inside.Serve(behind) }()
	logs.Info("console ready", "listen", listener.Addr().String(), "ops", behind.Addr().String(), "url", c.public.Redacted())
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	logs.Info("stopping: requests under way are finished first", "at_most", stopWithin.String())
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	err = errors.Join(err, pages.Close(ending), server.Shutdown(ending), inside.Shutdown(ending))
	if errors.Is(err, context.DeadlineExceeded) {
		logs.Warn("requests that took longer were cut off")
		return nil
	}
	return err
}

// openDatabase connects and checks that the rules hold.
func openDatabase(ctx context.Context, c config, logs *slog.Logger) (*pgxpool.Pool, error) {
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
	warnings, err := runlog.SelfCheck(ctx, pool, runlog.SelfCheckOptions{Role: runlog.ConsoleRole, Relax: c.relax})
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("the database is not fit for use: %w", err)
	}
	for _, w := range warnings {
		logs.Warn("DEVELOPMENT: unsafe database", "warning", w)
	}
	return pool, nil
}

// usePayloadKeys makes sure that what the console hands to Temporal can be read.
func usePayloadKeys(ctx context.Context, pool *pgxpool.Pool, keys *codec.Keys) error {
	if keys.Current() == "" {
		return nil
	}
	lacking, err := runlog.UsePayloadKey(ctx, pool, keys.Current())
	if err != nil {
		return err
	}
	if len(lacking) > 0 {
		return fmt.Errorf("%s cannot encrypt yet, because workers lack it: %s; give it to them first", codec.Words(keys.Current()), runlog.ReaderWords(lacking))
	}
	return nil
}

// signIn is how people sign in. An organization of the access file that the database does not
// have is an error of the file.
func signIn(ctx context.Context, c config, pool *pgxpool.Pool) (*signin.SignIn, error) {
	o := c.signIn
	o.Sessions = console.Sessions(pool)
	var unknown, failed bool
	o.Find = func(ctx context.Context, which string) (uuid.UUID, error) {
		found, err := runlog.FindOrganization(ctx, pool, which)
		var none *runlog.UnknownOrganizationError
		unknown = unknown || errors.As(err, &none)
		failed = failed || err != nil && !errors.As(err, &none)
		return found.ID, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.startup)
	defer cancel()
	who, err := signin.New(ctx, o)
	if err != nil && unknown && !failed {
		return nil, usageError{err}
	}
	return who, err
}

// endpoints serve /livez: the process runs; /readyz: Temporal and PostgreSQL answer; /metrics.
func endpoints(pool *pgxpool.Pool, temporal client.Client, registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		_, temporalErr := temporal.CheckHealth(ctx, &client.CheckHealthRequest{})
		databaseErr := pool.Ping(ctx)
		if temporalErr != nil || databaseErr != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		says := func(err error) string { // not the error: the endpoint needs no credentials to read
			if err != nil {
				return "unavailable"
			}
			return "ok"
		}
		fmt.Fprint(w, strings.Join([]string{"temporal: " + says(temporalErr), "postgresql: " + says(databaseErr), ""}, "\n"))
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}
