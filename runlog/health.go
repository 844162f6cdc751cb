package runlog

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
)

// MonitorTarget is what a monitor must know of its integration.
type MonitorTarget struct {
	Adapter  string                 `json:"adapter"`
	BaseURL  string                 `json:"baseURL"`
	Policy   health.Policy          `json:"policy"`
	Schedule *integrations.Schedule `json:"schedule,omitempty"`
	Paused   bool                   `json:"paused"`
	Record   *health.Record         `json:"record,omitempty"` // as it was stored last; nil if nothing was seen yet

	Settings    map[string]string           `json:"settings,omitempty"`
	Credentials map[string]integrations.Ref `json:"credentials,omitempty"`
	Secrets     []expiry.Secret             `json:"secrets,omitempty"` // as they were stored last: those whose end is known
}

// MonitoredIntegration returns what a monitor must know, or [ErrNotFound] where there is no
// such integration any more.
func MonitoredIntegration(ctx context.Context, db Beginner, organization, integration uuid.UUID) (w MonitorTarget, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			SELECT adapter, base_url, health, schedule, paused_at IS NOT NULL, settings, credential_refs FROM ledgerline.integrations
			WHERE organization_id = $1 AND integration_id = $2 AND removed_at IS NULL`, organization, integration).
			Scan(&w.Adapter, &w.BaseURL, &w.Policy, &w.Schedule, &w.Paused, &w.Settings, &w.Credentials)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectHealth+` AND h.integration_id = $2`, organization, integration)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, scanHealth)
		if len(list) == 1 {
			w.Record = list[0].Record
		}
		if err != nil {
			return err
		}
		ends, err := secretEnds(ctx, tx, organization, &integration)
		w.Secrets = ends[integration]
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return w, err
}

// MonitorListing is an integration as the loop sees it that starts monitors.
type MonitorListing struct {
	IntegrationID uuid.UUID
	Version       string // changes when a monitor must look again
	Doubtful      bool   // its last state is not healthy: the next success is news
	Overdue       bool   // its probe was due minutes ago: does its monitor run?
}

// ListMonitorTargets returns an organization's integrations that are to be watched.
func ListMonitorTargets(ctx context.Context, db Beginner, organization uuid.UUID) (list []MonitorListing, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT i.integration_id, i.updated_at::text || coalesce(' ' || i.paused_at::text, ''), coalesce(h.state <> 'healthy', true),
			       coalesce(i.paused_at IS NULL AND h.next_probe_at < now() - interval '3 minutes', false)
			FROM ledgerline.integrations i LEFT JOIN ledgerline.integration_health h USING (organization_id, integration_id)
			WHERE i.organization_id = $1 AND i.removed_at IS NULL ORDER BY 1`, organization)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[MonitorListing])
		return err
	})
	return list, err
}

const upsertHealth = `
INSERT INTO ledgerline.integration_health AS h (organization_id, integration_id, state, since, reason, last_success_at, last_failure_at, last_failure,
    failures, failed_probes, latency, evidence_at, probe_interval, next_probe_at, observations, changes)
VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, nullif($8, ''), $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (organization_id, integration_id) DO UPDATE
SET state = excluded.state, since = excluded.since, reason = excluded.reason, last_success_at = excluded.last_success_at,
    last_failure_at = excluded.last_failure_at, last_failure = excluded.last_failure, failures = excluded.failures,
    failed_probes = excluded.failed_probes, latency = excluded.latency, evidence_at = excluded.evidence_at,
    probe_interval = excluded.probe_interval, next_probe_at = excluded.next_probe_at,
    observations = excluded.observations, changes = excluded.changes, updated_at = now()
WHERE h.observations <= excluded.observations`

const insertHistory = `
INSERT INTO ledgerline.integration_health_history AS h
    (organization_id, integration_id, entry, slot, number, at, kind, from_state, to_state, source, count, latency)
VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''), nullif($9, ''), nullif($10, ''), $11, $12)
ON CONFLICT (organization_id, integration_id, entry, slot) DO UPDATE
SET number = excluded.number, at = excluded.at, kind = excluded.kind, source = excluded.source, count = excluded.count, latency = excluded.latency
WHERE h.number < excluded.number`

// kept is how many observations the history holds, as its constraint says.
const kept = 96

// RecordHealth stores an update of an integration, in two round trips. Storing one
// again, or one that is older than what is stored, has no effect.
func RecordHealth(ctx context.Context, db Beginner, organization, integration uuid.UUID, u health.Update) error {
	r := u.Record
	batch := &pgx.Batch{}
	batch.Queue(setOrganization, organization.String())
	batch.Queue(upsertHealth, organization, integration, r.State, r.Since, r.Reason, orNull(r.LastSuccessAt), orNull(r.LastFailureAt), r.LastFailure,
		r.Failures, r.FailedProbes, r.Latency, r.Evidence, orNull(u.ProbeInterval), orNull(u.NextProbeAt), r.Observations, r.Changes)
	for i, o := range u.Observations {
		number := r.Observations - int64(len(u.Observations)-1-i)
		batch.Queue(insertHistory, organization, integration, "observation", number%kept, number, o.At, o.Kind, "", "", o.Source, max(o.Count, 1), o.Latency)
	}
	for _, c := range u.Changes {
		batch.Queue(insertHistory, organization, integration, "change", c.Number, c.Number, c.At, c.Reason, c.From, c.To, "", nil, nil)
	}
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
}

// orNull stores what is zero as NULL.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// HealthStatus is an integration's health as people see it.
type HealthStatus struct {
	OrganizationID uuid.UUID      `json:"organizationId"`
	IntegrationID  uuid.UUID      `json:"integrationId"`
	Name           string         `json:"name"`
	Adapter        string         `json:"adapter"`
	Pause          *Pause         `json:"pause,omitempty"`
	Record         *health.Record `json:"health"` // null: nothing was seen yet
	ProbeInterval  time.Duration  `json:"probeIntervalNs,omitempty"`
	NextProbeAt    *time.Time     `json:"nextProbeAt"` // null: none is due
	Secret         *expiry.Secret `json:"secret"`      // the first of its secrets to end; null: no end is known
}

// staleAfter is how long a probe may be overdue. Its monitor asks at once, and a
// worker starts one that does not run within minutes.
const staleAfter = 10 * time.Minute

// Stale reports whether nobody keeps the health up to date: a probe is long
// overdue. Of an integration that is not probed nobody can say.
func (h HealthStatus) Stale(now time.Time) bool {
	return h.Pause == nil && h.NextProbeAt != nil && now.Sub(*h.NextProbeAt) > staleAfter
}

const selectHealth = `
SELECT h.organization_id, h.integration_id, state, since, coalesce(reason, ''), last_success_at, last_failure_at, coalesce(last_failure, ''), failures,
    failed_probes, latency, evidence_at, observations, changes, probe_interval, next_probe_at
FROM ledgerline.integration_health h WHERE h.organization_id = $1`

func scanHealth(row pgx.CollectableRow) (h HealthStatus, err error) {
	r := &health.Record{}
	var success, failure *time.Time
	var interval *time.Duration
	err = row.Scan(&h.OrganizationID, &h.IntegrationID, &r.State, &r.Since, &r.Reason, &success, &failure, &r.LastFailure, &r.Failures,
		&r.FailedProbes, &r.Latency, &r.Evidence, &r.Observations, &r.Changes, &interval, &h.NextProbeAt)
	if success != nil {
		r.LastSuccessAt = *success
	}
	if failure != nil {
		r.LastFailureAt = *failure
	}
	if interval != nil {
		h.ProbeInterval = *interval
	}
	h.Record = r
	return h, err
}

// ListHealth returns the health of an organization's integrations by name.
func ListHealth(ctx context.Context, db Beginner, organization uuid.UUID) (list []HealthStatus, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT organization_id, integration_id, name, adapter, paused_at, coalesce(paused_by, ''), coalesce(pause_reason, '')
			FROM ledgerline.integrations WHERE organization_id = $1 AND removed_at IS NULL ORDER BY name`, organization)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (h HealthStatus, err error) {
			var at *time.Time
			var p Pause
			err = row.Scan(&h.OrganizationID, &h.IntegrationID, &h.Name, &h.Adapter, &at, &p.By, &p.Reason)
			if at != nil {
				p.At = *at
				h.Pause = &p
			}
			return h, err
		})
		if err != nil {
			return err
		}
		if rows, err = tx.Query(ctx, selectHealth, organization); err != nil {
			return err
		}
		seen, err := pgx.CollectRows(rows, scanHealth)
		for _, s := range seen {
			for i := range list {
				if list[i].IntegrationID == s.IntegrationID {
					list[i].Record, list[i].ProbeInterval, list[i].NextProbeAt = s.Record, s.ProbeInterval, s.NextProbeAt
				}
			}
		}
		if err != nil {
			return err
		}
		ends, err := secretEnds(ctx, tx, organization, nil)
		for i := range list {
			if first := ends[list[i].IntegrationID]; len(first) > 0 {
				list[i].Secret = &first[0]
			}
		}
		return err
	})
	return list, err
}

// HealthEntry is an entry of the history: a change, with both states, or an
// observation, with source, count and latency.
type HealthEntry struct {
	Entry   string        `json:"entry"`
	Number  int64         `json:"number"`
	At      time.Time     `json:"at"`
	Kind    classify.Kind `json:"kind"`
	From    health.State  `json:"from,omitempty"`
	To      health.State  `json:"to,omitempty"`
	Source  health.Source `json:"source,omitempty"`
	Count   int           `json:"count,omitempty"`
	Latency time.Duration `json:"latencyNs,omitempty"`
}

// ListHealthHistory returns every change of an integration and its last
// observations, oldest first.
func ListHealthHistory(ctx context.Context, db Beginner, organization, integration uuid.UUID) (list []HealthEntry, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT entry, number, at, kind, coalesce(from_state, ''), coalesce(to_state, ''), coalesce(source, ''), coalesce(count, 0), coalesce(latency, interval '0')
			FROM ledgerline.integration_health_history WHERE organization_id = $1 AND integration_id = $2
			ORDER BY at, entry DESC, number`, organization, integration)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[HealthEntry])
		return err
	})
	return list, err
}

// HostLastReached returns when a host was last reached by anybody; the zero time if
// never.
func HostLastReached(ctx context.Context, db Beginner, host string) (at time.Time, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT reachable_at FROM ledgerline.vendor_hosts WHERE host = $1`, host).Scan(&at)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return at, err
}

// RecordHostReached records that a host was reached. Within a minute of what is recorded
// it writes nothing.
func RecordHostReached(ctx context.Context, db Beginner, host string, at time.Time) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO ledgerline.vendor_hosts AS h (host, reachable_at) VALUES ($1, $2)
			ON CONFLICT (host) DO UPDATE SET reachable_at = excluded.reachable_at WHERE h.reachable_at < excluded.reachable_at - interval '1 minute'`, host, at)
		return err
	})
}
