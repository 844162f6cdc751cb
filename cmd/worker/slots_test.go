package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/ledgerline/ledgerline/codec"
)

// A worker is stuck when all of its slots have been taken for longer than two
// attempts and none came free; one that is only busy is not.
func TestSlots(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		steps string // + takes, - frees, a dot is 10 s, ! and ? say that it is stuck or not
	}{
		"idle":                          {2, "?.....?"},
		"one is free":                   {2, "+.....?"},
		"full":                          {2, "++..?.!"},
		"full, and one comes free":      {2, "++...!-?.....?"},
		"full, and each is taken again": {2, "++..-+..?-+..?-+..?.!"},
		"long ones while others end":    {3, "+++..-+..-+..-+..?"},
		"one slot":                      {1, "+..?.!-?+..?.!"},
		"taken before one is counted":   {1, "+..+-..?.!-?.....?"},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			s := newSlots(c.size)
			s.now = func() time.Time { return now }
			for i, step := range c.steps {
				switch step {
				case '+':
					s.take()
				case '-':
					s.free()
				case '.':
					now = now.Add(stuckAfter / 2)
				default:
					require.Equal(t, step == '!', s.stuck() > 0, "after %q", c.steps[:i])
				}
			}
		})
	}
}

// What runs is counted, whatever becomes of it.
func TestSlotsCountActivities(t *testing.T) {
	s := newSlots(1)
	count := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.used
	}
	for name, end := range map[string]func() error{
		"success": func() error { return nil },
		"failure": func() error { return errors.New("no") },
		"panic":   func() error { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			var suite testsuite.WorkflowTestSuite
			env := suite.NewTestActivityEnvironment()
			env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{s}})
			seen := 0
			f := func(context.Context) error { seen = count(); return end() }
			env.RegisterActivity(f)
			_, err := env.ExecuteActivity(f)
			require.Equal(t, name == "success", err == nil)
			require.Equal(t, 1, seen)
			require.Zero(t, count())
		})
	}
}

// /readyz says why a worker is not ready, and no more.
func TestReady(t *testing.T) {
	answers, away := func(context.Context) error { return nil }, func(context.Context) error { return errors.New("dial 10.0.0.1: password hunter2") }
	s, gate := newSlots(1), new(codec.Gate)
	now := time.Now()
	s.now = func() time.Time { return now }
	ask := func(temporal, postgres func(context.Context) error) (int, string) {
		w := httptest.NewRecorder()
		ready(temporal, postgres, s, gate).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
		return w.Code, w.Body.String()
	}
	status, said := ask(answers, answers)
	require.Equal(t, 200, status)
	require.Equal(t, "temporal: ok\npostgresql: ok\nslots: ok\npayloads: ok\n", said)
	status, said = ask(away, away)
	require.Equal(t, 503, status)
	require.Equal(t, "temporal: unavailable\npostgresql: unavailable\nslots: ok\npayloads: ok\n", said)
	s.take()
	now = now.Add(stuckAfter + 5*time.Second)
	status, said = ask(answers, answers)
	require.Equal(t, 503, status)
	require.Equal(t, "temporal: ok\npostgresql: ok\nslots: all 1 taken for 25s, and none came free\npayloads: ok\n", said)
	s.free()
	gate.Set("key x is not there")
	status, said = ask(answers, answers)
	require.Equal(t, 503, status)
	require.Equal(t, "temporal: ok\npostgresql: ok\nslots: ok\npayloads: key x is not there\n", said)
	gate.Set("")
	status, _ = ask(answers, answers)
	require.Equal(t, 200, status)
}
