package main

import (
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/runlog"
)

// pauseNote begins the note of a schedule that was paused with its integration,
// which tells it from one that somebody paused by hand.
const pauseNote = "integration paused: "

// noteOf is the note of a schedule whose integration is paused.
func noteOf(p runlog.Pause) string { return pauseNote + p.By + ": " + p.Reason }

// integrationsPause and integrationsResume stop and restart all that calls an
// integration's vendor. Each of their steps can be repeated: after a failure in
// between the command is run again.
func (a *app) integrationsPause() *cobra.Command {
	var o pauseOptions
	c := &cobra.Command{
		Use:   "pause --org UUID --integration NAME --reason TEXT",
		Short: "Stop an integration's calls, schedule and probes",
		Long: `Stops an integration: calls are refused, its schedule does not fire, and its
vendor is not probed, until it is resumed. Who paused it and why is recorded.

Workers notice within 10 seconds; the command waits for that, so that nobody is
called any more once it has ended. Attempts under way are finished.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.reason == "" {
				return usage("--reason is missing: say why, for those who find it paused")
			}
			return o.on(a, c, func(s step) error {
				p, changed, err := runlog.PauseIntegration(c.Context(), s.db, s.in.OrganizationID, s.in.ID, whoami(), o.reason)
				if err != nil {
					return err
				}
				if changed {
					s.say("calls: paused")
				} else {
					s.say("calls: paused already, by %s at %s: %s", p.By, p.At.UTC().Format(time.RFC3339), p.Reason)
				}
				return s.after("calls are paused, the rest is not", func(temporal client.Client) error {
					return s.pauseSchedule(temporal, noteOf(p))
				})
			})
		},
	}
	o.flags(c)
	return c
}

func (a *app) integrationsResume() *cobra.Command {
	var o pauseOptions
	c := &cobra.Command{
		Use: "resume --org UUID --integration NAME", Short: "Go on with an integration that was paused", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.on(a, c, func(s step) error {
				was, err := runlog.ResumeIntegration(c.Context(), s.db, s.in.OrganizationID, s.in.ID, whoami(), o.reason)
				if err != nil {
					return err
				}
				if was != nil {
					s.say("calls: resumed; paused since %s by %s: %s", was.At.UTC().Format(time.RFC3339), was.By, was.Reason)
				} else {
					s.say("calls: were not paused")
				}
				return s.after("calls are resumed, the rest is not", s.resumeSchedule)
			})
		},
	}
	o.flags(c)
	return c
}

// pauseOptions are the flags of both.
type pauseOptions struct {
	org, integration, reason string
	noWait                   bool
}

func (o *pauseOptions) flags(c *cobra.Command) {
	organizationFlag(c, &o.org)
	c.Flags().StringVar(&o.integration, "integration", "", "`name` or UUID of the integration")
	c.Flags().StringVar(&o.reason, "reason", "", "why, for those who look later")
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait until all workers have noticed")
}

func (o *pauseOptions) on(a *app, c *cobra.Command, do func(step) error) error {
	organization, pool, err := a.organization(c, o.org)
	if err != nil {
		return err
	}
	defer pool.Close()
	in, err := findIntegration(c.Context(), pool, organization, o.integration)
	if err != nil {
		return err
	}
	if err := do(step{app: a, c: c, db: pool, in: in}); err != nil || o.noWait {
		return err
	}
	select {
	case <-time.After(activities.Freshness):
	case <-c.Context().Done():
	}
	say(c.ErrOrStderr(), "all workers have noticed")
	return nil
}
