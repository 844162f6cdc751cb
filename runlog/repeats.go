package runlog

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ledgerline/ledgerline/classify"
)

// MadeAgainError is returned for a write that was made again under a new correlation ID, and is
// not sent under its old one.
type MadeAgainError struct{ message string }

// Error says which call came after it.
func (e *MadeAgainError) Error() string { return e.message }

// madeAgain is err, or a [*MadeAgainError] if the database has refused a claim for that.
func madeAgain(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == "claim_is_the_last" {
		return &MadeAgainError{pg.Message}
	}
	return err
}

// Repeat is a call that was made again under a new correlation ID.
type Repeat struct {
	First  uuid.UUID // the correlation ID of the call that was made again
	Number int       // from 1
	ID     uuid.UUID // of the new call
}

// InTheWay is a call because of which another one is not made again.
type InTheWay struct {
	ID     uuid.UUID
	Effect classify.Effect // done or open; "" for a later repeat
}

// RecordRepeat records that a call is made again, before the new one starts: from then on no
// call of the family is sent but the new one, whatever Temporal still knows of them. Where
// another one has taken effect, or may have, or there is a later repeat, it records nothing and
// returns that one. Recording the same again does no harm.
func RecordRepeat(ctx context.Context, db Beginner, organization uuid.UUID, r Repeat) (way *InTheWay, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		var id *uuid.UUID
		var effect classify.Effect
		err := tx.QueryRow(ctx, `SELECT blocking_id, coalesce(blocking_effect, '') FROM ledgerline.repeat_write($1, $2, $3)`, r.First, r.Number, r.ID).Scan(&id, &effect)
		if err == nil && id != nil {
			way = &InTheWay{*id, effect}
		}
		return err
	})
	return way, err
}

// LastRepeat returns the number of the last repeat of a call; 0 if it was never made again.
func LastRepeat(ctx context.Context, db Beginner, organization, first uuid.UUID) (number int, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT coalesce(max(number), 0) FROM ledgerline.write_repeats WHERE organization_id = $1 AND first_id = $2`, organization, first).Scan(&number)
	})
	return number, err
}
