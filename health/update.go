package health

import "time"

// Update is what came of observations.
type Update struct {
	Record        Record        `json:"record"` // after them
	Observations  []Observation `json:"observations,omitempty"`
	Changes       []Change      `json:"changes,omitempty"`
	ProbeInterval time.Duration `json:"probeInterval,omitempty"` // 0: no probe is due
	NextProbeAt   time.Time     `json:"nextProbeAt,omitzero"`
}

// Persists reports whether the last observation shows trouble that has lasted so long
// that people must hear of it; see [Record.persists].
func (u Update) Persists() bool {
	n := len(u.Observations)
	return n > 0 && u.Record.persists(u.Observations[n-1])
}
