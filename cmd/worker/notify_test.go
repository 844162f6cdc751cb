package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

var server *devstack.Postgres

func TestMain(m *testing.M) {
	os.Exit(devstack.WithPostgres(func(p *devstack.Postgres) int { server = p; return m.Run() }))
}

// What people are notified of by a worker's activities. No channel is set up, so
// what is on record is what would have been sent.
func TestWorkerNotifies(t *testing.T) {
	db, err := runlog.Open(t.Context(), server.URL("postgres", "postgres"), 2)
	require.NoError(t, err)
	defer db.Close()
	_, _, err = runlog.Migrate(t.Context(), db)
	require.NoError(t, err)
	acts, err := activities.New(activities.Options{DB: db})
	require.NoError(t, err)

	tenant := func() (organization, integration uuid.UUID) {
		organization, integration = uuid.New(), uuid.New()
		_, err := runlog.ApplyIntegrations(t.Context(), db, []integrations.Integration{{
			OrganizationID: organization, ID: integration, Name: "main", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql",
			Credentials: map[string]integrations.Ref{"token": "env:X"}, Policy: classify.DefaultPolicy(),
		}}, runlog.ApplyOptions{By: "test"})
		require.NoError(t, err)
		return organization, integration
	}
	notified := func(organization uuid.UUID) (list []string) {
		all, err := runlog.ListNotifications(t.Context(), db, organization, time.Time{}, uuid.Nil)
		require.NoError(t, err)
		for _, n := range all {
			line := string(n.Cause) + " " + string(n.Facts.ErrorKind)
			if n.Facts.Quota != nil {
				line += fmt.Sprint(n.Facts.Quota.Percent)
			}
			list = append(list, line)
		}
		return list
	}

	seen := func(kind classify.Kind, source health.Source, after time.Duration) health.Observation {
		return health.Observation{At: time.Now().Add(after), Kind: kind, Source: source}
	}
	for name, c := range map[string]struct {
		seen []health.Observation
		want []string
	}{
		"one failure":       {[]health.Observation{seen(classify.DNS, health.Call, 0), seen(classify.OK, health.Call, 1)}, nil},
		"unreachable":       {[]health.Observation{seen(classify.DNS, health.Call, 0), seen(classify.DNS, health.Probe, 1), seen(classify.OK, health.Call, 2)}, []string{"failing dns", "recovered "}},
		"throttled once":    {[]health.Observation{seen(classify.RateLimited, health.Call, 0), seen(classify.OK, health.Call, 1)}, nil},
		"no credits":        {[]health.Observation{seen(classify.QuotaExhausted, health.Call, 0), seen(classify.OK, health.Call, 1), seen(classify.OK, health.Call, 2)}, []string{"failing quota_exhausted", "recovered "}},
		"credentials":       {[]health.Observation{seen(classify.Forbidden, health.Call, 0), seen(classify.OK, health.Probe, 1)}, []string{"credentials forbidden", "recovered "}},
		"refused for long":  {[]health.Observation{seen(classify.Business, health.Probe, 0), seen(classify.Business, health.Probe, time.Hour), seen(classify.Business, health.Probe, 2*time.Hour)}, []string{"failing business"}},
		"throttled on":      {[]health.Observation{seen(classify.RateLimited, health.Call, 0), seen(classify.RateLimited, health.Call, 2*time.Hour), seen(classify.OK, health.Call, 3*time.Hour)}, []string{"failing rate_limited", "recovered "}},
		"no, but answering": {[]health.Observation{seen(classify.DNS, health.Call, 0), seen(classify.NotFound, health.Call, 2*time.Hour)}, nil},
	} {
		organization, integration := tenant()
		r := health.New(time.Now().Add(-time.Hour), health.Policy{})
		for _, o := range c.seen {
			u := activities.RecordHealthInput{OrganizationID: organization, IntegrationID: integration, Update: health.Update{Observations: []health.Observation{o}}}
			r, u.Changes = r.Apply(o)
			u.Record = r
			for range 2 { // an activity may be repeated
				require.NoError(t, acts.RecordHealth(t.Context(), u), name)
			}
		}
		require.Equal(t, c.want, notified(organization), name)
	}

	organization, integration := tenant()
	for _, percent := range []int{60, 100} {
		recorded, err := runlog.RecordQuotaWarning(t.Context(), db, limits.Warning{Percent: percent, Total: limits.Total{
			Organization: organization, Integration: integration, Month: "2026-11", Requests: 70, Quota: limits.Quota{Monthly: 70, WarnAt: 60},
		}})
		require.NoError(t, err)
		require.True(t, recorded)
	}
	require.Equal(t, []string{"quota_80 60", "quota_100 100"}, notified(organization))
}

// Two workers that look at one secret at the same moment notify once of each
// threshold, with its name, its date and what to do, and never with its value.
func TestSecretsOfTwoWorkers(t *testing.T) {
	db, err := runlog.Open(t.Context(), server.URL("postgres", "postgres"), 8)
	require.NoError(t, err)
	defer db.Close()
	_, _, err = runlog.Migrate(t.Context(), db)
	require.NoError(t, err)
	end := time.Date(2026, 12, 8, 12, 0, 0, 0, time.UTC)
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"sub":"canary","exp":%d}`, end.Unix()))
	value := "e30." + claims + ".c2ln"
	store := &secrets.Store{Dir: t.TempDir()}
	organization, integration := uuid.New(), uuid.New()
	_, err = runlog.ApplyIntegrations(t.Context(), db, []integrations.Integration{{
		OrganizationID: organization, ID: integration, Name: "main", Adapter: "xledger", BaseURL: "https://www.xledger.net/graphql",
		Credentials: map[string]integrations.Ref{"token": devstack.WriteSecret(store.Dir, organization, "token", value)}, Policy: classify.DefaultPolicy(),
	}}, runlog.ApplyOptions{By: "test"})
	require.NoError(t, err)
	_, err = runlog.ApplyChannels(t.Context(), db, map[uuid.UUID][]integrations.Channel{organization: {
		{Name: "ops", Webhook: &integrations.Webhook{URL: "https://hooks.example.com/x", Secret: "env:X"}}}}, "test", false)
	require.NoError(t, err)

	var words bytes.Buffer
	log := slog.New(slog.NewTextHandler(&words, nil))
	var workers []*activities.Activities
	for range 2 {
		acts, err := activities.New(activities.Options{DB: db, Secrets: store, Log: log})
		require.NoError(t, err)
		workers = append(workers, acts)
	}
	look := func(at time.Time) {
		t.Helper()
		var both sync.WaitGroup
		for _, acts := range workers {
			both.Go(func() {
				if _, err := acts.Inspect(t.Context(), activities.InspectInput{Target: activities.Target{OrganizationID: organization, IntegrationID: integration, Now: at}}); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	type want struct {
		at      time.Time
		days    int
		subject string
	}
	n := 0
	for _, w := range []want{
		{end.AddDate(0, 0, -31), -1, ""},
		{end.AddDate(0, 0, -30), 30, "main: secret token expires in 30 days (2026-12-08)"},
		{end.AddDate(0, 0, -29), -1, ""},
		{end.AddDate(0, 0, -7), 7, "main: secret token expires in 7 days (2026-12-08)"},
		{end.AddDate(0, 0, -1), 1, "main: secret token expires tomorrow (2026-12-08)"},
		{end.Add(time.Second), 0, "main: secret token expired today (2026-12-08)"},
		{end.AddDate(0, 0, 9), -1, ""},
	} {
		for range 2 {
			look(w.at)
		}
		if w.days >= 0 {
			n++
		}
		list, err := runlog.ListNotifications(t.Context(), db, organization, time.Time{}, uuid.Nil)
		require.NoError(t, err)
		require.Len(t, list, n, w.at)
		if w.days < 0 {
			continue
		}
		var newest runlog.NotificationRecord
		for _, n := range list {
			if n.Facts.Secret.Days == w.days {
				newest = n
			}
		}
		require.Equal(t, notify.Secret{Credential: "token", Source: expiry.Token, ExpiresAt: end, Days: w.days}, *newest.Facts.Secret)
		m := notify.Message{ID: newest.NotificationID, Integration: newest.Integration, Adapter: "xledger", Notification: notify.Notification{
			OrganizationID: organization, IntegrationID: integration, Cause: newest.Cause, OccurredAt: newest.OccurredAt, Facts: newest.Facts}}
		require.Equal(t, "[Ledgerline] "+w.subject, m.Subject())
		_, err = db.Exec(t.Context(), `UPDATE ledgerline.notification_windows SET opened_at = opened_at - interval '1 hour' WHERE organization_id = $1`, organization)
		require.NoError(t, err)
	}

	require.Equal(t, 4, strings.Count(words.String(), "ALERT: a secret "))
	var stored string
	require.NoError(t, db.QueryRow(t.Context(), `SELECT jsonb_build_object('i', (SELECT jsonb_agg(i) FROM ledgerline.integrations i), 's', (SELECT jsonb_agg(s) FROM ledgerline.integration_secrets s),
		'w', (SELECT jsonb_agg(w) FROM ledgerline.secret_warnings w), 'n', (SELECT jsonb_agg(n) FROM ledgerline.notifications n))::text`).Scan(&stored))
	for _, text := range []string{value, claims, "canary", "c2ln"} {
		require.NotContains(t, words.String(), text)
		require.NotContains(t, stored, text)
	}
}
