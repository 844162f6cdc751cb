package integrations_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
)

const channels = `notifications:
  - name: ops
    webhook: {url: https://hooks.example.com/ledgerline, secret: env:HOOK}
  - name: finance
    email: {to: [a@example.com, b@example.com]}
    causes: [missed, refused]
`

func TestChannels(t *testing.T) {
	org := uuid.MustParse("7b0b9f3e-0a51-4d0c-9c53-0c4f6a3a1f10")
	f, err := integrations.ParseFile("x.yaml", []byte(good+channels), integrations.Options{})
	require.NoError(t, err)
	require.Len(t, f.Integrations, 2)
	before, err := integrations.ParseFile("x.yaml", []byte(good+strings.ReplaceAll(channels, "refused", "rejected")), integrations.Options{})
	require.NoError(t, err, "files of earlier versions name the cause as the record does")
	require.Equal(t, f.Channels, before.Channels)
	require.Equal(t, []integrations.Channel{
		{Name: "ops", Webhook: &integrations.Webhook{URL: "https://hooks.example.com/ledgerline", Secret: "env:HOOK"}},
		{Name: "finance", Email: &integrations.Email{To: []string{"a@example.com", "b@example.com"}}, Causes: []notify.Cause{notify.Missed, notify.Rejected}},
	}, f.Channels[org])
	f, err = integrations.ParseFile("x.yaml", []byte(good+"notifications: []\n"), integrations.Options{})
	require.NoError(t, err)
	require.Equal(t, []integrations.Channel{}, f.Channels[org], "stated: none")
	f, err = integrations.ParseFile("x.yaml", []byte(good), integrations.Options{})
	require.NoError(t, err)
	require.NotContains(t, f.Channels, org, "not stated")
}

func TestChannelErrors(t *testing.T) {
	for name, c := range map[string]struct{ old, new, says string }{
		"a secret in the file": {"env:HOOK", "whsec_s3cr3tvalue", "x.yaml:17:66: notifications[0].webhook.secret: a secret must not stand in the file"},
		"plain http":           {"https://hooks", "http://hooks", "want https"},
		"an address inside":    {"hooks.example.com", "10.0.0.1", "want a public name"},
		"a query":              {"https://hooks.example.com/ledgerline", `"https://hooks.example.com/?token=s3cr3tvalue"`, "has a query"},
		"a password":           {"https://hooks", "https://u:s3cr3tvalue@hooks", "user or password"},
		"same name":            {"name: finance", "name: ops", "duplicate name"},
		"bad name":             {"name: finance", "name: Finance!", "lower-case"},
		"both ways":            {"    causes: [missed, refused]\n", "    webhook: {url: https://hooks.example.com/, secret: env:HOOK}\n", "either webhook or email"},
		"no way":               {"    email: {to: [a@example.com, b@example.com]}\n", "", "either webhook or email"},
		"bad address":          {"a@example.com", `"a@example.com\r\nBcc: x@example.com"`, "not a plain e-mail address"},
		"same address":         {"b@example.com", "a@example.com", "duplicate address"},
		"nobody":               {"[a@example.com, b@example.com]", "[]", "1 to 20 addresses"},
		"unknown cause":        {"missed", "mised", "did you mean missed?"},
		"no end":               {"missed", "failing", "has failing without recovered"},
		"no end of an export":  {"missed", "export_failed", "has export_failed without export_recovered"},
		"unknown field":        {"    email:", "    mail:", "did you mean email?"},
		"a mail server":        {"{to:", "{smtp: x, to:", "unknown field"},
		"no list":              {channels, "notifications: x\n", "want a list"},
		"two sections":         {channels, channels + "---\n" + strings.Replace(strings.ReplaceAll(good, "8f00", "8f01"), "x.yaml", "", 1) + channels, "a notifications section above"},
	} {
		t.Run(name, func(t *testing.T) {
			src := strings.Replace(good+channels, c.old, c.new, 1)
			require.NotEqual(t, good+channels, src)
			_, err := integrations.ParseFile("x.yaml", []byte(src), integrations.Options{})
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "s3cr3tvalue")
		})
	}
}
