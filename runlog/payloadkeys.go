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
	FirstUse time.Time `json:"firstUse,omitzero"`
	LastUse  time.Time `json:"lastUse,omitzero"` // to the minute
}

// PayloadReader is a worker process that has every key in use. It takes tasks, unless the key
// with which it is to encrypt cannot come into use.
type PayloadReader struct {
	Label  string    `json:"label"` // its host and process
	SeenAt time.Time `json:"seenAt"`
}

// ReaderWords writes workers for people.
func ReaderWords(list []PayloadReader) string {
	var words []string
	for _, r := range list {
		words = append(words, fmt.Sprintf("%s (seen %s)", r.Label, r.SeenAt.Local().Format("2006-01-02 15:04:05 MST")))
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

// nobodysKey is a key that no worker has.
const nobodysKey = "nobodys/00000000"

// PayloadReaders returns the workers that have a key and those that lack it. It tries to take
// keys into use, and takes that back: only then does PostgreSQL say who lacks one. It needs
// the operator's role.
func PayloadReaders(ctx context.Context, db Beginner, name string) (have, lack []PayloadReader, err error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	const try = `SELECT * FROM ledgerline.use_payload_key($1)`
	if lack, err = queryRows[PayloadReader](ctx, tx, try, name); err != nil {
		return nil, nil, err
	}
	if have, err = queryRows[PayloadReader](ctx, tx, try, nobodysKey); err != nil {
		return nil, nil, err
	}
	for _, r := range lack {
		i := slices.IndexFunc(have, func(h PayloadReader) bool { return h.Label == r.Label && h.SeenAt.Equal(r.SeenAt) })
		if i >= 0 {
			have = slices.Delete(have, i, i+1)
		}
	}
	return have, lack, nil
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
