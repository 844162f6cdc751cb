package runlog

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Pause says who stopped an integration, when and why. Nobody calls its vendor
// until someone resumes it.
type Pause struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// LoadPause returns an integration's pause, nil if it has none, or [ErrNotFound].
func LoadPause(ctx context.Context, db Beginner, organization, integration uuid.UUID) (p *Pause, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		p, err = pauseOf(ctx, tx, organization, integration, "")
		return err
	})
	return p, err
}

func pauseOf(ctx context.Context, tx pgx.Tx, organization, integration uuid.UUID, lock string) (*Pause, error) {
	var at *time.Time
	var p Pause
	err := tx.QueryRow(ctx, `
		SELECT paused_at, coalesce(paused_by, ''), coalesce(pause_reason, '') FROM ledgerline.integrations
		WHERE organization_id = $1 AND integration_id = $2`+lock, organization, integration).Scan(&at, &p.By, &p.Reason)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, ErrNotFound
	case err != nil || at == nil:
		return nil, err
	}
	p.At = *at
	return &p, nil
}

const setPause = `
UPDATE ledgerline.integrations SET paused_at = $3, paused_by = $4, pause_reason = $5
WHERE organization_id = $1 AND integration_id = $2`

const insertPause = `
INSERT INTO ledgerline.integration_pauses (organization_id, integration_id, at, action, actor, reason)
VALUES ($1, $2, clock_timestamp(), $3, $4, left($5, 500))`

// PauseIntegration pauses an integration and records by whom and why. One that
// is paused stays as it is; its pause comes back with changed false.
func PauseIntegration(ctx context.Context, db Beginner, organization, integration uuid.UUID, by, reason string) (p Pause, changed bool, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		was, err := pauseOf(ctx, tx, organization, integration, " FOR UPDATE")
		if err != nil {
			return err
		}
		if was != nil {
			p = *was
			return nil
		}
		p, changed = Pause{At: time.Now().UTC().Truncate(time.Microsecond), By: storable(by), Reason: storable(reason)}, true
		if _, err := tx.Exec(ctx, setPause, organization, integration, p.At, p.By, p.Reason); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, insertPause, organization, integration, "pause", p.By, p.Reason)
		return err
	})
	return p, changed, err
}

// ResumeIntegration ends a pause, records by whom and why, and returns it; nil
// if there was none.
func ResumeIntegration(ctx context.Context, db Beginner, organization, integration uuid.UUID, by, reason string) (was *Pause, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if was, err = pauseOf(ctx, tx, organization, integration, " FOR UPDATE"); err != nil || was == nil {
			return err
		}
		if _, err := tx.Exec(ctx, setPause, organization, integration, nil, nil, nil); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, insertPause, organization, integration, "resume", storable(by), storable(reason))
		return err
	})
	return was, err
}
