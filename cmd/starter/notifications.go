package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/notify"
	"github.com/ledgerline/ledgerline/runlog"
)

// applyChannels makes the channels what the file says, and tells of those that
// it says nothing of.
func (a *app) applyChannels(c *cobra.Command, pool *pgxpool.Pool, file integrations.File, dryRun bool) error {
	words := c.ErrOrStderr()
	changes, err := runlog.ApplyChannels(c.Context(), pool, file.Channels, whoami(), dryRun)
	if err != nil {
		return fmt.Errorf("the integrations are stored, the notification channels are not: %w", err)
	}
	for _, ch := range changes {
		say(words, "notifications to %s (%s): %s", ch.Name, ch.Kind, ch.Action)
	}
	seen := make(map[uuid.UUID]bool)
	for _, in := range file.Integrations {
		if _, stated := file.Channels[in.OrganizationID]; stated || seen[in.OrganizationID] {
			continue
		}
		seen[in.OrganizationID] = true
		list, err := runlog.ListChannels(c.Context(), pool, in.OrganizationID)
		if err != nil {
			return err
		}
		if len(list) > 0 {
			say(words, "organization %s: its file has no notifications section, so its %d channels stay; notifications: [] removes them", in.OrganizationID, len(list))
		}
	}
	return nil
}

func (a *app) notifications() *cobra.Command {
	c := &cobra.Command{Use: "notifications", Short: "What an organization was told of trouble, and where", Args: noArgs}
	c.AddCommand(a.notificationsList(), a.notificationsChannels(), a.notificationsTest())
	return c
}

func (a *app) notificationsList() *cobra.Command {
	var org, since string
	c := &cobra.Command{
		Use:   "list --org UUID",
		Short: "Notifications and what became of each at each channel, oldest first",
		Long: `Prints the newest 1000 notifications of an organization and what became of each
at each channel. SUPPRESSED counts what came within the hour after it and was
not told by itself.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			from, err := parseSince(since)
			if err != nil {
				return err
			}
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := runlog.ListNotifications(c.Context(), pool, organization, from, uuid.Nil)
			if err != nil {
				return err
			}
			return a.printTold(c, list)
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&since, "since", "", "only from then on: a `duration` such as 24h, or a time such as 2026-11-23T08:00:00Z")
	return c
}

func (a *app) printTold(c *cobra.Command, list []runlog.NotificationRecord) error {
	if a.output == "json" {
		return printJSON(c.OutOrStdout(), append([]runlog.NotificationRecord{}, list...))
	}
	rows := [][]string{{"QUEUED AT", "CAUSE", "INTEGRATION", "SUPPRESSED", "CHANNEL", "STATE", "ATTEMPTS", "LAST ERROR"}}
	for _, t := range list {
		suppressed, state := "-", t.State
		if t.Suppressed > 0 {
			suppressed = strings.TrimSpace(fmt.Sprintf("%d %s", t.Suppressed, strings.Join(t.Also, ",")))
		}
		if t.Channel == "" {
			state = "no channel"
		}
		rows = append(rows, []string{t.QueuedAt.UTC().Format(time.RFC3339), string(t.Cause), dash(t.Integration), suppressed, dash(t.Channel), string(state),
			fmt.Sprint(t.Attempts), dash(lastError(t.DeliveryStatus))})
	}
	return table(c.OutOrStdout(), rows)
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
		Use: "channels --org UUID", Short: "Where an organization is told, and whether that is in use", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			list, err := runlog.ListChannels(c.Context(), pool, organization)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(c.OutOrStdout(), append([]runlog.Channel{}, list...))
			}
			rows := [][]string{{"NAME", "KIND", "TO", "CAUSES", "STATE"}}
			for _, ch := range list {
				to, causes, state := "", []string{}, "in use"
				if ch.Webhook != nil {
					to = ch.Webhook.URL
				} else {
					to = strings.Join(ch.Email.To, ", ")
				}
				for _, cause := range ch.Causes {
					causes = append(causes, string(cause))
				}
				if len(causes) == 0 {
					causes = []string{"all"}
				}
				if ch.DisabledAt != nil {
					state = "disabled since " + ch.DisabledAt.UTC().Format(time.RFC3339) + ": the receiver is gone (410)"
				}
				rows = append(rows, []string{ch.Name, string(ch.Kind()), to, strings.Join(causes, ", "), state})
			}
			return table(c.OutOrStdout(), rows)
		},
	}
	organizationFlag(c, &org)
	return c
}

func (a *app) notificationsTest() *cobra.Command {
	var org, channel string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "test --org UUID",
		Short: "Send a test notification now and wait for what becomes of it",
		Long: `Sends a test notification to every channel of an organization that is in use, or
to one. A channel that is disabled is tried if it is named, and enabled if the
test arrives. A worker must be running: it is what sends.

Exit code 1 if a channel does not have it after --wait; it is tried on then.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			organization, pool, err := a.organization(c, org)
			if err != nil {
				return err
			}
			defer pool.Close()
			id, err := runlog.QueueTest(c.Context(), pool, organization, channel)
			if err != nil {
				return err
			}
			list, err := awaitTold(c.Context(), pool, organization, id, wait)
			if err != nil {
				return err
			}
			if err := a.printTold(c, list); err != nil {
				return err
			}
			return undelivered(list)
		},
	}
	organizationFlag(c, &org)
	c.Flags().StringVar(&channel, "channel", "", "only this `channel`, also if it is disabled")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the result")
	return c
}

// awaitTold waits until each delivery has ended, or an attempt has failed, or
// the time is up.
func awaitTold(ctx context.Context, pool *pgxpool.Pool, organization, id uuid.UUID, wait time.Duration) ([]runlog.NotificationRecord, error) {
	for end := time.Now().Add(wait); ; {
		list, err := runlog.ListNotifications(ctx, pool, organization, time.Time{}, id)
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

// undelivered is an error if a channel does not have the notification.
func undelivered(list []runlog.NotificationRecord) error {
	var faults []string
	for _, t := range list {
		switch {
		case t.State == notify.Delivered:
		case t.State == notify.DeliveryPending && t.Attempts == 0:
			faults = append(faults, t.Channel+": no attempt yet; is a worker running?")
		case t.State == notify.DeliveryPending:
			faults = append(faults, t.Channel+": "+lastError(t.DeliveryStatus)+"; it is tried again for 24 hours")
		default:
			faults = append(faults, t.Channel+": "+lastError(t.DeliveryStatus))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("not delivered: %s", strings.Join(faults, "; "))
	}
	return nil
}
