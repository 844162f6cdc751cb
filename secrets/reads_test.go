package secrets_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/secrets"
)

// mount is a network volume: files that are named "dead" do not answer until it
// comes back.
type mount struct {
	mu    sync.Mutex
	back  chan struct{}
	reads int
}

func (m *mount) read(ref integrations.Ref) {
	m.mu.Lock()
	m.reads++
	back := m.back
	m.mu.Unlock()
	if strings.Contains(string(ref), "dead") {
		<-back
	}
}

// mounted runs f in a bubble whose clock jumps, with a store on a mount.
func mounted(t *testing.T, f func(t *testing.T, s *secrets.Store, m *mount, log *bytes.Buffer)) {
	synctest.Test(t, func(t *testing.T) {
		m, log := &mount{back: make(chan struct{})}, new(bytes.Buffer)
		s := newHome(t).Store
		s.Log = slog.New(slog.NewTextHandler(log, nil))
		s.BeforeReading(m.read)
		f(t, s, m, log)
		close(m.back)
		synctest.Wait()
		require.Zero(t, s.Stuck(), "they end when the mount is back")
	})
}

// A file that does not answer costs its reader a few seconds, and the worker a
// few threads, however often it is asked for.
func TestDeadMount(t *testing.T) {
	mounted(t, func(t *testing.T, s *secrets.Store, m *mount, log *bytes.Buffer) {
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				began := time.Now()
				_, err := s.Resolve(t.Context(), acme, integrations.Ref(fmt.Sprintf("file:dead%d", i)))
				if !strings.HasPrefix(err.Error(), fmt.Sprintf("file:dead%d: ", i)) {
					t.Errorf("%v does not name its reference", err)
				}
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("a reader waited for %v", took)
				}
			})
		}
		all.Wait()
		require.Equal(t, secrets.PerOrganization, s.Stuck())
		require.Equal(t, secrets.PerOrganization, m.reads)

		began := time.Now()
		_, err := s.Resolve(t.Context(), acme, "file:dead")
		require.ErrorIs(t, err, secrets.ErrHangs)
		require.ErrorContains(t, err, "4 earlier reads of this organization's secrets have not ended")
		_, err = s.Resolve(t.Context(), acme, "file:token")
		require.ErrorIs(t, err, secrets.ErrHangs)
		require.Zero(t, time.Since(began), "at once")
		for range 100 {
			got, err := s.Resolve(t.Context(), bravo, "file:token")
			require.NoError(t, err, "another organization's mount answers")
			require.Equal(t, "bravo's token", got)
		}
		require.Equal(t, 1, strings.Count(log.String(), "does not answer"), log.String())
		require.Contains(t, log.String(), acme.String())

		back := m.back
		m.mu.Lock()
		m.back = make(chan struct{})
		m.mu.Unlock()
		close(back)
		synctest.Wait()
		require.Zero(t, s.Stuck())
		got, err := s.Resolve(t.Context(), acme, "file:token")
		require.NoError(t, err)
		require.Equal(t, "acme's token", got)
		_, err = s.Resolve(t.Context(), acme, "file:dead")
		require.ErrorIs(t, err, secrets.ErrHangs)
		require.Equal(t, 2, strings.Count(log.String(), "does not answer"), "said again when it happens again")
	})
}

// The attempt's own end comes first if it is earlier, and a cancellation is no
// error of the file.
func TestReadEndsWithItsAttempt(t *testing.T) {
	mounted(t, func(t *testing.T, s *secrets.Store, m *mount, log *bytes.Buffer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := s.Resolve(ctx, acme, "file:dead")
		require.ErrorIs(t, err, secrets.ErrHangs)
		require.Equal(t, time.Second, time.Since(began))
		_, err = s.Resolve(ctx, acme, "file:dead")
		require.ErrorIs(t, err, context.DeadlineExceeded, "nothing was read")
		require.Equal(t, 1, s.Stuck())

		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = s.Resolve(ctx, bravo, "file:dead")
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, secrets.ErrHangs)
		require.Equal(t, 2, s.Stuck())
		require.NotContains(t, log.String(), bravo.String())
	})
}

// The operator's own secrets are bounded in the same way.
func TestMailPasswordHangs(t *testing.T) {
	mounted(t, func(t *testing.T, s *secrets.Store, m *mount, _ *bytes.Buffer) {
		read, err := s.Operator("file:/run/dead/smtp")
		require.NoError(t, err)
		for range 2 * secrets.PerOrganization {
			_, err = read(t.Context())
			require.ErrorIs(t, err, secrets.ErrHangs)
			require.ErrorContains(t, err, "file:/run/dead/smtp: ")
		}
		require.Equal(t, secrets.PerOrganization, s.Stuck())
		got, err := s.Resolve(t.Context(), acme, "file:token")
		require.NoError(t, err)
		require.Equal(t, "acme's token", got)
	})
}

// When all is dead there is an end to the threads.
func TestEverythingIsDead(t *testing.T) {
	mounted(t, func(t *testing.T, s *secrets.Store, m *mount, _ *bytes.Buffer) {
		var all sync.WaitGroup
		for range 50 {
			organization := uuid.New()
			for range 10 {
				all.Go(func() {
					if _, err := s.Resolve(t.Context(), organization, "file:dead"); err == nil {
						t.Error("read")
					}
				})
			}
		}
		all.Wait()
		require.Equal(t, secrets.PerProcess, s.Stuck())
		require.Equal(t, secrets.PerProcess, m.reads)
		_, err := s.Resolve(t.Context(), uuid.New(), "file:token")
		require.ErrorContains(t, err, "64 earlier reads of secrets have not ended")
	})
}
