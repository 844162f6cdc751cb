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

// markedColumn is one that a source can have besides: the transaction in which the row
// came into it, or changed. Then only what is new is read, see [mark].
const markedColumn = "changed_in"

// sourceRelation is what the catalogue says of the table or view of a source.
type sourceRelation struct {
	OID     uint32
	Kind    string // pg_class.relkind
	Login   string
	MayUse  bool // the login may use its schema
	MayRead bool
}

const selectRelation = `
SELECT relation.oid, relation.relkind::text AS kind, current_user AS login,
    has_schema_privilege(relation.relnamespace, 'USAGE') AS may_use, has_table_privilege(relation.oid, 'SELECT') AS may_read
FROM pg_catalog.pg_class AS relation JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relation.relnamespace
WHERE namespace.nspname = $1 AND relation.relname = $2`

// checkSource returns everything that keeps a table or view, "schema.name", from being
// a source of entries, each with its remedy, and whether it has the [markedColumn] and it
// counts. It asks the catalogue and runs nothing of the source's.
func checkSource(ctx context.Context, tx pgx.Tx, source string) (problems []string, hasMarks bool, err error) {
	schema, name, _ := strings.Cut(source, ".")
	if schema == "ledgerline" || schema == "information_schema" || strings.HasPrefix(schema, "pg_") {
		return []string{fmt.Sprintf("a table or view of schema %s cannot be a source; make a view of it elsewhere", schema)}, false, nil
	}
	relation, err := queryRow[sourceRelation](ctx, tx, selectRelation, schema, name)
	if errors.Is(err, ErrNotFound) {
		return []string{fmt.Sprintf("there is no such table or view in the database of %s; create it, or correct export.source", SourceVariable)}, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if !strings.Contains("rvmpf", relation.Kind) {
		return []string{"it is not a table or view"}, false, nil
	}
	if !relation.MayUse {
		problems = append(problems, fmt.Sprintf("its login may not use its schema: GRANT USAGE ON SCHEMA %s TO %q", schema, relation.Login))
	}
	if !relation.MayRead {
		problems = append(problems, fmt.Sprintf("its login may not read it: GRANT SELECT ON %s TO %q", source, relation.Login))
	}
	columns, hasMarks, err := checkSourceColumns(ctx, tx, relation.OID)
	if hasMarks && err == nil {
		var foreign bool
		err = tx.QueryRow(ctx, selectForeign, relation.OID).Scan(&foreign)
		hasMarks = !foreign
	}
	return append(problems, columns...), hasMarks, err
}

// selectForeign reports whether rows of a relation ($1) come from somewhere else, as far as
// the catalogue knows: from another server, whose transaction IDs count nothing here, or
// from a materialized view, which has them long after their transaction.
const selectForeign = `
WITH RECURSIVE used AS (
    SELECT $1::oid AS oid
    UNION
    SELECT next.oid FROM used CROSS JOIN LATERAL (
        SELECT depend.refobjid AS oid FROM pg_catalog.pg_rewrite AS rule JOIN pg_catalog.pg_depend AS depend ON depend.objid = rule.oid
        WHERE rule.ev_class = used.oid AND depend.classid = 'pg_catalog.pg_rewrite'::regclass AND depend.refclassid = 'pg_catalog.pg_class'::regclass
        UNION ALL
        SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = used.oid) AS next
)
SELECT EXISTS (SELECT FROM used JOIN pg_catalog.pg_class USING (oid) WHERE relkind IN ('m', 'f'))
    OR EXISTS (SELECT FROM used JOIN pg_catalog.pg_subscription_rel ON srrelid = oid)`

// checkSourceColumns compares the columns of a relation with [sourceColumns] and [markedColumn].
func checkSourceColumns(ctx context.Context, tx pgx.Tx, relation uint32) (problems []string, hasMarks bool, err error) {
	rows, err := tx.Query(ctx, `
		SELECT attname, format_type(coalesce(nullif(typbasetype, 0), pg_type.oid), NULL)
		FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_type ON pg_type.oid = atttypid
		WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped`, relation)
	if err != nil {
		return nil, false, err
	}
	types := make(map[string]string)
	var column, found string
	if _, err = pgx.ForEachRow(rows, []any{&column, &found}, func() error { types[column] = found; return nil }); err != nil {
		return nil, false, err
	}
	for _, want := range sourceColumns {
		switch found, ok := types[want.name]; {
		case !ok:
			problems = append(problems, fmt.Sprintf("column %s is missing; add it, as %s", want.name, want.types[0]))
		case !slices.Contains(want.types, found):
			problems = append(problems, fmt.Sprintf("column %s is %.100q and must be %s; in a view: %s::%s AS %s",
				want.name, found, want.types[0], want.name, want.types[0], want.name))
		}
	}
	found, hasMarks = types[markedColumn]
	if hasMarks && found != "xid8" {
		problems = append(problems, fmt.Sprintf("column %s is %.100q and must be xid8, as of pg_current_xact_id(); see docs/operations.md#sources", markedColumn, found))
	}
	return problems, hasMarks, nil
}
