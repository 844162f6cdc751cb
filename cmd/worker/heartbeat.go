package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/version"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/plain"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// examineEvery is how often a worker tries everything that only it can use.
// beatWithin is how long a word of it may take: nothing waits for it but the next one.
const (
	examineEvery = time.Minute
	beatWithin   = 3 * time.Second
)

// newSelf is what the worker says of itself. Its ID is in its identity, so that what
// Temporal lists and what PostgreSQL has are the same process, also where each
// container has process 1.
func newSelf() runlog.Heartbeat {
	id := uuid.New()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	build, commit := version.Build()
	return runlog.Heartbeat{
		WorkerID: id, Host: host, Version: build, Revision: commit, TaskQueue: activities.TaskQueue,
		Identity: fmt.Sprintf("%d@%s@%.8s", os.Getpid(), host, id),
	}
}

// heart says in the database that the worker is there, until it has stopped. A
// database that is away costs it nothing but a line in the log.
//
//	start ──each 10 s──► running ──stopping()──► stopping ──stop()──► stopped
//
// It starts when the worker takes tasks, or has to wait for keys of payloads before that.
type heart struct {
	record  func(context.Context, runlog.Heartbeat) error
	examine func(context.Context) (runlog.Examined, error)
	pauses  func(context.Context) (asOf time.Time, err error) // makes the worker know them as they are now; may be nil
	log     *slog.Logger
	self    runlog.Heartbeat

	found  atomic.Pointer[runlog.Examined] // not stored yet
	ending atomic.Bool
	nudge  chan struct{} // says something before its time
	again  chan struct{} // examines before its time
	cancel context.CancelFunc
	loops  sync.WaitGroup
	mu     sync.Mutex // one word at a time
	silent bool       // the last word was not stored
}

func newHeart(pool *pgxpool.Pool, self runlog.Heartbeat, examine func(context.Context) (runlog.Examined, error), log *slog.Logger) *heart {
	return &heart{
		record: func(ctx context.Context, h runlog.Heartbeat) error { return runlog.RecordHeartbeat(ctx, pool, h) },
		self:   self, examine: examine, log: log, nudge: make(chan struct{}, 1), again: make(chan struct{}, 1),
	}
}

// start says that the worker is there, and keeps saying so until stop. A second start
// changes nothing.
func (h *heart) start(ctx context.Context) {
	if h.cancel != nil {
		return
	}
	h.say(ctx, false)
	ctx, h.cancel = context.WithCancel(ctx)
	h.loops.Go(func() { h.keepExamining(ctx) })
	h.loops.Go(func() {
		tick := time.NewTicker(runlog.HeartbeatEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			case <-h.nudge:
			}
			h.say(ctx, false)
		}
	})
}

// stopping says at once that the worker takes no more work.
func (h *heart) stopping() {
	h.ending.Store(true)
	soon(h.nudge)
}

// changed examines at once what the worker needs.
func (h *heart) changed() { soon(h.again) }

func soon(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// stop says that the worker has ended. Without a start it says nothing.
func (h *heart) stop() {
	if h.cancel == nil {
		return
	}
	h.cancel()
	h.loops.Wait()
	h.say(context.Background(), true)
}

// say stores one word. It never fails: what could not be stored is said again.
func (h *heart) say(ctx context.Context, stopped bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	within, cancel := context.WithTimeout(ctx, beatWithin)
	defer cancel()
	word := h.self
	if h.pauses != nil && !stopped {
		word.PausesReadAt, _ = h.pauses(within) // what cannot be read is not said to be known; the word itself will fail too
	}
	word.Clock, word.Stopping, word.Stopped, word.Examined = time.Now(), h.ending.Load(), stopped, h.found.Load()
	err := h.record(within, word)
	switch {
	case ctx.Err() != nil:
	case err != nil && !h.silent:
		h.silent = true
		h.log.Warn("the worker could not say that it is there; starter doctor counts it as lost until it can", "error", err)
	case err == nil:
		h.silent = false
		h.found.CompareAndSwap(word.Examined, nil)
	}
}

// keepExamining tries what the worker needs, each minute.
func (h *heart) keepExamining(ctx context.Context) {
	for {
		if found, err := h.examine(ctx); err == nil {
			h.found.Store(&found)
			soon(h.nudge)
		} else if ctx.Err() == nil {
			h.log.Debug("what organizations' files need could not be listed; it is tried again in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(examineEvery):
		case <-h.again:
		}
	}
}

// examination is what a worker needs to try everything that only it can use.
type examination struct {
	pool         *pgxpool.Pool
	secrets      *secrets.Store
	mail, source bool          // there is a mail server; a login of sources
	waits        func() string // why the worker takes no tasks, "" if it does
}

// organizationsAtOnce is how many organizations' secrets are read at a time: one whose
// volume does not answer delays few others.
const organizationsAtOnce = 8

func (e examination) run(ctx context.Context) (found runlog.Examined, err error) {
	needs, err := runlog.ListNeeds(ctx, e.pool)
	if err != nil {
		return found, err
	}
	of := make(map[uuid.UUID][]runlog.Need)
	for _, need := range needs {
		of[need.OrganizationID] = append(of[need.OrganizationID], need)
	}
	var mu sync.Mutex
	var all errgroup.Group
	all.SetLimit(organizationsAtOnce)
	for _, list := range of {
		all.Go(func() error {
			lacks := e.try(ctx, list)
			mu.Lock()
			defer mu.Unlock()
			found.Lacks = append(found.Lacks, lacks...)
			return nil
		})
	}
	_ = all.Wait()
	found.Needs = len(needs)
	if why := e.waits(); why != "" { // first, since not all are stored
		found.Needs++
		found.Lacks = slices.Insert(found.Lacks, 0, runlog.Lack{Owner: "worker", What: runlog.NeedPayloadKeys, Why: plain.Clip(why, 300)})
	}
	return found, ctx.Err()
}

// try returns what of an organization's needs cannot be used. A volume that does not
// answer is asked once.
func (e examination) try(ctx context.Context, needs []runlog.Need) (lacks []runlog.Lack) {
	var hangs error
	for _, need := range needs {
		var err error
		switch {
		case need.What == runlog.NeedMailServer && !e.mail:
			err = errors.New("LEDGERLINE_SMTP_URL is not set for the worker")
		case need.What == runlog.NeedSource && !e.source:
			err = fmt.Errorf("%s is not set for the worker", runlog.SourceVariable)
		case need.What == runlog.NeedMailServer, need.What == runlog.NeedSource:
		default:
			if err = hangs; err == nil {
				err = e.read(ctx, need)
			}
			if errors.Is(err, secrets.ErrHangs) {
				hangs = cmp.Or(hangs, err)
			}
		}
		if err != nil {
			lacks = append(lacks, runlog.Lack{OrganizationID: need.OrganizationID, Owner: need.Owner, What: need.What, Why: plain.Clip(err.Error(), 300)})
		}
	}
	return lacks
}

func (e examination) read(ctx context.Context, need runlog.Need) error {
	secret, err := e.secrets.Resolve(ctx, need.OrganizationID, integrations.Ref(need.Reference))
	if err == nil && need.What == runlog.NeedSigningSecret {
		err = notify.CheckSecret(secret)
	}
	return err
}
