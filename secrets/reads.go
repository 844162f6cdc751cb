package secrets

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/integrations"
)

// patience is how long anybody waits for a secret. A regular file takes
// microseconds, so one that takes longer is on a mount that does not answer.
const patience = 5 * time.Second

// How many files are read at a time. A read that was abandoned keeps its place,
// and its thread, until the mount answers; those of one organization never take
// the places of all.
const (
	perOrganization = 4
	perProcess      = 64
)

// ErrHangs is a secret that cannot be read now because its file does not answer.
var ErrHangs = errors.New("the file does not answer; is the volume that holds it there?")

// reads are the files that are being read.
type reads struct {
	mu  sync.Mutex
	all places
	of  map[uuid.UUID]*places
}

// places bound reads. stuck are those that hold a place and that nobody waits
// for any more; reads.mu guards it. logged says that people can read of them.
type places struct {
	taken  chan struct{}
	stuck  int
	logged bool
}

func (r *reads) places(organization uuid.UUID) (own, all *places) {
	if r.of == nil {
		r.of = make(map[uuid.UUID]*places)
		r.all.taken = make(chan struct{}, perProcess)
	}
	if r.of[organization] == nil {
		r.of[organization] = &places{taken: make(chan struct{}, perOrganization)}
	}
	return r.of[organization], &r.all
}

// Stuck returns how many reads were abandoned and have not ended.
func (s *Store) Stuck() int {
	s.reads.mu.Lock()
	defer s.reads.mu.Unlock()
	return s.reads.all.stuck
}

// bounded reads in a goroutine, and returns when that, ctx or [patience] ends.
func (s *Store) bounded(ctx context.Context, organization uuid.UUID, ref integrations.Ref, read func() ([]byte, error)) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	s.reads.mu.Lock()
	own, all := s.reads.places(organization)
	ownStuck, allStuck := own.stuck, all.stuck
	s.reads.mu.Unlock()
	switch {
	case ownStuck == perOrganization:
		return nil, fmt.Errorf("not read, because %d earlier reads of this organization's secrets have not ended: %w", ownStuck, ErrHangs)
	case allStuck == perProcess:
		return nil, fmt.Errorf("not read, because %d earlier reads of secrets have not ended: %w", allStuck, ErrHangs)
	}

	within, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i, p := range []*places{own, all} {
		select {
		case p.taken <- struct{}{}:
		case <-within.Done():
			if i > 0 {
				<-own.taken
			}
			return nil, late(ctx)
		}
	}
	var b []byte
	var err error
	var abandoned, ended bool
	done := make(chan struct{})
	go func() {
		if s.before != nil {
			s.before(ref)
		}
		b, err = read()
		s.reads.mu.Lock()
		ended = true
		if abandoned {
			own.stuck--
			all.stuck--
			own.logged = own.logged && own.stuck > 0
		}
		s.reads.mu.Unlock()
		<-all.taken
		<-own.taken
		close(done)
	}()
	select {
	case <-done:
		return b, err
	case <-within.Done():
	}
	why := late(ctx)
	s.reads.mu.Lock()
	log := !ended && !own.logged && errors.Is(why, ErrHangs)
	if !ended {
		abandoned = true
		own.stuck++
		all.stuck++
		own.logged = own.logged || log
	}
	s.reads.mu.Unlock()
	if log && s.Log != nil {
		s.Log.Error("the file of a secret does not answer; its integrations make no calls until it does, and reading it is tried a few times",
			"organization_id", organization, "reference", string(ref))
	}
	return nil, why
}

// late is why nobody waits any longer.
func late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Canceled
	}
	return ErrHangs
}
