package integrations_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
)

// What is said of a delivery that failed names the secret and the place where a worker
// looks for it, and what to do.
func TestChannelAdvice(t *testing.T) {
	organization := uuid.MustParse("7d1e0000-0000-4000-8000-000000000001")
	hook := func(ref integrations.Ref) integrations.Channel {
		return integrations.Channel{Name: "ops", Webhook: &integrations.Webhook{URL: "https://hooks.example.org/x", Secret: ref}}
	}
	mail := integrations.Channel{Name: "mail", Email: &integrations.Email{To: []string{"kari@example.org"}}}
	for _, c := range []struct {
		channel integrations.Channel
		kind    classify.Kind
		says    []string
	}{
		{hook("file:webhook-secret"), classify.Credentials, []string{"file:webhook-secret is missing", "$LEDGERLINE_SECRETS/7d1e0000-0000-4000-8000-000000000001/webhook-secret", "whsec_"}},
		{hook("env:ACME_HOOK"), classify.Credentials, []string{"env:ACME_HOOK", "variable ACME_HOOK of the worker", "LEDGERLINE_ENV_SECRETS"}},
		{hook("file:webhook-secret"), classify.Unauthorized, []string{"give hooks.example.org the same secret"}},
		{mail, classify.Credentials, []string{"LEDGERLINE_SMTP_URL"}},
		{mail, classify.Configuration, []string{"set LEDGERLINE_SMTP_URL"}},
	} {
		got := c.channel.Advice(organization, c.kind)
		for _, s := range c.says {
			require.Contains(t, got, s)
		}
	}
	for _, kind := range classify.Kinds() {
		for _, c := range []integrations.Channel{hook("file:x"), mail} {
			require.NotContains(t, c.Advice(organization, kind), "{", kind)
		}
	}
	require.Empty(t, mail.Advice(organization, classify.ServerError))
}
