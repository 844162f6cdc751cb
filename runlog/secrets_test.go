package runlog_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

const day = 24 * time.Hour

var secretEnd = time.Date(2026, 12, 8, 0, 0, 0, 0, time.UTC)

// look stores what a worker sees of an integration's one secret, and returns the
// thresholds that were reported.
func look(t *testing.T, b base, organization, integration uuid.UUID, at time.Time, known ...expiry.Secret) (days []int) {
	t.Helper()
	seen := runlog.SecretExpiries{OrganizationID: organization, IntegrationID: integration, At: at, Known: known}
	if len(known) == 0 {
		seen.Endless = []string{"token"}
	}
	reached, err := runlog.RecordSecretExpiries(t.Context(), b.worker, seen)
	require.NoError(t, err)
	for _, w := range reached {
		require.Equal(t, []uuid.UUID{organization, integration}, []uuid.UUID{w.OrganizationID, w.IntegrationID})
		days = append(days, w.Days)
	}
	return days
}

func tokenUntil(end time.Time) expiry.Secret {
	return expiry.Secret{Credential: "token", Source: expiry.Token, ExpiresAt: end}
}

// What is stored comes back to monitors and to people, and is gone when the
// secret no longer has an end, or the integration no longer has the secret.
func TestSecretsComeBackAsTheyWere(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	shown := func() *expiry.Secret {
		t.Helper()
		w, err := runlog.MonitoredIntegration(t.Context(), b.worker, organization, integration)
		require.NoError(t, err)
		list, err := runlog.ListHealth(t.Context(), b.reader, organization)
		require.NoError(t, err)
		require.Len(t, list, 1)
		if list[0].Secret == nil {
			require.Empty(t, w.Secrets)
			return nil
		}
		require.Equal(t, w.Secrets[0], *list[0].Secret)
		return list[0].Secret
	}
	require.Nil(t, shown())
	now := secretEnd.Add(-100 * day)
	require.Empty(t, look(t, b, organization, integration, now), "nothing to take away")
	require.Nil(t, shown())

	full := expiry.Secret{Credential: "token", Source: expiry.Token, IssuedAt: now.Add(-day), ExpiresAt: secretEnd}
	require.Empty(t, look(t, b, organization, integration, now, full))
	require.Equal(t, &full, shown())
	file := expiry.Secret{Credential: "token", Source: expiry.File, ExpiresAt: secretEnd.Add(-day)}
	look(t, b, organization, integration, now.Add(time.Hour), file)
	require.Equal(t, &file, shown())
	look(t, b, organization, integration, now, full)
	require.Equal(t, &file, shown(), "what an earlier look found comes too late")

	_, err := runlog.RecordSecretExpiries(t.Context(), b.worker, runlog.SecretExpiries{OrganizationID: organization, IntegrationID: integration, At: now.Add(2 * time.Hour)})
	require.NoError(t, err)
	require.Equal(t, &file, shown(), "it could not be read")
	look(t, b, organization, integration, now.Add(2*time.Hour))
	require.Nil(t, shown())

	look(t, b, organization, integration, now.Add(3*time.Hour), file)
	other := example(organization, integration, "main")
	other.Credentials = map[string]integrations.Ref{"clientSecret": "env:X"}
	_, err = runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{other}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	require.Nil(t, shown())
}

// The first secret to end is the one that people see.
func TestFirstSecretToEnd(t *testing.T) {
	b := newBase(t)
	organization, integration := uuid.New(), uuid.New()
	two := example(organization, integration, "main")
	two.Credentials = map[string]integrations.Ref{"token": "env:X", "clientSecret": "env:Y"}
	_, err := runlog.ApplyIntegrations(t.Context(), b.operator, []integrations.Integration{two, example(organization, uuid.New(), "other")}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	first := expiry.Secret{Credential: "clientSecret", Source: expiry.File, ExpiresAt: secretEnd.Add(-day)}
	require.Equal(t, []int{30, 30}, look(t, b, organization, integration, secretEnd.Add(-10*day), tokenUntil(secretEnd), first))
	list, err := runlog.ListHealth(t.Context(), b.operator, organization)
	require.NoError(t, err)
	require.Equal(t, &first, list[0].Secret)
	require.Nil(t, list[1].Secret)
}

// Each threshold is notified once, whatever the looks between; a later end begins
// the series again, and an end that comes back is not new.
func TestSecretWarnings(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	before := func(d time.Duration, end time.Time) []int {
		t.Helper()
		return look(t, b, organization, integration, end.Add(-d), tokenUntil(end))
	}
	require.Empty(t, before(31*day, secretEnd))
	require.Equal(t, []int{30}, before(30*day, secretEnd))
	require.Empty(t, before(20*day, secretEnd))
	require.Equal(t, []int{7}, before(7*day, secretEnd))
	require.Empty(t, before(20*day, secretEnd), "a worker whose clock is behind")
	require.Equal(t, []int{1}, before(day, secretEnd))
	require.Empty(t, before(time.Hour, secretEnd))
	require.Equal(t, []int{0}, before(0, secretEnd))
	require.Empty(t, before(-9*day, secretEnd))

	renewed := secretEnd.Add(365 * day)
	require.Empty(t, before(365*day-9*day, renewed), "no alarm")
	require.Equal(t, []int{30}, before(29*day, renewed))
	require.Empty(t, look(t, b, organization, integration, renewed.Add(-28*day), tokenUntil(secretEnd)), "another worker still has the old one")
	require.Empty(t, before(27*day, renewed))
	require.Equal(t, []int{0}, before(-day, renewed), "the thresholds between were slept through")

	other, second := b.tenant(t)
	require.Equal(t, []int{1}, look(t, b, other, second, secretEnd.Add(-time.Hour), tokenUntil(secretEnd)), "another integration's series, first seen late")

	var rows int
	require.NoError(t, b.admin.QueryRow(t.Context(), `SELECT count(*) FROM ledgerline.secret_warnings WHERE integration_id = $1`, integration).Scan(&rows))
	require.Equal(t, 2, rows, "one of each end")
}

// A threshold whose notification could not be stored is notified by the next look.
func TestSecretWarningFails(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	seen := runlog.SecretExpiries{OrganizationID: organization, IntegrationID: integration, At: secretEnd.Add(-day), Known: []expiry.Secret{tokenUntil(secretEnd)}}
	b.withoutNotifications(t, func() {
		reached, err := runlog.RecordSecretExpiries(t.Context(), b.worker, seen)
		require.ErrorContains(t, err, "42501")
		require.Empty(t, reached)
	})
	require.Equal(t, []int{1}, look(t, b, organization, integration, seen.At, seen.Known...))
}

// Of many workers that look at the same moment one notifies, and each channel
// gets it once.
func TestSecretWarningOnce(t *testing.T) {
	o := newAudience(t, "a", "b")
	for round, at := range []time.Time{secretEnd.Add(-30 * day), secretEnd.Add(-7 * day), secretEnd.Add(-day), secretEnd} {
		notified := concurrently(8, func(i int) bool {
			s := tokenUntil(secretEnd)
			seen := runlog.SecretExpiries{OrganizationID: o.organization, IntegrationID: o.integrations[0], At: at.Add(time.Duration(i) * time.Millisecond), Known: []expiry.Secret{s}}
			reached, err := runlog.RecordSecretExpiries(context.WithoutCancel(t.Context()), o.worker, seen)
			if err != nil {
				t.Error(err)
			}
			return len(reached) > 0
		})
		require.Equal(t, 1, notified, at)
		o.hourLater(t)
		n, of := o.notificationsOf(t, notify.SecretExpires)
		require.Equal(t, round+1, n)
		require.Equal(t, "a", of[0])
	}
	facts := o.notifications(t)[0].Facts
	require.Equal(t, notify.Secret{Credential: "token", Source: expiry.Token, ExpiresAt: secretEnd, Days: 30}, *facts.Secret)
	var deliveries int
	require.NoError(t, o.admin.QueryRow(t.Context(), `SELECT count(*) FROM ledgerline.notification_deliveries`).Scan(&deliveries))
	require.Equal(t, 4, deliveries, "the channel that wants every cause")
}

// What the hour of the cause suppresses is notified when it is over.
func TestSecretWarningsOfManyIntegrations(t *testing.T) {
	o := newAudience(t, "a", "b", "c")
	for _, id := range o.integrations {
		require.Equal(t, []int{1}, look(t, o.base, o.organization, id, secretEnd.Add(-day), tokenUntil(secretEnd)))
	}
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, _ := o.notificationsOf(t, notify.SecretExpires)
	require.Equal(t, 1, n)
	o.hourLater(t)
	require.NoError(t, runlog.FlushSuppressed(t.Context(), o.worker, o.organization))
	n, of := o.notificationsOf(t, notify.SecretExpires)
	require.Equal(t, 2, n)
	require.Contains(t, of, "b")
	for _, n := range o.notifications(t) {
		if n.Integration == "b" {
			require.Equal(t, []string{"b", "c"}, n.Facts.Earlier.Integrations)
		}
	}
}

// The tables hold names and times, and only the worker writes them.
func TestSecretTables(t *testing.T) {
	b := newBase(t)
	organization, integration := b.tenant(t)
	for _, s := range []expiry.Secret{
		{Credential: "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", Source: expiry.Token, ExpiresAt: secretEnd},
		{Credential: "token", Source: "vendor", ExpiresAt: secretEnd},
		{Credential: "token", Source: expiry.Token, IssuedAt: secretEnd, ExpiresAt: secretEnd},
	} {
		_, err := runlog.RecordSecretExpiries(t.Context(), b.worker, runlog.SecretExpiries{OrganizationID: organization, IntegrationID: integration, At: secretEnd, Known: []expiry.Secret{s}})
		require.ErrorContains(t, err, "23514")
	}
	look(t, b, organization, integration, secretEnd.Add(-day), tokenUntil(secretEnd))
	other, _ := b.tenant(t)
	_, err := runlog.RecordSecretExpiries(t.Context(), b.worker, runlog.SecretExpiries{OrganizationID: other, IntegrationID: integration, At: secretEnd.Add(-60 * day), Known: []expiry.Secret{tokenUntil(secretEnd)}})
	require.ErrorContains(t, err, "secret_belongs_to_integration")
	for _, sql := range []string{"DELETE FROM ledgerline.integration_secrets", "DELETE FROM ledgerline.secret_warnings"} {
		_, err := b.worker.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "42501", sql)
	}
	for _, sql := range []string{"UPDATE ledgerline.integration_secrets SET noted_at = now()", "INSERT INTO ledgerline.secret_warnings DEFAULT VALUES"} {
		_, err := b.operator.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "42501", sql)
	}
}
