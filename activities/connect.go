package activities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/adapters"
	"github.com/ledgerline/ledgerline/classify"
	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/limits"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/secrets"
)

// Rules of attempts that made no call because of their integration.
const (
	ruleUnknownIntegration = "integration:unknown"     // the organization has no such integration
	rulePaused             = "integration:paused"      // it is paused
	ruleCredentials        = "integration:credentials" // its secrets could not be read
)

// destination is where an attempt leads.
type destination struct {
	adapter adapters.Adapter
	spec    integrations.Integration // also if the attempt gets no further; zero if there is none
	host    limits.Host              // zero until the connection is complete
}

// connect finds the integration and fills in the destination and the connection, or
// returns why nothing is sent. The organization is checked before any secret is read.
func (a *Activities) connect(ctx context.Context, in Invocation, conn *adapters.Conn, to *destination) *classify.Verdict {
	refuse := func(k classify.Kind, rule, format string, args ...any) *classify.Verdict {
		v := adapters.Fault(k, rule, fmt.Sprintf(format, args...))
		return &v
	}
	spec, err := a.options.Store.Integration(ctx, in.OrganizationID, in.IntegrationID)
	to.spec = spec
	switch {
	case errors.Is(err, runlog.ErrNotFound):
		return refuse(classify.Configuration, ruleUnknownIntegration,
			"organization %s has no integration %s; see starter integrations list", in.OrganizationID, in.IntegrationID)
	case err != nil:
		return refuse(classify.Dependency, "integration:unavailable", "the integration could not be looked up: %v", err)
	case spec.Adapter != in.AdapterName:
		return refuse(classify.Configuration, "integration:adapter",
			"integration %s uses adapter %s, not %s; nothing was sent", spec.Name, spec.Adapter, in.AdapterName)
	}
	pause, err := a.options.Store.Pause(ctx, in.OrganizationID, in.IntegrationID)
	switch {
	case err != nil:
		return refuse(classify.Dependency, "integration:unavailable", "whether the integration is paused could not be looked up: %v", err)
	case pause != nil:
		return refuse(classify.Paused, rulePaused, "integration %s was paused by %s at %s: %s; starter integrations resume --org %s --integration %s",
			spec.Name, pause.By, pause.At.UTC().Format(time.RFC3339), pause.Reason, in.OrganizationID, spec.Name)
	}
	var ok bool
	if to.adapter, ok = a.options.Adapters[spec.Adapter]; !ok {
		return refuse(classify.Configuration, "integration:adapter", "this worker has no adapter %q; it has %s",
			spec.Adapter, strings.Join(slices.Sorted(maps.Keys(a.options.Adapters)), ", "))
	}
	if conn.BaseURL, err = url.Parse(spec.BaseURL); err != nil {
		return refuse(classify.Configuration, "integration:baseURL", "the integration's base URL is not valid")
	}
	if refusal := a.meter(in, spec, conn); refusal != nil {
		return refusal
	}
	conn.Adapter, conn.Settings = spec.Adapter, spec.Settings
	conn.Credentials, err = a.readSecrets(ctx, in.OrganizationID, spec.Credentials)
	switch {
	case errors.Is(err, secrets.ErrHangs): // it may pass, and the vendor has no part in it
		return refuse(classify.Dependency, ruleCredentials, "%v", err)
	case ctx.Err() != nil && err != nil:
		v := classify.Err(ctx.Err())
		return &v
	case err != nil:
		return refuse(classify.Credentials, ruleCredentials, "%v", err)
	}
	return nil
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
