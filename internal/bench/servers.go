package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/ledgerline/ledgerline/internal/devstack"
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
	for _, v := range stack.Secrets() {
		name, value, _ := strings.Cut(v, "=")
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return stack, nil
}

func (s *servers) client() (client.Client, error) {
	if s.temporal != nil {
		return s.temporal, nil
	}
	var err error
	s.temporal, err = client.Dial(client.Options{
		HostPort: s.stack.Temporal.HostPort(),
		Logger:   log.NewStructuredLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))),
	})
	return s.temporal, err
}

func (s *servers) close() {
	if s.temporal != nil {
		s.temporal.Close()
	}
	if s.stack != nil {
		_ = s.stack.Close()
	}
}
