package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
	"github.com/ledgerline/ledgerline/statement"
	"github.com/ledgerline/ledgerline/when"
)

func (a *app) notifications() *cobra.Command {
	c := &cobra.Command{Use: "notifications", Short: "List and test an organization's notifications", Args: noArgs}
	c.AddCommand(a.notificationsList(), a.notificationsChannels(), a.notificationsTest())
	return c
}

func (a *app) notificationsList() *cobra.Command {
	var org, since, until string
	c := &cobra.Command{
		Use:   "list --org NAME",
		Short: "List notifications and their delivery to each channel, oldest first",
		Long: `Prints the newest 1000 notifications of an organization and their delivery to each
channel; if there are older ones, a line says so, and how they are listed. SUPPRESSED counts the events of the hour after it that were not notified on
their own.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f := runlog.NotificationFilter{}
			var err error
			if f.Since, err = parseSince(since); err != nil {
				return err
			}
			if until != "" {
				if f.Until, err = when.ParseEnd(until, time.Now()); err != nil {
					return usage("--until %q: %w", until, err)
				}
			}
			s, err := a.openOrganization(c, org)
			if err != nil {
				return err
			}
			defer s.close()
			list, more, err := runlog.ListNewestNotifications(c.Context(), s.db, s.organization, f)
			if err != nil {
				return err
			}
			if err := a.printNotifications(c.OutOrStdout(), list); err != nil || !more {
				return err
			}
			return s.say("there are older rows: add --until %s for those before these", untilOf(list[0].QueuedAt))
		},
	}
	organizationFlag(c, &org)
	sinceFlag(c, &since, "")
	c.Flags().StringVar(&until, "until", "", "only before then: a `duration`, a date or a time, as for --since")
	return c
}

// untilOf is an --until that begins with the rows of a moment: another channel of the same
// notification may be among those that were left out.
func untilOf(oldest time.Time) string {
	return oldest.Add(time.Microsecond).UTC().Format(time.RFC3339Nano)
}

func (a *app) printNotifications(w io.Writer, list []runlog.NotificationRecord) error {
	rows := [][]string{{"QUEUED AT", "CAUSE", "INTEGRATION", "SUPPRESSED", "CHANNEL", "STATE", "ATTEMPTS", "LAST ERROR"}}
	for _, n := range list {
		suppressed, state := "-", string(n.State)
		if n.Suppressed > 0 {
			suppressed = strings.TrimSpace(fmt.Sprintf("%d %s", n.Suppressed, strings.Join(n.OtherIntegrations, ",")))
		}
		if n.Channel == "" {
			state = "no channel"
		}
		rows = append(rows, []string{when.Local(n.QueuedAt), n.Cause.Name(), dash(n.Integration), suppressed, dash(n.Channel), state,
			fmt.Sprint(n.Attempts), dash(lastError(n.DeliveryStatus))})
	}
	return a.print(w, statement.OfNotifications(list), rows)
}

func lastError(s notify.DeliveryStatus) string {
	if s.Status != 0 {
		return fmt.Sprintf("%s (%d)", s.ErrorKind, s.Status)
	}
	return string(s.ErrorKind)
}

func (a *app) notificationsChannels() *cobra.Command {
	var org string
	c := &cobra.Command{
		Use: "channels --org NAME", Short: "List an organization's channels, and whether they are in use", Args: noArgs,
		RunE: a.onOrganization(&org, func(s *session) error {
			list, err := runlog.ListChannels(s.command.Context(), s.db, s.organization)
			if err != nil {
				return err
			}
			return a.print(s.command.OutOrStdout(), statement.OfChannels(list), channelTable(list))
		}),
	}
	organizationFlag(c, &org)
	return c
}

func channelTable(list []runlog.Channel) [][]string {
	rows := [][]string{{"NAME", "KIND", "TO", "CAUSES", "STATE"}}
	for _, ch := range list {
		to, causes, state := "", []string{}, "in use"
		if ch.Webhook != nil {
			to = ch.Webhook.URL
		} else {
			to = strings.Join(ch.Email.To, ", ")
		}
		for _, cause := range ch.Causes {
			causes = append(causes, cause.Name())
		}
		if len(causes) == 0 {
			causes = []string{"all"}
		}
		if ch.DisabledAt != nil {
			state = "disabled since " + when.Local(*ch.DisabledAt) + ": the receiver no longer exists (410)"
		}
		rows = append(rows, []string{ch.Name, string(ch.Kind()), to, strings.Join(causes, ", "), state})
	}
	return rows
}

func (a *app) notificationsTest() *cobra.Command {
	var org, channel string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "test --org NAME",
		Short: "Send a test notification now and wait for the result",
		Long: `Sends a test notification to every channel of an organization that is in use, or to
one. A disabled channel is tried if it is named, and enabled if the test arrives. A
worker must be running: it sends.

Exit code 1 if it has not arrived at a channel after --wait; it is still retried.`,
		Args: noArgs,
		RunE: a.onOrganization(&org, func(s *session) error {
			id, err := runlog.QueueTest(s.command.Context(), s.db, s.organization, channel)
			if err != nil {
				return err
			}
			list, err := s.awaitDeliveries(s.command.Context(), id, wait)
			if err != nil {
				return err
			}
			if err := a.printNotifications(s.command.OutOrStdout(), list); err != nil {
				return err
			}
			channels, err := runlog.ListChannels(s.command.Context(), s.db, s.organization)
			if err != nil {
				return err
			}
			return deliveryError(s.organization, list, channels)
		}),
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&channel, "channel", "", "only this `channel`, also if it is disabled")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the result")
	return c
}

// awaitDeliveries waits until each delivery has ended or had an attempt, or the time
// is up.
func (s *session) awaitDeliveries(ctx context.Context, id uuid.UUID, wait time.Duration) ([]runlog.NotificationRecord, error) {
	for end := time.Now().Add(wait); ; {
		list, err := runlog.ListNotifications(ctx, s.db, s.organization, time.Time{}, id)
		if err != nil {
			return nil, err
		}
		open := false
		for _, t := range list {
			open = open || t.State == notify.DeliveryPending && t.Attempts == 0
		}
		if !open || time.Now().After(end) {
			return list, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// deliveryError names the channels at which the notification has not arrived, and what to
// do.
func deliveryError(organization uuid.UUID, list []runlog.NotificationRecord, channels []runlog.Channel) error {
	advice := func(t runlog.NotificationRecord) string {
		for _, c := range channels {
			if a := c.Advice(organization, t.ErrorKind); c.Name == t.Channel && a != "" {
				return ": " + a
			}
		}
		return ""
	}
	var missing []string
	for _, t := range list {
		switch {
		case t.State == notify.Delivered:
		case t.State == notify.DeliveryPending && t.Attempts == 0:
			missing = append(missing, t.Channel+": no attempt yet: a worker sends it; starter doctor says whether one runs")
		case t.State == notify.DeliveryPending:
			missing = append(missing, t.Channel+": "+lastError(t.DeliveryStatus)+advice(t)+"; it is retried for 24 hours")
		default:
			missing = append(missing, t.Channel+": "+lastError(t.DeliveryStatus)+advice(t))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not delivered: %s", strings.Join(missing, "; "))
	}
	return nil
}
