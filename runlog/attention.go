package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/notify"
)

// OpenIncident is trouble of which people were or are to be notified, and that has not ended.
type OpenIncident struct {
	IntegrationID uuid.UUID
	Cause         notify.Cause
	Subject       string // see [notify.Notification.Subject]
	ErrorKind     classify.Kind
	OpenedAt      time.Time
	Facts         notify.Facts
}

// ListOpenIncidents returns an organization's incidents that have not ended, the oldest first.
func ListOpenIncidents(ctx context.Context, db Beginner, organization uuid.UUID) ([]OpenIncident, error) {
	return queryInOrganization[OpenIncident](ctx, db, organization, `
		SELECT integration_id, cause, '' AS subject, error_kind, opened_at, '{}'::jsonb AS facts
		FROM ledgerline.incidents WHERE organization_id = $1 AND closed_at IS NULL
		UNION ALL
		SELECT integration_id, cause, subject, coalesce(facts ->> 'errorKind', ''), opened_at, facts
		FROM ledgerline.subject_incidents WHERE organization_id = $1 AND closed_at IS NULL
		ORDER BY opened_at`, organization)
}

// MissedTick is a tick of which nothing was done, and whose period has no export.
type MissedTick struct {
	IntegrationID uuid.UUID
	ExpectedAt    time.Time
	Period        string
	Result        exports.TickResult
	TakenTo       *time.Time // the first day after the days of which an export has taken all entries since; nil: none has
}

// ListMissedTicks returns an organization's ticks that are not done, the oldest first.
func ListMissedTicks(ctx context.Context, db Beginner, organization uuid.UUID) ([]MissedTick, error) {
	return queryInOrganization[MissedTick](ctx, db, organization, `
		WITH missed AS MATERIALIZED (
		    SELECT integration_id, expected_at, period, result FROM ledgerline.schedule_ticks AS tick
		    WHERE organization_id = $1 AND export_id IS NULL AND NOT EXISTS (SELECT FROM ledgerline.bufdir_export_audit_log AS export
		        WHERE export.organization_id = $1 AND export.idempotency_key = tick.integration_id || '/' || tick.period)
		), planned AS MATERIALIZED (
		    SELECT integration_id, planned_at, period_end FROM ledgerline.bufdir_export_audit_log AS export
		    WHERE organization_id = $1 AND planned_at IS NOT NULL AND trigger <> 'adopt' AND EXISTS (SELECT FROM missed) AND `+takesWhatIsNew("export")+`
		)
		SELECT missed.integration_id, expected_at, period, result, max(period_end) AS taken_to
		FROM missed LEFT JOIN planned ON planned.integration_id = missed.integration_id AND planned.planned_at >= missed.expected_at
		GROUP BY missed.integration_id, expected_at, period, result ORDER BY expected_at, missed.integration_id`, organization)
}

// ListLateTicks returns the ticks that were done too late by exports that have not ended.
func ListLateTicks(ctx context.Context, db Beginner, organization uuid.UUID) ([]Tick, error) {
	return queryInOrganization[Tick](ctx, db, organization, `
		SELECT tick.integration_id, tick.expected_at, tick.period, tick.result, coalesce(tick.late_by, interval '0') AS late_by, tick.export_id
		FROM ledgerline.bufdir_export_audit_log AS export JOIN ledgerline.schedule_ticks AS tick
		    ON tick.organization_id = $1 AND tick.integration_id = export.integration_id AND tick.export_id = export.export_id
		WHERE export.organization_id = $1 AND export.status = 'pending' AND tick.result = 'late' ORDER BY tick.expected_at, tick.integration_id`, organization)
}

// OpenCall is a call of somebody's whose write was sent and whose effect nobody knows.
type OpenCall struct {
	CorrelationID uuid.UUID
	IntegrationID uuid.UUID
	Operation     string
	Actor         string
	ClaimedAt     time.Time
	OpenUntil     *time.Time // it can take effect until then; nil: that time is over
	Ended         bool       // its outcome is on record, so that it is not under way, unless somebody asks again
	ErrorKind     classify.Kind
	Message       string // of its last attempt
}

// ListOpenCalls returns an organization's calls whose effect is open, the oldest first.
func ListOpenCalls(ctx context.Context, db Beginner, organization uuid.UUID) ([]OpenCall, error) {
	return queryInOrganization[OpenCall](ctx, db, organization, `
		SELECT claim.correlation_id, claim.integration_id, claim.operation, claim.actor, claimed_at,
		    CASE WHEN NOT ended AND claim.open_until > (SELECT ledgerline.clock()) THEN claim.open_until END AS open_until,
		    last.correlation_id IS NOT NULL AS ended, coalesce(last.error_kind, '') AS error_kind, coalesce(last.error_message, '') AS message
		FROM ledgerline.write_claims AS claim LEFT JOIN LATERAL (
		    SELECT correlation_id, error_kind, error_message FROM ledgerline.integration_run_logs AS attempt
		    WHERE attempt.organization_id = $1 AND attempt.correlation_id = claim.correlation_id ORDER BY attempt_number DESC LIMIT 1) AS last ON true
		WHERE claim.organization_id = $1 AND claim.effect = 'open' ORDER BY claimed_at, claim.correlation_id`, organization)
}

// FailedChannel is a channel to which the last delivery failed.
type FailedChannel struct {
	Channel   string
	Since     time.Time // when the first of them failed that no other one has reached it since
	ErrorKind classify.Kind
	Disabled  bool // its receiver was gone, so that nothing is delivered there
}

// ListFailedChannels returns an organization's channels to which the last delivery failed.
func ListFailedChannels(ctx context.Context, db Beginner, organization uuid.UUID) ([]FailedChannel, error) {
	return queryInOrganization[FailedChannel](ctx, db, organization, `
		SELECT channel.name AS channel, failing.since, coalesce(last.error_kind, '') AS error_kind, channel.disabled_at IS NOT NULL AS disabled
		FROM ledgerline.notification_channels AS channel
		CROSS JOIN LATERAL (SELECT state, error_kind FROM ledgerline.notification_deliveries AS delivery
		    WHERE delivery.organization_id = $1 AND delivery.channel = channel.name AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1) AS last
		CROSS JOIN LATERAL (SELECT min(finished_at) AS since FROM ledgerline.notification_deliveries AS delivery
		    WHERE delivery.organization_id = $1 AND delivery.channel = channel.name AND finished_at IS NOT NULL
		      AND finished_at > coalesce((SELECT max(finished_at) FROM ledgerline.notification_deliveries AS arrived
		          WHERE arrived.organization_id = $1 AND arrived.channel = channel.name AND arrived.finished_at IS NOT NULL AND arrived.state = 'delivered'), '-infinity')) AS failing
		WHERE channel.organization_id = $1 AND channel.removed_at IS NULL AND last.state = 'failed' ORDER BY channel.name`, organization)
}

// ReachedQuota is the highest threshold of a month's requests that was recorded for the limit
// that an integration has.
type ReachedQuota struct {
	IntegrationID uuid.UUID
	Percent       int
	Monthly       int64
	Used          int64
	WarnedAt      time.Time
}

// ListReachedQuotas returns the thresholds that an organization's integrations have reached
// in a month ("2026-11").
func ListReachedQuotas(ctx context.Context, db Beginner, organization uuid.UUID, month string) ([]ReachedQuota, error) {
	return queryInOrganization[ReachedQuota](ctx, db, organization, `
		SELECT DISTINCT ON (integration_id) integration_id, percent, monthly, warned_at,
		    coalesce((SELECT sum(requests) FROM ledgerline.quota_usage AS used
		        WHERE used.organization_id = $1 AND used.integration_id = warning.integration_id AND used.month = warning.month), 0)::bigint AS used
		FROM ledgerline.quota_warnings AS warning JOIN ledgerline.integrations AS integration USING (organization_id, integration_id)
		WHERE organization_id = $1 AND month = to_date($2, 'YYYY-MM') AND integration.limits ->> 'monthlyRequests' = monthly::text
		ORDER BY integration_id, percent DESC`, organization, month)
}

// ListSecretExpiries returns the secrets of an organization's integrations whose end is known,
// the first to end first, by integration.
func ListSecretExpiries(ctx context.Context, db Beginner, organization uuid.UUID) (ends map[uuid.UUID][]expiry.Secret, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		ends, err = secretExpiries(ctx, tx, organization, nil)
		return err
	})
	return ends, err
}
