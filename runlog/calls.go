package runlog

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/exports"
)

// CallSeen is an invocation that the audit record has: a call of somebody's, an attempt of an
// export, or a probe. A read that succeeded at once has left nothing there.
type CallSeen struct {
	CorrelationID uuid.UUID
	IntegrationID uuid.UUID // that was asked for
	Operation     string
	At            time.Time // when it began
}

// FindCalls returns the invocations whose correlation IDs are between two, both included, at
// most limit, in the order of the IDs.
func FindCalls(ctx context.Context, db Beginner, organization, low, high uuid.UUID, limit int) ([]CallSeen, error) {
	return queryInOrganization[CallSeen](ctx, db, organization, `
		SELECT DISTINCT ON (correlation_id) correlation_id, integration_id, operation, at FROM (
		    SELECT correlation_id, requested_integration_id AS integration_id, operation, run_started_at AS at
		    FROM ledgerline.integration_run_logs WHERE organization_id = $1 AND correlation_id BETWEEN $2 AND $3
		    UNION ALL
		    SELECT correlation_id, integration_id, operation, claimed_at
		    FROM ledgerline.write_claims WHERE organization_id = $1 AND correlation_id BETWEEN $2 AND $3
		) AS seen ORDER BY correlation_id, at LIMIT $4`, organization, low, high, limit)
}

// LastCall returns the newest call that somebody made, of one integration unless that is
// [uuid.Nil]; nil if there is none. Attempts of exports and probes do not count.
func LastCall(ctx context.Context, db Beginner, organization, integration uuid.UUID) (*CallSeen, error) {
	list, err := queryInOrganization[CallSeen](ctx, db, organization, `
		SELECT correlation_id, requested_integration_id AS integration_id, operation, run_started_at AS at
		FROM ledgerline.integration_run_logs
		WHERE organization_id = @organization AND workflow_id LIKE 'invoke/%' AND (@any OR requested_integration_id = @integration)
		ORDER BY occurred_at DESC LIMIT 1`, pgx.StrictNamedArgs{"organization": organization, "integration": integration, "any": integration == uuid.Nil})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// ExportsOfRuns returns the exports that runs of workflows worked for, by the workflow's ID.
// A run that found that another one has the export is not there.
func ExportsOfRuns(ctx context.Context, db Beginner, organization uuid.UUID, workflowIDs []string) (of map[string]exports.Export, err error) {
	of = make(map[string]exports.Export)
	if len(workflowIDs) == 0 {
		return of, nil
	}
	// The ID of a run that somebody started names the key of its export, which stays where
	// another run takes the export over. A schedule's run is known by its ID alone.
	prefix := "export/" + organization.String() + "/"
	keys := make([]string, len(workflowIDs))
	for i, id := range workflowIDs {
		keys[i] = strings.TrimPrefix(id, prefix)
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err := queryExports(ctx, tx, `WHERE organization_id = $1 AND (workflow_id = ANY($2) OR idempotency_key = ANY($3))`, organization, workflowIDs, keys)
		for _, e := range list {
			of[e.WorkflowID] = e
			of[prefix+e.IdempotencyKey()] = e
		}
		return err
	})
	return of, err
}

// SentEntries are the entries of an export that an invocation was the last to send.
type SentEntries struct {
	SentIn   uuid.UUID // the invocation's correlation ID
	ExportID uuid.UUID
	Chunk    int // the lowest
	Vouchers int
	Voucher  string // the first of them
	Entries  int
}

// ListSent returns what invocations were the last to send of exports. What a later one has
// sent again is that one's. It reads all entries of those exports.
func ListSent(ctx context.Context, db Beginner, organization uuid.UUID, exportIDs, correlations []uuid.UUID) ([]SentEntries, error) {
	if len(exportIDs) == 0 || len(correlations) == 0 {
		return nil, nil
	}
	return queryInOrganization[SentEntries](ctx, db, organization, `
		SELECT sent_in, export_id, min(chunk) AS chunk, count(DISTINCT voucher_id) AS vouchers, min(voucher_id) AS voucher, count(*) AS entries
		FROM ledgerline.export_entries WHERE organization_id = $1 AND export_id = ANY($2) AND sent_in = ANY($3)
		GROUP BY sent_in, export_id ORDER BY sent_in, export_id`, organization, exportIDs, correlations)
}

// PendingSender returns the pending export of which an invocation was the last to send
// something; nil if there is none. Such an invocation has no row yet.
func PendingSender(ctx context.Context, db Beginner, organization, correlation uuid.UUID) (e *exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		found, ok, err := findExport(ctx, tx, `WHERE organization_id = $1 AND status = 'pending' AND EXISTS (SELECT FROM ledgerline.export_entries AS entry
			WHERE entry.organization_id = $1 AND entry.export_id = bufdir_export_audit_log.export_id AND entry.sent_in = $2)`, organization, correlation)
		if ok {
			e = &found
		}
		return err
	})
	return e, err
}

// ExportsOfPeriod returns the export of a period of an integration and its retries, the
// newest first. An adoption is none of them.
func ExportsOfPeriod(ctx context.Context, db Beginner, organization, integration uuid.UUID, period string) (list []exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryExports(ctx, tx, `WHERE organization_id = $1 AND integration_id = $2 AND period = $3 AND trigger <> 'adopt'
			ORDER BY started_at DESC, export_id`, organization, integration, period)
		return err
	})
	return list, err
}

// FindExports returns the exports whose IDs are between two, both included, at most limit,
// in the order of the IDs.
func FindExports(ctx context.Context, db Beginner, organization, low, high uuid.UUID, limit int) (list []exports.Export, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryExports(ctx, tx, `WHERE organization_id = $1 AND export_id BETWEEN $2 AND $3 ORDER BY export_id LIMIT $4`, organization, low, high, limit)
		return err
	})
	return list, err
}
