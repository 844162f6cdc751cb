package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/internal/sandbox"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
	"github.com/ledgerline/ledgerline/workflows"
)

// hookSecret signs in these tests; it must turn up nowhere.
var hookSecret = "whsec_" + strings.Repeat("Q2FuYXJ5", 4)

// hooks is a receiver of webhooks, which takes each notification once.
type hooks struct {
	*httptest.Server
	answer func(w http.ResponseWriter, id string, attempt int)

	mu       sync.Mutex
	attempts map[string]int
	accepted map[string]int // by webhook-id: how often it was taken for new
	bodies   strings.Builder
	refused  []string
	heard    []heard // what the verifier took, each notification once
}

// heard is what a receiver looks at.
type heard struct {
	Type string
	Data struct {
		Integration string
		ErrorKind   classify.Kind
		Quota       *notify.Quota
		Secret      *notify.Secret
		Period      string
		Waiting     *notify.Waiting
		Workflow    *notify.Workflow
	}
}

// hears waits until the receiver has a notification of a type as often as n.
func (h *hooks) hears(t *testing.T, kind string, n int) (last heard) {
	t.Helper()
	require.Eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		count := 0
		for _, e := range h.heard {
			if e.Type == "ledgerline."+kind {
				count, last = count+1, e
			}
		}
		return count == n
	}, 90*time.Second, 100*time.Millisecond, "%s, %d times", kind, n)
	return last
}

func newHooks(t *testing.T, answer func(w http.ResponseWriter, id string, attempt int)) *hooks {
	t.Helper()
	h := &hooks{answer: answer, attempts: make(map[string]int), accepted: make(map[string]int)}
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	require.NoError(t, err)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		id := req.Header.Get("webhook-id")
		h.mu.Lock()
		fmt.Fprintln(&h.bodies, req.Header, string(body))
		if err := verifier.Verify(body, req.Header); err != nil {
			h.refused = append(h.refused, err.Error())
		} else if h.attempts[id] == 0 {
			var e heard
			if err := json.Unmarshal(body, &e); err != nil {
				h.refused = append(h.refused, err.Error())
			}
			h.heard = append(h.heard, e)
		}
		h.attempts[id]++
		attempt := h.attempts[id]
		h.mu.Unlock()
		h.answer(w, id, attempt)
	}))
	t.Cleanup(func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		keep("notifications.txt", h.bodies.String())
	})
	t.Cleanup(h.Close)
	t.Cleanup(h.CloseClientConnections)
	return h
}

// accept takes a notification as a receiver should: by its ID, once.
func (h *hooks) accept(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.accepted[id] == 0 {
		h.accepted[id]++
	}
}

func (h *hooks) counts(id string) (attempts, accepted int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.attempts[id], h.accepted[id]
}

// notifyWorker starts a worker that may call the receiver.
func notifyWorker(t *testing.T, h *hooks, env ...string) *devstack.Process {
	t.Helper()
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		t.Setenv(name, value)
	}
	return startWorker(t, "--dev-vendor-hosts", strings.Join(append(stack.DevHosts(), h.Listener.Addr().String()), ","))
}

// applyHooks gives an organization a channel, by the command line.
func applyHooks(t *testing.T, o tenant, h *hooks) {
	t.Helper()
	src := stack.Integrations(o.id, quick) + fmt.Sprintf("notifications:\n  - name: ops\n    webhook: {url: %s/hook, secret: %s}\n", h.URL, stack.Secret(o.id, "hook-secret", hookSecret))
	_, words, code := starter(t, src, "integrations", "apply", "-f", "-", "--dev-vendor-hosts", strings.Join(append(stack.DevHosts(), h.Listener.Addr().String()), ","))
	require.Equal(t, 0, code, words)
	require.Contains(t, words, "notifications to ops (webhook): created")
}

// report reports an event of an integration that leads to a notification, and
// returns that.
func (o tenant) report(t *testing.T, e notify.Event) runlog.NotificationRecord {
	t.Helper()
	pool, err := runlog.Open(t.Context(), stack.URL(devstack.Worker), 1)
	require.NoError(t, err)
	defer pool.Close()
	e.OrganizationID, e.IntegrationID = o.id, o.integrations["xledger-main"].ID
	queued, err := runlog.ReportEvent(t.Context(), pool, e)
	require.NoError(t, err)
	require.True(t, queued)
	list, err := runlog.ListNotifications(t.Context(), pool, o.id, time.Time{}, uuid.Nil)
	require.NoError(t, err)
	return list[len(list)-1]
}

// hasRejected is an export that has closed with a rejected entry.
func hasRejected(kind classify.Kind) notify.Event {
	return notify.Event{Kind: notify.ExportClosed, Facts: notify.Facts{ErrorKind: kind, Period: "2026-10", Entries: &notify.Entries{Total: 2, Rejected: 1}}}
}

// ended waits until a delivery has ended.
func (o tenant) ended(t *testing.T, id uuid.UUID) (n runlog.NotificationRecord) {
	t.Helper()
	pool, err := runlog.Open(t.Context(), stack.URL(devstack.Reader), 1)
	require.NoError(t, err)
	defer pool.Close()
	require.Eventually(t, func() bool {
		list, err := runlog.ListNotifications(t.Context(), pool, o.id, time.Time{}, id)
		require.NoError(t, err)
		n = list[0]
		return n.State != notify.DeliveryPending
	}, 90*time.Second, 100*time.Millisecond)
	return n
}

// A receiver that is away gets it when it is back; one that took it from a
// worker that died gets it again, under the same ID, and takes it once.
func TestNotifyDelivers(t *testing.T) {
	o := newTenant(t, quick)
	taken := make(chan struct{})
	release := make(chan struct{})
	var h *hooks
	h = newHooks(t, func(w http.ResponseWriter, id string, attempt int) {
		if attempt == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.accept(id)
		if attempt == 2 {
			close(taken)
			<-release
		}
	})
	first := notifyWorker(t, h)
	applyHooks(t, o, h)
	rejected := o.report(t, hasRejected(""))
	select {
	case <-taken:
	case <-time.After(time.Minute):
		t.Fatal("the receiver was not called again")
	}
	first.Kill() // it was taken, and nobody could say so
	close(release)
	notifyWorker(t, h)
	done := o.ended(t, rejected.NotificationID)
	require.Equal(t, notify.Delivered, done.State)
	require.Equal(t, classify.Unavailable, done.ErrorKind)
	attempts, accepted := h.counts(rejected.NotificationID.String())
	require.Equal(t, 3, attempts)
	require.Equal(t, 1, accepted)
	require.Empty(t, h.refused, "the library's verifier takes every attempt")
	out, words, code := starter(t, "", "notifications", "list", "--org", o.id.String(), "--since", "1h")
	require.Equal(t, 0, code, words)
	require.Contains(t, out, "refused")
	require.Contains(t, out, "delivered")
	require.Contains(t, out, "unavailable (503)")
	if recording == "services" {
		record(t, "notify-delivered", eventsOf(t, workflows.NotifyID(notify.DeliveryKey{OrganizationID: o.id, NotificationID: rejected.NotificationID, Channel: done.Channel})))
	}
}

// From the vendor, the clock and the count to the receiver: each kind of trouble
// is delivered and verified, and each that was notified has one end.
func TestTroubleIsDelivered(t *testing.T) {
	o := newTenant(t, quick)
	h := newHooks(t, func(http.ResponseWriter, string, int) {})
	applyHooks(t, o, h)
	vendor, args := watchClosely(t, o, "xledger-main")
	args[len(args)-1] += "," + h.Listener.Addr().String()
	id := o.integrations["xledger-main"].ID
	asAdmin(t, `UPDATE ledgerline.integrations SET health = '{"noProbes": true}' WHERE organization_id = $1 AND integration_id <> $2`, o.id, id)
	startWorker(t, args...)
	hourLater := func() {
		asAdmin(t, "UPDATE ledgerline.notification_windows SET opened_at = opened_at - interval '1 hour' WHERE organization_id = $1", o.id)
	}

	vendor.Script(sandbox.Rule{Status: 401})
	require.False(t, execute(t, o.ping("xledger-main")).OK)
	require.Equal(t, classify.Unauthorized, h.hears(t, "credentials", 1).Data.ErrorKind)
	vendor.Reset()
	require.Equal(t, "xledger-main", h.hears(t, "recovered", 1).Data.Integration)

	vendor.Script(sandbox.Rule{Status: 503})
	require.Equal(t, classify.Unavailable, h.hears(t, "failing", 1).Data.ErrorKind)
	vendor.Reset()
	become(t, o, "xledger-main", "healthy")
	hourLater() // the end of the first trouble took it
	h.hears(t, "recovered", 2)

	vendor.Script(sandbox.Rule{Status: 200, Body: `{"errors":[{"code":"BAD_REQUEST.INSUFFICIENT_CREDITS","message":"no"}]}`})
	require.Equal(t, classify.QuotaExhausted, h.hears(t, "failing", 2).Data.ErrorKind)
	vendor.Reset()
	require.True(t, execute(t, o.ping("xledger-main")).OK)
	become(t, o, "xledger-main", "healthy")
	hourLater()
	h.hears(t, "recovered", 3)

	asAdmin(t, `UPDATE ledgerline.integrations SET limits = '{"monthlyRequests": 1000, "warnAt": 1}' WHERE integration_id = $1`, id)
	for range 10 {
		require.True(t, execute(t, o.ping("xledger-main")).OK)
	}
	require.Equal(t, 1, h.hears(t, "quota_80", 1).Data.Quota.Percent)

	asAdmin(t, `UPDATE ledgerline.integrations SET schedule_since = date_trunc('day', now() - interval '1 hour', 'UTC') - interval '1 minute',
		limits = '{}', schedule = '{"every": "daily", "timeZone": "UTC"}' WHERE integration_id = $1`, id)
	require.Equal(t, "xledger-main", h.hears(t, "missed", 1).Data.Integration)
	period := queryStrings(t, "SELECT period FROM ledgerline.schedule_ticks WHERE integration_id = $1 ORDER BY expected_at LIMIT 1", id)[0]
	_, words, code := starter(t, "", "sync", "--org", o.id.String(), "--integration", "xledger-main", "--period", period)
	require.Zero(t, code, words)
	h.hears(t, "late", 1)

	out, words, code := starter(t, "", "health", "history", "--org", o.id.String(), "--integration", "xledger-main", "-o", "json")
	require.Zero(t, code, words)
	var changes []string
	for _, e := range fromJSON[[]struct{ Entry, To, Kind string }](t, out) {
		if e.Entry == string(runlog.HealthChange) {
			changes = append(changes, e.To+" "+e.Kind)
		}
	}
	require.Contains(t, strings.Join(changes, ", "), "degraded unauthorized, healthy ok, degraded unavailable, unreachable unavailable, healthy ok, passive quota_exhausted, healthy ok")
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Empty(t, h.refused, "the library's verifier takes every attempt")
	count := make(map[string]int)
	for _, e := range h.heard {
		count[strings.TrimPrefix(e.Type, "ledgerline.")]++
	}
	delete(count, "missed") // in the first hour of a day there are two
	require.Equal(t, map[string]int{"credentials": 1, "failing": 2, "recovered": 3, "quota_80": 1, "late": 1}, count)
}

// A test is sent at once. A receiver that says it is gone disables its channel,
// which is seen, and comes back by a test that arrives.
func TestNotifyTest(t *testing.T) {
	o := newTenant(t, quick)
	var mu sync.Mutex
	code410 := true
	h := newHooks(t, func(w http.ResponseWriter, _ string, _ int) {
		mu.Lock()
		defer mu.Unlock()
		if code410 {
			w.WriteHeader(http.StatusGone)
		}
	})
	notifyWorker(t, h)
	org := o.id.String()
	_, words, code := starter(t, "", "notifications", "test", "--org", org)
	require.Equal(t, 1, code)
	require.Contains(t, words, "no such channel")
	applyHooks(t, o, h)
	_, words, code = starter(t, "", "notifications", "test", "--org", org)
	require.Equal(t, 1, code)
	require.Contains(t, words, "ops: gone (410)")
	out, _, code := starter(t, "", "notifications", "channels", "--org", org)
	require.Equal(t, 0, code)
	require.Contains(t, out, "disabled since")
	mu.Lock()
	code410 = false
	mu.Unlock()
	_, _, code = starter(t, "", "notifications", "test", "--org", org)
	require.Equal(t, 1, code, "not used while it is disabled")
	out, words, code = starter(t, "", "notifications", "test", "--org", org, "--channel", "ops", "-o", "json")
	require.Equal(t, 0, code, words)
	require.Equal(t, notify.Delivered, fromJSON[[]statement.Notification](t, out)[0].State)
	_, words, code = starter(t, "", "notifications", "test", "--org", org)
	require.Equal(t, 0, code, words)
}

// What a vendor says, what stands in an entry and what signs go nowhere.
func TestNotifyKeepsSecrets(t *testing.T) {
	canary := "canary" + strings.ReplaceAll(uuid.NewString(), "-", "")
	b := newBook(t)
	b.text = canary
	h := newHooks(t, func(http.ResponseWriter, string, int) {})
	w := notifyWorker(t, h, "HOOK_SECRET="+hookSecret, "LEDGERLINE_SMTP_URL=smtp://u@localhost:1?from=l@example.com&password=env:HOOK_SECRET")
	applyHooks(t, b.tenant, h)
	pool, err := runlog.Open(t.Context(), stack.URL(devstack.Operator), 1)
	require.NoError(t, err)
	defer pool.Close()
	_, err = runlog.ApplyChannels(t.Context(), pool, map[uuid.UUID][]integrations.Channel{b.id: {
		{Name: "ops", Webhook: &integrations.Webhook{URL: h.URL + "/hook", Secret: "file:hook-secret"}},
		{Name: "mail", Email: &integrations.Email{To: []string{"a@example.com"}}},
	}}, "test", false)
	require.NoError(t, err)
	b.vouchers(t, "c", 1, "2026-10-05", "X"+canary, "")
	rejected := b.report(t, hasRejected(classify.Business))
	var webhook runlog.NotificationRecord
	require.Eventually(t, func() bool {
		list, err := runlog.ListNotifications(t.Context(), pool, b.id, time.Time{}, rejected.NotificationID)
		require.NoError(t, err)
		require.Len(t, list, 2)
		webhook = list[1]
		return webhook.State == "delivered" && list[0].Attempts > 0
	}, time.Minute, 100*time.Millisecond)
	var texts strings.Builder
	h.mu.Lock()
	texts.WriteString(h.bodies.String())
	h.mu.Unlock()
	texts.WriteString(w.Output())
	for _, channel := range []string{"ops", "mail"} {
		for _, e := range eventsOf(t, workflows.NotifyID(notify.DeliveryKey{NotificationID: rejected.NotificationID, Channel: channel})) {
			texts.WriteString(protojson.Format(e))
		}
	}
	for _, table := range []string{"notifications", "notification_deliveries", "notification_channels", "notification_windows", "incidents"} {
		texts.WriteString(strings.Join(queryStrings(t, "SELECT to_jsonb(x)::text FROM ledgerline."+table+" x WHERE organization_id = $1", b.id), "\n"))
	}
	require.Contains(t, texts.String(), rejected.NotificationID.String())
	for _, secret := range []string{canary, hookSecret, strings.TrimPrefix(hookSecret, "whsec_")} {
		require.NotContains(t, texts.String(), secret)
	}
}

// From the integration file to the receiver: a secret whose file says that it ends
// is notified once, without a probe, and is shown.
func TestSecretEndsIsDelivered(t *testing.T) {
	o := newTenant(t, quick)
	h := newHooks(t, func(http.ResponseWriter, string, int) {})
	end := time.Now().UTC().AddDate(0, 0, 20).Format(time.DateOnly)
	src := stack.Integrations(o.id, quick) + fmt.Sprintf("notifications:\n  - {name: ops, webhook: {url: %s/hook, secret: %s}, causes: [secret_expires]}\n", h.URL, stack.Secret(o.id, "hook-secret", hookSecret))
	src = strings.NewReplacer("    inFlight:", "    health: {probes: false}\n    inFlight:", "table: led_entries", "clientSecretExpires: "+end+", table: led_entries").Replace(src)
	hosts := strings.Join(append(stack.DevHosts(), h.Listener.Addr().String()), ",")
	_, words, code := starter(t, src, "integrations", "apply", "-f", "-", "--dev-vendor-hosts", hosts)
	require.Zero(t, code, words)
	worker := startWorker(t, "--monitors", "--dev-vendor-hosts", hosts)

	got := h.hears(t, "secret_expires", 1)
	require.Equal(t, "crm", got.Data.Integration)
	require.Equal(t, []any{"clientSecret", 30}, []any{got.Data.Secret.Credential, got.Data.Secret.Days})
	shown := healthOf(t, o, "crm")
	require.Equal(t, "clientSecret", shown.Secret.Credential)
	require.Contains(t, shown.Secret.Summary, "secret clientSecret expires in ")
	require.Contains(t, shown.Secret.Summary, "("+end+")")
	require.Nil(t, healthOf(t, o, "erp").Secret)
	require.Nil(t, healthOf(t, o, "xledger-main").Secret)
	require.Contains(t, worker.Output(), "ALERT: a secret expires in ")
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Empty(t, h.refused)
	for _, secret := range []string{sandbox.DemoClientSecret, sandbox.DemoXledgerToken} {
		require.NotContains(t, h.bodies.String()+worker.Output(), secret)
	}
}
