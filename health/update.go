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
