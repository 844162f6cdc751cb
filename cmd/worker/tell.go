package main

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// tellPeople makes people hear of health and quotas. What exports and ticks
// tell is part of their own transactions.
func tellPeople(acts *activities.Activities, pool *pgxpool.Pool) {
	acts.OnHealthChange = func(ctx context.Context, organization, integration uuid.UUID, _, to health.State, reason classify.Kind) error {
		return runlog.InOrganization(ctx, pool, organization, func(tx pgx.Tx) error { return tellOfHealth(ctx, tx, organization, integration, to, reason) })
	}
	acts.OnQuota = tellOfQuota
}

func tellOfHealth(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID, to health.State, reason classify.Kind) error {
	n := runlog.Notification{OrganizationID: organization, IntegrationID: integration, Facts: notify.Facts{ErrorKind: reason}}
	var err error
	switch {
	case to == health.Unreachable:
		_, err = runlog.Fail(ctx, tx, n)
	case to == health.Healthy:
		_, err = runlog.Healthy(ctx, tx, organization, integration)
	case reason == classify.Unauthorized || reason == classify.Forbidden || reason == classify.Credentials:
		n.Cause = notify.Credentials
		_, err = runlog.Notify(ctx, tx, n)
	}
	return err
}

// tellOfQuota tells the warning that the file asks for as that of 80 %, its
// default.
func tellOfQuota(ctx context.Context, tx pgx.Tx, w limits.Warning) error {
	cause := notify.Quota80
	if w.Percent >= 100 {
		cause = notify.Quota100
	}
	_, err := runlog.Notify(ctx, tx, runlog.Notification{OrganizationID: w.Organization, IntegrationID: w.Integration, Cause: cause, Facts: notify.Facts{
		Quota: &notify.Quota{Month: w.Month, Used: w.Requests, Limit: int64(w.Quota.Monthly)},
	}})
	return err
}
