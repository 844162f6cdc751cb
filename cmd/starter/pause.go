package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/activities"
	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/runlog"
)

// integrationsPause and integrationsResume stop and restart everything that calls
// an integration's vendor. Each step can be repeated: after an error in between,
// the command is run again.
func (a *app) integrationsPause() *cobra.Command {
	var o pauseOptions
	c := &cobra.Command{
		Use:   "pause NAME --org NAME --reason TEXT",
		Short: "Stop an integration's calls, schedule and probes",
		Long: `Stops an integration: calls are refused, its schedule does not fire, and its
vendor is not probed, until it is resumed. Who paused it and why is recorded.

Each worker says when it has read that, within 10 seconds. The command waits for all
that run, so that the vendor is no longer called once it has ended, and exits 1 if one
has not. One that says nothing, since it was killed for example, is named. Attempts
under way are finished.`,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.reason == "" {
				return usage("--reason is missing: say why, for those who find it paused")
			}
			return o.run(a, c, func(s *session) error {
				p, changed, err := runlog.PauseIntegration(c.Context(), s.db, s.organization, s.integration.ID, whoami(), o.reason)
				if err != nil {
					return err
				}
				if changed {
					s.say("calls: paused")
				} else {
					s.say("calls: paused already, by %s since %s: %s", p.By, local(p.At.Local()), p.Reason)
				}
				return s.applyPause("calls are paused; the schedule and the probes may not be", func() error { return s.pauseSchedule(engine.PauseNote(p)) })
			})
		},
	}
	o.flags(c)
	return c
}

func (a *app) integrationsResume() *cobra.Command {
	var o pauseOptions
	c := &cobra.Command{
		Use: "resume NAME --org NAME", Short: "Resume an integration that was paused",
		Long: `Resumes an integration that was paused: its calls, its schedule and its probes. The
command waits until every worker that runs knows of it, and exports that wait look
again at once.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(a, c, func(s *session) error {
				was, err := runlog.ResumeIntegration(c.Context(), s.db, s.organization, s.integration.ID, whoami(), o.reason)
				if err != nil {
					return err
				}
				if was != nil {
					s.say("calls: resumed; paused since %s by %s: %s", local(was.At.Local()), was.By, was.Reason)
				} else {
					s.say("calls: were not paused")
				}
				if err := s.applyPause("calls are resumed; the schedule and the probes may not be", s.resumeSchedule); err != nil {
					return err
				}
				return s.wakeExports()
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
	integrationObject(c, &o.integration)
	c.Flags().StringVar(&o.reason, "reason", "", "why, for those who look later")
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait until every worker knows of it")
}

// run changes an integration with do and waits until all workers know of it.
func (o *pauseOptions) run(a *app, c *cobra.Command, do func(*session) error) error {
	s, err := a.openIntegration(c, o.org, o.integration)
	if err != nil {
		return err
	}
	defer s.close()
	if err := do(s); err != nil || o.noWait {
		return err
	}
	notice, err := runlog.AwaitPauseRead(c.Context(), s.db, activities.Freshness, 2*activities.Freshness)
	if err != nil {
		return fmt.Errorf("it holds, but which workers know of it is not known: %w", err)
	}
	s.say("%s", notice.Says())
	if len(notice.Unread) > 0 {
		return errors.New("it holds, but not every worker that runs knows of it: see above; run the command again, or starter doctor")
	}
	return nil
}

// applyPause does what needs Temporal: the schedule, then the monitor. done says
// what is done already if that fails.
func (s *session) applyPause(done string, schedule func() error) error {
	err := s.connect()
	if err == nil && s.integration.Schedule != nil {
		err = schedule()
	}
	if err == nil {
		err = engine.RefreshMonitor(s.command.Context(), s.temporal, s.organization, s.integration.ID, s.integration.Name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; run the command again", done, err)
	}
	s.say("probes: notified")
	return nil
}

// wakeExports makes exports that wait because the integration was paused look again.
func (s *session) wakeExports() error {
	pending, err := runlog.ListPendingExportsOf(s.command.Context(), s.db, s.organization, s.integration.ID)
	if err == nil {
		err = engine.WakeExports(s.command.Context(), s.temporal, pending)
	}
	if err != nil {
		return fmt.Errorf("calls are resumed; exports that wait look again within the hour: %w; or run the command again", err)
	}
	if len(pending) > 0 {
		s.say("exports that wait: notified")
	}
	return nil
}

func (s *session) pauseSchedule(note string) error {
	done, err := engine.PauseSchedule(s.command.Context(), s.temporal, s.integration, note)
	switch {
	case err != nil:
		return err
	case done.Missing:
		s.say("schedule: Temporal does not have it; apply the integration's file again")
	case done.Changed:
		s.say("schedule: paused")
	default:
		s.say("schedule: paused already: %s", done.Note)
	}
	return nil
}

// resumeSchedule leaves a schedule alone that was paused by itself.
func (s *session) resumeSchedule() error {
	done, err := engine.ResumeSchedule(s.command.Context(), s.temporal, s.integration, "integration resumed by "+whoami())
	switch {
	case err != nil:
		return err
	case done.Missing:
		s.say("schedule: Temporal does not have it; apply the integration's file again")
	case done.Changed:
		s.say("schedule: resumed")
	case done.Note != "":
		s.say("schedule: stays paused, since it was paused by itself: %s; to resume it, run starter schedules resume", done.Note)
	default:
		s.say("schedule: is not paused")
	}
	return nil
}
