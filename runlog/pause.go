package runlog

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Pause says who paused an integration, when and why. Its vendor is not called until
// it is resumed.
type Pause struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// pauseRow is a pause as it is stored with its integration.
type pauseRow struct {
	PausedAt              *time.Time
	PausedBy, PauseReason string
}

const pauseColumns = `paused_at, coalesce(paused_by, '') AS paused_by, coalesce(pause_reason, '') AS pause_reason`

// pause returns nil for an integration that is not paused.
func (row pauseRow) pause() *Pause {
	if row.PausedAt == nil {
		return nil
	}
	return &Pause{*row.PausedAt, row.PausedBy, row.PauseReason}
}

// LoadPause returns an integration's pause, nil if it has none, or [ErrNotFound].
func LoadPause(ctx context.Context, db Beginner, organization, integration uuid.UUID) (p *Pause, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		p, err = queryPause(ctx, tx, organization, integration, "")
		return err
	})
	return p, err
}

// ListPauses returns the pauses of an organization's integrations, by integration.
func ListPauses(ctx context.Context, db Beginner, organization uuid.UUID) (map[uuid.UUID]Pause, error) {
	rows, err := queryInOrganization[struct {
		IntegrationID uuid.UUID
		pauseRow
	}](ctx, db, organization, `
		SELECT integration_id, `+pauseColumns+` FROM ledgerline.integrations
		WHERE organization_id = $1 AND removed_at IS NULL AND paused_at IS NOT NULL`, organization)
	pauses := make(map[uuid.UUID]Pause, len(rows))
	for _, row := range rows {
		pauses[row.IntegrationID] = *row.pause()
	}
	return pauses, err
}

// queryPause appends lock, such as FOR UPDATE, to its query.
func queryPause(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID, lock string) (*Pause, error) {
	row, err := queryRow[pauseRow](ctx, tx, `
		SELECT `+pauseColumns+` FROM ledgerline.integrations
		WHERE organization_id = $1 AND integration_id = $2`+lock, organization, integration)
	return row.pause(), err
}

// pauseAction is what somebody did to the pause of an integration. It is stored.
type pauseAction string

const (
	actionPause  pauseAction = "pause"
	actionResume pauseAction = "resume"
)

// storePause stores a pause with its integration, or with nil that there is none.
func storePause(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID, p *Pause) error {
	args := pgx.NamedArgs{"organization_id": organization, "integration_id": integration} // what is missing is NULL
	if p != nil {
		args["at"], args["by"], args["reason"] = p.At, p.By, p.Reason
	}
	_, err := tx.Exec(ctx, `
		UPDATE ledgerline.integrations SET paused_at = @at, paused_by = @by, pause_reason = @reason
		WHERE organization_id = @organization_id AND integration_id = @integration_id`, args)
	return err
}

func recordPauseAction(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID, action pauseAction, actor, reason string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO ledgerline.integration_pauses (organization_id, integration_id, at, action, actor, reason)
		VALUES (@organization_id, @integration_id, clock_timestamp(), @action, @actor, left(@reason, 500))`, pgx.StrictNamedArgs{
		"organization_id": organization, "integration_id": integration, "action": action, "actor": actor, "reason": reason,
	})
	return err
}

// PauseIntegration pauses an integration and records by whom and why. One that
// is paused stays as it is; its pause comes back with changed false.
func PauseIntegration(ctx context.Context, db Beginner, organization, integration uuid.UUID, by, reason string) (p Pause, changed bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		was, err := queryPause(ctx, tx, organization, integration, " FOR UPDATE")
		if err != nil {
			return err
		}
		if was != nil {
			p = *was
			return nil
		}
		p, changed = Pause{At: time.Now().UTC().Truncate(time.Microsecond), By: storable(by), Reason: storable(reason)}, true
		if err := storePause(ctx, tx, organization, integration, &p); err != nil {
			return err
		}
		return recordPauseAction(ctx, tx, organization, integration, actionPause, p.By, p.Reason)
	})
	return p, changed, err
}

// ResumeIntegration ends a pause, records by whom and why, and returns it; nil
// if there was none.
func ResumeIntegration(ctx context.Context, db Beginner, organization, integration uuid.UUID, by, reason string) (was *Pause, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if was, err = queryPause(ctx, tx, organization, integration, " FOR UPDATE"); err != nil || was == nil {
			return err
		}
		if err := storePause(ctx, tx, organization, integration, nil); err != nil {
			return err
		}
		return recordPauseAction(ctx, tx, organization, integration, actionResume, storable(by), storable(reason))
	})
	return was, err
}
