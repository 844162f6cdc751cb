// Package activities does what workflows may not: it calls vendors and writes
// to the database. It is the only place that knows both error worlds, the
// classifier's verdicts and Temporal's errors, and the only one that
// translates between them.
//
// [Activities.Call] is one attempt of an invocation: resolve, call, classify,
// record, translate. It has no loop and no sleep; Temporal decides when to try
// again, from the retry policy and the wait that the attempt asks for.
//
// [Activities.Mirror] copies a finished invocation's trail into
// integration_run_logs, so that the table is the audit record.
//
// Activities have inputs of their own, such as [MirrorInput]. Only Call takes an
// [Invocation]: that is the domain's word for what is asked for, and the workflow, package
// engine and programs pass it on as it is.
//
// What an attempt says of itself travels as a [Trail]. A vendor's words pass one file,
// said.go, and package redact there; nothing here logs or stores a secret.
//
// PostgreSQL is reached by package runlog. What calls and monitors keep there goes
// through [Store], the one seam that tests without a database replace.
package activities

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// TaskQueue is where workers take invocations from.
const TaskQueue = "ledgerline"

// OwnQueue is the task queue of an integration that has a rate or a concurrency
// limit. The server hands its attempts out at that rate, over all workers, and with
// the other limit only one worker at a time takes them. An attempt that waits there
// delays no other integration's and uses up none of its own time.
func OwnQueue(integration uuid.UUID) string { return TaskQueue + "/" + integration.String() }

// Options are what the activities of a worker need. DB has no default. It may be nil only
// where Store is set and no export runs and nobody is notified, as in tests.
type Options struct {
	DB       runlog.Beginner             // of exports and notifications, and of the default Store
	Store    Store                       // of calls and monitors; [NewStore] of DB if nil
	Adapters map[string]adapters.Adapter // by name; [Adapters] if nil
	DevHosts []string                    // development only: "host:port" that may be called over plain http
	Client   *adapters.Client            // to vendors; one that may call DevHosts if nil
	Secrets  *secrets.Store              // of organizations; nil holds none
	Sources  *runlog.Sources             // other sources of entries than the default one; nil: none can be read
	Mail     *notify.MailServer          // nil if the deployment has none
	Log      *slog.Logger                // discards if nil
	Gate     *limits.Gate                // of this process; nil counts nothing and holds nothing back

	Observe      func(in Invocation, at Attempt) // gets each finished attempt, must not block; may be nil
	ObserveDrift func(time.Duration)             // gets how late each scheduled export is claimed; may be nil

	// Refused gets each step of the store that PostgreSQL did not take, such as MarkChunk, and the
	// reason: audit_unavailable, audit_refused. It does not get the step that ends an activity with
	// an error that [IsStoreError] knows. It must not block; may be nil.
	Refused func(step, reason string)

	// LastSuccess is when this worker last saw a call of an integration succeed. If it
	// is nil, nobody knows: warm-ups are not left out, and calls log no cold start.
	LastSuccess func(organization, integration uuid.UUID) time.Time

	// Now is the clock of the trail, RunID the run ID of the calling activity's
	// workflow, and Alive says whether a run has not ended. Nil is the wall clock, and
	// as Temporal has it. Deadlines have a clock of their own. Tests without a server
	// set them.
	Now   func() time.Time
	RunID func(ctx context.Context) uuid.UUID
	Alive func(ctx context.Context, workflowID string, run uuid.UUID) (bool, error)
}

// WithDefaults returns a copy in which zero values have their defaults.
func (o Options) WithDefaults() Options {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Secrets = cmp.Or(o.Secrets, new(secrets.Store))
	if o.Store == nil {
		o.Store = NewStore(o.DB, o.Log, o.Refused)
	}
	if o.Adapters == nil {
		o.Adapters = Adapters()
	}
	if o.Client == nil {
		o.Client = adapters.NewClient(adapters.ClientOptions{DevHosts: o.DevHosts})
	}
	if o.Observe == nil {
		o.Observe = func(Invocation, Attempt) {}
	}
	if o.ObserveDrift == nil {
		o.ObserveDrift = func(time.Duration) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RunID == nil {
		o.RunID = runID
	}
	if o.Alive == nil {
		o.Alive = alive
	}
	return o
}

func (o Options) validate() error {
	if o.DB == nil && o.Store == nil {
		return errors.New("activities.Options.DB: want the worker's database")
	}
	return nil
}

// Activities are the activities of a worker. [New] makes them; the zero value can only
// be registered, for its names.
type Activities struct {
	options  Options
	webhooks notify.Webhook

	homes   homes
	maskFor time.Duration // how long masking may take after an attempt's deadline; 0 is as [Activities.maskBy] says. Tests set it
	warmUps sync.Map      // the last warm-up of each integration in this process, for the run that follows
}

// New returns the activities of a worker.
func New(o Options) (*Activities, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Activities{
		options:  o.WithDefaults(),
		homes:    homes{db: o.DB},
		webhooks: notify.Webhook{HTTP: adapters.Guarded(adapters.ClientOptions{DevHosts: o.DevHosts}), DevHosts: o.DevHosts},
	}, nil
}

// CloseIdle closes connections to vendors that are not in use.
func (a *Activities) CloseIdle() { a.options.Client.CloseIdle() }

// Adapters returns every adapter by its name.
func Adapters() map[string]adapters.Adapter {
	byName := make(map[string]adapters.Adapter)
	for _, a := range vendors.New() {
		byName[a.Vendor().Name] = a
	}
	return byName
}
