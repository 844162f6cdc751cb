package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ledgerline/ledgerline/codec"
	"github.com/ledgerline/ledgerline/runlog"
)

// lookEvery is how often a worker looks at the keys in use, lookWithin how long that may take.
const (
	lookEvery  = 5 * time.Second
	lookWithin = 3 * time.Second
)

// payloads keep this worker from tasks that it could not read, and from encrypting what
// another worker could not. PostgreSQL has the keys in use and the keys of each worker.
//
//	starting ──has every key in use, and all workers have its own──► takes tasks
//	    ▲                                                              │
//	    └──────────────── a key in use that it lacks ──────────────────┘
//
// A key comes into use only when each worker that takes tasks has it. So a worker never
// loses its way by another's rotation, unless it was out of PostgreSQL's sight for ten
// minutes; then the tasks that it cannot read are given back.
type payloads struct {
	gate   codec.Gate
	keys   *codec.Keys
	pool   *pgxpool.Pool
	self   runlog.Heartbeat // which process it is, as the table of workers has it
	logger *slog.Logger
	again  chan struct{} // a task could not be read: look at once

	changed func() // is called when the gate was opened or shut; nil is nobody
}

func newPayloads(keys *codec.Keys, pool *pgxpool.Pool, self runlog.Heartbeat, logger *slog.Logger) *payloads {
	p := &payloads{keys: keys, pool: pool, self: self, logger: logger, again: make(chan struct{}, 1)}
	p.gate.Unreadable = func(id string) {
		logger.Error("a task was given back, because its payload cannot be read", "key", id)
		soon(p.again)
	}
	return p
}

// look says why this worker may take no task, "" if it may, and which workers lack its key.
// The reason is shown to anybody; the workers are not.
func (p *payloads) look(ctx context.Context) (reason, workers string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	lacks, err := runlog.ReadPayloads(ctx, p.pool, p.self.WorkerID, fmt.Sprintf("%.200s, process %d", p.self.Host, os.Getpid()), p.keys.Names())
	switch {
	case err != nil:
		return "", "", err
	case len(lacks) > 0:
		return fmt.Sprintf("payloads are encrypted with %s, which this worker lacks: put it into %s and start the worker again",
			codec.Words(lacks...), codec.FolderVariable), "", nil
	case p.keys.Current() == "":
		return "", "", nil
	}
	lacking, err := runlog.UsePayloadKey(ctx, p.pool, p.keys.Current())
	if err != nil || len(lacking) == 0 {
		return "", "", err
	}
	return fmt.Sprintf("%s cannot encrypt yet, because %d of the workers lack it: give it to them first, or stop them; "+
		"one that has crashed counts for ten minutes",
		codec.Words(p.keys.Current()), len(lacking)), runlog.ReaderWords(lacking), nil
}

// admit waits until the worker may take tasks, and calls waits each time it finds that it
// has to. The error is that of ctx.
func (p *payloads) admit(ctx context.Context, waits func()) error {
	p.gate.Set("the keys of payloads have not been looked at")
	for {
		p.update(ctx)
		if p.gate.Reason() == "" {
			return nil
		}
		waits()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookEvery):
		}
	}
}

// update looks, and opens or shuts the gate. If PostgreSQL does not answer it stays as it is.
func (p *payloads) update(ctx context.Context) {
	reason, workers, err := p.look(ctx)
	if err != nil {
		if ctx.Err() == nil {
			p.logger.Warn("the keys of payloads could not be looked at", "error", err)
		}
		return
	}
	if before := p.gate.Reason(); reason != before {
		if p.gate.Set(reason); reason != "" {
			p.logger.Error("this worker takes no tasks", "reason", reason, "workers", workers)
		} else if len(p.keys.IDs()) > 0 {
			p.logger.Info("this worker can read all payloads", "keys", p.keys.IDs(), "encrypts_with", p.keys.Current())
		}
		if p.changed != nil {
			p.changed()
		}
	}
}

// keep looks again and again until ctx ends.
func (p *payloads) keep(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-p.again:
		}
		p.update(ctx)
	}
}

// leave says that this worker takes no more tasks.
func (p *payloads) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := runlog.StopReadingPayloads(ctx, p.pool, p.self.WorkerID); err != nil {
		p.logger.Warn("that this worker has ended could not be recorded; for ten minutes no key can come into use that it lacks", "error", err)
	}
}
