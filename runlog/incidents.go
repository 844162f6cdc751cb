package runlog

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/notify"
)

// An incident is a failing period of an integration, a time in which its
// credentials are refused, or trouble of one subject: an export or a workflow. What
// people are notified of it:
//
//	          openIncident                closeIncidents
//	  (none) ─────────────► open, not notified ─────────► closed: nobody knew, nobody is notified
//	                          │ its pace allows it
//	                          ▼      closeIncidents                 its pace allows it
//	                        open, notified ─────► closed, end not notified ─────► settled
//	                          ▲                          │
//	                          └────── openIncident ──────┘ (the end is taken back)
//
// A cause has a pace. [notify.AtOnce]: each incident has messages of its own, in the
// transaction that opens or closes it. [notify.Hourly]: the hour of the cause can delay
// a message but never lose one. [FlushSuppressed] notifies later of what is still true
// then, all of it in one message, and two that end together are one message. A unique
// index keeps a subject to one unsettled incident of each cause, so that its beginning
// is notified once and its end exactly once, whoever reports and how often. One with a
// time to remind after is notified again, with what is known then, when it is reported
// after that time, which is an hour at least.

// incidentTable is where incidents of a cause are stored. Those of a subject have a
// table of their own: there are several of an integration at a time.
type incidentTable struct{ name, key, subject, facts, columns, values, update, reminder, notified string }

var (
	incidentsOfIntegrations = incidentTable{
		name: "ledgerline.incidents", key: "organization_id, integration_id, cause", subject: "''",
		facts: "jsonb_strip_nulls(jsonb_build_object('errorKind', nullif(error_kind, '')))", columns: "error_kind", values: "@error_kind",
		update: "closed_at = NULL", reminder: "false", notified: "opening_notification_id = $3",
	}
	incidentsOfSubjects = incidentTable{
		name: "ledgerline.subject_incidents", key: "organization_id, integration_id, cause, subject", subject: "subject",
		facts: "facts", columns: "subject, facts", values: "@subject, @facts",
		update: `closed_at = NULL, facts = @facts, reminder_due = reminder_due OR coalesce(opening_notification_id IS NOT NULL
			AND @remind_after::interval > interval '0' AND notified_at <= now() - greatest(@remind_after::interval, interval '1 hour'), false)`,
		reminder: "reminder_due", notified: "opening_notification_id = coalesce(opening_notification_id, $3), notified_at = now(), reminder_due = false",
	}
)

// tableOf is where the incidents are that a cause begins or ends.
func tableOf(c notify.Cause) incidentTable {
	if c.OfIntegration() {
		return incidentsOfIntegrations
	}
	return incidentsOfSubjects
}

// openIncident opens an incident of the cause unless one is open, and queues the
// notification of it unless the cause is [notify.Hourly] and its hour is taken.
func openIncident(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	if n.OccurredAt.IsZero() {
		n.OccurredAt = time.Now()
	}
	if err := n.Validate(); err != nil {
		return false, err
	}
	news, err := insertIncident(ctx, tx, n)
	if err != nil || !news {
		return false, err
	}
	queued, err = queueForIncidents(ctx, tx, n)
	if err == nil && !queued && n.Cause.Pace() == notify.Hourly {
		err = suppress(ctx, tx, n)
	}
	return queued, err
}

// unsettled is of an incident that has not ended, or of whose end nobody has been
// notified yet; its unique index has the same words.
const unsettled = `(closed_at IS NULL OR opening_notification_id IS NOT NULL AND closing_notification_id IS NULL)`

// insertIncident makes an incident, or takes back the end of one that nobody was
// notified of. news is true if people are to be notified: it was made, or they are to
// be reminded of it.
func insertIncident(ctx context.Context, tx pgx.Tx, n notify.Notification) (news bool, err error) {
	table := tableOf(n.Cause)
	arguments := pgx.NamedArgs{
		"organization_id": n.OrganizationID, "incident_id": uuid.New(), "integration_id": n.IntegrationID, "cause": n.Cause,
		"error_kind": n.Facts.ErrorKind, "opened_at": n.OccurredAt, "subject": n.Subject(), "facts": n.Facts, "remind_after": n.RemindAfter,
	}
	for {
		made, err := tx.Exec(ctx, `
			INSERT INTO `+table.name+` (organization_id, incident_id, integration_id, cause, opened_at, `+table.columns+`)
			VALUES (@organization_id, @incident_id, @integration_id, @cause, @opened_at, `+table.values+`)
			ON CONFLICT (`+table.key+`) WHERE `+unsettled+` DO NOTHING`, arguments)
		if err != nil || made.RowsAffected() == 1 {
			return err == nil, err
		}
		err = tx.QueryRow(ctx, `
			UPDATE `+table.name+` SET `+table.update+`
			WHERE organization_id = @organization_id AND integration_id = @integration_id AND cause = @cause AND `+table.subject+` = @subject AND `+unsettled+`
			RETURNING `+table.reminder, arguments).Scan(&news)
		if !errors.Is(err, pgx.ErrNoRows) {
			return news, err
		}
		// It was settled between the two statements: it is over, so try again.
	}
}

// leftNothing holds for the incident of an export of which nothing is left to be
// exported: neither it nor a retry of it has or may get an entry that is not done. One
// that was corrected is done once an export has taken it again.
const leftNothing = `NOT EXISTS (
	WITH RECURSIVE chain AS (
	    SELECT export_id, status FROM ledgerline.bufdir_export_audit_log
	    WHERE organization_id = $1 AND export_id = CASE cause WHEN 'export_failed' THEN subject::uuid END
	    UNION ALL
	    SELECT retry.export_id, retry.status FROM ledgerline.bufdir_export_audit_log AS retry JOIN chain ON retry.parent_export_id = chain.export_id
	    WHERE retry.organization_id = $1)
	SELECT FROM chain WHERE status = 'pending' OR EXISTS (SELECT FROM ledgerline.export_entries AS entry
	    WHERE entry.organization_id = $1 AND entry.export_id = chain.export_id AND (entry.state NOT IN ('exported', 'rejected') OR entry.correction = 'replaced')))`

// closeIncidents closes the open incidents that n ends. If people were notified of
// one, they are notified of its end, exactly once; else nothing is queued. An
// integration without an incident costs one statement.
//
// That nothing is left of an export may be so of others than the one that n is of.
func closeIncidents(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	table := tableOf(n.Cause)
	which := table.subject + ` = $4`
	if n.Cause == notify.ExportRecovered {
		which = `$4 <> '' AND ` + leftNothing
	}
	rows, err := tx.Query(ctx, `
		UPDATE `+table.name+` SET closed_at = greatest(now(), opened_at)
		WHERE organization_id = $1 AND integration_id = $2 AND closed_at IS NULL AND cause = ANY ($3) AND `+which+`
		RETURNING opening_notification_id IS NOT NULL`, n.OrganizationID, n.IntegrationID, n.Cause.Ends(), n.Subject())
	if err != nil {
		return false, err
	}
	notified, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err != nil || !slices.Contains(notified, true) {
		return false, err
	}
	n.OccurredAt = time.Time{}
	return queueForIncidents(ctx, tx, n)
}

// FlushSuppressed queues what the hour suppressed: incidents that are still open,
// and ends of incidents, each in one message for all integrations; of the other
// causes, one message that counts and names what came within the hour. Of a cause that
// is notified at once it queues what an older version of the worker has left.
func FlushSuppressed(ctx context.Context, db Beginner, organization uuid.UUID) error {
	for _, cause := range notify.Causes() {
		flush := queueSuppressed
		if cause.Handling() != notify.Queues {
			flush = queueForIncidents
		}
		err := InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
			_, err := flush(ctx, tx, notify.Notification{OrganizationID: organization, Cause: cause})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// queueSuppressed queues a notification of a cause for what was suppressed after
// its last one, once the hour is over. What is older than a day, people have
// found out.
func queueSuppressed(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT integration.integration_id FROM ledgerline.notification_windows AS hour
		JOIN ledgerline.notifications AS last ON last.organization_id = hour.organization_id AND last.notification_id = hour.notification_id
		JOIN ledgerline.integrations AS integration
		    ON integration.organization_id = hour.organization_id AND integration.name = ANY (last.other_integrations) AND integration.removed_at IS NULL
		WHERE hour.organization_id = $1 AND hour.cause = $2 AND last.suppressed > 0
		  AND hour.opened_at BETWEEN now() - interval '1 day' AND now() - interval '1 hour'
		ORDER BY array_position(last.other_integrations, integration.name) LIMIT 1`, n.OrganizationID, n.Cause).Scan(&n.IntegrationID)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	id, err := queue(ctx, tx, n)
	return id != uuid.Nil, err
}

// notNotified selects the incidents of which a cause has not notified people yet, and
// says how it is noted that it has.
func notNotified(c notify.Cause) (condition, noted string) {
	table := tableOf(c)
	if c.Handling() == notify.OpensIncident {
		return "closed_at IS NULL AND (opening_notification_id IS NULL OR " + table.reminder + ") AND cause = @cause", table.notified
	}
	return "closed_at IS NOT NULL AND opening_notification_id IS NOT NULL AND closing_notification_id IS NULL AND cause = ANY (@ended)", "closing_notification_id = $3"
}

// incidentToNotify is an incident of which people are to be notified.
type incidentToNotify struct {
	IncidentID    uuid.UUID
	IntegrationID uuid.UUID
	Name          string
	Subject       string
	Facts         notify.Facts
	OpenedAt      time.Time
	OccurredAt    time.Time
}

// facts are those of a message of a cause that comes first for this incident: of a
// beginning what was known then, of an end only what it is about.
func (i incidentToNotify) facts(c notify.Cause) notify.Facts {
	if c.Handling() == notify.OpensIncident {
		return i.Facts
	}
	return notify.Facts{ExportID: i.Facts.ExportID, Period: i.Facts.Period, Workflow: i.Facts.Workflow}
}

// queueForIncidents queues one message for all incidents of which a cause has not
// notified people yet, or one for each if the cause is notified at once; n's own first,
// without an integration in n the oldest one's. It returns false if there are none, or
// the hour is taken. Incidents that another transaction is at are left to it, so nobody
// waits for them; more than fit in a message are left to [FlushSuppressed].
func queueForIncidents(ctx context.Context, tx pgx.Tx, n notify.Notification) (queued bool, err error) {
	table := tableOf(n.Cause)
	condition, noted := notNotified(n.Cause)
	list, err := queryRows[incidentToNotify](ctx, tx, `
		SELECT incident_id, integration_id, name, `+table.subject+` AS subject, `+table.facts+` AS facts, opened_at,
		    coalesce(closed_at, CASE WHEN `+table.reminder+` THEN now() END, opened_at) AS occurred_at
		FROM `+table.name+` AS incident JOIN ledgerline.integrations USING (organization_id, integration_id)
		WHERE organization_id = @organization_id AND `+condition+` AND removed_at IS NULL
		ORDER BY integration_id <> @integration_id, `+table.subject+` <> @subject, opened_at LIMIT @most FOR UPDATE OF incident SKIP LOCKED`,
		pgx.NamedArgs{
			"organization_id": n.OrganizationID, "integration_id": n.IntegrationID, "subject": n.Subject(), "cause": n.Cause,
			"ended": n.Cause.Ends(), "most": 1 + notify.MaxNames,
		})
	if err != nil || len(list) == 0 {
		return false, err
	}
	together := len(list)
	if n.Cause.Pace() == notify.AtOnce {
		together = 1
	}
	for some := range slices.Chunk(list, together) {
		id, err := queue(ctx, tx, messageFor(n, some))
		if err != nil || id == uuid.Nil {
			return false, err
		}
		var ids []uuid.UUID
		for _, i := range some {
			ids = append(ids, i.IncidentID)
		}
		if _, err = tx.Exec(ctx, `UPDATE `+table.name+` SET `+noted+` WHERE organization_id = $1 AND incident_id = ANY ($2)`, n.OrganizationID, ids, id); err != nil {
			return false, err
		}
	}
	return true, nil
}

// messageFor is the notification of some incidents: n, if it is of the first one, and
// otherwise what is known of that.
func messageFor(n notify.Notification, list []incidentToNotify) notify.Notification {
	first := list[0]
	own := first.IntegrationID == n.IntegrationID && first.Subject == n.Subject()
	if !own || n.Cause == notify.Recovered { // what ended it says nothing of the others
		n.Facts = first.facts(n.Cause)
	}
	n.IntegrationID, n.Facts.Since = first.IntegrationID, &first.OpenedAt
	if !own || n.OccurredAt.IsZero() {
		n.OccurredAt = first.OccurredAt
	}
	for _, i := range list {
		if i.IntegrationID != first.IntegrationID && !slices.Contains(n.Facts.Others, i.Name) {
			n.Facts.Others = append(n.Facts.Others, i.Name)
		}
	}
	return n
}
