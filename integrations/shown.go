package integrations

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Shown is an integration as programs are shown it: the fields of its file, with durations
// as text. How it is stored is [Integration].
type Shown struct {
	OrganizationID uuid.UUID         `json:"organizationId"`
	ID             uuid.UUID         `json:"integrationId"`
	Name           string            `json:"name"`
	Adapter        string            `json:"adapter"`
	BaseURL        string            `json:"baseURL"`
	InFlight       string            `json:"inFlight,omitempty"` // "" is the vendor's own
	Settings       map[string]string `json:"settings,omitempty"`
	Credentials    map[string]Ref    `json:"credentials"`
	Retry          ShownRetry        `json:"retry"`
	Schedule       *ShownSchedule    `json:"schedule,omitempty"`
	Export         ExportSettings    `json:"export,omitzero"`
	Limits         RequestLimits     `json:"limits,omitzero"`
	Health         ShownHealth       `json:"health,omitzero"`
}

// ShownRetry is how often an invocation is tried, see [classify.Policy].
type ShownRetry struct {
	BaseDelay      string  `json:"baseDelay"`
	Coefficient    float64 `json:"coefficient"`
	MaxRetries     int     `json:"maxRetries"`
	Jitter         float64 `json:"jitter"`
	AttemptTimeout string  `json:"attemptTimeout"`
	Budget         string  `json:"budget"`
}

// ShownSchedule is a [Schedule] with what holds where its file says nothing.
type ShownSchedule struct {
	Every          Frequency   `json:"every,omitempty"`
	At             string      `json:"at,omitempty"` // 06:30, local; "" with Cron
	Day            int         `json:"day,omitempty"`
	Cron           string      `json:"cron,omitempty"`
	TimeZone       string      `json:"timeZone"`
	Period         PeriodRule  `json:"period,omitempty"`
	Overlap        OverlapRule `json:"overlap"`
	CatchUp        string      `json:"catchUp"`
	WarmUp         string      `json:"warmUp"` // "0s" is never
	DriftThreshold string      `json:"driftThreshold"`
}

// ShownHealth is how an integration is watched, see [health.Policy].
type ShownHealth struct {
	Interval    string `json:"interval,omitempty"`
	MaxInterval string `json:"maxInterval,omitempty"`
	NoProbes    bool   `json:"noProbes,omitempty"`
}

// Shown is the view of an integration.
func (i Integration) Shown() Shown {
	p := i.Policy
	s := Shown{
		OrganizationID: i.OrganizationID, ID: i.ID, Name: i.Name, Adapter: i.Adapter, BaseURL: i.BaseURL, Settings: i.Settings, Credentials: i.Credentials,
		Retry:  ShownRetry{p.BaseDelay.String(), p.Coefficient, p.MaxRetries, p.Jitter, p.AttemptTimeout.String(), p.Budget.String()},
		Export: i.Export, Limits: i.Limits, Health: ShownHealth{given(i.Health.Interval), given(i.Health.MaxInterval), i.Health.NoProbes},
	}
	if i.InFlight != nil {
		s.InFlight = i.InFlight.String()
	}
	if i.Schedule != nil {
		s.Schedule = i.Schedule.shown()
	}
	return s
}

func (s Schedule) shown() *ShownSchedule {
	view := &ShownSchedule{
		Every: s.Every, Day: s.Day, Cron: s.Cron, TimeZone: s.TimeZone, Period: s.Rule(), Overlap: s.OverlapRule(),
		CatchUp: s.CatchUpWindow().String(), WarmUp: s.WarmUpLead().String(), DriftThreshold: s.DriftThresholdOrDefault().String(),
	}
	if s.Cron == "" {
		view.At = fmt.Sprintf("%02d:%02d", s.Hour, s.Minute)
	}
	return view
}

// given is a duration as text; "" if there is none.
func given(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
