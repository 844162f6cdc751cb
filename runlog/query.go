package runlog

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// queryRows returns all rows of a query; never nil without an error. A column goes into the field of T
// that has its name, see [pgx.RowToStructByName]: each field needs a column, and each column a field.
func queryRows[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[T])
}

// queryRow returns the first row of a query, as [queryRows] does, or [ErrNotFound].
func queryRow[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) (row T, err error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return row, err
	}
	row, err = pgx.CollectOneRow(rows, pgx.RowToStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return row, err
}

// queryInOrganization is [queryRows] in a transaction of its own, see [InOrganization].
func queryInOrganization[T any](ctx context.Context, db Beginner, organization uuid.UUID, sql string, args ...any) (list []T, err error) {
	err = InOrganization(ctx, db, organization, func(tx pgx.Tx) error {
		list, err = queryRows[T](ctx, tx, sql, args...)
		return err
	})
	return list, err
}
