package runlog

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// HeartbeatEvery is how often a worker says that it is there. One that has not for
// [WorkerLost] no longer runs, or does not reach the database.
const (
	HeartbeatEvery = 10 * time.Second
	WorkerLost     = 35 * time.Second
)

// Heartbeat is what a worker says of itself.
type Heartbeat struct {
	WorkerID          uuid.UUID // of the process
	Identity          string    // Temporal's: what it lists as its pollers' identity
	Host              string
	Version, Revision string // of the build; Revision is "" if nobody knows
	Namespace         string // Temporal's
	TaskQueue         string
	Clock             time.Time // the worker's own, now
	Stopping, Stopped bool      // it takes no more work; it has ended
	Examined          *Examined // nil: it has not tried what it needs since it last said so
}

// Examined is what came of a worker's trying everything that organizations' files name
// and only it can use.
type Examined struct {
	Needs int    // how much there is
	Lacks []Lack // what it cannot use
}

// Lack is something that a worker cannot use. It holds a reference and never a value.
type Lack struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	Owner          string    `json:"owner"` // the integration or channel that needs it
	What           string    `json:"what"`  // see [Need]
	Why            string    `json:"why"`
}

// maxLacks is how many are stored of those that a worker lacks. All are counted.
const maxLacks = 100

// RecordHeartbeat stores that a worker is there. PostgreSQL's clock gives the times.
// It needs the worker's role.
func RecordHeartbeat(ctx context.Context, db Beginner, h Heartbeat) error {
	args := pgx.StrictNamedArgs{
		"worker": h.WorkerID, "identity": h.Identity, "host": h.Host, "version": h.Version, "revision": h.Revision, "namespace": h.Namespace,
		"task_queue": h.TaskQueue, "clock": h.Clock, "stopping": h.Stopping, "stopped": h.Stopped, "needs": nil, "lacking": nil, "lacks": nil,
	}
	if e := h.Examined; e != nil {
		lacks, err := json.Marshal(append([]Lack{}, e.Lacks[:min(len(e.Lacks), maxLacks)]...))
		if err != nil {
			return err
		}
		args["needs"], args["lacking"], args["lacks"] = e.Needs, len(e.Lacks), string(lacks)
	}
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			SELECT ledgerline.worker_is_there(@worker, @identity, @host, @version, @revision, @namespace, @task_queue, @clock, @stopping, @stopped,
			    @needs::integer, @lacking::integer, @lacks::jsonb)`, args)
		return err
	})
}

// Need is something that a file names and only a worker can use.
type Need struct {
	OrganizationID uuid.UUID
	Owner          string // the integration or channel
	What           string // the credential's name, or one of those below
	Reference      string // of a secret; otherwise ""
}

// What a need is besides an integration's credential.
const (
	NeedSigningSecret = "signing secret" // of a webhook
	NeedMailServer    = "mail server"
	NeedSource        = "source" // the login of sources
)

// NeedPayloadKeys is what a worker lacks that takes no tasks, because it lacks a key of
// payloads or others lack its own. No file names it: it belongs to no organization.
const NeedPayloadKeys = "payload keys"

// ListNeeds returns what the workers need, of all organizations. It needs the worker's
// role.
func ListNeeds(ctx context.Context, db Beginner) (list []Need, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		list, err = queryRows[Need](ctx, tx, `SELECT * FROM ledgerline.worker_needs()`)
		return err
	})
	return list, err
}

// WorkerState is whether a worker takes work.
type WorkerState string

// The states of a worker.
const (
	WorkerRunning  WorkerState = "running"
	WorkerStopping WorkerState = "stopping" // it finishes what is under way
	WorkerStopped  WorkerState = "stopped"  // by itself
	WorkerGone     WorkerState = "lost"     // it was killed, or does not reach the database
)

// Worker is a worker as it was seen last. All times are PostgreSQL's.
type Worker struct {
	WorkerID    uuid.UUID     `json:"workerId"`
	Identity    string        `json:"identity"`
	Host        string        `json:"host"`
	Version     string        `json:"version"`
	Revision    string        `json:"revision,omitempty"`
	Namespace   string        `json:"namespace"`
	TaskQueue   string        `json:"taskQueue"`
	StartedAt   time.Time     `json:"startedAt"`
	SeenAt      time.Time     `json:"seenAt"`
	StoppingAt  *time.Time    `json:"stoppingAt,omitempty"`
	StoppedAt   *time.Time    `json:"stoppedAt,omitempty"`
	Ago         time.Duration `json:"-"` // since it was seen
	ClockOffset time.Duration `json:"-"` // its clock minus PostgreSQL's
	Needs       int           `json:"needs"`
	Lacking     int           `json:"lacking"`
	Lacks       []Lack        `json:"lacks"` // at most a hundred of them
	ExaminedAt  *time.Time    `json:"examinedAt,omitempty"`
}

// State is whether the worker takes work, as far as anybody can know.
func (w Worker) State() WorkerState {
	switch {
	case w.StoppedAt != nil:
		return WorkerStopped
	case w.Ago > WorkerLost:
		return WorkerGone
	case w.StoppingAt != nil:
		return WorkerStopping
	}
	return WorkerRunning
}

// Waits is why the worker takes no tasks before keys of payloads are where they are needed;
// "" if it does not wait for that.
func (w Worker) Waits() string {
	for _, l := range w.Lacks {
		if l.What == NeedPayloadKeys {
			return l.Why
		}
	}
	return ""
}

// ListWorkers returns the workers of the last week that serve a task queue of a
// namespace of Temporal, the one that was seen last first. It needs the operator's
// role, or the reader's, which does not see what a worker lacks.
func ListWorkers(ctx context.Context, db Beginner, namespace, taskQueue string) (list []Worker, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var seesLacks bool
		if err := tx.QueryRow(ctx, `SELECT has_column_privilege('ledgerline.workers', 'lacks', 'SELECT')`).Scan(&seesLacks); err != nil {
			return err
		}
		lacks := "lacks"
		if !seesLacks {
			lacks = "'[]'::jsonb AS lacks"
		}
		list, err = queryRows[Worker](ctx, tx, `
			SELECT worker_id, identity, host, version, revision, namespace, task_queue, started_at, seen_at, stopping_at, stopped_at,
			    clock_timestamp() - seen_at AS ago, clock_offset, needs, lacking, `+lacks+`, examined_at
			FROM ledgerline.workers WHERE namespace = $1 AND task_queue = $2 AND seen_at > now() - interval '7 days' ORDER BY seen_at DESC, worker_id`,
			namespace, taskQueue)
		return err
	})
	return list, err
}

// Running returns those that take work.
func Running(list []Worker) []Worker {
	return slices.DeleteFunc(slices.Clone(list), func(w Worker) bool { return w.State() != WorkerRunning })
}
