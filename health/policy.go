package health

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"time"
)

// Policy says how an integration is watched. The zero value means the
// defaults.
type Policy struct {
	Interval    time.Duration `json:"interval,omitempty"`    // shortest time between two probes
	MaxInterval time.Duration `json:"maxInterval,omitempty"` // longest, after failed probes; also between two probes of its own where others prove the host
	NoProbes    bool          `json:"noProbes,omitempty"`    // only traffic is observed
}

// Defaults and limits of a [Policy].
const (
	minInterval        = 15 * time.Minute // and the default
	defaultMaxInterval = 4 * time.Hour
	longest            = 7 * 24 * time.Hour
)

// withDefaults returns a copy in which what is zero is the default.
func (p Policy) withDefaults() Policy {
	p.Interval = cmp.Or(p.Interval, minInterval)
	p.MaxInterval = cmp.Or(p.MaxInterval, max(defaultMaxInterval, p.Interval))
	return p
}

// Validate reports every field that is out of range, each with its value and
// what would be right.
func (p Policy) Validate() error {
	var errs []error
	p = p.withDefaults()
	if p.Interval < minInterval || p.Interval > longest {
		errs = append(errs, fmt.Errorf("interval: %v; want %v to %v: vendors limit and bill probes", p.Interval, minInterval, longest))
	}
	if p.MaxInterval < p.Interval || p.MaxInterval > longest {
		errs = append(errs, fmt.Errorf("maxInterval: %v; want the interval, %v, to %v", p.MaxInterval, p.Interval, longest))
	}
	return errors.Join(errs...)
}

// Wait is how long after the last evidence a probe is due; false if none is.
//
// Each failed probe in a row doubles it, up to MaxInterval. Credentials that
// were refused are tried at MaxInterval only: asking does not fix them, and
// vendors lock out who asks too often.
func (r Record) Wait(p Policy) (time.Duration, bool) {
	p = p.withDefaults()
	switch {
	case p.NoProbes || r.State == Passive:
		return 0, false
	case r.refused():
		return p.MaxInterval, true
	}
	wait := p.Interval
	for range r.FailedProbes {
		if wait >= p.MaxInterval {
			break
		}
		wait *= 2
	}
	return min(wait, p.MaxInterval), true
}

// punctual is how late a probe may be and still be made.
const punctual = 30 * time.Second

// NextProbe is when the next probe is due; false if none is. key is the
// integration's ID: it gives each integration a moment of its own within the
// interval, and every probe keeps to it. Integrations that started or failed
// together are not probed together, nor are those whose probes fell due while
// no worker was there.
func (r Record) NextProbe(p Policy, key string, now time.Time) (time.Time, bool) {
	wait, ok := r.Wait(p)
	if !ok {
		return time.Time{}, false
	}
	interval := p.withDefaults().Interval
	due := latest(r.Evidence.Add(wait), now.Add(-punctual))
	over := (due.UnixNano() - int64(Phase(key, interval))) % int64(interval)
	if over == 0 {
		return due, true
	}
	return due.Add(interval - time.Duration(over)), true
}

// Phase is a moment within an interval, always the same for a key, so that what is
// done for all integrations is spread over it. It is in whole milliseconds, so that
// it survives being stored.
func Phase(key string, interval time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(key))
	return time.Duration(h.Sum64()%uint64(max(1, interval/time.Millisecond))) * time.Millisecond
}

// ProbeSent returns the record after a probe was due, whether a request was made
// or not: the wait for the next one counts from then.
func (r Record) ProbeSent(planned time.Time) Record {
	r.Evidence = planned
	return r
}

// Proven reports whether a probe that is due can be left out because others
// have reached the vendor's host within the interval: of a healthy integration
// that succeeded itself not longer than MaxInterval ago, a probe would show no
// more than that.
func (r Record) Proven(p Policy, planned, hostSeen time.Time) bool {
	p = p.withDefaults()
	return r.State == Healthy && hostSeen.After(planned.Add(-p.Interval)) && r.LastSuccessAt.After(planned.Add(-p.MaxInterval))
}
