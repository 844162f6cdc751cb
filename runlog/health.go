package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/health"
)

const upsertHealth = `
INSERT INTO ledgerline.integration_health AS stored (organization_id, integration_id, state, since, reason, last_success_at, last_failure_at, last_failure,
    failures, failed_probes, latency, evidence_at, probe_interval, next_probe_at, observations, changes)
VALUES (@organization_id, @integration_id, @state, @since, nullif(@reason, ''), @last_success_at, @last_failure_at, nullif(@last_failure, ''),
    @failures, @failed_probes, @latency, @evidence_at, @probe_interval, @next_probe_at, @observations, @changes)
ON CONFLICT (organization_id, integration_id) DO UPDATE
SET state = excluded.state, since = excluded.since, reason = excluded.reason, last_success_at = excluded.last_success_at,
    last_failure_at = excluded.last_failure_at, last_failure = excluded.last_failure, failures = excluded.failures,
    failed_probes = excluded.failed_probes, latency = excluded.latency, evidence_at = excluded.evidence_at,
    probe_interval = excluded.probe_interval, next_probe_at = excluded.next_probe_at,
    observations = excluded.observations, changes = excluded.changes, updated_at = now()
WHERE stored.observations <= excluded.observations`

const upsertHistory = `
INSERT INTO ledgerline.integration_health_history AS stored
    (organization_id, integration_id, entry, slot, number, at, kind, from_state, to_state, source, count, latency)
VALUES (@organization_id, @integration_id, @entry, @slot, @number, @at, @kind, @from_state, @to_state, @source, @count, @latency)
ON CONFLICT (organization_id, integration_id, entry, slot) DO UPDATE
SET number = excluded.number, at = excluded.at, kind = excluded.kind, source = excluded.source, count = excluded.count, latency = excluded.latency
WHERE stored.number < excluded.number`

// keptObservations is how many observations the history holds, as its constraint says.
const keptObservations = 96

// RecordHealth stores an update of an integration, in three round trips. Storing one
// again, or one that is older than what is stored, has no effect.
func RecordHealth(ctx context.Context, db Beginner, organization, integration uuid.UUID, u health.Update) error {
	r := u.Record
	batch := &pgx.Batch{}
	batch.Queue(setOrganization, organization.String())
	batch.Queue(upsertHealth, pgx.StrictNamedArgs{
		"organization_id": organization, "integration_id": integration,
		"state": r.State, "since": r.Since, "reason": r.Reason,
		"last_success_at": orNull(r.LastSuccessAt), "last_failure_at": orNull(r.LastFailureAt), "last_failure": r.LastFailure,
		"failures": r.Failures, "failed_probes": r.FailedProbes, "latency": r.Latency, "evidence_at": r.Evidence,
		"probe_interval": orNull(u.ProbeInterval), "next_probe_at": orNull(u.NextProbeAt),
		"observations": r.Observations, "changes": r.Changes,
	})
	for i, o := range u.Observations {
		number := r.Observations - int64(len(u.Observations)-1-i)
		batch.Queue(upsertHistory, pgx.StrictNamedArgs{
			"organization_id": organization, "integration_id": integration,
			"entry": HealthObservation, "slot": number % keptObservations, "number": number, "at": o.At, "kind": o.Kind,
			"source": o.Source, "count": max(o.Count, 1), "latency": o.Latency, "from_state": nil, "to_state": nil,
		})
	}
	for _, c := range u.Changes {
		batch.Queue(upsertHistory, pgx.StrictNamedArgs{
			"organization_id": organization, "integration_id": integration,
			"entry": HealthChange, "slot": c.Number, "number": c.Number, "at": c.At, "kind": c.Reason,
			"source": nil, "count": nil, "latency": nil, "from_state": c.From, "to_state": c.To,
		})
	}
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// orNull stores a zero value as NULL.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// orZero reads NULL as a zero value.
func orZero[T any](value *T) T {
	if value == nil {
		var zero T
		return zero
	}
	return *value
}

// HealthStatus is an integration's health as people see it.
type HealthStatus struct {
	OrganizationID uuid.UUID
	IntegrationID  uuid.UUID
	Name           string
	Adapter        string
	Pause          *Pause
	Record         *health.Record // nil: nothing was seen yet
	ProbeInterval  time.Duration
	NextProbeAt    *time.Time     // nil: none is due
	Secret         *expiry.Secret // the first of its secrets to end; nil: no end is known
}

// A probe may be overdue for staleProbes of its intervals, but for no less than the first
// and no more than the second: its monitor probes at once, and a worker starts a monitor
// that does not run within minutes.
const (
	staleProbes = 3
	staleFrom   = 3 * time.Minute
	staleAfter  = 10 * time.Minute
)

// Stale reports whether nobody keeps the health up to date: a probe is long
// overdue. Nothing is known about an integration that is not probed.
func (h HealthStatus) Stale(now time.Time) bool {
	return h.Pause == nil && h.NextProbeAt != nil && now.Sub(*h.NextProbeAt) > min(max(staleProbes*h.ProbeInterval, staleFrom), staleAfter)
}

// healthRow is an integration's health as it is stored.
type healthRow struct {
	IntegrationID                uuid.UUID
	State                        health.State
	Since                        time.Time
	Reason                       classify.Kind
	LastSuccessAt, LastFailureAt *time.Time
	LastFailure                  classify.Kind
	Failures, FailedProbes       int
	Latency                      time.Duration
	EvidenceAt                   time.Time
	Observations, Changes        int64
	ProbeInterval                *time.Duration
	NextProbeAt                  *time.Time
}

const selectHealth = `
SELECT integration_id, state, since, coalesce(reason, '') AS reason, last_success_at, last_failure_at, coalesce(last_failure, '') AS last_failure,
    failures, failed_probes, latency, evidence_at, observations, changes, probe_interval, next_probe_at
FROM ledgerline.integration_health WHERE organization_id = $1`

func (row healthRow) record() *health.Record {
	return &health.Record{
		State: row.State, Since: row.Since, Reason: row.Reason,
		LastSuccessAt: orZero(row.LastSuccessAt), LastFailureAt: orZero(row.LastFailureAt), LastFailure: row.LastFailure,
		Failures: row.Failures, FailedProbes: row.FailedProbes, Latency: row.Latency, Evidence: row.EvidenceAt,
		Observations: row.Observations, Changes: row.Changes,
	}
}

// ListHealth returns the health of an organization's integrations by name.
func ListHealth(ctx context.Context, db Beginner, organization uuid.UUID) (list []HealthStatus, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		type row struct {
			IntegrationID uuid.UUID
			Name, Adapter string
			pauseRow
		}
		rows, err := queryRows[row](ctx, tx, `
			SELECT integration_id, name, adapter, `+pauseColumns+`
			FROM ledgerline.integrations WHERE organization_id = $1 AND removed_at IS NULL ORDER BY name`, organization)
		if err != nil {
			return err
		}
		stored, err := queryRows[healthRow](ctx, tx, selectHealth, organization)
		if err != nil {
			return err
		}
		byID := make(map[uuid.UUID]healthRow)
		for _, row := range stored {
			byID[row.IntegrationID] = row
		}
		ends, err := secretExpiries(ctx, tx, organization, nil)
		if err != nil {
			return err
		}
		list = make([]HealthStatus, len(rows))
		for i, row := range rows {
			list[i] = HealthStatus{
				OrganizationID: organization, IntegrationID: row.IntegrationID, Name: row.Name, Adapter: row.Adapter, Pause: row.pause(),
			}
			if known, ok := byID[row.IntegrationID]; ok {
				list[i].Record, list[i].ProbeInterval, list[i].NextProbeAt = known.record(), orZero(known.ProbeInterval), known.NextProbeAt
			}
			if secrets := ends[row.IntegrationID]; len(secrets) > 0 {
				list[i].Secret = &secrets[0]
			}
		}
		return nil
	})
	return list, err
}

// HealthEntryType says what an entry of the history is. It is stored and shown.
type HealthEntryType string

// The types of entry.
const (
	HealthChange      HealthEntryType = "change"
	HealthObservation HealthEntryType = "observation"
)

// HealthEntry is an entry of the history: a change, with both states, or an
// observation, with source, count and latency.
type HealthEntry struct {
	Type    HealthEntryType
	Number  int64
	At      time.Time
	Kind    classify.Kind
	From    health.State
	To      health.State
	Source  health.Source
	Count   int
	Latency time.Duration
}

// ListHealthHistory returns every change of an integration and its last
// observations, oldest first.
func ListHealthHistory(ctx context.Context, db Beginner, organization, integration uuid.UUID) ([]HealthEntry, error) {
	return queryInOrganization[HealthEntry](ctx, db, organization, `
		SELECT entry AS type, number, at, kind, coalesce(from_state, '') AS "from", coalesce(to_state, '') AS "to",
		    coalesce(source, '') AS source, coalesce(count, 0) AS count, coalesce(latency, interval '0') AS latency
		FROM ledgerline.integration_health_history WHERE organization_id = $1 AND integration_id = $2
		ORDER BY at, entry DESC, number`, organization, integration)
}
