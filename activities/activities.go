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
// What an attempt says of itself travels as a [Trail]. A vendor's words enter in one
// place, said.go, and pass package redact there; nothing here logs or stores a
// secret.
package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/vendors"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// TaskQueue is where workers take invocations from.
const TaskQueue = "ledgerline"

// Names under which the activities are registered, shown in the Temporal UI.
const (
	CallName   = "Call"
	MirrorName = "Mirror"
)

// Resolver finds an integration by organization and ID. It returns
// [runlog.ErrNotFound] where there is none, whoever else may have it; any other
// error means that it could not be asked.
type Resolver func(ctx context.Context, organization, integration uuid.UUID) (integrations.Integration, error)

// Audit stores rows in the audit record. Storing a row again has no effect.
type Audit func(ctx context.Context, organization uuid.UUID, rows []runlog.AttemptRow) error

// Pauses finds who paused an integration; nil if nobody did.
type Pauses func(ctx context.Context, organization, integration uuid.UUID) (*runlog.Pause, error)

// Activities holds what the activities need. The fields down to Audit, and Log,
// must be set; [New] sets all but the hooks for production, and secrets that hold nothing.
type Activities struct {
	Resolve  Resolver
	Adapters map[string]adapters.Adapter // by name
	Client   *adapters.Client
	Secrets  *secrets.Store // of organizations
	Audit    Audit
	Claims   ClaimStore       // of ad-hoc writes; reads do not use it
	DB       runlog.Beginner  // of exports and notifications; calls and audit rows do not use it
	Sources  *runlog.Sources  // other sources of entries than the default one; nil: none can be read
	Now      func() time.Time // of the trail; nil is the wall clock. Deadlines have their own

	// RunID is the run ID of the calling activity's workflow, and Alive says whether
	// a run has not ended; nil is as Temporal has it. Tests without a server set them.
	RunID func(ctx context.Context) uuid.UUID
	Alive func(ctx context.Context, workflowID string, run uuid.UUID) (bool, error)

	Webhooks notify.Webhook
	Mail     *notify.MailServer // nil if the deployment has none
	Log      *slog.Logger
	Observe  func(in Invocation, done Attempt) // told of each finished attempt, must not block; may be nil
	Drift    func(time.Duration)               // told of each scheduled export's, when it is claimed; may be nil
	Gate     *limits.Gate                      // of this process; nil counts nothing and holds nothing back
	// OnQuota is told once a month, over all workers, of each threshold of an
	// integration's quota that is reached, in the transaction that records it. After an error it is told again. It may be nil.
	OnQuota func(ctx context.Context, tx pgx.Tx, w limits.Warning) error

	// OnSecret is called with each threshold of days that a secret has reached, once over
	// all workers, in the transaction that records it. After an error it is called
	// again by the next look. It may be nil.
	OnSecret func(ctx context.Context, tx pgx.Tx, w runlog.SecretWarning) error

	Pause  Pauses      // nil: nothing is ever paused
	Health HealthStore // of monitors and probes; calls do not use it

	// LastSuccess is when this worker last saw an integration's call succeed; nil
	// never. OnHealth is told of each update that changes the state or shows
	// trouble that lasts, perhaps more than once, and after an error again. It may
	// be nil.
	LastSuccess func(organization, integration uuid.UUID) time.Time
	OnHealth    func(ctx context.Context, u RecordHealthInput) error

	maskFor time.Duration // how long masking may go on after an attempt's deadline; 0 is as [Activities.maskBy] says. Tests set it

	warmed sync.Map // the last warm-up of each integration in this process, for the run that follows
}

// Freshness is how long a worker uses what it knows of an integration before it
// asks again, so how long it takes until a change or a pause holds everywhere.
const Freshness = 10 * time.Second

// Adapters returns every adapter by its name.
func Adapters() map[string]adapters.Adapter {
	byName := make(map[string]adapters.Adapter)
	for _, a := range vendors.New() {
		byName[a.Vendor().Name] = a
	}
	return byName
}

// New returns the activities of a worker: every adapter, integrations and audit
// rows in db, and devHosts ("host:port") open for plain http.
func New(db runlog.Beginner, devHosts []string, log *slog.Logger) *Activities {
	return &Activities{
		Resolve: Cached(func(ctx context.Context, organization, id uuid.UUID) (integrations.Integration, error) {
			return runlog.LoadIntegration(ctx, db, organization, id)
		}, Freshness, log),
		Adapters: Adapters(),
		Client:   adapters.NewClient(adapters.ClientOptions{DevHosts: devHosts}),
		Secrets:  new(secrets.Store),
		Audit: func(ctx context.Context, organization uuid.UUID, rows []runlog.AttemptRow) error {
			return runlog.InsertAttempts(ctx, db, organization, rows)
		},
		Claims:   newClaimStore(db),
		DB:       db,
		Webhooks: notify.Webhook{HTTP: adapters.Guarded(adapters.ClientOptions{DevHosts: devHosts}), DevHosts: devHosts},
		Log:      log,
		Gate:     new(limits.Gate),
		Health:   newHealthStore(db),
		Pause: cached(func(ctx context.Context, organization, id uuid.UUID) (*runlog.Pause, error) {
			return runlog.LoadPause(ctx, db, organization, id)
		}, Freshness, log),
	}
}

// Invocation identifies one adapter operation and says what is asked. It is
// the workflow's input, so it must never hold a secret.
type Invocation struct {
	OrganizationID uuid.UUID          `json:"organizationId"`
	IntegrationID  uuid.UUID          `json:"integrationId"`
	AdapterName    string             `json:"adapterName"`
	CorrelationID  uuid.UUID          `json:"correlationId"` // v4
	Operation      adapters.Operation `json:"operation"`
	Body           json.RawMessage    `json:"body,omitempty"`
	Policy         classify.Policy    `json:"policy"`
	Summary        string             `json:"summary,omitempty"` // one line for the Temporal UI, without data

	// OwnQueue says that the integration had a rate or a limit of concurrency
	// when the invocation started: attempts go through [OwnQueue].
	OwnQueue bool           `json:"ownQueue,omitempty"`
	Purpose  limits.Purpose `json:"purpose,omitempty"` // "" for a caller's or a run's work

	Actor string `json:"actor,omitempty"` // who asked for it; "" for runs and monitors
	// Idempotent is the caller's word that a repeat of the request has no further
	// effect, so that it may be sent again after any transient failure.
	Idempotent bool `json:"idempotent,omitempty"`
	// ReadOnly says that the request changes nothing, so that an attempt that was
	// lost leaves nothing open.
	ReadOnly bool `json:"readOnly,omitempty"`
}

// Validate says why an invocation cannot be made, all of it at once. It is pure:
// workflows call it before anything else.
func (in Invocation) Validate() error {
	faults := []error{
		CheckTarget(in.OrganizationID, in.IntegrationID), checkPurpose(in.Purpose),
		CheckLine("summary", in.Summary, maxSummary), CheckLine("actor", in.Actor, maxActor),
	}
	if in.CorrelationID.Version() != 4 || in.CorrelationID.Variant() != uuid.RFC4122 {
		faults = append(faults, fmt.Errorf("correlationId: %s; want a random UUID (version 4)", in.CorrelationID))
	}
	if _, ok := vendors.Lookup(in.AdapterName); !ok {
		faults = append(faults, fmt.Errorf("adapterName: %q; want one of %s", cut(in.AdapterName), strings.Join(vendors.Names(), ", ")))
	}
	if !slices.Contains([]adapters.Operation{adapters.Ping, adapters.Call, adapters.Export, adapters.Lookup, adapters.Verify}, in.Operation) {
		faults = append(faults, fmt.Errorf("operation: %q; want ping or call", cut(string(in.Operation))))
	}
	if err := in.Policy.Validate(); err != nil {
		faults = append(faults, fmt.Errorf("policy: %w", err))
	}
	return errors.Join(faults...)
}

// ChangesNothing reports whether an invocation can have no effect, so that an attempt
// that was lost leaves nothing open.
func (in Invocation) ChangesNothing() bool {
	return in.ReadOnly || in.Operation == adapters.Ping || in.Operation == adapters.Lookup
}

// CallResult is a successful attempt.
type CallResult struct {
	Response Answer `json:"response"`
	Trail    Trail  `json:"trail"`          // the last entry is the success
	Left     int    `json:"left,omitempty"` // of a chunk that was only asked for: entries that are not at the vendor
}

// maxResult is the largest encoded [CallResult], in bytes. Temporal takes 2 MB; a
// larger result would be refused after the vendor has acted.
const maxResult = 1_900_000

// fit leaves the body of a result out if it is too large once it is encoded, and
// says so: a success stays a success.
func (r CallResult) fit() CallResult {
	encoded, err := json.Marshal(r)
	if err == nil && len(encoded) <= maxResult {
		return r
	}
	r.Response.Omitted = adapters.Omit(r.Response.Body, adapters.TooLarge)
	r.Response.Body = nil
	return r
}

// Answer is the vendor's answer as callers see it.
type Answer struct {
	HTTPStatus int             `json:"httpStatus"`
	Body       json.RawMessage `json:"body,omitempty"`
	ReadBack   bool            `json:"readBack,omitempty"` // an earlier attempt had taken effect; nothing was sent again

	Omitted *adapters.Omitted `json:"omitted,omitempty"` // the body was not passed on, and why
}

// margin is how long before the server's deadline a call is cut off, so that
// the worker is still there to report: an error that is returned less than
// about 30 ms before the deadline is lost (measured on a dev server).
func margin(attempt time.Duration) time.Duration {
	return min(max(attempt/20, 50*time.Millisecond), 500*time.Millisecond)
}
