package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/expiry"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/runlog"
)

// recordSecrets stores when an integration's secrets end, and notifies of
// thresholds that are reached. It makes no request to the vendor. A failure is
// only logged: the next inspection tries again, and a monitor has other work.
func (a *Activities) recordSecrets(ctx context.Context, t Target, found runlog.MonitorTarget) {
	seen := a.secretExpiries(ctx, t.OrganizationID, found)
	seen.OrganizationID, seen.IntegrationID, seen.At = t.OrganizationID, t.IntegrationID, t.Now
	if !toRecord(seen, found.Secrets) {
		return
	}
	reached, err := a.options.Store.RecordSecretExpiries(ctx, seen)
	if err != nil {
		a.refusals().note("RecordSecretExpiries",
			"it could not be stored when an integration's secrets end; the next inspection tries again", err,
			"organization_id", t.OrganizationID, "integration_id", t.IntegrationID)
		return
	}
	for _, w := range reached {
		a.options.Log.Warn("ALERT: a secret "+w.When(w.At), "organization_id", w.OrganizationID, "integration_id", w.IntegrationID,
			"credential", w.Credential, "expires_at", w.ExpiresAt, "source", w.Source)
	}
}

// secretExpiries finds out when secrets end, from the settings and from the
// secrets themselves. The values stay here. What a monitor does next does not wait
// for a file that does not answer.
func (a *Activities) secretExpiries(ctx context.Context, organization uuid.UUID, found runlog.MonitorTarget) (seen runlog.SecretExpiries) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	ends := make(map[string]expiry.Secret)
	if adapter, ok := a.options.Adapters[found.Adapter]; ok {
		for _, s := range adapter.Vendor().Ends(found.Settings) {
			ends[s.Credential] = s
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found.Credentials)) {
		end, known := ends[name]
		value, err := a.options.Secrets.Resolve(ctx, organization, found.Credentials[name])
		if err == nil {
			s := expiry.Secret{Credential: name, Source: expiry.Token}
			var ok bool
			if s.IssuedAt, s.ExpiresAt, ok = expiry.JWT(value); ok && !s.ShortLived() && (!known || s.ExpiresAt.Before(end.ExpiresAt)) {
				end, known = s, true
			}
		}
		switch {
		case known:
			seen.Known = append(seen.Known, end)
		case err == nil: // one that cannot be read may have any end; calls say why it cannot
			seen.Endless = append(seen.Endless, name)
		}
	}
	return seen
}

// toRecord reports whether what was seen differs from what is stored, or a threshold
// is reached. Most inspections end here, without a transaction.
func toRecord(seen runlog.SecretExpiries, stored []expiry.Secret) bool {
	for _, s := range stored {
		if slices.Contains(seen.Endless, s.Credential) {
			return true
		}
	}
	return slices.ContainsFunc(seen.Known, func(k expiry.Secret) bool {
		_, due := k.Due(seen.At)
		return due || !slices.ContainsFunc(stored, func(s expiry.Secret) bool { return equal(s, k) })
	})
}

func equal(a, b expiry.Secret) bool {
	return a.Credential == b.Credential && a.Source == b.Source && a.IssuedAt.Equal(b.IssuedAt) && a.ExpiresAt.Equal(b.ExpiresAt)
}

// readSecrets reads the secrets that an organization's references name.
func (a *Activities) readSecrets(ctx context.Context, organization uuid.UUID, refs map[string]integrations.Ref) (map[string]string, error) {
	values := make(map[string]string, len(refs))
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		value, err := a.options.Secrets.Resolve(ctx, organization, refs[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("the credential named %s is not readable: %w", name, err))
			continue
		}
		values[name] = value
	}
	return values, errors.Join(errs...)
}
