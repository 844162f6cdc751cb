package attention

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// integrations reads all integrations, and finds those that are paused.
func (v *view) integrations(ctx context.Context, db runlog.Beginner) error {
	list, err := runlog.ListHealth(ctx, db, v.organization)
	v.of = make(map[uuid.UUID]runlog.HealthStatus, len(list))
	for _, h := range list {
		v.of[h.IntegrationID] = h
		if p := h.Pause; p != nil {
			v.add(Item{Kind: Paused, Key: key(Paused, h.IntegrationID, p.At), Since: p.At, IntegrationID: h.IntegrationID, Message: p.Reason, Actor: p.By})
		}
	}
	return err
}

// incidents finds the integrations that do not work. One that is paused is not called, so
// nothing is said of it. What only a person can fix at the vendor is another kind.
func (v *view) incidents(ctx context.Context, db runlog.Beginner) (err error) {
	if v.open, err = runlog.ListOpenIncidents(ctx, db, v.organization); err != nil {
		return err
	}
	begun := make(map[notify.Cause]map[uuid.UUID]runlog.OpenIncident)
	for _, c := range []notify.Cause{notify.Failing, notify.Credentials} {
		begun[c] = make(map[uuid.UUID]runlog.OpenIncident)
		for _, i := range v.incidentsOf(c) {
			begun[c][i.IntegrationID] = i
		}
	}
	for id, h := range v.of {
		if h.Pause != nil {
			continue
		}
		is := h.Record
		if is == nil {
			is = &health.Record{State: health.Unknown}
		}
		refused := is.State != health.Healthy && is.Reason.Signal() == health.Refused
		spent := is.State == health.Passive && is.Reason == classify.QuotaExhausted
		down := is.State == health.Degraded || is.State == health.Unreachable
		credentials, known := begun[notify.Credentials][id]
		if refused || known {
			v.add(v.trouble(Credential, id, *is, refused, credentials))
		}
		if spent {
			v.add(v.trouble(Quota, id, *is, true, runlog.OpenIncident{}))
		}
		if failing, known := begun[notify.Failing][id]; (known || down) && !refused && !spent {
			v.add(v.trouble(Incident, id, *is, down, failing))
		}
	}
	return nil
}

// trouble is an item of an integration that does not work. If its state does not show that
// now, an incident that has not ended does: its runs failed, say.
func (v *view) trouble(k Kind, id uuid.UUID, is health.Record, now bool, incident runlog.OpenIncident) Item {
	i := Item{Kind: k, IntegrationID: id, State: is.State, Since: incident.OpenedAt, ErrorKind: incident.ErrorKind}
	if incident.OpenedAt.IsZero() {
		i.Since = is.Since
	}
	if now {
		i.ErrorKind = is.Reason
	}
	i.Key = key(k, id, i.Since)
	return i
}

// secrets finds the secrets that have reached a threshold of days before their end. Each
// threshold is an occurrence of its own.
func (v *view) secrets(ctx context.Context, db runlog.Beginner) error {
	ends, err := runlog.ListSecretExpiries(ctx, db, v.organization)
	for id, secrets := range ends {
		for _, s := range secrets {
			days, due := s.Due(v.now)
			if !due {
				continue
			}
			reached := s.ExpiresAt.Add(-time.Duration(days) * 24 * time.Hour)
			v.add(Item{
				Kind: Credential, Key: key(Credential, id.String()+"/"+s.Credential, reached), Since: reached, IntegrationID: id, Until: &s.ExpiresAt,
				Secret: &notify.Secret{Credential: s.Credential, Source: s.Source, ExpiresAt: s.ExpiresAt, Days: days},
			})
		}
	}
	return err
}

// quotas finds the limits of this month that are nearly or wholly used.
func (v *view) quotas(ctx context.Context, db runlog.Beginner) error {
	month := limits.Month(v.now)
	list, err := runlog.ListReachedQuotas(ctx, db, v.organization, month)
	now := v.now.UTC()
	next := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	for _, q := range list {
		v.add(Item{
			Kind: Quota, Key: key(Quota, q.IntegrationID, q.WarnedAt), Since: q.WarnedAt, IntegrationID: q.IntegrationID, Until: &next,
			Quota: &notify.Quota{Month: month, Used: q.Used, Limit: q.Monthly, Percent: q.Percent},
		})
	}
	return err
}

// channels finds where notifications do not arrive.
func (v *view) channels(ctx context.Context, db runlog.Beginner) error {
	list, err := runlog.ListFailedChannels(ctx, db, v.organization)
	for _, c := range list {
		v.add(Item{Kind: Notification, Key: key(Notification, c.Channel, c.Since), Since: c.Since, Channel: c.Channel, ErrorKind: c.ErrorKind})
	}
	return err
}

// workers finds out whether a worker takes work.
func (v *view) workers(ctx context.Context, db runlog.Beginner) error {
	list, err := runlog.ListAllWorkers(ctx, db)
	if err != nil {
		return err
	}
	i := Item{Kind: NoWorker, Message: runlog.Unwatched(list)}
	if len(list) > 0 {
		i.Since = list[0].SeenAt
	}
	if running := runlog.Running(list); len(running) > 0 {
		for _, w := range running {
			if w.Waits() == "" {
				return nil
			}
		}
		i.Message, i.Since = running[0].Waits(), running[0].StartedAt
	} else if i.Message == "" {
		return nil // one finishes what is under way
	}
	i.Key = key(NoWorker, "all", i.Since)
	v.add(i)
	return nil
}
