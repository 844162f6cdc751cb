package activities_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/health"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

var (
	secretEnd = time.Date(2026, 12, 8, 0, 0, 0, 0, time.UTC)
	hour      = time.Hour
)

// tokenOf makes a JSON Web Token with these claims.
func tokenOf(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part([]byte(claims)) + "." + part([]byte("s3cr3t-signature"))
}

// keeper watches an integration and keeps what is stored of its secrets.
type keeper struct {
	*watching
	path  string // of the secret
	saved []runlog.SecretExpiries
	fails error
	noted []int
}

func keep(t *testing.T, adapter, secret string) *keeper {
	t.Helper()
	k := &keeper{watching: watch(t, adapter)}
	k.path = filepath.Join(k.secrets.Dir, k.target.OrganizationID.String(), "secret")
	k.write(t, secret)
	k.env.RegisterActivity(k.acts.Inspect)
	name := "clientSecret"
	if adapter == "xledger" {
		name = "token"
	}
	k.watched.Credentials = map[string]integrations.Ref{name: "file:secret"}
	k.watched.Policy.NoProbes = true
	k.saveSecrets = func(s runlog.SecretExpiries) (reached []runlog.SecretWarning, err error) {
		if k.fails != nil {
			return nil, k.fails
		}
		k.saved = append(k.saved, s)
		k.watched.Secrets = s.Known
		for _, known := range s.Known {
			if days, due := known.Due(s.At); due {
				k.noted = append(k.noted, days)
				reached = append(reached, runlog.SecretWarning{OrganizationID: s.OrganizationID, IntegrationID: s.IntegrationID, At: s.At, Secret: known, Days: days})
			}
		}
		return reached, nil
	}
	return k
}

func (k *keeper) write(t *testing.T, secret string) {
	t.Helper()
	require.NoError(t, os.WriteFile(k.path, []byte(secret), 0o600))
}

// look lets a monitor look at a time, and returns what was stored.
func (k *keeper) look(t *testing.T, at time.Time) (seen []runlog.SecretExpiries) {
	t.Helper()
	k.saved = nil
	target := k.target
	target.Now = at
	w := run[activities.InspectResult](t, k.watching, k.acts.Inspect, activities.InspectInput{Target: target})
	require.False(t, w.Gone)
	for _, s := range k.saved {
		require.Equal(t, []any{target.OrganizationID, target.IntegrationID}, []any{s.OrganizationID, s.IntegrationID})
		require.True(t, s.At.Equal(at))
	}
	require.Empty(t, k.sandbox.Log(), "nobody is asked")
	return k.saved
}

// A token says when it ends, a setting says it of a client secret, and of both
// the earlier one counts.
func TestWhenSecretsEnd(t *testing.T) {
	now := secretEnd.Add(-100 * 24 * hour)
	ends := func(at time.Time, more string) string { return tokenOf(fmt.Sprintf(`{"exp":%d%s}`, at.Unix(), more)) }
	for name, c := range map[string]struct {
		adapter, secret, setting string
		want                     []expiry.Secret
		endless                  []string
	}{
		"opaque":        {"xledger", "s3cr3tvalue", "", nil, nil},
		"token":         {"xledger", ends(secretEnd, ""), "", []expiry.Secret{{Credential: "token", Source: expiry.Token, ExpiresAt: secretEnd}}, nil},
		"token and age": {"xledger", ends(secretEnd, fmt.Sprintf(`,"iat":%d`, now.Unix())), "", []expiry.Secret{{Credential: "token", Source: expiry.Token, IssuedAt: now, ExpiresAt: secretEnd}}, nil},
		"of an hour":    {"xledger", ends(now.Add(hour), fmt.Sprintf(`,"iat":%d`, now.Unix())), "", nil, nil},
		"absurd":        {"xledger", tokenOf(`{"exp":1e300}`), "", nil, nil},
		"setting":       {"dataverse", "s3cr3tvalue", "2026-12-08", []expiry.Secret{{Credential: "clientSecret", Source: expiry.File, ExpiresAt: secretEnd}}, nil},
		"no setting":    {"businesscentral", "s3cr3tvalue", "", nil, nil},
		"both, the setting first": {"businesscentral", ends(secretEnd.Add(hour), ""), "2026-12-08",
			[]expiry.Secret{{Credential: "clientSecret", Source: expiry.File, ExpiresAt: secretEnd}}, nil},
		"both, the token first": {"businesscentral", ends(secretEnd.Add(-hour), ""), "2026-12-08",
			[]expiry.Secret{{Credential: "clientSecret", Source: expiry.Token, ExpiresAt: secretEnd.Add(-hour)}}, nil},
		"setting, and no secret": {"dataverse", "", "2026-12-08", []expiry.Secret{{Credential: "clientSecret", Source: expiry.File, ExpiresAt: secretEnd}}, nil},
		"not a setting of it":    {"xledger", "s3cr3tvalue", "2026-12-08", nil, nil},
		"huge":                   {"xledger", ends(secretEnd, `,"x":"`+strings.Repeat("x", 20<<10)+`"`), "", nil, nil},
	} {
		k := keep(t, c.adapter, c.secret)
		if c.setting != "" {
			k.watched.Settings = map[string]string{"clientSecretExpires": c.setting}
		}
		seen := k.look(t, now)
		if c.want == nil {
			require.Empty(t, seen, "%s: nothing to store, nothing to take away", name)
			continue
		}
		require.Len(t, seen, 1, name)
		require.Equal(t, c.want, seen[0].Known, name)
		require.Empty(t, k.look(t, now), "%s: the same again is not stored again", name)
		require.Empty(t, k.noted)
		require.NotContains(t, k.log.String(), "s3cr3t")
		if c.secret != "" {
			require.NotContains(t, fmt.Sprintf("%+v", seen), c.secret)
		}
	}
}

// A renewed secret is seen by the next look; one that cannot be read changes
// nothing, and one without an end takes the end away.
func TestSecretIsRenewed(t *testing.T) {
	until := func(at time.Time) string { return tokenOf(fmt.Sprintf(`{"exp":%d}`, at.Unix())) }
	k := keep(t, "xledger", until(secretEnd))
	k.look(t, secretEnd.Add(-7*24*hour))
	k.look(t, secretEnd.Add(-6*24*hour))
	require.Equal(t, []int{7, 7}, k.noted, "the database says that it was notified before")
	require.Contains(t, k.log.String(), `"ALERT: a secret expires in 7 days (2026-12-08)"`)

	k.write(t, until(secretEnd.Add(365*24*hour)))
	seen := k.look(t, secretEnd.Add(-5*24*hour))
	require.True(t, seen[0].Known[0].ExpiresAt.Equal(secretEnd.Add(365*24*hour)))
	require.Len(t, k.noted, 2)

	require.NoError(t, os.Remove(k.path))
	require.Empty(t, k.look(t, secretEnd.Add(-4*24*hour)))
	k.write(t, "an opaque one")
	seen = k.look(t, secretEnd.Add(-3*24*hour))
	require.Equal(t, []string{"token"}, seen[0].Endless)
	require.Empty(t, seen[0].Known)
	for _, text := range []string{"s3cr3t", "eyJ", "opaque"} {
		require.NotContains(t, k.log.String(), text)
	}
}

// A database that is away keeps no monitor from its work.
func TestSecretsAreNotStored(t *testing.T) {
	k := keep(t, "xledger", tokenOf(fmt.Sprintf(`{"exp":%d}`, secretEnd.Unix())))
	k.fails = errors.New("away")
	require.Empty(t, k.look(t, secretEnd))
	require.Contains(t, k.log.String(), "the next inspection tries again")
	require.NotContains(t, k.log.String(), "ALERT")
	k.fails = nil
	k.look(t, secretEnd)
	require.Contains(t, k.log.String(), "ALERT: a secret expired today (2026-12-08)")
}

// A probe that is due looks too: where there are probes there may be no other
// look. It asks no more of the vendor than before.
func TestProbeLooksAtSecrets(t *testing.T) {
	for name, c := range map[string]struct {
		paused   bool
		policy   health.Policy
		requests int
	}{"probed": {false, health.Policy{}, 1}, "switched off": {false, health.Policy{NoProbes: true}, 0}, "paused": {true, health.Policy{}, 0}} {
		k := keep(t, "xledger", tokenOf(fmt.Sprintf(`{"exp":%d}`, secretEnd.Unix())))
		k.watched.Paused, k.watched.Policy = c.paused, c.policy
		target := k.target
		target.Now = secretEnd.Add(-hour)
		run[activities.ProbeResult](t, k.watching, k.acts.Probe, activities.ProbeInput{Target: target, Planned: target.Now})
		require.Equal(t, []int{1}, k.noted, name)
		require.Len(t, k.sandbox.Log(), c.requests, name)
	}
}
