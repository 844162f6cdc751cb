package signin

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// Session is somebody who has signed in.
type Session struct {
	Subject, Name, Email string
	Groups               []string // those that the access file names
	StartedAt, ExpiresAt time.Time
}

// Sessions keeps sessions by a hash of 32 bytes. The console's are in PostgreSQL.
type Sessions interface {
	Begin(ctx context.Context, hash []byte, s Session) error
	// Load returns nil for one that does not exist, has ended or has expired.
	Load(ctx context.Context, hash []byte) (*Session, error)
	// End ends a session. One that does not exist is no error.
	End(ctx context.Context, hash []byte) error
}

// hashOf is what a session is kept by. A session of another issuer or application is not found,
// since its groups mean something else.
func (s *SignIn) hashOf(token string) []byte {
	h := sha256.New()
	for _, part := range []string{"ledgerline session", s.o.Issuer, s.o.ClientID, token} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum(nil)
}

// memory keeps sessions in this process.
type memory struct {
	now func() time.Time
	mu  sync.Mutex
	all map[string]Session
}

// InMemory keeps sessions until the process ends, for tests and development. now is the clock by
// which they expire.
func InMemory(now func() time.Time) Sessions {
	return &memory{now: now, all: make(map[string]Session)}
}

func (m *memory) Begin(_ context.Context, hash []byte, s Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, one := range m.all {
		if !m.now().Before(one.ExpiresAt) {
			delete(m.all, key)
		}
	}
	s.Groups = slices.Clone(s.Groups)
	m.all[string(hash)] = s
	return nil
}

func (m *memory) Load(_ context.Context, hash []byte) (*Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.all[string(hash)]
	if !ok || !m.now().Before(s.ExpiresAt) {
		return nil, nil
	}
	s.Groups = slices.Clone(s.Groups)
	return &s, nil
}

func (m *memory) End(_ context.Context, hash []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, string(hash))
	return nil
}
