package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/workflows"
)

// servers are started when the first group needs them.
type servers struct {
	stack    *devstack.Stack
	temporal client.Client
}

func (s *servers) start(ctx context.Context) (*devstack.Stack, error) {
	if s.stack != nil {
		return s.stack, nil
	}
	stack, err := devstack.StartStack(ctx, devstack.StackOptions{Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	s.stack = stack
	return stack, nil
}

func (s *servers) client() (client.Client, error) {
	if s.temporal != nil {
		return s.temporal, nil
	}
	var err error
	options := s.stack.Temporal.ClientOptions()
	options.Logger = log.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	s.temporal, err = client.Dial(options)
	return s.temporal, err
}

// connect starts everything but a worker. pool is what a worker would have.
func (s *servers) connect(ctx context.Context, connections int32) (stack *devstack.Stack, c client.Client, pool *pgxpool.Pool, err error) {
	if stack, err = s.start(ctx); err != nil {
		return nil, nil, nil, err
	}
	if c, err = s.client(); err != nil {
		return nil, nil, nil, err
	}
	pool, err = runlog.Open(ctx, stack.URL(devstack.Worker), connections)
	return stack, c, pool, err
}

// tenant is an organization with an integration, and what a worker for it needs.
type tenant struct {
	stack        *devstack.Stack
	temporal     client.Client
	pool         *pgxpool.Pool
	organization uuid.UUID
	integration  integrations.Integration
}

// tenant starts everything but a worker, and makes an organization. retry is YAML, "" for
// the defaults. The caller closes the pool.
func (s *servers) tenant(ctx context.Context, retry string) (t tenant, err error) {
	if t.stack, t.temporal, t.pool, err = s.connect(ctx, 4); err != nil {
		return t, err
	}
	t.organization = uuid.New()
	list, err := t.stack.Apply(ctx, t.organization, retry)
	if err != nil {
		t.pool.Close()
	}
	t.integration = list["xledger-main"]
	return t, err
}

// newActivities are the activities of a worker in this process.
func newActivities(stack *devstack.Stack, pool *pgxpool.Pool) (*activities.Activities, error) {
	return activities.New(activities.Options{DB: pool, DevHosts: stack.DevHosts(), Secrets: stack.SecretStore(), Gate: new(limits.Gate)})
}

// worker starts everything with a worker in this process, until stop is called.
// pool is the worker's.
func (s *servers) worker(ctx context.Context) (stack *devstack.Stack, c client.Client, pool *pgxpool.Pool, stop func(), err error) {
	if stack, c, pool, err = s.connect(ctx, 8); err != nil {
		return nil, nil, nil, nil, err
	}
	acts, err := newActivities(stack, pool)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	w := worker.New(c, activities.TaskQueue, workflows.WorkerOptions())
	workflows.Register(w, acts)
	if err = w.Start(); err != nil {
		pool.Close()
		return nil, nil, nil, nil, err
	}
	return stack, c, pool, func() { w.Stop(); acts.CloseIdle(); pool.Close() }, nil
}

// process starts everything with the real program, with its default settings,
// until stop is called.
func (s *servers) process(ctx context.Context) (stack *devstack.Stack, c client.Client, w *devstack.Process, stop func(), err error) {
	if stack, err = s.start(ctx); err != nil {
		return nil, nil, nil, nil, err
	}
	if c, err = s.client(); err != nil {
		return nil, nil, nil, nil, err
	}
	bin, err := devstack.Build(ctx, "./cmd/worker", false)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	defer os.Remove(bin) // it runs on
	w, err = devstack.StartWorker(ctx, bin, nil, stack.Env(devstack.Worker))
	if err != nil {
		return nil, nil, nil, nil, err
	}
	return stack, c, w, w.Kill, nil
}

func (s *servers) close() {
	if s.temporal != nil {
		s.temporal.Close()
	}
	if s.stack != nil {
		_ = s.stack.Close()
	}
}
