package matrix

import (
	"fmt"
	"sync"
	"time"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

// monitor watches what reaches the vendor. A request that carries a key may
// arrive only if no earlier one with that key can still take effect, or has: by
// what its answer proved, or because the vendor was asked when that could show.
type monitor struct {
	now      func() time.Time
	inFlight time.Duration
	left     time.Duration // at least, of an attempt when it sends: half of it
	upserts  bool

	mu         sync.Mutex
	sends      map[string]send      // the last one of each key
	asked      map[string]time.Time // when it was last asked for, and honestly answered
	violations []string
	seen       int // requests
	began      time.Time
}

// send is a request that carried a key.
type send struct {
	at       time.Time
	answered time.Time
	proof    proof // of its answer; "" while there is none
	done     bool  // its answer confirmed it
	seq      int
}

func newMonitor(now func() time.Time, v vendor, attempt time.Duration) *monitor {
	return &monitor{now: now, inFlight: v.inFlight, left: attempt * 2 / 5, upserts: v.upserts, sends: map[string]send{}, asked: map[string]time.Time{}, began: now()}
}

// arrived takes each request that reaches the vendor. honest says whether a look-up is
// answered honestly.
func (m *monitor) arrived(e sandbox.LogEntry, honest bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen++
	now := m.now()
	if !e.Wrote {
		if honest && e.Credential != "bad" {
			for _, k := range e.LookupKeys {
				m.asked[fold(k)] = now
			}
		}
		return
	}
	for _, k := range e.Keys {
		k = fold(k)
		if before, ok := m.sends[k]; ok {
			if why := m.mayNot(before, m.asked[k], now); why != "" {
				m.violations = append(m.violations, fmt.Sprintf("%s was sent again at %v: %s", k, now.Sub(m.began), why))
			}
		}
		m.sends[k] = send{at: now, seq: e.Seq}
	}
}

// mayNot says why a key may not be sent again.
func (m *monitor) mayNot(before send, asked, now time.Time) string {
	switch {
	case before.proof == nothingDone:
		return ""
	case before.done:
		return "it is there"
	case asked.Before(before.at) || asked.IsZero():
		return "nobody has asked since it was sent"
	case before.proof == workEnded && !asked.Before(before.answered):
		return ""
	case asked.Before(before.at.Add(m.left + m.inFlight)):
		return fmt.Sprintf("it was sent at %v and may take effect for %v after its deadline; the last question was at %v", before.at.Sub(m.began), m.inFlight, asked.Sub(m.began))
	}
	return ""
}

// answered notes what the answer to a send proves.
func (m *monitor) answered(e sandbox.LogEntry, p proof, done bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range e.Keys {
		if s, ok := m.sends[fold(k)]; ok && s.seq == e.Seq {
			s.answered, s.proof, s.done = m.now(), p, done
			m.sends[fold(k)] = s
		}
	}
}

// fold makes keys comparable: Business Central writes them in capitals.
func fold(key string) string {
	b := []byte(key)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
