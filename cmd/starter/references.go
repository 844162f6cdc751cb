package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/secrets"
)

// secretReference is a place in a file that names a secret.
type secretReference struct {
	organization      uuid.UUID
	owner, kind, name string // "crm", "dataverse", "clientSecret"
	ref               integrations.Ref
	check             func(secret string) error // nil takes any
}

// secretReferences lists the secrets that a file names, in its order.
func secretReferences(file integrations.File) (list []secretReference) {
	for _, in := range file.Integrations {
		for _, name := range slices.Sorted(maps.Keys(in.Credentials)) {
			list = append(list, secretReference{in.OrganizationID, in.Name, in.Adapter, name, in.Credentials[name], nil})
		}
	}
	for _, organization := range slices.SortedFunc(maps.Keys(file.Channels), func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) }) {
		for _, ch := range file.Channels[organization] {
			if ch.Webhook != nil {
				list = append(list, secretReference{organization, ch.Name, "webhook", "secret", ch.Webhook.Secret, notify.CheckSecret})
			}
		}
	}
	return list
}

// resolve reads a secret here; the error says why it cannot be used.
func (r secretReference) resolve(ctx context.Context, store *secrets.Store) error {
	secret, err := store.Resolve(ctx, r.organization, r.ref)
	if err == nil && r.check != nil {
		err = r.check(secret)
	}
	return err
}

// checkReferences checks that the env: references of a file have the prefixes of
// their organizations, if LEDGERLINE_ENV_SECRETS is set here as it is for the
// worker; otherwise it warns that this was not checked.
func checkReferences(words io.Writer, file integrations.File) error {
	store, err := secrets.FromEnv(os.Getenv)
	if err != nil {
		return usage("%w", err)
	}
	strict := &secrets.Store{Prefixes: store.Prefixes} // the switch for development relaxes nothing here
	var errs []error
	var unchecked []string
	for _, r := range secretReferences(file) {
		switch {
		case !strings.HasPrefix(string(r.ref), "env:") || store.DevShared && store.Prefixes == nil:
		case store.Prefixes == nil:
			unchecked = append(unchecked, string(r.ref))
		default:
			if err := strict.Check(r.organization, r.ref); err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", r.owner, r.name, err))
			}
		}
	}
	if len(errs) > 0 {
		return usage("the file cannot be used:\n%w", errors.Join(errs...))
	}
	if len(unchecked) > 0 {
		slices.Sort(unchecked)
		return say(words, "warning: LEDGERLINE_ENV_SECRETS is not set here, so it was not checked whether the worker may read %s; the worker refuses unless its LEDGERLINE_ENV_SECRETS gives the organization a prefix of each",
			strings.Join(slices.Compact(unchecked), ", "))
	}
	return nil
}
