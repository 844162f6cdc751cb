package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
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

// sourceFaults says everything that keeps a table or view, "schema.name", from being
// a source of entries, each with its remedy. It asks the catalogue and runs nothing of
// the source's.
func sourceFaults(ctx context.Context, tx pgx.Tx, source string) (faults []string, err error) {
	schema, name, _ := strings.Cut(source, ".")
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if schema == "ledgerline" || schema == "information_schema" || strings.HasPrefix(schema, "pg_") {
		fault("a table or view of schema %s cannot be a source; make a view of it elsewhere", schema)
		return faults, nil
	}
	var oid uint32
	var kind, login string
	var read, use bool
	err = tx.QueryRow(ctx, `
		SELECT c.oid, c.relkind::text, has_table_privilege(c.oid, 'SELECT'), has_schema_privilege(n.oid, 'USAGE'), current_user
		FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, schema, name).Scan(&oid, &kind, &read, &use, &login)
	if errors.Is(err, pgx.ErrNoRows) {
		fault("there is no such table or view in the database of %s; create it, or correct export.source", SourceVariable)
		return faults, nil
	}
	if err != nil {
		return nil, err
	}
	if !strings.Contains("rvmpf", kind) {
		fault("it is no table or view")
		return faults, nil
	}
	if !use {
		fault("its login may not use its schema: GRANT USAGE ON SCHEMA %s TO %q", schema, login)
	}
	if !read {
		fault("its login may not read it: GRANT SELECT ON %s TO %q", source, login)
	}
	rows, err := tx.Query(ctx, `
		SELECT a.attname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`, oid)
	if err != nil {
		return nil, err
	}
	types := make(map[string]string)
	var column, is string
	if _, err = pgx.ForEachRow(rows, []any{&column, &is}, func() error { types[column] = is; return nil }); err != nil {
		return nil, err
	}
	for _, want := range sourceColumns {
		switch is, there := types[want.name]; {
		case !there:
			fault("column %s is missing; add it, as %s", want.name, want.types[0])
		case !slices.Contains(want.types, is):
			fault("column %s is %.100q and must be %s; in a view: %s::%s AS %s", want.name, is, want.types[0], want.name, want.types[0], want.name)
		}
	}
	return faults, nil
}
