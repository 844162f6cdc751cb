package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ledgerline/ledgerline/integrations"
)

// sourceColumns are what a table or view of accounting entries must have. The
// first type is the one to ask for.
var sourceColumns = []struct {
	name  string
	types []string
}{
	{"organization_id", []string{"uuid"}},
	{"entry_id", []string{"text", "character varying"}},
	{"voucher_id", []string{"text", "character varying"}},
	{"entry_date", []string{"date"}},
	{"account", []string{"text", "character varying"}},
	{"amount", []string{"numeric"}}, // money is never a float
	{"currency", []string{"text", "character varying"}},
	{"text", []string{"text", "character varying"}},
	{"dimensions", []string{"jsonb"}},
	{"created_at", []string{"timestamp with time zone"}},
}

// CheckSource says everything that keeps a table or view, "schema.name" or ""
// for [integrations.DefaultSource], from being a source of entries, and how to
// mend it; or nil. It needs no right on the source itself.
func CheckSource(ctx context.Context, db Beginner, source string) error {
	if source == "" {
		source = integrations.DefaultSource
	}
	schema, name, _ := strings.Cut(source, ".")
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("source %s: "+format, append([]any{source}, args...)...))
	}
	err := pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var oid uint32
		var kind string
		var read, use bool
		err := tx.QueryRow(ctx, `
			SELECT c.oid, c.relkind::text, has_table_privilege('ledgerline_worker', c.oid, 'SELECT'), has_schema_privilege('ledgerline_worker', n.oid, 'USAGE')
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, schema, name).Scan(&oid, &kind, &read, &use)
		if errors.Is(err, pgx.ErrNoRows) {
			fault("there is no such table or view in this database; create it, or correct export.source")
			return nil
		}
		if err != nil {
			return err
		}
		if !strings.Contains("rvmpf", kind) {
			fault("it is no table or view")
			return nil
		}
		if !use {
			fault("the worker may not use its schema: GRANT USAGE ON SCHEMA %s TO ledgerline_worker, ledgerline_operator", schema)
		}
		if !read {
			fault("the worker may not read it: GRANT SELECT ON %s TO ledgerline_worker, ledgerline_operator", source)
		}
		rows, err := tx.Query(ctx, `
			SELECT a.attname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
			WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`, oid)
		if err != nil {
			return err
		}
		types := make(map[string]string)
		var column, is string
		if _, err = pgx.ForEachRow(rows, []any{&column, &is}, func() error { types[column] = is; return nil }); err != nil {
			return err
		}
		for _, want := range sourceColumns {
			switch is, there := types[want.name]; {
			case !there:
				fault("column %s is missing; add it, as %s", want.name, want.types[0])
			case !slices.Contains(want.types, is):
				fault("column %s is %s and must be %s; in a view: %s::%s AS %s", want.name, is, want.types[0], want.name, want.types[0], want.name)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("source %s: looking at it: %w", source, err)
	}
	return errors.Join(faults...)
}
