package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/calls"
)

// callRef are the arguments that name a call: an ID or the first characters of one, or --last.
type callRef struct {
	org, integration string
	last             bool
}

func (o *callRef) flags(c *cobra.Command) {
	organizationFlag(c, &o.org)
	integrationFlag(c, &o.integration)
	c.Flags().BoolVar(&o.last, "last", false, "the newest call of the organization, or of --integration")
}

// callArgument is the argument of a command on a call.
func callArgument(last *bool, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 1 && *last:
			return usage("%s takes %s or --last, not both", c.CommandPath(), what)
		case len(args) == 0 && *last, len(args) == 1:
			return nil
		}
		return usage("%s takes %s, or --last, got %d; see %s --help", c.CommandPath(), what, len(args), c.CommandPath())
	}
}

// errNoOrganization is of a call that is looked up without one.
var errNoOrganization = usage("--org is missing: want it, or LEDGERLINE_ORG, for a call that is not named by its whole ID")

// parse reads what the arguments name, without the integration.
func (o *callRef) parse(args []string) (calls.Ref, error) {
	if o.last {
		if o.org == "" {
			return calls.Ref{}, errNoOrganization
		}
		return calls.Ref{Last: true}, nil
	}
	if o.integration != "" {
		return calls.Ref{}, usage("--integration goes with --last; a correlation ID names one call; leave one of the two out")
	}
	r, err := calls.ParseRef(args[0])
	if err != nil {
		return r, usage("%q: %w", args[0], err)
	}
	if _, whole := r.Whole(); !whole && o.org == "" {
		return r, errNoOrganization
	}
	return r, nil
}

// callSources connects to whoever knows calls. That one of them cannot be reached is only a
// note.
func (a *app) callSources(c *cobra.Command) (*session, calls.Sources, error) {
	s := &session{app: a, command: c}
	var sources calls.Sources
	db, dbErr := a.database(c.Context())
	if dbErr == nil {
		s.db, sources.DB = db, db
	}
	temporal, namespace, err := a.temporal(c.Context())
	switch {
	case err == nil:
		s.temporal, s.namespace, sources.Temporal = temporal, namespace, temporal
	case dbErr != nil:
		return nil, sources, errors.Join(dbErr, err)
	default:
		s.say("note: %v; showing the audit record only", err)
	}
	if dbErr != nil {
		s.say("note: %v; showing Temporal's history only", dbErr)
	}
	return s, sources, nil
}

// findCall sets the session's organization, and returns the ID of the call that is meant. A
// whole ID needs no organization.
func (s *session) findCall(sources calls.Sources, r calls.Ref, o callRef) (id uuid.UUID, err error) {
	switch {
	case o.org == "":
	case s.db != nil:
		if err := s.resolve(o.org); err != nil {
			return id, err
		}
	default:
		if s.organization, err = s.app.findOrganization(s.command.Context(), o.org); err != nil {
			return id, err
		}
	}
	if id, ok := r.Whole(); ok {
		return id, nil
	}
	if o.integration != "" {
		if s.db == nil {
			return id, fmt.Errorf("--integration %q: its name cannot be looked up without PostgreSQL; give its UUID, or set DATABASE_URL", o.integration)
		}
		if err := s.find(o.integration); err != nil {
			return id, err
		}
		r.Integration = s.integration.ID
	}
	return sources.Find(s.command.Context(), s.organization, r)
}

// workflowURL is a workflow's page in the Temporal UI.
func (a *app) workflowURL(namespace, workflowID, runID string) string {
	return fmt.Sprintf("%s/namespaces/%s/workflows/%s/%s/history", strings.TrimRight(a.uiURL, "/"), url.PathEscape(namespace), url.PathEscape(workflowID), runID)
}
