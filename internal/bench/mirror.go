package main

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/runlog"
)

// mirror measures how fast audit rows are stored, durably, 100 to a batch, by
// four writers at once as a busy worker has them, and by one.
func mirror(ctx context.Context, s *servers) error {
	t, err := s.tenant(ctx, "")
	if err != nil {
		return err
	}
	defer t.pool.Close()
	integration := t.integration.ID

	const batches, size = 100, 100
	for _, m := range []struct {
		name    string
		writers int
	}{{"mirror_rows_batch_100", 4}, {"mirror_rows_batch_100_one_writer", 1}} {
		var rates []float64
		for range 5 {
			took, err := many(ctx, func(ctx context.Context) error {
				return runlog.InsertAttempts(ctx, t.pool, t.organization, auditRows(t.organization, integration, size))
			}, m.writers, batches)
			if err != nil {
				return err
			}
			rates = append(rates, batches*size/took)
		}
		report(m.name, median(rates), "rows/s", atLeast(20000))
	}
	return nil
}

func auditRows(organization, integration uuid.UUID, n int) []runlog.AttemptRow {
	rows := make([]runlog.AttemptRow, 0, n)
	now := time.Now().UTC()
	for i := range n {
		id := uuid.New()
		rows = append(rows, runlog.AttemptRow{
			OrganizationID: organization, IntegrationID: &integration, RequestedIntegrationID: integration, CorrelationID: id,
			AdapterName: "xledger", Operation: "call", AttemptNumber: 1 + i%4, ErrorClass: classify.Transient,
			ErrorKind: classify.Unavailable, Rule: "status 503", HTTPStatus: 503, ErrorMessage: "HTTP 503: the service is unavailable",
			IsRetryable: true, PlannedDelay: time.Second, OccurredAt: now, WorkflowID: "invoke/" + organization.String() + "/" + id.String(),
			RunID: uuid.New(), RunStartedAt: now,
		})
	}
	return rows
}
