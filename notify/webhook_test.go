package notify_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/notify"
)

// secretOf is a signing secret that is nobody's.
func secretOf(letter string) string {
	return "whsec_" + strings.Repeat(letter, 32) // the base64 of 24 bytes
}

func message() notify.Message {
	export := uuid.New()
	return notify.Message{ID: uuid.New(), Integration: "xledger-main", Export: "2026-10 --integration xledger-main", Adapter: "xledger", Notification: notify.Notification{
		OrganizationID: uuid.New(), IntegrationID: uuid.New(), Cause: notify.Rejected, OccurredAt: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC),
		Facts: notify.Facts{ExportID: &export, Period: "2026-10", Entries: &notify.Entries{Total: 10, Exported: 7, Rejected: 3}, Others: []string{"crm"}},
	}}
}

// receiver is a server that keeps what it gets.
type receiver struct {
	*httptest.Server
	sender notify.Webhook

	mu       sync.Mutex
	requests []received
}

type received struct {
	header http.Header
	body   []byte
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.requests = append(r.requests, received{req.Header.Clone(), body})
		r.mu.Unlock()
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	roots := x509.NewCertPool()
	roots.AddCert(r.Certificate())
	hosts := []string{r.Listener.Addr().String()}
	client := adapters.Guarded(adapters.ClientOptions{DevHosts: hosts, TLS: &tls.Config{RootCAs: roots}})
	t.Cleanup(client.CloseIdleConnections)
	r.sender = notify.Webhook{HTTP: client, DevHosts: hosts}
	return r
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// The library's own verifier takes what is sent, and refuses it when it is old,
// changed, or said to be another.
func TestSignature(t *testing.T) {
	r := newReceiver(t, status(204))
	m := message()
	require.True(t, r.sender.Send(t.Context(), r.URL+"/hook", secretOf("a"), m).Delivered())
	require.True(t, r.sender.Send(t.Context(), r.URL+"/hook", secretOf("a"), m).Delivered(), "a second attempt")
	require.Len(t, r.requests, 2)
	verifier, err := standardwebhooks.NewWebhook(secretOf("a"))
	require.NoError(t, err)
	for _, got := range r.requests {
		require.NoError(t, verifier.Verify(got.body, got.header))
		require.Equal(t, m.ID.String(), got.header.Get("webhook-id"), "the same at every attempt")
		require.NotContains(t, string(got.body)+got.header.Get("webhook-signature"), secretOf("a"))
	}
	require.Equal(t, r.requests[0].body, r.requests[1].body)

	got := r.requests[0]
	with := func(name, value string) http.Header {
		h := got.header.Clone()
		h.Set(name, value)
		return h
	}
	old := strconv.FormatInt(time.Now().Add(-10*time.Minute).Unix(), 10)
	require.Error(t, verifier.Verify(got.body, with("webhook-timestamp", old)), "an old timestamp")
	require.Error(t, verifier.Verify(got.body, with("webhook-id", uuid.NewString())), "another id")
	require.Error(t, verifier.Verify(append(got.body, ' '), got.header), "another body")
	signed, err := verifier.Sign(m.ID.String(), time.Now().Add(-10*time.Minute), got.body)
	require.NoError(t, err)
	replay := with("webhook-timestamp", old)
	replay.Set("webhook-signature", signed)
	require.ErrorIs(t, verifier.Verify(got.body, replay), standardwebhooks.ErrMessageTooOld, "a replay as it was")
	other, err := standardwebhooks.NewWebhook(secretOf("b"))
	require.NoError(t, err)
	require.Error(t, other.Verify(got.body, got.header), "another secret")
}

func TestBody(t *testing.T) {
	m := message()
	body, err := m.JSON()
	require.NoError(t, err)
	var got struct {
		Type      string
		Timestamp time.Time
		Data      map[string]any
	}
	require.NoError(t, json.Unmarshal(body, &got))
	require.Equal(t, "ledgerline.rejected", got.Type)
	require.True(t, got.Timestamp.Equal(m.Notification.OccurredAt))
	require.Equal(t, "xledger-main", got.Data["integration"])
	require.Equal(t, "2026-10", got.Data["period"])
	require.EqualValues(t, 3, got.Data["entries"].(map[string]any)["rejected"])
	require.Contains(t, got.Data["commands"], "starter exports show 2026-10 --integration xledger-main --org "+m.Notification.OrganizationID.String())
}

// Every cause has words, and none shows a place that was not filled.
func TestWordings(t *testing.T) {
	require.Len(t, notify.Causes(), 18)
	for _, cause := range notify.Causes() {
		for _, export := range []bool{true, false} {
			m := message()
			m.Notification.Cause = cause
			if !export {
				m.Notification.Facts = notify.Facts{}
			}
			require.NoError(t, m.Notification.Validate())
			body, err := m.JSON()
			require.NoError(t, err)
			for _, text := range []string{m.Subject(), m.Text(), string(body)} {
				require.NotContains(t, text, "{integration}")
				require.NotContains(t, text, "{export}")
				require.NotContains(t, text, "{organization}")
				require.NotContains(t, text, "{percent}")
				require.NotContains(t, text, "{secret}")
				require.NotContains(t, text, "{remedy}")
				require.NotContains(t, text, "show  ")
			}
		}
	}
}

// The pages have every cause: the list of causes, and what to do for each that
// is about trouble.
func TestCausesAreDocumented(t *testing.T) {
	page := func(name string) string {
		text, err := os.ReadFile("../docs/" + name)
		require.NoError(t, err)
		return string(text)
	}
	_, list, found := strings.Cut(page("notifications.md"), "| cause | when | see |")
	require.True(t, found)
	for _, cause := range notify.Causes() {
		require.Regexp(t, "(?m)^\\|.*`"+cause.Name()+"`.* \\|", list)
		if cause != notify.Test {
			require.Regexp(t, "(?m)^### (.*, )?"+cause.Name()+"(, .*)?$", page("operations.md"))
		}
	}
}

// A secret that ends is named with its date and what to do, by who says when it
// ends. One that the hour of the cause kept back has no facts of its own.
func TestSecretEnds(t *testing.T) {
	end := time.Date(2026, 12, 8, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		secret        *notify.Secret
		subject, does string
	}{
		"ahead":      {&notify.Secret{Credential: "clientSecret", Source: expiry.File, ExpiresAt: end, Days: 30}, "secret clientSecret expires in 14 days (2026-12-08)", "Create a new client secret in Entra"},
		"expired":    {&notify.Secret{Credential: "token", Source: expiry.Token, ExpiresAt: end.AddDate(0, 0, -15)}, "secret token expired yesterday (2026-11-23)", "Get a new token"},
		"suppressed": {nil, "a secret expires or has expired", "Create a new secret at the vendor"},
	} {
		m := message()
		m.Notification.Cause, m.Notification.Facts = notify.SecretExpires, notify.Facts{Secret: c.secret}
		require.NoError(t, m.Notification.Validate())
		require.Equal(t, "[Ledgerline] xledger-main: "+c.subject, m.Subject(), name)
		body, err := m.JSON()
		require.NoError(t, err)
		for _, text := range []string{m.Text(), string(body)} {
			require.Contains(t, text, "xledger-main: "+c.subject+".", name)
			require.Contains(t, text, c.does, name)
			require.Contains(t, text, "starter health --org ", name)
		}
		if c.secret != nil {
			require.Regexp(t, "secret +"+c.secret.Credential+"\nexpires +"+c.secret.ExpiresAt.Format(time.RFC3339)+", according to ", m.Text(), name)
			var got struct {
				Data struct{ Secret notify.Secret }
			}
			require.NoError(t, json.Unmarshal(body, &got))
			require.Equal(t, *c.secret, got.Data.Secret)
		}
	}
}

// A message names all integrations that it concerns, also those that came
// within the hour of the last one.
func TestOthersAreNamed(t *testing.T) {
	m := message()
	m.Notification.Facts.Others = []string{"erp"}
	m.Notification.Facts.Earlier = &notify.Earlier{Count: 7, Integrations: []string{"crm", m.Integration, "erp"}}
	body, err := m.JSON()
	require.NoError(t, err)
	require.Contains(t, m.Subject(), "(and 2 more)")
	for _, text := range []string{m.Text(), string(body)} {
		require.Contains(t, text, m.Integration+" has refused entries (also erp, crm).")
	}
}

// Text that somebody wrote does not get in, and is not repeated.
func TestValidate(t *testing.T) {
	canary := strings.Join([]string{"Bearer", "s3cr3t"}, " ")
	for name, change := range map[string]func(*notify.Notification){
		"cause":  func(n *notify.Notification) { n.Cause = notify.Cause(canary) },
		"kind":   func(n *notify.Notification) { n.Facts.ErrorKind = classify.Kind(canary) },
		"period": func(n *notify.Notification) { n.Facts.Period = canary },
		"others": func(n *notify.Notification) { n.Facts.Others = []string{canary} },
		"secret": func(n *notify.Notification) { n.Facts.Secret = &notify.Secret{Credential: canary, Source: expiry.File} },
		"source": func(n *notify.Notification) {
			n.Facts.Secret = &notify.Secret{Credential: "token", Source: expiry.Source(canary)}
		},
		"month":        func(n *notify.Notification) { n.Facts.Quota = &notify.Quota{Month: canary} },
		"too many":     func(n *notify.Notification) { n.Facts.Others = make([]string, notify.MaxNames+1) },
		"integration":  func(n *notify.Notification) { n.IntegrationID = uuid.Nil },
		"organization": func(n *notify.Notification) { n.OrganizationID = uuid.Nil },
	} {
		n := message().Notification
		require.NoError(t, n.Validate())
		change(&n)
		err := n.Validate()
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), canary)
	}
}

func TestWebhookResults(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   notify.Result
	}{
		"200":                  {status(200), notify.Result{Kind: classify.OK, Status: 200}},
		"204":                  {status(204), notify.Result{Kind: classify.OK, Status: 204}},
		"400":                  {status(400), notify.Result{Kind: classify.BadRequest, Status: 400, Permanent: true}},
		"404":                  {status(404), notify.Result{Kind: classify.NotFound, Status: 404, Permanent: true}},
		"408":                  {status(408), notify.Result{Kind: classify.RequestTimeout, Status: 408}},
		"410":                  {status(410), notify.Result{Kind: notify.Gone, Status: 410, Permanent: true}},
		"425":                  {status(425), notify.Result{Kind: classify.TooEarly, Status: 425}},
		"429 with Retry-After": {status(429, "Retry-After", "77"), notify.Result{Kind: classify.RateLimited, Status: 429, RetryAfter: 77 * time.Second}},
		"501":                  {status(501), notify.Result{Kind: classify.Unsupported, Status: 501}},
		"503 with nonsense":    {status(503, "Retry-After", "-1"), notify.Result{Kind: classify.Unavailable, Status: 503}},
		"400 with Retry-After": {status(400, "Retry-After", "5"), notify.Result{Kind: classify.BadRequest, Status: 400, Permanent: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, c.answer)
			require.Equal(t, c.want, r.sender.Send(t.Context(), r.URL, secretOf("a"), message()))
		})
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var r *receiver
	r = newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, r.URL+"/else", http.StatusTemporaryRedirect)
	})
	got := r.sender.Send(t.Context(), r.URL, secretOf("a"), message())
	require.Equal(t, notify.Result{Kind: classify.Redirect, Status: 307, Permanent: true}, got)
	require.Len(t, r.requests, 1)
}

// An endless answer does not hold the sender, and is not kept.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, func(w http.ResponseWriter, req *http.Request) {
		for chunk := make([]byte, 32<<10); req.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	require.True(t, r.sender.Send(t.Context(), r.URL, secretOf("a"), message()).Delivered())
}

// Only public names over https, and nothing that resolves to an address inside.
func TestWebhookStaysOutside(t *testing.T) {
	t.Parallel()
	inside := newReceiver(t, status(200))
	client := adapters.Guarded(adapters.ClientOptions{})
	for _, address := range []string{
		"http://hooks.example.com/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/", "https://localhost/", "https://db.internal/",
		"https://hooks.example.com:8443/", "https://u:p@hooks.example.com/", "https://hooks.example.com/#x", "ftp://hooks.example.com/", inside.URL,
	} {
		got := notify.Webhook{HTTP: client}.Send(t.Context(), address, secretOf("a"), message())
		require.True(t, got.Permanent, address)
		require.Equal(t, classify.Configuration, got.Kind, address)
	}
	require.Empty(t, inside.requests)
}

func TestTransportErrorsAreTriedAgain(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, status(200))
	address := r.URL
	strange := notify.Webhook{HTTP: adapters.Guarded(adapters.ClientOptions{DevHosts: r.sender.DevHosts}), DevHosts: r.sender.DevHosts}
	got := strange.Send(t.Context(), address, secretOf("a"), message())
	require.Equal(t, classify.TLS, got.Kind, "an authority that is not known")
	require.False(t, got.Permanent)
	r.Close()
	got = r.sender.Send(t.Context(), address, secretOf("a"), message())
	require.Equal(t, classify.Network, got.Kind)
	require.False(t, got.Permanent)
}

// Another secret of the worker cannot become a key.
func TestCheckSecret(t *testing.T) {
	require.NoError(t, notify.CheckSecret(secretOf("a")))
	for _, bad := range []string{"", "whsec_", "whsec_short", strings.Repeat("a", 32), "postgres://user:word@host/db", "whsec_" + strings.Repeat("!", 32), "whsec_" + strings.Repeat("a", 400)} {
		err := notify.CheckSecret(bad)
		require.Error(t, err)
		if bad != "" {
			require.NotContains(t, err.Error(), "word@host")
		}
		got := notify.Webhook{HTTP: http.DefaultClient}.Send(t.Context(), "https://hooks.example.com/", bad, message())
		require.Equal(t, classify.Credentials, got.Kind)
		require.False(t, got.Permanent)
	}
}
