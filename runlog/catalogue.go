package runlog

import (
	"context"
	"database/sql"
	_ "embed" // catalogue.sql and catalogue.txt
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// The catalogue of a schema is what carries its rules: owners, row-level
// security, policies, functions, triggers, constraints and rights, a line for
// each. catalogue.txt is what the migrations make, spelled alike by all versions
// of PostgreSQL; a test compares it with a new database, and writes it with
// -update.
var (
	//go:embed catalogue.sql
	selectCatalogue string
	//go:embed catalogue.txt
	catalogue string
)

// readCatalogue returns the lines of a database, sorted.
func readCatalogue(ctx context.Context, db Beginner) (lines []string, err error) {
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL search_path = ''`); err != nil {
			return err
		}
		lines, err = queryNames(ctx, tx, selectCatalogue)
		return err
	})
	slices.Sort(lines) // the server's order depends on its locale
	return lines, err
}

// queryNames returns the rows of a query that has one column.
func queryNames(ctx context.Context, db interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
}, query string,
) ([]string, error) {
	rows, err := db.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// partition is the name of a partition. There is one for each month, all alike.
var partition = regexp.MustCompile(`\bintegration_run_logs_\d{4}_\d{2}\b`)

// subject is what a line is about: "policy own_organization on integrations". A
// right is its own subject.
func subject(line string) string {
	name, _, _ := strings.Cut(line, ": ")
	return partition.ReplaceAllString(name, "integration_run_logs_YYYY_MM")
}

// differences says how a database differs from what it should be, a line for
// each subject. Indexes and constraints that somebody has added make no rule
// weaker, and do not count.
func differences(want, found []string) (all []string) {
	wanted, seen := make(map[string]string, len(want)), make(map[string]bool, len(found))
	for _, line := range want {
		wanted[subject(line)] = line
	}
	for _, line := range found {
		expected, ok := wanted[subject(line)]
		seen[subject(line)] = true
		kind, _, _ := strings.Cut(line, " ")
		switch {
		case !ok && (kind == "index" || kind == "constraint"):
		case !ok:
			all = append(all, "not of the schema: "+line)
		case partition.ReplaceAllString(line, "integration_run_logs_YYYY_MM") != partition.ReplaceAllString(expected, "integration_run_logs_YYYY_MM"):
			all = append(all, "changed: "+line+"; the schema has: "+strings.TrimPrefix(expected, subject(expected)+": "))
		}
	}
	for _, line := range want {
		if !seen[subject(line)] && !partition.MatchString(line) {
			all = append(all, "missing: "+line)
		}
	}
	return all
}

func linesOf(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// setRights grants what the schema grants and the database lacks, and revokes what
// PostgreSQL gives to everybody by default, as after a restore with --no-acl. Other
// rights that somebody has granted stay, and [SelfCheck] names them. db must act as
// the owner.
func setRights(ctx context.Context, db *sql.DB) error {
	c, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Raw(func(driver any) error {
		conn := driver.(*stdlib.Conn).Conn()
		found, err := readCatalogue(ctx, conn)
		if err != nil {
			return err
		}
		want := linesOf(catalogue)
		var statements []string
		for _, line := range want {
			if strings.HasPrefix(line, "GRANT ") && !slices.Contains(found, line) {
				statements = append(statements, line)
			}
		}
		for _, line := range found {
			if right, everybody := strings.CutSuffix(line, " TO PUBLIC"); everybody && !slices.Contains(want, line) {
				statements = append(statements, "REVOKE"+strings.TrimPrefix(right, "GRANT")+" FROM PUBLIC")
			}
		}
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			for _, statement := range statements {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return fmt.Errorf("%s: %w", statement, err)
				}
			}
			_, err := tx.Exec(ctx, `UPDATE ledgerline.schema_serves SET catalogue = $1 WHERE catalogue <> $1`, catalogue)
			return err
		})
	})
}
