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
// What an attempt says of itself travels as a [Trail]. A vendor's words pass
// package redact before they enter it; nothing here logs or stores a secret.
package activities

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/adapters/businesscentral"
	"github.com/ledgerline/ledgerline/adapters/dataverse"
	"github.com/ledgerline/ledgerline/adapters/entra"
	"github.com/ledgerline/ledgerline/adapters/xledger"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
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
type Audit func(ctx context.Context, organization uuid.UUID, rows []runlog.Row) error

// Pauses finds who paused an integration; nil if nobody did.
type Pauses func(ctx context.Context, organization, integration uuid.UUID) (*runlog.Pause, error)

// Activities holds what the activities need. The fields down to Audit, and Log,
// must be set; [New] sets all but the hooks for production.
type Activities struct {
	Resolve  Resolver
	Adapters map[string]adapters.Adapter // by name
	Client   *adapters.Client
	Audit    Audit
	DB       runlog.Beginner // of exports and notifications; calls and audit rows do not use it
	Webhooks notify.Webhook
	Mail     *notify.MailServer // nil if the deployment has none
	Log      *slog.Logger
	Observe  func(in Invocation, done Attempt) // told of each finished attempt, must not block; may be nil
	Drift    func(time.Duration)               // told of each scheduled export's, when it is claimed; may be nil
	Gate     *limits.Gate                      // of this process; nil counts nothing and holds nothing back
	// OnQuota is told once a month, over all workers, of each threshold of an
	// integration's quota that is reached, in the transaction that records it. After an error it is told again. It may be nil.
	OnQuota func(ctx context.Context, tx pgx.Tx, w limits.Warning) error

	Pause  Pauses      // nil: nothing is ever paused
	Health HealthStore // of monitors and probes; calls do not use it

	// LastSuccess is when this worker last saw an integration's call succeed; nil
	// never. OnHealth is told of each update that changes the state or shows
	// trouble that lasts, perhaps more than once, and after an error again. It may
	// be nil.
	LastSuccess func(organization, integration uuid.UUID) time.Time
	OnHealth    func(ctx context.Context, u runlog.HealthUpdate) error

	warmed sync.Map // the last warm-up of each integration in this process, for the run that follows
}

// Freshness is how long a worker uses what it knows of an integration before it
// asks again, so how long it takes until a change or a pause holds everywhere.
const Freshness = 10 * time.Second

// Adapters returns every adapter by its name. They share one cache of tokens.
func Adapters() map[string]adapters.Adapter {
	tokens := entra.NewTokens()
	return map[string]adapters.Adapter{
		xledger.Name:         xledger.Adapter{},
		dataverse.Name:       dataverse.New(tokens),
		businesscentral.Name: businesscentral.New(tokens),
	}
}

// New returns the activities of a worker: every adapter, integrations and audit
// rows in db, and devHosts ("host:port") open for plain http.
func New(db runlog.Beginner, devHosts []string, log *slog.Logger) *Activities {
	return &Activities{
		Resolve: Cached(func(ctx context.Context, organization, id uuid.UUID) (integrations.Integration, error) {
			return runlog.Integration(ctx, db, organization, id)
		}, Freshness, log),
		Adapters: Adapters(),
		Client:   adapters.NewClient(adapters.ClientOptions{DevHosts: devHosts}),
		Audit: func(ctx context.Context, organization uuid.UUID, rows []runlog.Row) error {
			return runlog.Insert(ctx, db, organization, rows)
		},
		DB:       db,
		Webhooks: notify.Webhook{HTTP: adapters.Guarded(adapters.ClientOptions{DevHosts: devHosts}), DevHosts: devHosts},
		Log:      log,
		Gate:     new(limits.Gate),
		Health:   newHealthStore(db),
		Pause: cached(func(ctx context.Context, organization, id uuid.UUID) (*runlog.Pause, error) {
			return runlog.Paused(ctx, db, organization, id)
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
}

// CallResult is a successful attempt.
type CallResult struct {
	Response Answer `json:"response"`
	Trail    Trail  `json:"trail"` // the last entry is the success
}

// Answer is the vendor's answer as callers see it.
type Answer struct {
	HTTPStatus int             `json:"httpStatus"`
	Body       json.RawMessage `json:"body,omitempty"`
	ReadBack   bool            `json:"readBack,omitempty"` // an earlier attempt had taken effect; nothing was sent again
}

// margin is how long before the server's deadline a call is cut off, so that
// the worker is still there to report: an error that is returned less than
// about 30 ms before the deadline is lost (measured, temporal.md §3).
func margin(attempt time.Duration) time.Duration {
	return min(max(attempt/20, 50*time.Millisecond), 500*time.Millisecond)
}
