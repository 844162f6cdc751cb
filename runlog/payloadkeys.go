package runlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// PayloadKey is a key that encrypts, or did, what Temporal stores.
type PayloadKey struct {
	Name     string    `json:"name"` // "ID/check", as package codec names keys
	FirstUse time.Time `json:"firstUse"`
	LastUse  time.Time `json:"lastUse"` // to the minute
}

// PayloadReader is a worker process that takes tasks.
type PayloadReader struct {
	Label  string // its host and process
	SeenAt time.Time
}

// ReaderWords writes workers for people.
func ReaderWords(list []PayloadReader) string {
	var words []string
	for _, r := range list {
		words = append(words, fmt.Sprintf("%s (seen %s)", r.Label, r.SeenAt.UTC().Format(time.RFC3339)))
	}
	return strings.Join(words, "; ")
}

// LackedPayloadKeys returns the keys in use that are not among the names.
func LackedPayloadKeys(ctx context.Context, db Beginner, names []string) (lacks []string, err error) {
	list, err := ListPayloadKeys(ctx, db)
	for _, k := range list {
		if !slices.Contains(names, k.Name) {
			lacks = append(lacks, k.Name)
		}
	}
	return lacks, err
}

// ReadPayloads makes a worker process one that takes tasks, with the keys that it has. It
// returns the keys in use that it lacks; if there are any, it must take none. A worker
// repeats it, since after ten minutes without it a worker counts as ended. It needs the
// worker's role.
func ReadPayloads(ctx context.Context, db Beginner, process uuid.UUID, label string, keys []string) (lacks []string, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT * FROM ledgerline.read_payloads($1, $2, $3)`, process, label, keys)
		if err != nil {
			return err
		}
		lacks, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return lacks, err
}

// StopReadingPayloads says that a worker process takes no more tasks.
func StopReadingPayloads(ctx context.Context, db Beginner, process uuid.UUID) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT ledgerline.stop_reading_payloads($1)`, process)
		return err
	})
}

// UsePayloadKey takes a key into use. If it returns workers, these lack the key, and nothing
// may be encrypted with it. It needs the worker's or the operator's role.
func UsePayloadKey(ctx context.Context, db Beginner, name string) (lacking []PayloadReader, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		lacking, err = queryRows[PayloadReader](ctx, tx, `SELECT * FROM ledgerline.use_payload_key($1)`, name)
		return err
	})
	return lacking, err
}

// ListPayloadKeys returns the keys in use, the oldest first. It needs the operator's role.
func ListPayloadKeys(ctx context.Context, db Beginner) (list []PayloadKey, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		list, err = queryRows[PayloadKey](ctx, tx, `SELECT * FROM ledgerline.list_payload_keys()`)
		return err
	})
	return list, err
}

// RetirePayloadKey takes a key out of use, as [ListPayloadKeys] had it: no worker needs it any
// longer. It returns false if it was used since, or is not in use. It needs the operator's role.
func RetirePayloadKey(ctx context.Context, db Beginner, k PayloadKey) (done bool, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT ledgerline.retire_payload_key($1, $2)`, k.Name, k.LastUse).Scan(&done)
	})
	return done, err
}
