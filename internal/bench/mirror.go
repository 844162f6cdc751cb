package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/runlog"
)

// mirror measures how fast audit rows are stored, durably, 100 to a batch and
// one batch after the other.
func mirror(ctx context.Context, s *servers) error {
	stack, err := s.start(ctx)
	if err != nil {
		return err
	}
	organization := uuid.New()
	list, err := stack.Apply(ctx, organization, "")
	if err != nil {
		return err
	}
	pool, err := runlog.Open(ctx, stack.URL(devstack.Worker), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	integration := list["xledger-main"].ID

	const batches, size = 100, 100
	var rates []float64
	for range 5 {
		began := time.Now()
		for range batches {
			if err := runlog.Insert(ctx, pool, organization, auditRows(organization, integration, size)); err != nil {
				return err
			}
		}
		rates = append(rates, batches*size/time.Since(began).Seconds())
	}
	report("mirror_rows_per_s_batch_100", median(rates), "rows/s", atLeast(20000))
	return nil
}

func auditRows(organization, integration uuid.UUID, n int) []runlog.Row {
	rows := make([]runlog.Row, 0, n)
	now := time.Now().UTC()
	for i := range n {
		id := uuid.New()
		rows = append(rows, runlog.Row{
			OrganizationID: organization, IntegrationID: &integration, RequestedIntegrationID: integration, CorrelationID: id,
			AdapterName: "xledger", Operation: "call", AttemptNumber: 1 + i%4, ErrorClass: classify.Transient,
			ErrorKind: classify.Unavailable, Rule: "status 503", HTTPStatus: 503, ErrorMessage: "HTTP 503: the service is unavailable",
			IsRetryable: true, PlannedDelay: time.Second, OccurredAt: now, WorkflowID: "invoke/" + organization.String() + "/" + id.String(),
			RunID: uuid.New(), RunStartedAt: now,
		})
	}
	return rows
}
