package attention_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/attention"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/exports"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/watcher"
)

// story is how something comes to need a person, and how that ends. begin and end act on what
// they share through the house; both act as programs and people do.
type story struct {
	name  string
	kind  attention.Kind
	begin func(h *house) (end func())
	want  func(t *testing.T, h *house, i attention.Item)
	also  []attention.Kind // that follow from the same
}

// An item appears with its cause, says what is known of it, and is gone with its cause, by
// itself. What ends and comes again has another key.
func TestItemsComeAndGo(t *testing.T) {
	seen := make(map[attention.Kind]bool)
	for _, s := range stories {
		seen[s.kind] = true
		t.Run(string(s.kind)+" "+s.name, func(t *testing.T) {
			h := newHouse(t)
			require.Empty(t, h.items())
			end := s.begin(h)
			var found *attention.Item
			var kinds []attention.Kind
			for _, i := range h.items() {
				if i.Kind == s.kind && found == nil {
					found = &i
				} else {
					kinds = append(kinds, i.Kind)
				}
			}
			require.NotNil(t, found, "others are %v", kinds)
			require.Equal(t, s.also, kinds)
			require.NotEmpty(t, found.Key)
			if s.kind != attention.NoWorker && s.kind != attention.Notification {
				require.Equal(t, []any{h.spec.ID, "xledger-main", "xledger"}, []any{found.IntegrationID, found.Integration, found.Adapter})
			}
			s.want(t, h, *found)
			if end == nil {
				return
			}
			end()
			for _, i := range h.items() {
				require.NotEqual(t, s.kind, i.Kind, "it is over: %+v", i)
			}
		})
	}
	for _, k := range attention.Kinds() {
		require.True(t, seen[k], "no story of %s", k)
	}
}

func (h *house) health(state health.State, reason classify.Kind) {
	h.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	r := health.Record{State: state, Since: now, Reason: reason, Evidence: now, Observations: now.UnixMicro(), LastFailure: reason}
	require.NoError(h.t, runlog.RecordHealth(h.t.Context(), worker, h.org, h.spec.ID, health.Update{Record: r}))
}

func (h *house) report(e notify.Event) {
	h.t.Helper()
	e.OrganizationID, e.IntegrationID = h.org, h.spec.ID
	_, err := runlog.ReportEvent(h.t.Context(), worker, e)
	require.NoError(h.t, err)
}

func (h *house) tick(period string, r exports.TickResult, at time.Time, late time.Duration, export *uuid.UUID) {
	h.t.Helper()
	_, err := runlog.RecordTick(h.t.Context(), worker, h.org, runlog.Tick{IntegrationID: h.spec.ID, ExpectedAt: at, Period: period, Result: r, LateBy: late, ExportID: export})
	require.NoError(h.t, err)
}

// watch makes a pass of the watcher, which finds that no run exists if gone.
func (h *house) watch(gone bool) {
	h.t.Helper()
	w := watcher.Watcher{DB: worker, Log: slog.New(slog.DiscardHandler), Runs: watcher.NewRuns(func(context.Context, exports.Export) (bool, error) { return gone, nil })}
	_, err := w.Pass(h.t.Context(), time.Now())
	require.NoError(h.t, err)
}

// refusedMonth is an export of October 2026 with a voucher that was exported and one, of two
// lines, that does not sum to zero.
func (h *house) refusedMonth() exports.Export {
	h.lines("a1 a 2026-10-01 100", "a2 a 2026-10-01 -100", "b1 b 2026-10-02 70.50", "b2 b 2026-10-02 -7")
	e := h.plan(h.begin("2026-10", nil, 0))
	h.exported(e, map[string]string{"a1": "r1", "a2": "r2"})
	return h.end(e)
}

var (
	four  = time.Date(2026, 11, 3, 5, 30, 0, 0, time.UTC)
	month = map[string]string{"NOK": "70.50"}
)

var stories = []story{
	{"unreachable", attention.Incident, func(h *house) func() {
		h.health(health.Unreachable, classify.Unavailable)
		return func() { h.health(health.Healthy, "") }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{health.Unreachable, classify.Unavailable, "unreachable"}, []any{i.State, i.ErrorKind, i.Anchor()})
	}, nil},
	{"runs fail", attention.Incident, func(h *house) func() {
		h.health(health.Healthy, "")
		h.report(notify.Event{Kind: notify.HealthChanged, State: health.Unreachable, Facts: notify.Facts{ErrorKind: classify.Unavailable}})
		return func() { h.report(notify.Event{Kind: notify.HealthChanged, State: health.Healthy}) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{health.Healthy, classify.Unavailable, "failing-recovered"}, []any{i.State, i.ErrorKind, i.Anchor()})
	}, nil},
	{"refused", attention.Credential, func(h *house) func() {
		h.health(health.Degraded, classify.Unauthorized)
		return func() { h.health(health.Healthy, "") }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{classify.Unauthorized, "credentials"}, []any{i.ErrorKind, i.Anchor()})
	}, nil},
	{"expires", attention.Credential, func(h *house) func() {
		expires := func(in time.Duration) {
			now := time.Now().UTC().Truncate(time.Second)
			_, err := runlog.RecordSecretExpiries(h.t.Context(), worker, runlog.SecretExpiries{OrganizationID: h.org, IntegrationID: h.spec.ID, At: now,
				Known: []expiry.Secret{{Credential: "token", Source: expiry.File, ExpiresAt: now.Add(in)}}})
			require.NoError(h.t, err)
		}
		expires(5 * 24 * time.Hour)
		return func() { expires(300 * 24 * time.Hour) }
	}, func(t *testing.T, h *house, i attention.Item) {
		require.Equal(t, []any{7, "token", "secret_expires"}, []any{i.Secret.Days, i.Secret.Credential, i.Anchor()})
		require.Equal(t, i.Secret.ExpiresAt, *i.Until)
		nearer := h.itemsAt(i.Until.Add(-time.Hour))
		require.Len(t, nearer, 1)
		require.Equal(t, 1, nearer[0].Secret.Days)
		require.NotEqual(t, i.Key, nearer[0].Key, "a day before is news")
	}, nil},
	{"of the month", attention.Quota, func(h *house) func() {
		h.spec.Limits = integrations.RequestLimits{MonthlyRequests: 100}
		h.apply()
		_, err := runlog.RecordQuotaWarning(h.t.Context(), worker, limits.Warning{Percent: 80, Total: limits.Total{
			Organization: h.org, Integration: h.spec.ID, Month: limits.Month(time.Now()), Requests: 80, Quota: h.spec.Limits.Quota()}})
		require.NoError(h.t, err)
		return func() { h.spec.Limits.MonthlyRequests = 200; h.apply() }
	}, func(t *testing.T, h *house, i attention.Item) {
		require.Equal(t, []any{int64(100), 80}, []any{i.Quota.Limit, i.Quota.Percent})
		require.Empty(t, h.itemsAt(*i.Until), "the next month begins with none")
	}, nil},
	{"of the vendor", attention.Quota, func(h *house) func() {
		h.health(health.Passive, classify.QuotaExhausted)
		return func() { h.health(health.Healthy, "") }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{classify.QuotaExhausted, "passive"}, []any{i.ErrorKind, i.Anchor()})
	}, nil},
	{"made up for", attention.Missed, func(h *house) func() {
		h.tick("2026-10", exports.TickMissed, four, 0, nil)
		return func() { h.begin("2026-10", nil, 0) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{"2026-10", four}, []any{i.Period, *i.ScheduledAt})
	}, nil},
	{"taken by a later one", attention.Missed, func(h *house) func() {
		h.tick("2026-10-20", exports.TickSkipped, four, 0, nil)
		return func() { h.plan(h.begin("2026-10-22", nil, 0)) }
	}, func(t *testing.T, h *house, _ attention.Item) {
		h.plan(h.begin("2026-10-19", nil, 0))
		require.Len(t, h.items(), 1, "an earlier day takes nothing of it")
	}, nil},
	{"", attention.Late, func(h *house) func() {
		e := h.begin("2026-10", nil, 0)
		h.tick("2026-10", exports.TickLate, four, time.Hour, &e.ID)
		return func() { h.plan(e); h.end(e) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{"2026-10", four, four.Add(time.Hour)}, []any{i.Period, *i.ScheduledAt, i.Since})
	}, nil},
	{"", attention.Overdue, func(h *house) func() {
		e := h.begin("2026-10", nil, 3*24*time.Hour)
		h.watch(false)
		return func() { h.plan(e); h.end(e) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{"2026-10", notify.ForProgress}, []any{i.Period, i.Waiting.For})
	}, nil},
	{"", attention.Dead, func(h *house) func() {
		e := h.begin("2026-10", nil, 3*24*time.Hour)
		h.watch(true)
		return func() { h.plan(e); h.end(e) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{"2026-10", notify.ForRun}, []any{i.Period, i.Waiting.For})
	}, nil},
	{"and nothing was sent", attention.Failed, func(h *house) func() {
		h.lines("a1 a 2026-10-01 70.50", "a2 a 2026-10-01 -70.50", "b1 b 2026-10-02 1", "b2 b 2026-10-02 -1")
		e := h.fail(h.plan(h.begin("2026-10", nil, 0)))
		return func() { h.begin("2026-10", &e.ID, 0) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, exports.Count{Entries: 4, Vouchers: 2, Amounts: map[string]string{"NOK": "71.50"}}, i.Count)
		require.Equal(t, []any{classify.Configuration, "the journal is not there"}, []any{i.ErrorKind, i.Message})
	}, nil},
	{"before it planned anything", attention.Failed, func(h *house) func() {
		h.lines("a1 a 2026-10-01 70.50", "a2 a 2026-10-01 -70.50")
		h.fail(h.begin("2026-10", nil, time.Hour))
		return func() { e := h.plan(h.begin("2026-11", nil, 0)); h.exported(e, nil); h.end(e) }
	}, func(t *testing.T, _ *house, i attention.Item) { require.Zero(t, i.Count.Entries) }, nil},
	{"and its retry too", attention.Failed, func(h *house) func() {
		h.lines("a1 a 2026-10-01 70.50", "a2 a 2026-10-01 -70.50")
		first := h.fail(h.plan(h.begin("2026-10", nil, 0)))
		second := h.fail(h.begin("2026-10", &first.ID, 0))
		return func() { h.begin("2026-10", &second.ID, 0) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, exports.Count{Entries: 2, Vouchers: 1, Amounts: month}, i.Count, "what the first one planned is left")
	}, []attention.Kind{attention.Incident}},
	{"withdrawn", attention.Refused, func(h *house) func() {
		h.refusedMonth()
		return func() { h.withdraw("b") }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, exports.Count{Entries: 2, Vouchers: 1, Amounts: month}, i.Count)
		require.Equal(t, "2026-10", i.Period)
	}, nil},
	{"sent again", attention.Refused, func(h *house) func() {
		e := h.refusedMonth()
		return func() {
			h.lines("b3 b 2026-10-02 -63.50")
			c, err := runlog.LoadChain(h.t.Context(), operator, h.org, e.ID)
			require.NoError(h.t, err)
			last := c.Last().ID
			h.plan(h.begin("2026-10", &last, 0))
		}
	}, func(t *testing.T, h *house, i attention.Item) {
		retry := h.end(h.plan(h.begin("2026-10", i.ExportID, 0)))
		again := h.items()
		require.Len(t, again, 1)
		require.NotEqual(t, i.Key, again[0].Key, "refused once more is news")
		require.Equal(t, i.ExportID, again[0].ExportID, "it is of the same chain")
		require.NotEqual(t, retry.ID, *i.ExportID)
	}, nil},
	{"went with November", attention.Elsewhere, func(h *house) func() {
		h.end(h.plan(h.begin("2026-10", nil, 0)))
		h.lines("b1 b 2026-10-02 70.50", "b2 b 2026-10-02 -7")
		h.end(h.plan(h.begin("2026-11", nil, 0)))
		return func() { h.withdraw("b") }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{"2026-10", "2026-11", exports.Count{Entries: 2, Vouchers: 1, Amounts: month}}, []any{i.Period, i.With, i.Count})
	}, []attention.Kind{attention.Refused}},
	{"of an export", attention.Unknown, func(h *house) func() {
		h.lines("a1 a 2026-10-01 70.50", "a2 a 2026-10-01 -70.50")
		e := h.plan(h.begin("2026-10", nil, 0))
		_, s := h.send(e)
		require.NoError(h.t, runlog.RecordAnswer(h.t.Context(), worker, e.Owner(), runlog.LookupAnswer{Unknown: map[string]string{"a1": "nobody knows", "a2": "nobody knows"}}, []runlog.Sending{s}))
		e = h.end(e)
		return func() {
			_, err := admin.Exec(h.t.Context(), "UPDATE ledgerline.export_entries SET ended = true WHERE export_id = $1", e.ID)
			require.NoError(h.t, err)
			_, err = runlog.ResolveVoucher(h.t.Context(), operator, h.org, runlog.Resolution{ExportID: e.ID, VoucherID: "a", AtVendor: true, Reason: "seen", Actor: "kari"})
			require.NoError(h.t, err)
		}
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, exports.Count{Entries: 2, Vouchers: 1, Amounts: month}, i.Count)
		require.NotNil(t, i.Until, "it can still take effect")
	}, nil},
	{"of an export", attention.InFlight, func(h *house) func() {
		h.lines("a1 a 2026-10-01 70.50", "a2 a 2026-10-01 -70.50")
		e := h.plan(h.begin("2026-10", nil, 0))
		ids, s := h.send(e)
		require.Empty(h.t, h.items(), "the request is under way, and its answer may come")
		h.unanswered(s.CorrelationID, e.WorkflowID)
		return func() {
			require.NoError(h.t, runlog.RecordSend(h.t.Context(), worker, e.Owner(), ids, s, classify.Done, false, nil))
		}
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, exports.Count{Entries: 2, Vouchers: 1, Amounts: month}, i.Count)
		require.True(t, i.Until.After(time.Now()))
	}, nil},
	{"of a call", attention.InFlight, func(h *house) func() { return h.openCall(time.Hour) }, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{classify.AttemptTimeout, "kari"}, []any{i.ErrorKind, i.Actor})
		require.True(t, i.Until.After(time.Now()))
		require.NotNil(t, i.CorrelationID)
	}, nil},
	{"of a call", attention.Unknown, func(h *house) func() { return h.openCall(0) }, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, classify.AttemptTimeout, i.ErrorKind)
		require.Nil(t, i.Until)
		require.NotNil(t, i.CorrelationID)
	}, nil},
	{"", attention.LateError, func(h *house) func() {
		h.lines("a1 a 2026-10-01 70.50", "a2 a 2026-10-01 -70.50")
		e := h.plan(h.begin("2026-10", nil, 0))
		h.exported(e, map[string]string{"a1": "r1", "a2": "r2"})
		_, err := runlog.RecordLateErrors(h.t.Context(), worker, h.org, h.spec.ID, e.ID, map[string]string{"r1": "wrong project"})
		require.NoError(h.t, err)
		h.end(e)
		return nil
	}, func(t *testing.T, h *house, i attention.Item) {
		require.Equal(t, exports.Count{Entries: 1, Vouchers: 1, Amounts: month}, i.Count)
		_, err := runlog.RecordLateErrors(t.Context(), worker, h.org, h.spec.ID, uuid.Nil, map[string]string{"r2": "wrong project"})
		require.NoError(t, err)
		more := h.items()
		require.Len(t, more, 1)
		require.NotEqual(t, i.Key, more[0].Key, "another one is news")
	}, nil},
	{"", attention.Notification, func(h *house) func() {
		_, err := runlog.ApplyChannels(h.t.Context(), operator, map[uuid.UUID][]integrations.Channel{h.org: {{Name: "ops", Email: &integrations.Email{To: []string{"a@example.com"}}}}}, "test", false)
		require.NoError(h.t, err)
		deliver := func(s notify.DeliveryStatus) {
			id, err := runlog.QueueTest(h.t.Context(), operator, h.org, "ops")
			require.NoError(h.t, err)
			require.NoError(h.t, runlog.RecordDelivery(h.t.Context(), worker, notify.DeliveryKey{OrganizationID: h.org, NotificationID: id, Channel: "ops"}, s))
		}
		deliver(notify.DeliveryStatus{State: notify.Delivered, Attempts: 1})
		deliver(notify.DeliveryStatus{State: notify.DeliveryFailed, Attempts: 9, ErrorKind: notify.MailRefused})
		first := h.items()
		deliver(notify.DeliveryStatus{State: notify.DeliveryFailed, Attempts: 9, ErrorKind: notify.MailRefused})
		require.Equal(h.t, first, h.items(), "a further one is the same occurrence")
		return func() { deliver(notify.DeliveryStatus{State: notify.Delivered, Attempts: 1}) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{"ops", notify.MailRefused}, []any{i.Channel, i.ErrorKind})
	}, nil},
	{"", attention.Paused, func(h *house) func() {
		_, _, err := runlog.PauseIntegration(h.t.Context(), operator, h.org, h.spec.ID, "kari", "the vendor moves")
		require.NoError(h.t, err)
		h.health(health.Unreachable, classify.Unavailable)
		return func() {
			h.health(health.Healthy, "")
			_, err := runlog.ResumeIntegration(h.t.Context(), operator, h.org, h.spec.ID, "kari", "done")
			require.NoError(h.t, err)
		}
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{"kari", "the vendor moves"}, []any{i.Actor, i.Message})
	}, nil},
	{"", attention.Stuck, func(h *house) func() {
		facts := notify.Facts{ErrorKind: "non_deterministic_error", Workflow: &notify.Workflow{Type: "Sync", ID: "export/1"}}
		h.report(notify.Event{Kind: notify.WorkflowStuck, Facts: facts})
		return func() { h.report(notify.Event{Kind: notify.WorkflowResumed, Facts: facts}) }
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Equal(t, []any{"export/1", classify.Kind("non_deterministic_error")}, []any{i.Workflow, i.ErrorKind})
	}, nil},
	{"", attention.NoWorker, func(h *house) func() {
		stopped := there
		stopped.Stopped = true
		require.NoError(h.t, runlog.RecordHeartbeat(h.t.Context(), worker, stopped))
		return func() {
			there.WorkerID = uuid.New()
			require.NoError(h.t, runlog.RecordHeartbeat(h.t.Context(), worker, there))
		}
	}, func(t *testing.T, _ *house, i attention.Item) {
		require.Contains(t, i.Message, "no worker is running")
	}, nil},
}

// openCall is a call whose write can take effect for a time, and whose outcome is on record.
func (h *house) openCall(inFlight time.Duration) (end func()) {
	c := runlog.WriteClaim{
		OrganizationID: h.org, CorrelationID: uuid.New(), IntegrationID: h.spec.ID, Operation: "call", BodySHA256: sum, Actor: "kari", RunID: uuid.New(), Attempt: 1,
	}
	_, err := runlog.ClaimWrite(h.t.Context(), worker, c, 0, inFlight, false)
	require.NoError(h.t, err)
	require.Empty(h.t, h.items(), "it is under way")
	h.unanswered(c.CorrelationID, "invoke/x")
	return func() {
		require.NoError(h.t, runlog.SettleWrite(h.t.Context(), worker, h.org, c.CorrelationID, 1, classify.Done, true, 200))
	}
}

const sum = "0000000000000000000000000000000000000000000000000000000000000001"
