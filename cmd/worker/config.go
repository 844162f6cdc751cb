package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// config is what the flags and the environment say.
type config struct {
	version bool // say which build this is, and end

	databaseURL string
	sourceURL   string
	listen      string
	devHosts    []string
	relax       bool
	concurrency int
	monitors    bool
	startup     time.Duration
	deployed    worker.WorkerDeploymentVersion // of Worker Versioning; the zero one is none

	pendingLimit, remindAfter time.Duration // of exports; 0 is what package notify says
	logFormat                 string
	logLevel                  slog.Level
}

// versioning is the part of a worker's options that says which version it is. Runs follow
// the current version: monitors never end, and an export may wait for a month.
func (c config) versioning() worker.DeploymentOptions {
	if c.deployed == (worker.WorkerDeploymentVersion{}) {
		return worker.DeploymentOptions{}
	}
	return worker.DeploymentOptions{UseVersioning: true, Version: c.deployed, DefaultVersioningBehavior: workflow.VersioningBehaviorAutoUpgrade}
}

// usageError is an error of the command line or the environment.
type usageError struct{ error }

// parse reads flags, and for what they leave out the environment.
func parse(args []string, getenv func(string) string, words io.Writer) (config, error) {
	var c config
	flags := flag.NewFlagSet("worker", flag.ContinueOnError)
	var help bytes.Buffer // said only if it is asked for: a wrong flag is not to be looked for above it
	flags.SetOutput(&help)
	flags.Usage = func() {
		fmt.Fprint(&help, `Usage: worker [flags]

Runs Ledgerline's workflows and activities until it gets SIGTERM or SIGINT.

Temporal is found by its own variables and profile file: TEMPORAL_ADDRESS,
TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS…, TEMPORAL_PROFILE. With
TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID the worker is versioned, and
gets no task until somebody makes its version current.

Secrets of an organization are read from its own space: file:NAME is
$LEDGERLINE_SECRETS/<organization UUID>/NAME, and env:NAME is a variable of this
program with the prefix that LEDGERLINE_ENV_SECRETS gives the organization
(<organization UUID>=PREFIX_, comma-separated). Development only:
LEDGERLINE_DEV_SHARED_SECRETS=true lets every organization name any variable,
and files by their path.

What Temporal stores is encrypted if LEDGERLINE_PAYLOAD_KEYS names a folder with a
file for each key (32 bytes, base64 or hexadecimal; its name is the key's ID) and
LEDGERLINE_PAYLOAD_KEY the one that encrypts. The others decrypt. A worker that
lacks a key in use takes no tasks, and /readyz says so.

Notifications by e-mail go through the server in LEDGERLINE_SMTP_URL, such as
smtp://user@host:587?from=name@example.com&password=file:/run/secrets/smtp.

Traces are exported by OTLP if OTEL_EXPORTER_OTLP_ENDPOINT is set, as
OpenTelemetry's own variables say: OTEL_EXPORTER_OTLP_…, OTEL_TRACES_SAMPLER and
OTEL_TRACES_SAMPLER_ARG, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES.

`)
		flags.PrintDefaults()
	}
	// Defaults from the environment are read after the flags, so that no help shows one.
	flags.StringVar(&c.databaseURL, "database-url", "", "PostgreSQL, as a `user` with the role ledgerline_worker; $DATABASE_URL")
	flags.StringVar(&c.sourceURL, "source-database-url", "", "where sources of entries other than the default one are read, as a `login` of their own; $"+runlog.SourceVariable)
	flags.StringVar(&c.listen, "listen", "127.0.0.1:8080", "`address` of /livez, /readyz and /metrics, which need no credentials; :8080 is every interface, as containers need it; $LEDGERLINE_LISTEN")
	dev := flags.String("dev-vendor-hosts", "", "development only: `host:port` pairs, comma-separated, that may be called over plain http and at private addresses; $LEDGERLINE_DEV_VENDOR_HOSTS")
	flags.BoolVar(&c.relax, "relax-database-checks", false, "development only: warn about an unsafe database user or setting instead of refusing; $LEDGERLINE_RELAX_DATABASE_CHECKS=true")
	flags.IntVar(&c.concurrency, "concurrency", 200, "attempts at once, besides those in queues of integrations with a rate or a concurrency limit")
	flags.BoolVar(&c.monitors, "monitors", true, "start integrations' monitors and report to them what this worker's traffic shows; with false a monitor that another worker started still runs on this one too, and probes")
	flags.DurationVar(&c.startup, "startup-timeout", 10*time.Second, "how long to wait for Temporal and PostgreSQL at the start")
	flags.DurationVar(&c.pendingLimit, "pending-limit", 0, "how long an export may be pending before people are notified; 0 is half its period, at most 24h; $LEDGERLINE_PENDING_LIMIT")
	flags.DurationVar(&c.remindAfter, "remind-after", notify.RemindAfter, "after how long people are notified again of an export that is still pending, an hour at least; $LEDGERLINE_REMIND_AFTER")
	flags.StringVar(&c.logFormat, "log-format", "json", "`json` or text")
	flags.TextVar(&c.logLevel, "log-level", slog.LevelInfo, "DEBUG, INFO, WARN or ERROR")
	flags.BoolVar(&c.version, "version", false, "print which build this is, and end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			_, _ = help.WriteTo(words)
			return c, err
		}
		return c, usageError{fmt.Errorf("%w; see worker --help", err)}
	}
	if c.version {
		return c, nil
	}
	if err := fromEnvironment(flags, getenv); err != nil {
		return c, err
	}
	c.devHosts = environ.Split(*dev)
	c.deployed = worker.WorkerDeploymentVersion{DeploymentName: getenv("TEMPORAL_DEPLOYMENT_NAME"), BuildID: getenv("TEMPORAL_WORKER_BUILD_ID")}
	return c, c.validate(flags.Args())
}

// variables are where a flag that was not given comes from.
var variables = map[string]string{
	"database-url": "DATABASE_URL", "source-database-url": runlog.SourceVariable, "listen": "LEDGERLINE_LISTEN",
	"dev-vendor-hosts": "LEDGERLINE_DEV_VENDOR_HOSTS", "relax-database-checks": "LEDGERLINE_RELAX_DATABASE_CHECKS",
	"pending-limit": "LEDGERLINE_PENDING_LIMIT", "remind-after": "LEDGERLINE_REMIND_AFTER",
}

// fromEnvironment sets the flags that were not given. What it refuses it names
// without the value.
func fromEnvironment(flags *flag.FlagSet, getenv func(string) string) error {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		variable := variables[name]
		if value := getenv(variable); value != "" && !given[name] {
			if flags.Set(name, value) != nil {
				errs = append(errs, usageError{fmt.Errorf("%s: want what --%s takes; see worker --help", variable, name)})
			}
		}
	}
	return errors.Join(errs...)
}

func (c config) validate(rest []string) error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, usageError{fmt.Errorf(format, args...)})
		}
	}
	check(len(rest) == 0, "unexpected argument %q", strings.Join(rest, " "))
	check(c.databaseURL != "", "DATABASE_URL is not set: want postgres://user@host:5432/database")
	check(c.concurrency >= 1 && c.concurrency <= 10000, "--concurrency %d: want 1 to 10000", c.concurrency)
	check(c.logFormat == "json" || c.logFormat == "text", "--log-format %q: want json or text", c.logFormat)
	check((c.deployed.DeploymentName == "") == (c.deployed.BuildID == ""), "TEMPORAL_DEPLOYMENT_NAME and TEMPORAL_WORKER_BUILD_ID: want both, for Worker Versioning, or neither")
	check(c.pendingLimit >= 0, "--pending-limit %v: want 0 or more", c.pendingLimit)
	check(c.remindAfter > 0, "--remind-after %v: want more than 0", c.remindAfter)
	check(c.startup > 0, "--startup-timeout %v: want more than 0", c.startup)
	for i, h := range c.devHosts { // not shown: it may come from the environment
		host, port, err := net.SplitHostPort(h)
		check(err == nil && host != "" && port != "", "--dev-vendor-hosts or LEDGERLINE_DEV_VENDOR_HOSTS: number %d: want host:port", i+1)
	}
	return errors.Join(errs...)
}
