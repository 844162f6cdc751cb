package limits

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Key is what requests are counted by.
type Key struct {
	Organization uuid.UUID
	Integration  uuid.UUID
	Month        string // the calendar month in UTC, "2026-11"
	Purpose      Purpose
}

// Month is the month in which a request at t is counted.
func Month(t time.Time) string { return t.UTC().Format("2006-01") }

// Count is how many requests were made.
type Count struct {
	Key
	Requests int64
}

// Batch is what a worker hands to the database at once. The number grows with
// each batch of a worker: one that is stored again is recognized by it.
type Batch struct {
	Worker uuid.UUID
	Number int64
	Counts []Count // by key, in a fixed order, so that two workers cannot lock each other out
}

// Total is what all workers together have stored of an integration's month.
type Total struct {
	Organization uuid.UUID
	Integration  uuid.UUID
	Month        string
	Requests     int64
	Quota        Quota // as the integration has it now
}

// Ledger counts requests. The zero value is ready for use.
//
//	Count ──► open ──Take──► taken ──Done──► stored, total known
//	                           │  ▲
//	                           └──┘ Take again: the same batch, until it is Done
//
// What a process that is killed has not stored is lost: at most what it counted
// since the last batch.
type Ledger struct {
	mu     sync.Mutex
	worker uuid.UUID
	number int64
	open   map[Key]int64
	taken  *Batch
	months map[month]*monthUsage
	kick   chan struct{}
}

type month struct {
	organization, integration uuid.UUID
	name                      string
}

// monthUsage is what is known of an integration's month.
type monthUsage struct {
	stored  int64 // by all workers, when it was last asked
	pending int64 // by this one, not stored yet
	quota   Quota
	kicked  int // the threshold for which the loop was woken
	warned  int // the highest threshold that people are known to have been notified of
}

// know notes the quota. Nobody was notified of the thresholds of another limit.
func (u *monthUsage) know(q Quota) {
	if q.Monthly != u.quota.Monthly {
		u.kicked, u.warned = 0, 0
	}
	u.quota = q
}

// Warning is a threshold that was reached.
type Warning struct {
	Total
	Percent int
}

// Count adds a request.
func (l *Ledger) Count(organization, integration uuid.UUID, p Purpose, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[Key]int64)
	}
	name := Month(now)
	l.open[Key{organization, integration, name, p}]++
	u := l.month(month{organization, integration, name})
	u.pending++
	if crossed := u.quota.crossed(u.stored + u.pending); len(crossed) > 0 && crossed[len(crossed)-1] > u.kicked {
		u.kicked = crossed[len(crossed)-1]
		select {
		case l.wake() <- struct{}{}:
		default: // woken already
		}
	}
}

// Used is how many requests an integration has made this month, as far as this
// process knows: all that was stored when it last asked, and its own since. The
// quota is noted, so that the loop is woken when a threshold is reached.
func (l *Ledger) Used(organization, integration uuid.UUID, q Quota, now time.Time) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.month(month{organization, integration, Month(now)})
	u.know(q)
	return u.stored + u.pending
}

// Take returns what is to be stored. Until [Ledger.Done] is called, it returns
// the same batch again: whether that one was stored may be unknown. ok is false
// if there is nothing.
func (l *Ledger) Take() (b Batch, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken != nil {
		return *l.taken, true
	}
	if len(l.open) == 0 {
		return Batch{}, false
	}
	if l.worker == uuid.Nil {
		l.worker = uuid.New()
	}
	l.number++
	b = Batch{Worker: l.worker, Number: l.number}
	for k, n := range l.open {
		b.Counts = append(b.Counts, Count{k, n})
	}
	slices.SortFunc(b.Counts, func(a, b Count) int { return strings.Compare(a.order(), b.order()) })
	l.open, l.taken = nil, &b
	return b, true
}

func (k Key) order() string {
	return k.Organization.String() + k.Integration.String() + k.Month + string(k.Purpose)
}

// Done says that a batch is stored, and what the totals are now.
func (l *Ledger) Done(b Batch, totals []Total) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken == nil || l.taken.Number != b.Number {
		return
	}
	for _, c := range l.taken.Counts {
		l.month(month{c.Organization, c.Integration, c.Month}).pending -= c.Requests
	}
	l.taken = nil
	l.learn(totals)
}

// Learn takes over totals that were asked for, such as at a worker's start.
func (l *Ledger) Learn(totals []Total) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.learn(totals)
}

func (l *Ledger) learn(totals []Total) {
	var newest string
	for _, t := range totals {
		u := l.month(month{t.Organization, t.Integration, t.Month})
		u.stored = max(u.stored, t.Requests)
		u.know(t.Quota)
		newest = max(newest, t.Month)
	}
	for m, u := range l.months {
		if m.name < newest && u.pending == 0 {
			delete(l.months, m)
		}
	}
}

// Due returns the thresholds that totals have reached and that this process
// does not know people to have been notified of.
func (l *Ledger) Due(totals []Total) (due []Warning) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range totals {
		for _, percent := range t.Quota.crossed(t.Requests) {
			if percent > l.month(month{t.Organization, t.Integration, t.Month}).warned {
				due = append(due, Warning{t, percent})
			}
		}
	}
	return due
}

// Warned says that some worker has notified people of a threshold.
func (l *Ledger) Warned(w Warning) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.month(month{w.Organization, w.Integration, w.Month})
	if w.Quota.Monthly != u.quota.Monthly {
		return // of a limit that is another meanwhile
	}
	u.warned = max(u.warned, w.Percent)
}

// Wake says that a threshold was reached and should be stored at once.
func (l *Ledger) Wake() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wake()
}

func (l *Ledger) wake() chan struct{} {
	if l.kick == nil {
		l.kick = make(chan struct{}, 1)
	}
	return l.kick
}

func (l *Ledger) month(m month) *monthUsage {
	if l.months == nil {
		l.months = make(map[month]*monthUsage)
	}
	u := l.months[m]
	if u == nil {
		u = &monthUsage{}
		l.months[m] = u
	}
	return u
}
