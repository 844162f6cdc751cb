package main

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// tellPeople makes people hear of health, quotas and secrets that end. What exports and ticks
// tell is part of their own transactions.
func tellPeople(acts *activities.Activities, db runlog.Beginner) {
	acts.OnHealth = func(ctx context.Context, u activities.RecordHealthInput) error { return tellOfHealth(ctx, db, u) }
	acts.OnQuota = tellOfQuota
	acts.OnSecret = notifyOfSecret
}

// tellOfHealth tells of each change that concerns people, and of trouble that
// lasts, each in a transaction of its own.
func tellOfHealth(ctx context.Context, db runlog.Beginner, u activities.RecordHealthInput) error {
	fail := func(cause notify.Cause, reason classify.Kind) error {
		return runlog.InOrganization(ctx, db, u.OrganizationID, func(tx pgx.Tx) error {
			_, err := runlog.OpenIncident(ctx, tx, runlog.Notification{OrganizationID: u.OrganizationID, IntegrationID: u.IntegrationID, Cause: cause,
				Facts: notify.Facts{ErrorKind: reason}})
			return err
		})
	}
	for _, c := range u.Changes {
		var err error
		switch {
		case c.To == health.Healthy:
			err = runlog.InOrganization(ctx, db, u.OrganizationID, func(tx pgx.Tx) error {
				_, err := runlog.CloseIncidentsUnlessRunFailed(ctx, tx, u.OrganizationID, u.IntegrationID)
				return err
			})
		case health.SignalOf(c.Reason) == health.Refused:
			err = fail(notify.Credentials, c.Reason)
		case c.To == health.Unreachable, c.Reason == classify.QuotaExhausted:
			err = fail(notify.Failing, c.Reason)
		}
		if err != nil {
			return err
		}
	}
	if u.Persists() {
		return fail(notify.Failing, u.Record.Reason)
	}
	return nil
}

// tellOfQuota tells the warning that the file asks for by the cause of its
// default, 80 %.
func tellOfQuota(ctx context.Context, tx pgx.Tx, w limits.Warning) error {
	cause := notify.Quota80
	if w.Percent >= 100 {
		cause = notify.Quota100
	}
	_, err := runlog.Notify(ctx, tx, runlog.Notification{OrganizationID: w.Organization, IntegrationID: w.Integration, Cause: cause, Facts: notify.Facts{
		Quota: &notify.Quota{Month: w.Month, Used: w.Requests, Limit: w.Quota.Monthly, Percent: w.Percent},
	}})
	return err
}

// notifyOfSecret notifies of a secret that ends or has ended.
func notifyOfSecret(ctx context.Context, tx pgx.Tx, w runlog.SecretWarning) error {
	_, err := runlog.Notify(ctx, tx, runlog.Notification{
		OrganizationID: w.OrganizationID, IntegrationID: w.IntegrationID, Cause: notify.SecretEnds, OccurredAt: w.At,
		Facts: notify.Facts{Secret: &notify.Secret{Credential: w.Credential, Source: w.Source, ExpiresAt: w.ExpiresAt, Days: w.Days}},
	})
	return err
}
