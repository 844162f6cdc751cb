package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Acknowledgement says that somebody has seen one occurrence of a thing that needs a person,
// and what they noted. The thing goes on until its cause ends.
type Acknowledgement struct {
	Key   string // of the occurrence, at most 500 characters
	Note  string // at most 500 characters are kept
	Actor string
	At    time.Time // by PostgreSQL's clock
}

// Acknowledge records an acknowledgement. Earlier ones of the key stay on record; the last
// one is shown.
func Acknowledge(ctx context.Context, db Beginner, organization uuid.UUID, a Acknowledgement) error {
	if n := utf8.RuneCountInString(a.Key); n == 0 || n > 500 { // one that is cut could be another's
		return fmt.Errorf("what is acknowledged has a key of %d characters; want 1 to 500", n)
	}
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO ledgerline.console_acknowledgements (organization_id, key, note, actor) VALUES ($1, $2, $3, $4)`,
			organization, storable(a.Key), storable(a.Note), storable(a.Actor))
		return err
	})
}

// AcknowledgeFirst records an acknowledgement, unless the key has one: that is returned, and
// nothing is recorded. Of two at the same time one is recorded.
func AcknowledgeFirst(ctx context.Context, db Beginner, organization uuid.UUID, a Acknowledgement) (earlier *Acknowledgement, err error) {
	if n := utf8.RuneCountInString(a.Key); n == 0 || n > 500 {
		return nil, fmt.Errorf("what is acknowledged has a key of %d characters; want 1 to 500", n)
	}
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('ledgerline.acknowledge/' || $1::text, 0))`, organization); err != nil {
			return err
		}
		found, err := queryRow[Acknowledgement](ctx, tx, `SELECT key, note, actor, at FROM ledgerline.console_acknowledgements
			WHERE organization_id = $1 AND key = $2 ORDER BY acknowledgement_id DESC LIMIT 1`, organization, storable(a.Key))
		switch {
		case err == nil:
			earlier = &found
			return nil
		case !errors.Is(err, ErrNotFound):
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO ledgerline.console_acknowledgements (organization_id, key, note, actor) VALUES ($1, $2, $3, $4)`,
			organization, storable(a.Key), storable(a.Note), storable(a.Actor))
		return err
	})
	return earlier, err
}

// ListAcknowledgements returns the last acknowledgement of each key.
func ListAcknowledgements(ctx context.Context, db Beginner, organization uuid.UUID) (map[string]Acknowledgement, error) {
	list, err := queryInOrganization[Acknowledgement](ctx, db, organization, `
		SELECT DISTINCT ON (key) key, note, actor, at FROM ledgerline.console_acknowledgements
		WHERE organization_id = $1 ORDER BY key, acknowledgement_id DESC`, organization)
	seen := make(map[string]Acknowledgement, len(list))
	for _, a := range list {
		seen[a.Key] = a
	}
	return seen, err
}
