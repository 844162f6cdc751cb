package runlog

import (
	"context"
	"database/sql"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
)

// What tests need, which are in the package runlog_test.
var (
	ReadCatalogue = readCatalogue
	PauseActions  = []pauseAction{actionPause, actionResume}
)

func WithProvider(ctx context.Context, pool *pgxpool.Pool, files fs.FS, fn func(*goose.Provider) error) error {
	return withProvider(ctx, pool, files, func(_ *sql.DB, p *goose.Provider) error { return fn(p) })
}

// SelectForeign finds sources that have no marks.
const SelectForeign = selectForeign
