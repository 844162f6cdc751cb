package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Upload is a file of entries that somebody has dropped at the console and not confirmed
// yet. It is kept for an hour.
type Upload struct {
	ID        uuid.UUID
	Name      string // of the file
	Content   []byte // at most [MaxUpload]
	Actor     string
	StoredAt  time.Time
	ExpiresAt time.Time
}

// MaxUpload is how many bytes a file can have.
const MaxUpload = 32 << 20

// MaxUploads is how many files an organization can have waiting.
const MaxUploads = 50

// ErrTooManyUploads says that an organization has [MaxUploads] files waiting.
var ErrTooManyUploads = errors.New("too many files wait to be imported; import one, or wait until they expire after an hour")

// StoreUpload stores a file, and removes those of all organizations that have expired. When it
// was stored and how long it is kept is PostgreSQL's to say.
func StoreUpload(ctx context.Context, db Beginner, organization uuid.UUID, u Upload) error {
	if n := len(u.Content); n == 0 || n > MaxUpload {
		return fmt.Errorf("file %s has %d bytes; want 1 to %d (32 MB)", u.Name, n, MaxUpload)
	}
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT ledgerline.drop_expired_uploads()`); err != nil {
			return err
		}
		var waiting int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM ledgerline.console_uploads WHERE organization_id = $1`, organization).Scan(&waiting); err != nil {
			return err
		}
		if waiting >= MaxUploads {
			return ErrTooManyUploads
		}
		_, err := tx.Exec(ctx, `INSERT INTO ledgerline.console_uploads (organization_id, upload_id, name, content, actor) VALUES ($1, $2, $3, $4, $5)`,
			organization, u.ID, storable(u.Name), u.Content, storable(u.Actor))
		return err
	})
}

// LoadUpload returns a file; nil if the organization has none with this ID, or it has expired.
func LoadUpload(ctx context.Context, db Beginner, organization, id uuid.UUID) (u *Upload, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		found, err := queryRow[Upload](ctx, tx, `SELECT upload_id AS id, name, content, actor, stored_at, expires_at FROM ledgerline.console_uploads
			WHERE organization_id = $1 AND upload_id = $2 AND expires_at > ledgerline.clock()`, organization, id)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err == nil:
			u = &found
		}
		return err
	})
	return u, err
}

// DeleteUpload removes a file. One that is not there is no error.
func DeleteUpload(ctx context.Context, db Beginner, organization, id uuid.UUID) error {
	return InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM ledgerline.console_uploads WHERE organization_id = $1 AND upload_id = $2`, organization, id)
		return err
	})
}
