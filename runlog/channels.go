package runlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/integrations"
)

// ChannelChange is what applying did to a channel.
type ChannelChange struct {
	OrganizationID uuid.UUID `json:"organizationId"`
	Name           string    `json:"name"`
	Kind           string    `json:"kind"`
	Action         string    `json:"action"` // created, updated, unchanged, removed
}

// upsertChannel brings a removed channel back. One that is disabled is enabled
// when it changes; nothing else says that its receiver is back.
const upsertChannel = `
INSERT INTO ledgerline.notification_channels AS c (organization_id, name, kind, settings, causes, applied_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (organization_id, name) DO UPDATE
SET kind = excluded.kind, settings = excluded.settings, causes = excluded.causes, applied_by = excluded.applied_by, updated_at = now(),
    removed_at = NULL, disabled_at = NULL
WHERE c.removed_at IS NOT NULL OR (c.kind, c.settings, c.causes) IS DISTINCT FROM (excluded.kind, excluded.settings, excluded.causes)
RETURNING xmax = 0`

// ApplyChannels makes the channels of each organization what its list says, all
// or none, and says what changed: a channel that is not in the list is removed,
// and keeps its past. dryRun rolls back at the end.
func ApplyChannels(ctx context.Context, db Beginner, channels map[uuid.UUID][]integrations.Channel, appliedBy string, dryRun bool) ([]ChannelChange, error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	var changes []ChannelChange
	for _, organization := range slices.SortedFunc(maps.Keys(channels), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		if _, err := tx.Exec(ctx, setOrganization, organization.String()); err != nil {
			return nil, err
		}
		more, err := applyChannels(ctx, tx, organization, channels[organization], appliedBy)
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
	}
	if dryRun {
		return changes, nil
	}
	return changes, tx.Commit(ctx)
}

func applyChannels(ctx context.Context, tx pgx.Tx, organization uuid.UUID, list []integrations.Channel, appliedBy string) (changes []ChannelChange, err error) {
	names := []string{}
	for _, ch := range list {
		names = append(names, ch.Name)
		change := ChannelChange{organization, ch.Name, ch.Kind(), "updated"}
		var settings any = ch.Webhook
		if ch.Email != nil {
			settings = ch.Email
		}
		causes := []string{}
		for _, c := range ch.Causes {
			causes = append(causes, string(c))
		}
		var created bool
		err := tx.QueryRow(ctx, upsertChannel, organization, ch.Name, ch.Kind(), settings, causes, appliedBy).Scan(&created)
		var pg *pgconn.PgError
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			change.Action = "unchanged"
		case errors.As(err, &pg) && pg.Code == "42501":
			return nil, fmt.Errorf("channel %s: the database user may not apply channels: it needs the role ledgerline_operator", ch.Name)
		case err != nil:
			return nil, fmt.Errorf("channel %s: %w", ch.Name, err)
		case created:
			change.Action = "created"
		}
		changes = append(changes, change)
	}
	rows, err := tx.Query(ctx, `
		UPDATE ledgerline.notification_channels SET removed_at = now(), applied_by = $3
		WHERE organization_id = $1 AND removed_at IS NULL AND name <> ALL ($2) RETURNING name, kind`, organization, names, appliedBy)
	if err != nil {
		return nil, err
	}
	removed, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (ChannelChange, error) {
		change := ChannelChange{OrganizationID: organization, Action: "removed"}
		err := row.Scan(&change.Name, &change.Kind)
		return change, err
	})
	return append(changes, removed...), err
}

// Channel is a channel as it is stored.
type Channel struct {
	integrations.Channel
	DisabledAt *time.Time `json:"disabledAt,omitempty"` // its receiver said that it is gone
	removed    bool
}

// read takes the settings of a kind of channel.
func (c *Channel) read(kind, settings string) error {
	if kind == "webhook" {
		return json.Unmarshal([]byte(settings), &c.Webhook)
	}
	return json.Unmarshal([]byte(settings), &c.Email)
}

// ListChannels returns an organization's channels by name.
func ListChannels(ctx context.Context, db Beginner, organization uuid.UUID) (list []Channel, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT name, kind, settings::text, causes, disabled_at FROM ledgerline.notification_channels
			WHERE organization_id = $1 AND removed_at IS NULL ORDER BY name`, organization)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Channel, err error) {
			var kind, settings string
			if err := row.Scan(&c.Name, &kind, &settings, &c.Causes, &c.DisabledAt); err != nil {
				return c, err
			}
			return c, c.read(kind, settings)
		})
		return err
	})
	return list, err
}
