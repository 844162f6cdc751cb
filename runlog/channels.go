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
	"github.com/ledgerline/ledgerline/notify"
)

// ChannelChange is what applying did to a channel.
type ChannelChange struct {
	OrganizationID uuid.UUID                `json:"organizationId"`
	Name           string                   `json:"name"`
	Kind           integrations.ChannelKind `json:"kind"`
	Action         ApplyAction              `json:"action"`

	Changes []integrations.FieldChange `json:"changes,omitempty" db:"-"` // of one that is created or updated; a secret is a reference
}

// upsertChannel brings a removed channel back. One that is disabled is enabled
// when it changes; nothing else says that its receiver is back.
const upsertChannel = `
INSERT INTO ledgerline.notification_channels AS stored (organization_id, name, kind, settings, causes, applied_by)
VALUES (@organization_id, @name, @kind, @settings, @causes, @applied_by)
ON CONFLICT (organization_id, name) DO UPDATE
SET kind = excluded.kind, settings = excluded.settings, causes = excluded.causes, applied_by = excluded.applied_by, updated_at = now(),
    removed_at = NULL, disabled_at = NULL
WHERE stored.removed_at IS NOT NULL OR (stored.kind, stored.settings, stored.causes) IS DISTINCT FROM (excluded.kind, excluded.settings, excluded.causes)
RETURNING xmax = 0`

// ApplyChannels makes the channels of each organization what its list says, all
// or none, and says what changed: a channel that is not in the list is removed,
// and keeps its past. dryRun rolls back at the end, or with a login that may only read
// writes nothing.
func ApplyChannels(ctx context.Context, db Beginner, channels map[uuid.UUID][]integrations.Channel, appliedBy string, dryRun bool) ([]ChannelChange, error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	reads := false
	if dryRun {
		if reads, err = mayOnlyRead(ctx, tx); err != nil {
			return nil, err
		}
	}
	var changes []ChannelChange
	for _, organization := range slices.SortedFunc(maps.Keys(channels), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		if _, err := tx.Exec(ctx, setOrganization, organization.String()); err != nil {
			return nil, err
		}
		more, err := applyChannels(ctx, tx, organization, channels[organization], appliedBy, reads)
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

// applyChannels is [ApplyChannels] of one organization. With reads it writes nothing.
func applyChannels(ctx context.Context, tx pgx.Tx, organization uuid.UUID, list []integrations.Channel, appliedBy string, reads bool) (changes []ChannelChange, err error) {
	stored, err := queryChannels(ctx, tx, organization, true)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, ch := range list {
		names = append(names, ch.Name)
		var was integrations.Channel
		i := slices.IndexFunc(stored, func(c Channel) bool { return c.Name == ch.Name })
		if i >= 0 && !stored[i].removed {
			was = stored[i].Channel
		}
		differs, action := integrations.DiffChannels(was, ch), ActionUpdated // also of one that comes back
		switch {
		case !reads:
			if action, err = storeChannel(ctx, tx, organization, ch, appliedBy); err != nil {
				return nil, err
			}
		case i < 0:
			action = ActionCreated
		case len(differs) == 0:
			action = ActionUnchanged
		}
		changes = append(changes, ChannelChange{organization, ch.Name, ch.Kind(), action, differs})
	}
	if reads {
		for _, c := range stored {
			if !c.removed && !slices.Contains(names, c.Name) {
				changes = append(changes, ChannelChange{organization, c.Name, c.Kind(), ActionRemoved, nil})
			}
		}
		return changes, nil
	}
	removed, err := queryRows[ChannelChange](ctx, tx, `
		UPDATE ledgerline.notification_channels SET removed_at = now(), applied_by = @applied_by
		WHERE organization_id = @organization AND removed_at IS NULL AND name <> ALL (@names)
		RETURNING organization_id, name, kind, @removed AS action`,
		pgx.StrictNamedArgs{"organization": organization, "names": names, "applied_by": appliedBy, "removed": ActionRemoved})
	return append(changes, removed...), err
}

// storeChannel stores a channel, and says what that did.
func storeChannel(ctx context.Context, tx pgx.Tx, organization uuid.UUID, ch integrations.Channel, appliedBy string) (ApplyAction, error) {
	var settings any = ch.Webhook
	if ch.Email != nil {
		settings = ch.Email
	}
	action, err := upsertAction(tx.QueryRow(ctx, upsertChannel, pgx.StrictNamedArgs{
		"organization_id": organization,
		"name":            ch.Name,
		"kind":            ch.Kind(),
		"settings":        settings,
		"causes":          append([]notify.Cause{}, ch.Causes...),
		"applied_by":      appliedBy,
	}))
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == "42501":
		return "", fmt.Errorf("channel %s: the database user may not apply channels: it needs the role ledgerline_operator", ch.Name)
	case err != nil:
		return "", fmt.Errorf("channel %s: %w", ch.Name, err)
	}
	return action, nil
}

// Channel is a channel as it is stored.
type Channel struct {
	integrations.Channel
	DisabledAt *time.Time `json:"disabledAt,omitempty"` // its receiver said that it is gone
	removed    bool
}

// read takes the settings of a kind of channel.
func (c *Channel) read(kind, settings string) error {
	if integrations.ChannelKind(kind) == integrations.WebhookChannel {
		return json.Unmarshal([]byte(settings), &c.Webhook)
	}
	return json.Unmarshal([]byte(settings), &c.Email)
}

// ListChannels returns an organization's channels by name.
func ListChannels(ctx context.Context, db Beginner, organization uuid.UUID) (list []Channel, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryChannels(ctx, tx, organization, false)
		return err
	})
	return list, err
}

// queryChannels returns an organization's channels by name, also those that were removed if
// they are wanted.
func queryChannels(ctx context.Context, tx pgx.Tx, organization uuid.UUID, removed bool) ([]Channel, error) {
	rows, err := queryRows[struct {
		Name, Kind, Settings string
		Causes               []notify.Cause
		DisabledAt           *time.Time
		Removed              bool
	}](ctx, tx, `
		SELECT name, kind, settings::text, causes, disabled_at, removed_at IS NOT NULL AS removed FROM ledgerline.notification_channels
		WHERE organization_id = $1 AND ($2 OR removed_at IS NULL) ORDER BY name`, organization, removed)
	if err != nil {
		return nil, err
	}
	list := []Channel{}
	for _, row := range rows {
		channel := Channel{Channel: integrations.Channel{Name: row.Name, Causes: row.Causes}, DisabledAt: row.DisabledAt, removed: row.Removed}
		if err := channel.read(row.Kind, row.Settings); err != nil {
			return nil, err
		}
		list = append(list, channel)
	}
	return list, nil
}
